"""Variants of an image that show the same, and the constants that are changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.images import VARIANTS
from benchmarks.stacks import Stack
from benchmarks.variants import _size, constants, cross_validation, variants
from tests.drawn import draw_cell


@pytest.fixture(scope="module")
def cell() -> Stack:
    drawn = draw_cell(slices=(8, 44))
    truth = np.full(drawn.image.shape, 3, np.uint8)
    truth[drawn.nucleus] = 2
    return Stack(drawn.image, truth, drawn.centre, drawn.voxel)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_mask_of_a_variant_is_mapped_back(name: str, cell: Stack) -> None:
    variant = VARIANTS[name]
    changed = variant.change(cell)
    assert changed.image.shape == changed.truth.shape
    nucleus = cell.truth == 2
    back = variant.back(changed.truth == 2, cell.image.shape)
    assert back.any()
    np.testing.assert_array_equal(back, nucleus[:: len(nucleus) // len(back)])
    if name != "centre moved by 1 µm":
        assert changed.truth[changed.centre] == 2


def test_the_same_voxels_give_the_same_nucleus(cell: Stack) -> None:
    names = ["flipped in z, transposed", "without the first row and column"]
    found = variants(cell, names, method="volumetric")
    assert found["worst"]["nucleus"]["1-74"] > 0.998
    assert found["worst"]["cell"]["1-74"] > 0.99
    assert found["rows"][names[0]]["nucleus"]["volume"] == pytest.approx(1, abs=0.002)


def test_smaller_pixels_of_the_same_image_give_the_same_volume(cell: Stack) -> None:
    name = "each pixel cut into four, noise of +-8"
    row = variants(cell, [name])["rows"][name]
    assert row["nucleus"]["volume"] == pytest.approx(1, abs=0.01)
    assert row["cell"]["volume"] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("voxel", [(50.0, 40.0, 40.0), (25.0, 10.0, 10.0), (100.0, 20.0, 20.0)])
def test_the_size_of_a_ball_does_not_depend_on_its_voxels(voxel: tuple[float, ...]) -> None:
    z, y, x = (np.arange(0.5 * side, 5000.0, side) - 2500.0 for side in voxel)
    mask = z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2 < 2000.0**2
    size = _size(mask, (voxel[0], voxel[1], voxel[2]))
    assert size["volume"] == pytest.approx(4 / 3 * np.pi * 8, rel=0.002)
    assert size["area"] == pytest.approx(4 * np.pi * 4, rel=0.01)


def test_several_processes_give_the_same(cell: Stack) -> None:
    name = "without the first slice"
    part = cell.slices(15, 24)
    one, two = (
        variants(part, [name], method="volumetric", processes=processes) for processes in (1, 2)
    )
    assert one == two


def test_a_constant_is_changed_by_a_fifth(cell: Stack) -> None:
    (row,) = constants(cell, only="outside")
    assert (row["group"], row["name"], row["value"]) == ("volumetric", "outside", 150.0)
    for side in ("less", "more"):
        assert 0.9 < row[side]["nucleus"]["1-74"] <= 1
        assert row[side]["truth"]["1-74"] > 0.85


def test_a_number_is_chosen_on_one_part_and_scored_on_the_other() -> None:
    def truth(early: float, late: float) -> dict[str, float]:
        return {"1-74": early, "75-180": late}

    def row(name: str, less: dict[str, float], more: dict[str, float]) -> dict[str, Any]:
        sides = {"less": {"truth": less}, "more": {"truth": more}}
        return {"name": name, "truth": truth(0.9, 0.95), **sides}

    rows = [
        row("a", truth(0.8, 0.97), truth(0.91, 0.9)),  # better late, worse early; and the reverse
        row("b", truth(0.9, 0.95), truth(0.9, 0.95)),  # changes nothing: stays as it is
        row("c", truth(0.92, 0.96), truth(0.5, 0.5)),  # better in both
    ]
    late, early = cross_validation(rows)[::-1]
    assert (late["chosen"], late["scored"], late["count"]) == ("75-180", "1-74", 2)
    assert [late[name] for name in ("gain", "mean_gain", "worst", "mean", "best")] == pytest.approx(
        [0.02, 0.015, -0.1, -0.04, 0.02]
    )
    assert (early["count"], early["worst"]) == (2, pytest.approx(-0.05))
    assert cross_validation([rows[1]])[0]["count"] == 0
