"""Random augmentation of patches; pure functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import RectBivariateSpline

from hela_dask.types import Grey

__all__ = ["AUGMENTATIONS", "binary", "false_band", "greys", "shifts", "swell"]

Target = NDArray[np.uint8]
Pair = tuple[Grey, Target]

_SHIFT = 10  # pixels, as in PLoS ONE 2020
_TURN = 15.0  # degrees


def shifts(image: Grey, target: Target, rng: np.random.Generator) -> Pair:
    """The papers': mirrored left to right, and moved by up to 10 pixels either way.

    Sides are padded by mirroring.
    """
    dy, dx = (int(step) for step in rng.integers(-_SHIFT, _SHIFT + 1, 2))
    mirrored = rng.random() < 0.5
    return (
        _turned(_moved(image, dy, dx), 0, mirrored),
        _turned(_moved(target, dy, dx), 0, mirrored),
    )


def binary(image: Grey, target: Target, rng: np.random.Generator) -> Pair:
    """The hybrid method's: mirrors, a turn, elastic deformation, contrast and brightness."""
    angle = np.deg2rad(rng.uniform(-_TURN, _TURN))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    image, target = _sampled(image, target, turn, swell(image.shape[:2], rng))
    for axis in (0, 1):
        if rng.random() < 0.5:
            image, target = np.flip(image, axis), np.flip(target, axis)
    image = image * np.float32(rng.uniform(0.8, 1.2)) + np.float32(rng.uniform(-0.1, 0.1))
    return np.ascontiguousarray(image), np.ascontiguousarray(target)


AUGMENTATIONS: dict[str, Callable[[Grey, Target, np.random.Generator], Pair]] = {
    "greys": lambda image, target, rng: (greys(image, rng), target.copy()),
    "shifts": shifts,
    "binary": binary,
}


def greys(image: Grey, rng: np.random.Generator) -> Grey:
    """Other grey values: gamma, a x + b, steps between slices, noise, blur, lost slices, bands."""
    count = image.shape[-1]
    x: NDArray[Any] = false_band(image, rng) if rng.random() < 0.5 else image
    x = np.sign(x) * np.abs(x) ** float(np.exp(rng.normal(0, 0.1)))
    x = x * float(np.exp(rng.normal(0, 0.075))) + float(rng.normal(0, 0.05))
    x = x + np.float32(0.015) * rng.standard_normal(count, dtype=np.float32)
    if rng.random() < 0.15:
        sigma = rng.uniform(0.3, 1.0)
        x = ndimage.gaussian_filter(x, (sigma, sigma, 0))
    strength = float(rng.uniform(0, 0.04))
    x = x + strength * rng.standard_normal(x.shape, dtype=np.float32)
    return np.ascontiguousarray(x[..., _shown(count, rng)])


def _shown(count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Index of the slice shown in place of each.

    Lost ones are replaced by the one farther inside.
    """
    middle, shown = count // 2, np.arange(count)
    if rng.random() < 0.15:  # a slice with no neighbours at all
        return np.full(count, middle)
    lost = rng.random(count) < 0.08
    lost[middle] = False
    return np.where(lost, shown + np.sign(middle - shown), shown)


def false_band(image: Grey, rng: np.random.Generator) -> Grey:
    """A curve about 3 pixels wide refilled with smooth grain, anywhere.

    Published stacks carry such a band where an outline was painted over and removed; it must not
    look like an envelope.
    """
    shape = image.shape[:2]
    field = _smooth(rng.normal(size=(6, 6)), shape)
    curve = np.abs(field - rng.normal(0, 0.5)) < 1.5 * np.hypot(*np.gradient(field))
    result = image.copy()
    for at in range(image.shape[-1]):
        smooth = ndimage.gaussian_filter(image[..., at], 4)
        fill = smooth + rng.normal(0, 0.05, shape)
        result[..., at][curve] = fill[curve]
    return result


def swell(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """A smooth shift by some pixels, (2, y, x): an elastic deformation."""
    return np.stack([_smooth(rng.normal(0, 3, (5, 5)), shape) for _ in range(2)])


def _smooth(coarse: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A few values spread over a plane by cubic interpolation."""
    y, x = (np.arange(n) for n in coarse.shape)
    rows, columns = (
        np.linspace(0, n - 1, length) for n, length in zip(coarse.shape, shape, strict=True)
    )
    found: NDArray[np.float64] = RectBivariateSpline(y, x, coarse)(rows, columns)
    return found


def _sampled(
    image: Grey, target: Target, matrix: NDArray[np.float64], shift: NDArray[np.float64]
) -> Pair:
    """Resample both: the grid times a matrix about its middle, and shifted."""
    shape = image.shape[:2]
    middle = np.reshape([(length - 1) / 2 for length in shape], (2, 1, 1))
    at = np.tensordot(matrix, np.indices(shape) - middle, 1) + middle + shift
    return (
        np.stack(
            [ndimage.map_coordinates(part, at, order=1, mode="mirror") for part in _parts(image)],
            -1,
        ),
        np.stack(
            [ndimage.map_coordinates(part, at, order=0, mode="mirror") for part in _parts(target)],
            -1,
        ),
    )


def _parts(image: NDArray[Any]) -> NDArray[Any]:
    return np.moveaxis(image, -1, 0)


def _moved(image: NDArray[Any], dy: int, dx: int) -> NDArray[Any]:
    padded = np.pad(image, ((_SHIFT, _SHIFT), (_SHIFT, _SHIFT), (0, 0)), mode="reflect")
    y, x = _SHIFT + dy, _SHIFT + dx
    return padded[y : y + image.shape[0], x : x + image.shape[1]]


def _turned(image: NDArray[Any], turn: int, mirrored: bool) -> NDArray[Any]:
    turned = np.rot90(image, turn)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)
