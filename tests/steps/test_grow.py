"""Windows grow where their cell reaches a side that is none of the volume."""

from __future__ import annotations

import numpy as np
import pytest

from hela_dask.geometry import Geometry
from hela_dask.parameters import RegionParameters
from hela_dask.steps.grow import grow_region
from hela_dask.steps.regions import Region, window_ends

VOXEL = (50.0, 40.0, 40.0)
GEOMETRY = Geometry((100, 200, 200), VOXEL, (25.0, 20.0, 20.0))
P = RegionParameters(width=4000.0, depth=3000.0, cap=800.0)


def region(box: tuple[tuple[float, float], ...]) -> Region:
    bounds = (box[0], box[1], box[2])
    return Region(1, (1000.0, 4000.0, 4000.0), bounds, ends=window_ends(bounds, GEOMETRY))


START = region(((0.0, 1000.0), (2000.0, 4000.0), (2000.0, 4000.0)))
SHAPE = (20, 50, 50)


def test_only_reached_sides_move() -> None:
    cell = np.zeros(SHAPE, dtype=bool)
    assert grow_region(START, cell, GEOMETRY, P) is START
    cell[:, 10:40, 30:] = True  # both ends of z, of which one is the volume's, and the last column
    grown = grow_region(START, cell, GEOMETRY, P)
    assert grown.box == ((0.0, 1800.0), (2000.0, 4000.0), (2000.0, 4800.0))
    assert grown.ends == ("first slice",)
    assert (grown.label, grown.centre) == (START.label, START.centre)


def test_a_thin_protrusion_moves_nothing() -> None:
    cell = np.zeros(SHAPE, dtype=bool)
    cell[5:10, 20:30, -1] = True  # 0.1 µm²
    assert grow_region(START, cell, GEOMETRY, P) is START


def test_it_ends_at_the_window_of_a_whole_cell_and_at_the_volume() -> None:
    grown, last = START, None
    while grown != last:
        last = grown
        cell = np.ones(grown.window(GEOMETRY).shape, dtype=bool)
        grown = grow_region(grown, cell, GEOMETRY, P)
        assert set(START.ends) <= set(grown.ends)
    sizes = [high - low for low, high in grown.box]
    assert sizes == pytest.approx([3000.0, 4000.0, 4000.0], abs=80.0)
    assert all(size <= most for size, most in zip(sizes, (3000, 4000, 4000), strict=True))
    wide = RegionParameters(width=90000.0, depth=90000.0, cap=90000.0)
    whole = grow_region(START, np.ones(SHAPE, dtype=bool), GEOMETRY, wide)
    assert whole.window(GEOMETRY).shape == GEOMETRY.shape
