"""Random volumes and the ways to cut them: uneven, below a halo, larger than the array."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import xarray as xr
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from tests.volumes import make_volume

__all__ = ["DTYPES", "chunkings", "cut", "splits", "tissue", "values", "voxels"]

DTYPES = ("uint8", "uint16", "int16", "int32", "float32", "float64")

voxels = st.sampled_from(
    [(50.0, 40.0, 40.0), (50.0, 40.0, 20.0), (30.0, 25.0, 60.0), (100.0, 80.0, 80.0)]
)
"""z, y, x in nm; pixels of some are not square."""


@st.composite
def splits(draw: st.DrawFn, length: int, parts: int = 5) -> tuple[int, ...]:
    """Chunk lengths that make up `length`: a few, some of them one pixel or slice wide."""
    cuts = draw(st.sets(st.integers(1, max(1, length - 1)), max_size=parts - 1))
    places = [0, *sorted(cuts - {length}), length]
    return tuple(high - low for low, high in itertools.pairwise(places))


@st.composite
def chunkings(draw: st.DrawFn, shape: tuple[int, int, int]) -> Any:
    """Chunks of an array: uneven in all axes, even, of one slice, or larger than the array."""
    uneven = st.tuples(*(splits(length) for length in shape))
    tiles = tuple(max(1, length // 4) for length in shape)
    even = st.sampled_from([(1, 1000, 1000), (1000, *tiles[1:]), tiles, (1000, 1000, 1000)])
    return draw(uneven | uneven | even)


@st.composite
def values(draw: st.DrawFn, shape: tuple[int, int, int], kind: str) -> NDArray[Any]:
    """Noise of any type, over the whole range of whole numbers."""
    random = np.random.default_rng(draw(st.integers(0, 2**20)))
    if kind == "bool":
        return random.random(shape) < draw(st.sampled_from([0.03, 0.5, 0.97]))
    if np.dtype(kind).kind in "iu":
        facts = np.iinfo(kind)
        return random.integers(facts.min, facts.max, shape, dtype=kind, endpoint=True)
    return (random.normal(size=shape) * 10.0 ** draw(st.integers(-3, 4))).astype(kind)


def tissue(
    shape: tuple[int, int, int],
    kind: str = "uint8",
    *,
    seed: int = 0,
    cells: int = 3,
    inverted: bool = False,
) -> NDArray[Any]:
    """Cells on resin with grain and smears; brightness and contrast jump, one slice is blank."""
    random = np.random.default_rng(seed)
    depth, rows, columns = shape
    mask = np.zeros(shape, bool)
    grids = np.indices((rows, columns))
    for _ in range(cells):
        y, x = random.uniform(0, rows), random.uniform(0, columns)
        radius = random.uniform(0.15, 0.3) * min(rows, columns)
        mask |= np.hypot(grids[0] - y, grids[1] - x) < radius
    grain = ndimage.gaussian_filter(random.normal(size=shape), (0, 0.7, 0.7))
    grey = np.where(mask, 120 + 40 * grain, 205 + 6 * grain)
    grey -= 60 * (ndimage.gaussian_filter(random.normal(size=shape), (0, 4, 4)) > 0.17) * ~mask
    contrast = random.choice([1.0, 0.5, 0.3], (depth, 1, 1), p=[0.6, 0.2, 0.2])
    grey = 150 + (grey - 150) * contrast + random.integers(-20, 20, (depth, 1, 1))
    if depth > 3:
        grey[-2] = 90
    grey = np.clip(255 - grey if inverted else grey, 0, 255)
    if np.dtype(kind).kind == "f":
        floats: NDArray[Any] = (grey / 7 - 3).astype(kind)  # steps that no type holds exactly
        return floats
    gain = {1: 1, 2: 100, 4: 30_000}[np.dtype(kind).itemsize]
    whole: NDArray[Any] = np.round(grey * gain).astype(kind)
    return whole


def cut(array: NDArray[Any], chunks: Any, voxel: tuple[float, float, float]) -> xr.DataArray:
    """The array as a lazy volume."""
    return make_volume(array, voxel, chunks=chunks, translation=(7.0, voxel[1] / 2, 11.0))
