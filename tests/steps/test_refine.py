"""Refined labels are the same in any tiles, and keep what labels promise, for any pixels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.geometry import Geometry
from hela_dask.kernels.packed_labels import PackedLabels
from hela_dask.kernels.refining import resin_halo
from hela_dask.parameters import Parameters, PropagateParameters, VolumetricParameters
from hela_dask.steps.coarse_labels import CoarseLabels, Outline
from hela_dask.steps.refine import Refiner, TileLabels, volume_refiner
from hela_dask.storage import store
from hela_dask.storage.groups import planned
from hela_dask.storage.reading import StoredArray
from hela_dask.storage.slab_writer import slab_tiles
from hela_dask.volume.greys import GreyLevels
from hela_dask.volume.opening import open_volume

Method = VolumetricParameters | PropagateParameters
Factors = tuple[int, int]

_RESIN = 150.0
_COARSE = 40.0  # nm, in y; x is what factors make of it
# y and x of the centre, radius, radius of the nucleus; nm. They touch, and a side cuts the second.
_CELLS = {3: (900.0, 900.0, 700.0, 380.0), 7: (900.0, 2250.0, 690.0, 350.0)}


def drawn(shape: Factors, pixel: tuple[float, float]) -> dict[str, NDArray[Any]]:
    """Grey values of a slice on these pixels, and what is in it."""
    rows, columns = (((np.arange(n) + 0.5) * size) for n, size in zip(shape, pixel, strict=True))
    grey = np.full(shape, 200.0)
    cells, nuclei = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)
    for label, (y, x, radius, inner) in _CELLS.items():
        away = np.hypot(rows[:, None] - y, columns - x)
        cells[(away < radius) & (cells == 0)] = label
        nuclei[(away < inner) & (cells == label)] = label
        grey[away < radius] = 100.0
        grey[np.abs(away - inner) < 25] = 60.0
    grey += np.random.default_rng(5).normal(0, 6, shape)
    return {"grey": grey.clip(0, 255).astype(np.uint8), "cells": cells, "nuclei": nuclei}


def refiner(shape: Factors, factors: Factors, method: Method, bare: bool) -> Refiner:
    """Of four slices: a plain one, one without levels, one without resin in view, an empty one."""
    pixel = (_COARSE / factors[0], _COARSE / factors[1])
    fine = drawn(shape, pixel)
    size = tuple(-(-n // by) for n, by in zip(shape, factors, strict=True))
    there = drawn((size[0], size[1]), (_COARSE, _COARSE))
    cells, nuclei = (np.stack([there[name]] * 4) for name in ("cells", "nuclei"))
    resin = cells == 0
    resin[2] = False
    cells[2] = 0  # then nuclei are delivered, and no cells
    cells[3] = nuclei[3] = 0
    resin[3] = True
    outlines = [Outline(label, (0, 0), nuclei == label, nuclei == label) for label in _CELLS]
    if bare:
        outlines.pop()
    envelope = np.zeros_like(nuclei)
    grey = np.stack([fine["grey"]] * 4)
    return Refiner(
        CoarseLabels(
            PackedLabels.from_labels(nuclei, cells, envelope, resin),
            (_RESIN, math.nan, math.nan, _RESIN),
            outlines,
        ),
        Geometry((4, *shape), (50.0, *pixel)),
        factors,
        lambda rows, columns: grey[:, rows, columns],
        30.0,
        method,
    )


def whole(of: Refiner, shape: Factors) -> TileLabels:
    return of.tile(Box.whole(shape))


methods = st.sampled_from([VolumetricParameters(), PropagateParameters()])
factors_of = st.sampled_from([(2, 2), (4, 4), (8, 8), (1, 2), (2, 1), (3, 5)])
lengths = st.tuples(st.floats(1400, 1900), st.floats(2300, 2700))  # nm
cuts = st.lists(st.integers(1, 60), max_size=3)


def pixels(length: tuple[float, float], factors: Factors) -> Factors:
    y, x = (int(at * by / _COARSE) for at, by in zip(length, factors, strict=True))
    return y, x


@settings(max_examples=15, deadline=None)
@given(lengths, factors_of, methods, st.booleans(), cuts, cuts)
def test_any_tiles_give_the_same(
    length: tuple[float, float],
    factors: Factors,
    method: Method,
    bare: bool,
    rows: list[int],
    columns: list[int],
) -> None:
    shape = pixels(length, factors)
    of = refiner(shape, factors, method, bare)
    expected = whole(of, shape)
    found: list[NDArray[Any]] = [np.zeros_like(part) for part in expected]
    ends = [
        sorted({0, n, *(at * by for at in places if at * by < n)})
        for n, places, by in zip(shape, (rows, columns), factors, strict=True)
    ]
    for top, bottom in zip(ends[0][:-1], ends[0][1:], strict=True):
        for left, right in zip(ends[1][:-1], ends[1][1:], strict=True):
            tile = Box((slice(top, bottom), slice(left, right)))
            for mine, part in zip(found, of.tile(tile), strict=True):
                mine[:, *tile] = part
    for name, one, other in zip(TileLabels._fields, expected, found, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)


@settings(max_examples=15, deadline=None)
@given(lengths, factors_of, methods)
def test_labels_keep_what_they_promise_and_get_nearer_to_the_image(
    length: tuple[float, float], factors: Factors, method: Method
) -> None:
    shape = pixels(length, factors)
    nuclei, cells, envelope, background = whole(refiner(shape, factors, method, False), shape)
    for z in (0, 1, 3):
        np.testing.assert_array_equal(cells[z][nuclei[z] > 0], nuclei[z][nuclei[z] > 0])
        np.testing.assert_array_equal(cells[z][envelope[z] > 0], envelope[z][envelope[z] > 0])
        assert not (background[z].astype(bool) & (cells[z] > 0)).any()
    assert not ((nuclei > 0) & (envelope > 0)).any()
    assert not cells[2].any() and set(np.unique(nuclei[2])) == {0, *_CELLS}
    assert not any(part[3].any() for part in (nuclei, cells, envelope)) and background[3].all()
    pixel = (_COARSE / factors[0], _COARSE / factors[1])
    true = drawn(shape, pixel)["cells"]
    # Where the slice has levels, the border to the resin is that of the grey values.
    assert (background[0] != (true == 0)).mean() < (background[1] != (true == 0)).mean()


@pytest.mark.parametrize("factor", [2, 4, 8, 16, 64, 256, 1024])
def test_tiles_of_labels_begin_where_pixels_of_the_working_level_do(factor: int) -> None:
    rng = np.random.default_rng(factor)
    for _ in range(30):
        y, x = (int(at) for at in rng.integers(1, 9000, 2))
        levels = planned((9, y, x), np.uint16, (50.0, 10.0, 10.0), None, None, tiled=True)
        starts = {part.start for tile in slab_tiles(levels) for part in tile}
        assert all(start % factor == 0 for start in starts)


@pytest.mark.parametrize("inverted", [False, True])
def test_a_tile_is_read_with_the_pixels_around_it_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inverted: bool
) -> None:
    shape, pixel, factors = (8, 512, 512), (10.0, 10.0), (4, 4)
    target = store.create_image(
        tmp_path / "a.ome.zarr", shape, "uint8", (50.0, *pixel), name="a",
        chunks=(1, 64, 64), shards=(8, 256, 256),
    )  # fmt: skip
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    store.write_slab(target, 0, image)
    resin = np.zeros((4, 128, 128), dtype=bool)
    resin[:, :, 40:80] = True
    none = np.zeros(resin.shape, np.uint16)
    read: list[int] = []
    fetch = StoredArray.__getitem__

    def noted(self: StoredArray, selection: Any) -> NDArray[Any]:
        found = fetch(self, selection)
        read.append(found.size)
        return found

    monkeypatch.setattr(StoredArray, "__getitem__", noted)
    of = volume_refiner(
        open_volume(tmp_path / "a.ome.zarr"),
        slice(2, 6),
        GreyLevels(inverted),
        CoarseLabels(PackedLabels.from_labels(none, none, none, resin), (150.0,) * 4, []),
        factors=factors,
        parameters=Parameters(),
        method="volumetric",
    )
    tile = of.tile(Box.of([(0, 256), (128, 256)]))
    halo = resin_halo(Parameters().background.blur, pixel)
    most = 4 * (256 + halo[0] + 32) * (128 + 2 * (halo[1] + 32))
    assert tile.background.shape == (4, 256, 128)
    assert 4 * 256 * 128 <= sum(read) <= most  # whole shards would be twice as much and more
    assert most < 8 * 256 * 512 / 2
