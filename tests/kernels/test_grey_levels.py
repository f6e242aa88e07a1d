"""Grey levels of drawn slices: where they lie, frames, and which of the two is the brighter."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels.grey_levels import (
    GreyLevels,
    apply_polarity,
    padding,
    slice_levels,
    slice_votes,
    volume_levels,
)
from tests.kernels.test_background import PIXEL, draw, two_cells

CELLS, RESIN = 145.0, 210.0


def test_the_levels_are_the_commonest_grey_values() -> None:
    found = slice_levels(draw(two_cells()), PIXEL)
    assert abs(found.cell - CELLS) < 4
    assert abs(found.resin - RESIN) < 2


@pytest.mark.parametrize("share", [1.0, 0.0])
def test_a_slice_of_one_kind_has_none(share: float) -> None:
    assert not slice_levels(draw(np.full((400, 400), share > 0)), PIXEL).visible


@pytest.mark.parametrize("value", [0, 255])
def test_a_frame_changes_no_level_and_no_polarity(value: int) -> None:
    image = draw(two_cells())
    framed = np.pad(image, ((60, 0), (30, 200)), constant_values=value)
    bare, found = slice_levels(image, PIXEL), slice_levels(framed, PIXEL)
    assert found.cell == pytest.approx(bare.cell, abs=1.5)
    assert found.resin == pytest.approx(bare.resin, abs=1.5)
    assert not volume_levels([slice_votes(framed, PIXEL)]).inverted
    assert volume_levels([slice_votes(apply_polarity(framed, True), PIXEL)]).inverted


def test_a_frame_is_of_one_value_and_at_the_border() -> None:
    image = np.full((80, 90), 7, np.uint8)
    image[:, :20] = 0
    image[40:60, 40:60] = 0  # as black, but inside
    image[0, 50:52] = 0  # at the border, but thin
    found = padding(image, 0, PIXEL)
    assert found[:, :20].all()
    assert not found[:, 20:].any()


def test_saturated_resin_is_seen_though_it_touches_the_border() -> None:
    tissue = two_cells()
    image = np.where(tissue, draw(tissue), 255).astype(np.uint8)
    assert slice_levels(image, PIXEL).resin == pytest.approx(255, abs=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_an_inverted_volume_is_known_and_turned_back(dtype: type[np.generic]) -> None:
    image: NDArray[np.generic] = draw(two_cells()).astype(dtype)
    negative = apply_polarity(image, True)
    np.testing.assert_array_equal(apply_polarity(negative, True), image)
    one = volume_levels([slice_votes(image, PIXEL)])
    other = volume_levels([slice_votes(negative, PIXEL)])
    assert (one.inverted, other.inverted) == (False, True)
    assert one.cell == pytest.approx(other.cell, abs=0.5)
    assert one.resin == pytest.approx(other.resin, abs=0.5)
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-3)


def test_nearly_all_grey_values_lie_in_the_span_and_a_frame_or_a_blank_slice_does_not() -> None:
    image = draw(two_cells())
    framed = np.pad(image, ((60, 0), (30, 200)))
    votes = [slice_votes(slice_, PIXEL) for slice_ in (image, framed, np.zeros_like(image))]
    found = volume_levels(votes)
    assert found.low is not None
    assert found.high is not None
    below, above = (image < found.low).mean(), (image > found.high).mean()
    assert 0.01 < below < 0.1
    assert 0.01 < above < 0.1
    assert volume_levels(votes[2:]) == GreyLevels(False)


def test_dark_lines_decide_where_no_resin_is_in_view() -> None:
    rng = np.random.default_rng(0)
    field = ndimage.gaussian_filter(rng.normal(size=(300, 300)), 8)
    lines = np.exp(-((field / field.std() / 0.1) ** 2))
    image = 150 - 40 * lines + rng.normal(0, 6, lines.shape)
    image = image.round().astype(np.uint8)
    one = volume_levels([slice_votes(image, PIXEL)])
    other = volume_levels([slice_votes(apply_polarity(image, True), PIXEL)])
    assert (one.inverted, one.cell, one.resin) == (False, None, None)
    assert (other.inverted, other.cell, other.resin) == (True, None, None)


def test_polarity_may_be_given_and_the_median_slice_decides() -> None:
    right, wrong = (
        slice_votes(apply_polarity(draw(two_cells()), turn), PIXEL) for turn in (False, True)
    )
    assert not volume_levels([right, wrong, right]).inverted
    assert volume_levels([right], polarity=-1).inverted
    assert not volume_levels([wrong], polarity=1).inverted
    assert volume_levels([]) == GreyLevels()
