"""Phantoms against the real stack: grey values of the classes, and how easy they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from hela_dask.phantom import phantom_block, plan_phantom

CLASSES = (1, 2, 3, 4, 5)
Planes = list[tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]]


@pytest.fixture(scope="module")
def phantom() -> Planes:
    """Image, classes and the best-scoring cell's candidates of slices of the demo's phantom."""
    spec = plan_phantom((200, 768, 768), 6, 9.0, seed=0)
    planes: Planes = []
    for z in range(24, 184, 32):
        block = phantom_block(spec, z, z + 1, 0, 768, 0, 768)
        complete = [cell.label for cell in spec.cells if cell.complete]
        cells = np.stack([block.cells[0] == label for label in complete])
        planes.append((block.image[0], block.classes[0], cells))
    return planes


@pytest.fixture(scope="module")
def real(real_data: Path) -> Planes:
    """Image, classes and the one labelled cell of slices of the real stack."""
    folder = real_data / "roi1656"
    slices = range(9, 180, 10)
    image = tifffile.imread(folder / "raw_z001-300.tif", key=slices)
    labels = tifffile.imread(folder / "labels_z001-180.tif", key=slices)
    return [
        (plane, classes, np.isin(classes, (1, 2, 5))[None])
        for plane, classes in zip(image, labels, strict=True)
    ]


def _statistics(planes: Planes) -> dict[int, tuple[float, float]]:
    """Mean grey, and the mean over a class of the standard deviation in 7 x 7 pixels."""
    grey: dict[int, list[float]] = {k: [0.0, 0.0, 0.0] for k in CLASSES}
    for image, classes, _ in planes:
        value = image.astype(float)
        mean = ndimage.uniform_filter(value, 7)
        spread = np.sqrt(np.maximum(ndimage.uniform_filter(value**2, 7) - mean**2, 0.0))
        for k in CLASSES:
            here = classes == k
            grey[k][0] += float(here.sum())
            grey[k][1] += float(value[here].sum())
            grey[k][2] += float(spread[here].sum())
    return {k: (total / n, spread / n) for k, (n, total, spread) in grey.items()}


def _otsu(planes: Planes) -> tuple[float, float]:
    """Jaccard index of the largest dark piece of each slice, pooled and mean over slices.

    Against the cell for which it is highest: the comparison that flatters the threshold most.
    """
    number = planes[0][2].shape[0]
    both, either = np.zeros((len(planes), number)), np.zeros((len(planes), number))
    for k, (image, _, cells) in enumerate(planes):
        pieces, _ = ndimage.label(image < threshold_otsu(image))
        largest = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
        both[k] = (cells & largest).sum((1, 2))
        either[k] = (cells | largest).sum((1, 2))
    return float((both.sum(0) / either.sum(0)).max()), float((both / either).mean(0).max())


@pytest.mark.parametrize("label", CLASSES)
def test_grey_values_match_the_real_stack(phantom: Planes, real: Planes, label: int) -> None:
    ours, theirs = _statistics(phantom)[label], _statistics(real)[label]
    assert ours == pytest.approx(theirs, rel=0.15)


def test_noise_of_the_nucleus_is_as_correlated_as_the_real_one(
    phantom: Planes, real: Planes
) -> None:
    def correlation(planes: Planes) -> tuple[float, float]:
        sums = np.zeros(3)
        for image, classes, _ in planes:
            core = ndimage.binary_erosion(classes == 2, iterations=8)
            fine = image - ndimage.gaussian_filter(image.astype(float), 6)
            core[:, -2:] = False
            y, x = np.nonzero(core)
            sums += [(fine[y, x] * fine[y, x + shift]).sum() for shift in (0, 1, 2)]
        return float(sums[1] / sums[0]), float(sums[2] / sums[0])

    assert correlation(phantom) == pytest.approx(correlation(real), abs=0.1)


def test_threshold_finds_no_more_than_in_the_real_stack(phantom: Planes, real: Planes) -> None:
    ours, theirs = _otsu(phantom), _otsu(real)
    assert ours[0] <= theirs[0] + 0.05
    assert ours[1] <= theirs[1] + 0.05
