"""The hybrid method's kernels: what the U-Net sees, and a nucleus between edges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels.edges import NucleusSteps, nucleus_plane, preprocess_plane
from hela_dask.parameters import HybridParameters
from tests.drawn import draw_cell, iou

PIXEL = (40.0, 40.0)
DEFAULTS = HybridParameters()


@pytest.fixture(scope="module")
def middle() -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """The middle slice of a drawn cell, its nucleus, and the cell."""
    drawing = draw_cell(slices=(26, 27))
    return drawing.image[0], drawing.nucleus[0], drawing.cell[0]


def found(
    plane: NDArray[Any], cell: NDArray[np.bool_], p: HybridParameters = DEFAULTS
) -> NucleusSteps:
    return nucleus_plane(plane, cell, PIXEL, p.chosen())


def test_the_network_sees_cells_and_no_crumbs() -> None:
    plane = np.full((200, 200), 200, np.uint8)
    plane[50:150, 50:150] = 120
    plane[10:20, 10:20] = 120  # 0.16 µm²
    plane[10:30, 170:190] = 120  # 0.64 µm²
    seen = preprocess_plane(plane, PIXEL, DEFAULTS)
    assert seen[100, 100]
    assert not seen[15, 15]
    assert seen[20, 180]
    assert seen.sum() == pytest.approx(100 * 100 + 20 * 20, rel=0.02)


def test_what_the_network_sees_does_not_depend_on_gain_and_offset(
    middle: tuple[NDArray[np.uint8], ...],
) -> None:
    plane = middle[0]
    seen = preprocess_plane(plane, PIXEL, DEFAULTS)
    other = preprocess_plane(plane.astype(np.uint16) * 150 + 9000, PIXEL, DEFAULTS)
    assert (seen != other).mean() < 1e-3


def test_a_slice_of_one_value_has_no_tissue() -> None:
    assert not preprocess_plane(np.full((40, 40), 7, np.uint8), PIXEL, DEFAULTS).any()
    steps = nucleus_plane(
        np.full((40, 40), 7, np.uint8), np.ones((40, 40), dtype=bool), PIXEL, DEFAULTS
    )
    assert not steps.nucleus.any()


def test_a_nucleus_is_found_between_edges(middle: tuple[NDArray[np.uint8], ...]) -> None:
    plane, nucleus, cell = middle
    steps = found(plane, cell.astype(bool))
    assert iou(steps.nucleus, nucleus.astype(bool)) > 0.83
    # Edges are widened, so the candidate lies within it, by about what it grows.
    assert not (steps.candidate & ~steps.nucleus).any()
    assert 0.6 < steps.candidate.sum() / steps.nucleus.sum() < 0.95
    assert steps.pieces[steps.candidate].mean() > 0.9


def test_gain_and_offset_change_little(middle: tuple[NDArray[np.uint8], ...]) -> None:
    plane, _, cell = middle
    wide = plane.astype(np.uint16) * 64 + 30000
    one, other = found(plane, cell.astype(bool)), found(wide, cell.astype(bool))
    assert iou(one.nucleus, other.nucleus) > 0.99


@pytest.mark.parametrize(
    "refused",
    [
        {"smallest": 20.0},
        {"largest": 5.0},
        {"smallest_nucleus": 20.0},
        {"circularity": 1.0},
    ],
)
def test_what_does_not_look_like_a_nucleus_is_none(
    middle: tuple[NDArray[np.uint8], ...], refused: dict[str, Any]
) -> None:
    plane, _, cell = middle
    steps = found(plane, cell.astype(bool), replace(DEFAULTS, **refused))
    assert iou(steps.nucleus, found(plane, cell.astype(bool)).nucleus) < 0.1


def test_a_nucleus_outside_the_cell_or_far_from_its_middle_is_anothers(
    middle: tuple[NDArray[np.uint8], ...],
) -> None:
    plane, nucleus, cell = middle
    half = cell.astype(bool).copy()
    half[:, : half.shape[1] // 2] = False
    assert not (found(plane, half).nucleus & nucleus.astype(bool)).any()
    near = replace(DEFAULTS, distance=1000.0)
    away = (20.0, 20.0)
    steps = nucleus_plane(plane, cell.astype(bool), PIXEL, near, away)
    assert not (steps.nucleus & nucleus.astype(bool)).any()


def test_grey_values_decide_where_a_piece_is_like_the_candidate() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(120, 12, (160, 160))
    rows, columns = np.indices(plane.shape)
    away = np.hypot(rows - 80, columns - 80)
    plane[away < 42] = 60
    inside = away < 40
    plane[inside] = rng.normal(160, 2, int(inside.sum()))
    grey = np.clip(ndimage.gaussian_filter(plane, 0.5), 0, 255).round().astype(np.uint8)
    cell = np.ones(grey.shape, dtype=bool)
    p = replace(DEFAULTS, darkest=0.75, brightest=1.0, likeness=0.6)
    steps = found(grey, cell, p)
    assert (steps.refined != steps.candidate).any()
    assert iou(steps.refined, inside) > iou(steps.candidate, inside)
    # One that is in another place, or of another size, is not taken.
    for other in (replace(p, likeness=0.999), replace(p, shift=0.0)):
        unlike = found(grey, cell, other)
        np.testing.assert_array_equal(unlike.refined, unlike.candidate)


def test_the_published_grey_values_are_absolute(
    middle: tuple[NDArray[np.uint8], ...],
) -> None:
    plane, nucleus, cell = middle
    published = HybridParameters(preset="published")
    as_is = found(plane, cell.astype(bool), published)
    # The drawn nucleus has a grey value of 150, 40 above the middle of the paper's.
    np.testing.assert_array_equal(as_is.refined, as_is.candidate)
    darker = found((plane.astype(int) - 38).clip(0).astype(np.uint8), cell.astype(bool), published)
    assert (darker.refined != darker.candidate).any()
    assert iou(darker.refined, nucleus.astype(bool)) > 0.7


def test_large_nuclei_may_grow_by_more(middle: tuple[NDArray[np.uint8], ...]) -> None:
    plane, _, cell = middle
    sizes = [
        found(plane, cell.astype(bool), replace(DEFAULTS, large=5.0, growth_large=grown)).nucleus
        for grown in (120.0, 200.0)
    ]
    assert sizes[1].sum() > sizes[0].sum()
    assert (sizes[1] | ~sizes[0]).all()


def test_finer_pixels_find_the_same() -> None:
    drawing = draw_cell((50.0, 20.0, 20.0), slices=(26, 27))
    fine = nucleus_plane(drawing.image[0], drawing.cell[0], (20.0, 20.0), DEFAULTS)
    assert iou(fine.nucleus, drawing.nucleus[0]) > 0.83
