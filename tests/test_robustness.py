"""The answer survives other grey levels, noise, and single bad slices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from benchmarks.robustness import BLIND, DAMAGES, LARGEST_FALL, indices, linear
from benchmarks.stacks import Stack, real_stack, segment_stack
from tests.drawn import draw_cell

Scores = dict[str, float]

# On a short real slab, one of each kind: grey levels, depth, noise, a single bad slice.
ON_REAL = ("a = 1.6, a tenth saturated", "gamma 1.4", "16 bit, x 200", "one slice black")


Segmented = tuple[Stack, xr.Dataset]


def falls(of: Segmented, damage: str, place: int, *, hidden: bool = True) -> Scores:
    """How far the index of each class falls; one that rises is no fall.

    A slice in which nothing is to be seen is left out, unless ``hidden``.
    """
    stack, masks = of
    harmed = DAMAGES[damage](stack, place)
    without = None if hidden or damage not in BLIND else place
    before = indices(masks, stack, without)
    after = indices(segment_stack(harmed), harmed, without)
    return {name: before[name] - after[name] for name in before}


@pytest.fixture(scope="module")
def cell() -> Stack:
    """The 36 middle slices of a drawn cell in resin, with its classes."""
    drawn = draw_cell(slices=(8, 44))
    truth = np.full(drawn.image.shape, 3, np.uint8)
    truth[drawn.background] = 4
    truth[drawn.cell] = 5
    truth[drawn.nucleus] = 2
    return Stack(drawn.image, truth, drawn.centre, drawn.voxel)


@pytest.fixture(scope="module")
def undamaged(cell: Stack) -> Segmented:
    return cell, segment_stack(cell)


def test_the_drawn_cell_is_found_before_it_is_damaged(undamaged: Segmented) -> None:
    stack, masks = undamaged
    # The nucleus is small, so that a pixel of its outline weighs a lot.
    assert min(indices(masks, stack).values()) > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_costs_little(undamaged: Segmented, damage: str) -> None:
    fall = falls(undamaged, damage, 13)
    assert max(fall.values()) <= LARGEST_FALL, fall


@pytest.fixture(scope="module")
def slab(real_data: Path) -> Stack:
    """Every second one of 24 real slices, so 100 nm apart."""
    return real_stack(real_data).slices(124, 147, 136).every_second()


@pytest.fixture(scope="module")
def real(slab: Stack) -> Segmented:
    return slab, segment_stack(slab)


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_REAL)
def test_damage_costs_little_on_the_real_stack(real: Segmented, name: str) -> None:
    assert indices(real[1], real[0])["nucleus"] > 0.93
    # One of twelve slices: what the resin of a black one counts is no measure of the method.
    fall = falls(real, name, 3, hidden=False)
    assert max(fall.values()) <= LARGEST_FALL, fall


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_what_it_says(cell: Stack, damage: str) -> None:
    place = 10
    harmed = DAMAGES[damage](cell, place)
    same = cell.image.shape == harmed.image.shape
    if "one slice" in damage and same:
        changed = (cell.image != harmed.image).any(axis=(1, 2))
        assert np.flatnonzero(changed).tolist() == [place]
    elif "one slice" in damage:
        more = len(harmed.image) - len(cell.image)
        assert more == (1 if "duplicated" in damage else -1)
        # The slice of the centre is still the same one.
        planes = (stack.image[stack.centre[0]] for stack in (cell, harmed))
        assert np.array_equal(*planes)
    else:
        assert same
        assert (cell.image.astype(int) != harmed.image).mean() > 0.8
    assert harmed.truth.shape == harmed.image.shape


def test_too_bright_a_stack_is_saturated_in_a_tenth(cell: Stack) -> None:
    saturated = (linear(cell, 1.6, clips=True).image == 255).mean()
    assert saturated == pytest.approx(0.1, abs=0.06)
    assert (linear(cell, 0.7, clips=False).image == 255).mean() == 0
