"""Compiled loops: against plain readings, without the compiler, and compiled twice at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels.basins import prominent_basins
from hela_dask.kernels.bounded_distance import bounded_depth_volume
from hela_dask.kernels.grid import block_mean
from hela_dask.kernels.hessian import largest_eigenvalue_plane, largest_eigenvalue_volume
from hela_dask.types import Labels

Grey = NDArray[np.float32]


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 14), st.integers(1, 14)),
    st.sampled_from([0.0, 2.0, 7.0, 1000.0]),
    st.integers(0, 10_000),
)
def test_a_pixel_is_of_the_basin_that_the_steepest_way_up_leads_to(
    shape: tuple[int, int], saddle: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    height = (random.permutation(int(np.prod(shape))) - 5.0).reshape(shape).astype(np.float32)
    found = prominent_basins(height, saddle)
    np.testing.assert_array_equal(found > 0, height > 0)
    for y, x in np.argwhere(height > 0):
        row, column = y, x
        while True:
            near = height[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            up = np.argwhere(near == near.max())[0]
            to = (max(0, row - 1) + up[0], max(0, column - 1) + up[1])
            if to == (row, column):
                break
            row, column = to
        assert found[row, column] == found[y, x]
    # Basins are numbered by their summits, and each way between two of them dips deep enough.
    summits = ndimage.maximum(height, found, range(1, int(found.max()) + 1))
    assert list(summits) == sorted(summits, reverse=True)
    for one in range(1, len(summits) + 1):
        for other in range(one + 1, len(summits) + 1):
            assert summits[other - 1] - highest_pass(height, found, one, other) >= saddle


def highest_pass(height: Grey, found: Labels, one: int, other: int) -> float:
    """The highest level at which two basins hang together, with those between them; or -inf."""
    starts = [height == height[found == label].max() for label in (one, other)]
    for level in np.sort(height[height > 0])[::-1]:
        pieces, _ = ndimage.label(height >= level, structure=np.ones((3, 3)))
        if pieces[starts[0]] == pieces[starts[1]] != 0:
            return float(level)
    return -np.inf


def derivatives(block: Grey, kernels: list[Grey]) -> NDArray[np.float64]:
    """The Hessian of each voxel, (..., axes, axes), by scipy's correlations in double precision."""
    axes = block.ndim
    hessian = np.empty((*block.shape, axes, axes))
    for i in range(axes):
        for j in range(axes):
            part = block.astype(np.float64)
            for axis in range(axes):
                order = (axis == i) + (axis == j)
                part = ndimage.correlate1d(part, kernels[axis][order], axis, mode="nearest")
            hessian[..., i, j] = part
    return hessian


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 7), st.integers(1, 9), st.integers(1, 9)),
    st.tuples(*[st.sampled_from([1, 3, 5, 7])] * 3),
    st.integers(0, 10_000),
    st.data(),
)
def test_the_largest_eigenvalue_is_that_of_numpy(
    shape: tuple[int, int, int], taps: tuple[int, int, int], seed: int, data: st.DataObject
) -> None:
    random = np.random.default_rng(seed)
    block = random.normal(100, 30, shape).astype(np.float32)
    kernels: list[Grey] = [random.normal(size=(3, size)).astype(np.float32) for size in taps]
    first = data.draw(st.integers(0, shape[0] - 1))
    last = data.draw(st.integers(first + 1, shape[0]))
    hessian = derivatives(block, kernels)
    expected = np.linalg.eigvalsh(hessian)[..., -1]
    found = largest_eigenvalue_volume(block, first, last, *kernels)
    scale = max(1e3, float(np.abs(hessian).max()))
    np.testing.assert_allclose(found, expected[first:last], rtol=0, atol=1e-5 * scale)
    hessian = derivatives(block[0], kernels[1:])
    expected = np.linalg.eigvalsh(hessian)[..., -1]
    scale = max(1e3, float(np.abs(hessian).max()))
    everywhere = np.ones(block.shape[1:], np.bool_)
    flat = largest_eigenvalue_plane(block[0], everywhere, *kernels[1:])
    np.testing.assert_allclose(flat, expected, rtol=0, atol=1e-5 * scale)


def results(everything: bool) -> dict[str, NDArray[Any]]:
    """What each compiled loop makes of a little noise."""
    random = np.random.default_rng(0)
    grey = random.normal(0, 40, (5, 8, 9)).astype(np.float32)
    kernel = random.normal(size=(3, 5)).astype(np.float32)
    mask = random.random((6, 9, 10)) > 0.1
    found: dict[str, NDArray[Any]] = {
        "basins": prominent_basins(np.rint(grey[0]), 3.0),
        "means of bytes": block_mean(grey[0].astype(np.int16), (3, 4)),
        "means of floats": block_mean(grey[0], (3, 4)),
    }
    if everything:
        wide = random.normal(0, 40, (4, 80)).astype(np.float32)
        wanted = random.random(wide.shape) < 0.03
        wanted[2] = False
        found["plane"] = largest_eigenvalue_plane(wide, wanted, kernel, kernel)
        found["space"] = largest_eigenvalue_volume(grey, 1, 4, kernel, kernel, kernel)
        parts = bounded_depth_volume(mask, (50.0, 40.0, 40.0), 120.0, (2, 1))
        found["capped"] = np.concatenate([depth for _, depth in parts])
    return found


def elsewhere(path: Path, everything: bool, **environment: str) -> subprocess.Popen[str]:
    """The same in a process of its own, which writes them to a file."""
    code = (
        "import sys, numpy as np; from tests.exactness.test_compiled import results; "
        "from hela_dask.kernels.compiled import loops_compiled; "
        f"np.savez(sys.argv[1], **results({everything}), compiled=loops_compiled())"
    )
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, str(path)],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
    )


def check(process: subprocess.Popen[str], path: Path, everything: bool) -> int:
    """Compare the bits; how many loops that process compiled."""
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    with np.load(path) as found:
        for name, expected in results(everything).items():
            assert found[name].dtype == expected.dtype
            np.testing.assert_array_equal(found[name], expected, err_msg=name)
        return int(found["compiled"])


def test_without_the_compiler_the_bits_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "plain.npz"
    assert check(elsewhere(path, True, NUMBA_DISABLE_JIT="1"), path, True) == 0


def test_two_processes_compile_into_one_empty_cache(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    paths = [tmp_path / "one.npz", tmp_path / "two.npz"]
    both = [elsewhere(path, False, NUMBA_CACHE_DIR=str(cache)) for path in paths]
    assert sum(check(*pair, False) for pair in zip(both, paths, strict=True)) > 0
    kept = {file: file.stat().st_mtime_ns for file in cache.rglob("*.nbc")}
    assert kept
    assert check(elsewhere(paths[0], False, NUMBA_CACHE_DIR=str(cache)), paths[0], False) == 0
    assert {file: file.stat().st_mtime_ns for file in cache.rglob("*.nbc")} == kept
