"""The outline of a drawn nucleus: on the crest of its envelope, in space and on finer pixels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.kernels import morphology
from hela_dask.kernels.outline import outline_volume
from hela_dask.parameters import VolumetricParameters
from tests.drawn import iou

Mask = NDArray[np.bool_]
Grey = NDArray[np.float64]
Voxel = tuple[float, float, float]

DEFAULTS = VolumetricParameters()
VOXEL = (50.0, 40.0, 40.0)
SHAPE = (40, 50, 50)
RADIUS = 800.0


def away(voxel: Voxel = VOXEL) -> Grey:
    """Distance in nm from the middle of a block of 2 µm."""
    shape = tuple(round(2000 / size) for size in voxel)
    squares = sum(
        ((axis - (length - 1) / 2) * size) ** 2
        for axis, length, size in zip(np.ogrid[tuple(map(slice, shape))], shape, voxel, strict=True)
    )
    return np.sqrt(np.asarray(squares, dtype=np.float64))


def crest(distance: Grey, radius: float) -> NDArray[np.uint8]:
    """Membrane strength of a shell of that radius, and faint grain everywhere."""
    grain = np.random.default_rng(1).integers(0, 8, distance.shape)
    line = 150 * np.exp(-((distance - radius) ** 2) / (2 * 45.0**2))
    strength: NDArray[np.uint8] = (grain + line).astype(np.uint8)
    return strength


def nothing(mask: Mask) -> Mask:
    return np.zeros_like(mask)


@pytest.mark.parametrize("short", [40.0, 80.0, 120.0])
@pytest.mark.parametrize("voxel", [VOXEL, (50.0, 20.0, 20.0)])
def test_the_line_lies_on_the_crest_wherever_the_core_ends_near_it(
    voxel: Voxel, short: float
) -> None:
    distance = away(voxel)
    core = distance < RADIUS - short
    found = outline_volume(crest(distance, RADIUS), core, nothing(core), voxel, DEFAULTS)
    assert found[distance < RADIUS - 1.5 * voxel[1]].mean() > 0.999
    assert not found[distance > RADIUS + 1.5 * voxel[0]].any()
    assert iou(found, distance < RADIUS) > 0.9
    volume = found.sum() * np.prod(voxel)
    assert volume == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.1)


def test_the_line_does_not_go_further_than_outside_where_there_is_no_crest() -> None:
    distance = away()
    core = distance < 500
    found = outline_volume(crest(distance, 1e6), core, nothing(core), VOXEL, DEFAULTS)
    assert not found[distance > 500 + DEFAULTS.outside + max(VOXEL)].any()
    assert found[distance < 500 - DEFAULTS.inside - max(VOXEL)].all()


def test_a_thin_island_of_the_core_is_kept() -> None:
    distance = away()
    core = distance < RADIUS - 60
    island = np.zeros_like(core)
    island[20, 45:48, 24:27] = True  # no pixel of it is `inside` from its rim
    assert not morphology.erode(island[20], 2 * VOXEL[1], VOXEL[1:]).any()
    strength = crest(distance, RADIUS)
    strength[20, 43:50, 22:29] = 0
    found = outline_volume(strength, core | island, nothing(core), VOXEL, DEFAULTS)
    assert found[island].all()
    assert not outline_volume(strength, core, nothing(core), VOXEL, DEFAULTS)[island].any()


def test_background_is_never_nucleus() -> None:
    distance = away()
    core = distance < RADIUS - 80
    resin = np.broadcast_to(np.arange(SHAPE[2]) >= 38, SHAPE) & ~core
    assert (resin & (distance < RADIUS)).any()
    found = outline_volume(crest(distance, RADIUS), core, resin, VOXEL, DEFAULTS)
    assert not (found & resin).any()
    assert iou(found, (distance < RADIUS) & ~resin) > 0.88


def test_a_core_at_the_end_of_the_region_has_its_outline_there_too() -> None:
    half = away()[20:]
    core = half < RADIUS - 80
    found = outline_volume(crest(half, RADIUS), core, nothing(core), VOXEL, DEFAULTS)
    assert iou(found[0], half[0] < RADIUS) > 0.9
    single = outline_volume(crest(half[:1], RADIUS), core[:1], nothing(core[:1]), VOXEL, DEFAULTS)
    assert iou(single, half[:1] < RADIUS) > 0.9
