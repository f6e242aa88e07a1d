"""Two drawn cells that touch, in stores of any layout; and all that a run says of them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from hela_dask._run import RunResult, run
from hela_dask.storage import store
from hela_dask.volume.opening import open_volume, read_image
from tests.drawn import draw_cell

__all__ = [
    "DEPTH",
    "PARAMETERS",
    "Outcome",
    "go",
    "outcome",
    "same",
    "two_cells",
    "write",
    "write_old",
]

DEPTH = 130.0
"""Thickness of a slice, nm."""

# Cells of half the usual size are cells, and windows overlap without holding the whole plane.
# Slices are thick here: so many beside a slice have a say as where they are thin.
PARAMETERS = {
    "background": {"levels": 600.0, "smoothing": 300.0},
    "detect": {"spacing": 390.0},
    "link": {"smallest_cell": 0.0, "shortest_chain": 700.0},
    "region": {"width": 6500.0, "depth": 2000.0, "room": 1.2, "cut_room": 1.2},
}

Outcome = dict[str, Any]


@functools.cache
def two_cells(pixel: float) -> NDArray[np.uint8]:
    """Two cells with a nucleus each, pressed flat against each other; y and x are odd."""
    halves = []
    for seed, side in enumerate((slice(None), slice(None, None, -1))):
        drawing = draw_cell((DEPTH, pixel, pixel), seed=seed)
        start, stop, end = (round(at / pixel) for at in (500.0, 6500.0, 5600.0))
        # The poles of the cells are cut off where they meet, one a little higher than the other.
        shift = round(400.0 * seed / pixel)
        halves.append(drawing.image[:, start + shift : stop + shift, start:end][:, :, side])
    image = np.concatenate(halves, axis=2)
    found: NDArray[np.uint8] = np.ascontiguousarray(image[:, :-1, :-1])
    _soil(found, pixel)
    return found


def _soil(image: NDArray[np.uint8], pixel: float) -> None:
    """Debris in the corners of single slices, which their neighbours outvote; faint slices."""
    rows, columns = np.indices(image.shape[1:]) * pixel
    ends = np.array(image.shape[1:]) * pixel - 450.0
    for z, plane in enumerate(image):
        if z % 5 == 3:  # contrast is lost: the grey levels of slices beside it stand in
            plane[:] = plane // 2 + 70
        y, x = ((450.0, 450.0), (ends[0], 450.0), (450.0, ends[1]))[z % 3]
        plane[np.hypot(rows - y, columns - x) < 380.0] = 120


def write(
    path: Path,
    pixel: float,
    *,
    chunks: tuple[int, int, int] | None = None,
    shards: tuple[int, int, int] | None = None,
) -> Path:
    """A store of the two cells with its pyramid."""
    grey = two_cells(pixel)
    image = store.create_image(
        path, grey.shape, grey.dtype, (DEPTH, pixel, pixel), name="two", chunks=chunks,
        shards=shards,
    )  # fmt: skip
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, grey[z0:z1])
    return path


def write_old(path: Path, source: Path, chunks: tuple[int, int, int]) -> Path:
    """The same levels as OME-Zarr 0.4: no shards, chunks that nothing is a multiple of."""
    group = zarr.create_group(path, zarr_format=2)
    datasets: list[Any] = []
    for level in read_image(source).levels:
        data = open_volume(source, level=int(level.path)).values
        sides = tuple(min(pair) for pair in zip(chunks, data.shape, strict=True))
        group.create_array(level.path, shape=data.shape, dtype=data.dtype, chunks=sides)[...] = data
        steps = [
            {"type": "scale", "scale": list(level.voxel_size)},
            {"type": "translation", "translation": list(level.translation)},
        ]
        datasets.append({"path": level.path, "coordinateTransformations": steps})
    axes: list[Any] = [{"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": datasets, "version": "0.4"}]
    return path


def go(path: Path, client: Any, name: str, **more: Any) -> RunResult:
    """A run with folder and labels of its own, so that the store stays as it is."""
    return run(
        path,
        path.parent / f"{name}.run",
        labels=path.parent / f"{name}.labels.zarr",
        client=client,
        parameters=PARAMETERS,
        progress=False,
        **more,
    )


def outcome(result: RunResult) -> Outcome:
    """Every number that a run delivers: tables and all levels of all labels."""
    import pandas as pd

    found: Outcome = {"exit code": result.exit_code}
    for name in ("detections", "cells", "contacts"):
        table = pd.read_parquet(result.path / f"{name}.parquet")
        found[name] = table.drop(columns=["seconds", "peak_memory"], errors="ignore")
    for name, path in result.label_paths.items():
        for level in read_image(path).levels:
            found[f"{name}/{level.path}"] = open_volume(path, level=int(level.path)).values
    return found


def same(one: Outcome, other: Outcome) -> None:
    """Bit for bit; the first that differs is named, with where."""
    import pandas as pd

    assert one.keys() == other.keys()
    for name, expected in one.items():
        if isinstance(expected, pd.DataFrame):
            pd.testing.assert_frame_equal(expected, other[name], check_exact=True, obj=name)
        elif isinstance(expected, np.ndarray):
            np.testing.assert_array_equal(expected, other[name], err_msg=name)
        else:
            assert expected == other[name], name
