"""The nucleus between membranes, with and without a nucleus that is known approximately."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hela_dask.kernels.morphology import dilate, erode
from hela_dask.methods.enclosed import Enclosed, enclosed_nucleus
from hela_dask.parameters import VolumetricParameters
from hela_dask.trace import NO_TRACE
from tests.drawn import Drawing, draw_cell, iou

PARAMETERS = VolumetricParameters()


def find(
    drawing: Drawing, known: NDArray[np.bool_] | None, image: NDArray[np.uint8] | None = None
) -> Enclosed:
    return enclosed_nucleus(
        drawing.image if image is None else image,
        drawing.background,
        drawing.voxel,
        drawing.centre,
        PARAMETERS,
        NO_TRACE,
        known=known,
    )


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    return draw_cell(neighbour=True, gap=120.0)


@pytest.fixture(scope="module")
def alone(drawing: Drawing) -> Enclosed:
    return find(drawing, None)


@pytest.mark.parametrize("change", [-150.0, 0.0, 150.0])
def test_a_nucleus_that_is_known_approximately_gives_the_same(
    drawing: Drawing, alone: Enclosed, change: float
) -> None:
    pixel = drawing.voxel[1:]
    known = drawing.nucleus
    if change:
        other = dilate if change > 0 else erode
        known = np.stack([other(plane, abs(change), pixel) for plane in known])
    found = find(drawing, known)
    assert iou(alone.nucleus, drawing.nucleus) > 0.86
    assert iou(found.nucleus, alone.nucleus) > 0.99
    assert not found.reason


def test_slices_with_more_noise_are_levelled_by_the_known_nucleus(drawing: Drawing) -> None:
    noise = np.random.default_rng(3).normal(0, 25, drawing.image.shape)
    noise[: drawing.centre[0] + 4] = 0  # the centre's slice is among those without
    image = np.clip(drawing.image + noise, 0, 255).astype(np.uint8)
    found = find(drawing, drawing.nucleus, image)
    assert iou(found.nucleus, drawing.nucleus) > 0.8


def test_a_known_nucleus_is_the_only_one() -> None:
    twins = draw_cell(twins=True)
    left = twins.nucleus.copy()
    left[:, :, left.shape[2] // 2 :] = False
    z = twins.centre[0]
    y, x = (int(np.mean(at)) for at in np.nonzero(left[z]))
    for known, others in ((None, 1), (left, 0)):
        found = enclosed_nucleus(
            twins.image, twins.background, twins.voxel, (z, y, x), PARAMETERS, NO_TRACE, known=known
        )
        assert len(found.others) == others
        assert iou(found.nucleus, left) > 0.8
