"""Method propagate on drawn cells whose answer is known, and on real ones."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import tifffile

from hela_dask.errors import HelaDaskError, ParameterError
from hela_dask.kernels.background import background_slice
from hela_dask.methods.method import Masks
from hela_dask.methods.names import METHODS
from hela_dask.methods.propagate import METHOD
from hela_dask.methods.registry import get_method
from hela_dask.parameters import Parameters
from tests.drawn import Drawing, call, draw_cell, iou

DEFAULTS = Parameters()
method = functools.partial(call, "propagate")


def segment(drawing: Drawing) -> Masks:
    return method(drawing.image, drawing.background, drawing.voxel, drawing.centre, DEFAULTS)


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    return draw_cell(neighbour=True, gap=160.0)


@pytest.fixture(scope="module")
def found(drawing: Drawing) -> Masks:
    return segment(drawing)


def test_methods_by_name() -> None:
    for name in METHODS:
        assert callable(get_method(name))
    assert get_method("propagate") is METHOD
    with pytest.raises(ParameterError, match=r"'hybird'.*propagate") as caught:
        get_method("hybird")
    assert isinstance(caught.value, HelaDaskError)


def test_a_nucleus_with_a_gap_in_its_envelope_does_not_leak(drawing: Drawing, found: Masks) -> None:
    assert found.status == "segmented"
    assert iou(found.nucleus, drawing.nucleus) > 0.92
    slices = np.flatnonzero(drawing.nucleus.any(axis=(1, 2)))
    for z in slices[5:-5]:
        assert iou(found.nucleus[z], drawing.nucleus[z]) > 0.9


@pytest.mark.parametrize("away", [0, 5])
def test_a_black_slice_is_passed_over(drawing: Drawing, found: Masks, away: int) -> None:
    image, background = drawing.image.copy(), drawing.background.copy()
    lost = drawing.centre[0] + away
    image[lost], background[lost] = 0, False  # as a slice without resin is
    masks = method(image, background, drawing.voxel, drawing.centre, DEFAULTS)
    assert masks.status == "segmented"
    assert iou(masks.nucleus, found.nucleus) > 0.97
    assert iou(masks.cell, found.cell) > 0.97


def test_the_nucleus_ends_where_it_ends(drawing: Drawing, found: Masks) -> None:
    here = np.flatnonzero(found.nucleus.any(axis=(1, 2)))
    truth = np.flatnonzero(drawing.nucleus.any(axis=(1, 2)))
    assert abs(here[0] - truth[0]) <= 2
    assert abs(here[-1] - truth[-1]) <= 2
    np.testing.assert_array_equal(np.diff(here), 1)


def test_the_cell_ends_at_the_resin_and_at_its_neighbour(drawing: Drawing, found: Masks) -> None:
    assert iou(found.cell, drawing.cell) > 0.97
    assert not (found.cell & drawing.background).any()
    assert not (found.nucleus & ~found.cell).any()
    neighbour = ~drawing.cell & ~drawing.background
    assert (found.cell & neighbour).sum() < 0.02 * neighbour.sum()


def test_gain_and_offset_change_nothing(drawing: Drawing, found: Masks) -> None:
    wide = (drawing.image.astype(np.uint16) * 64) + 3000
    scaled = method(wide, drawing.background, drawing.voxel, drawing.centre, DEFAULTS)
    assert iou(scaled.nucleus, found.nucleus) > 0.995
    np.testing.assert_array_equal(scaled.cell, found.cell)


def test_steps_of_brightness_between_slices_change_little(drawing: Drawing, found: Masks) -> None:
    jitter = np.random.default_rng(2).integers(-8, 9, (len(drawing.image), 1, 1))
    image = (drawing.image + jitter).astype(np.uint8)
    assert drawing.image.min() > 8
    assert drawing.image.max() < 247
    flickering = method(image, drawing.background, drawing.voxel, drawing.centre, DEFAULTS)
    assert iou(flickering.nucleus, found.nucleus) > 0.97


def test_upside_down_is_upside_down() -> None:
    drawing = draw_cell(slices=(14, 37))
    forward = segment(drawing)
    z, y, x = drawing.centre
    turned = method(
        drawing.image[::-1],
        drawing.background[::-1],
        drawing.voxel,
        (len(drawing.image) - 1 - z, y, x),
        DEFAULTS,
    )
    assert iou(turned.nucleus[::-1], forward.nucleus) > 0.995
    assert iou(turned.cell[::-1], forward.cell) > 0.995


def test_twice_finer_pixels_find_the_same() -> None:
    coarse = segment(draw_cell(slices=(22, 31)))
    fine = segment(draw_cell((50.0, 20.0, 20.0), slices=(22, 31)))
    for one, other in ((coarse.nucleus, fine.nucleus), (coarse.cell, fine.cell)):
        assert iou(one.repeat(2, axis=1).repeat(2, axis=2), other) > 0.95


@pytest.mark.parametrize("size", [40.0, 20.0, 10.0])
def test_one_slice_is_enough(size: float) -> None:
    drawing = draw_cell((50.0, size, size), slices=(26, 27))
    found = segment(drawing)
    assert found.status == "segmented"
    assert found.nucleus.shape == drawing.image.shape
    assert iou(found.nucleus, drawing.nucleus) > 0.95
    assert iou(found.cell, drawing.cell) > 0.99


def test_a_cell_without_a_nucleus_of_that_size_says_so() -> None:
    drawing = draw_cell(slices=(16, 36))
    parameters = Parameters.from_dict({"propagate": {"smallest_nucleus": 30.0, "search": 2000.0}})
    found = method(drawing.image, drawing.background, drawing.voxel, drawing.centre, parameters)
    assert (found.status, found.flags) == ("segmented", ("no_nucleus",))
    assert not found.nucleus.any()
    assert "30 µm² within 2 µm of the centre in slice 11 of the region" in found.reason
    assert iou(found.cell, drawing.cell) > 0.97


def test_without_resin_the_nucleus_is_found_and_the_cell_is_not_guessed() -> None:
    drawing = draw_cell(slices=(16, 36), resin=False)
    assert not drawing.background.any()
    found = segment(drawing)
    assert found.status == "no_resin"
    assert "resin" in found.reason
    assert iou(found.nucleus, drawing.nucleus) > 0.9
    np.testing.assert_array_equal(found.cell, found.nucleus)


def test_a_centre_in_the_resin_far_from_tissue_finds_nothing() -> None:
    background = np.ones((5, 60, 60), dtype=bool)
    image = np.full(background.shape, 200, np.uint8)
    found = method(image, background, (50.0, 40.0, 40.0), (2, 30, 30), DEFAULTS)
    assert (found.status, found.flags) == ("segmented", ("no_nucleus",))
    assert not found.nucleus.any()
    assert not found.cell.any()


def test_an_island_is_kept_by_its_connection_in_z() -> None:
    drawing = draw_cell()
    # A wall through the nucleus parts its upper slices into two islands.
    image = drawing.image.copy()
    middle = image.shape[2] // 2
    image[: drawing.centre[0] - 4, :, middle - 1 : middle + 2] = 80
    found = method(image, drawing.background, drawing.voxel, drawing.centre, DEFAULTS)
    for z in range(drawing.centre[0] - 9, drawing.centre[0] - 5):
        left, right = found.nucleus[z, :, : middle - 4], found.nucleus[z, :, middle + 4 :]
        assert iou(left, drawing.nucleus[z, :, : middle - 4]) > 0.8
        assert iou(right, drawing.nucleus[z, :, middle + 4 :]) > 0.8


@pytest.mark.slow
def test_the_middle_of_the_real_cell(real_data: Path) -> None:
    folder, slices = real_data / "roi1656", range(133, 148)
    image = tifffile.imread(folder / "raw_z001-300.tif", key=slices)
    truth = tifffile.imread(folder / "labels_z001-180.tif", key=slices)
    pixel = (40.0, 40.0)
    background = np.stack([background_slice(plane, pixel, DEFAULTS.background) for plane in image])
    found = method(image, background, (50.0, *pixel), (7, 250, 250), DEFAULTS)
    assert found.status == "segmented"
    assert iou(found.nucleus, truth == 2) >= 0.93
    assert iou(found.cell, np.isin(truth, (1, 2, 5))) >= 0.90
    assert iou(background, truth == 4) >= 0.88


@pytest.mark.slow
def test_one_real_slice_of_full_resolution(real_data: Path) -> None:
    plane = tifffile.imread(real_data / "roi6005" / "z0060.tif")
    pixel = (10.0, 10.0)
    background = background_slice(plane, pixel, DEFAULTS.background)
    window = slice(300, 1700)
    found = method(
        plane[None, window, window],
        background[None, window, window],
        (50.0, *pixel),
        (0, 700, 700),
        DEFAULTS,
    )
    nucleus = found.nucleus[0]
    assert found.status == "segmented"
    assert 50 < nucleus.sum() * 1e-4 < 62
    assert nucleus[700, 700]
    rows, columns = np.nonzero(nucleus)
    assert min(rows.min(), columns.min()) > 50
    assert max(rows.max(), columns.max()) < 1350
    assert not (nucleus & background[window, window]).any()
