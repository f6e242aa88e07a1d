"""What goes wrong at the microscope: other grey levels, noise, and single bad slices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.stacks import Stack

__all__ = ["DAMAGES", "Damage", "linear"]

Image = NDArray[Any]

SHIFT = 400.0
BLUR = 200.0


@dataclass(frozen=True)
class Damage:
    """One kind of damage.

    Attributes
    ----------
    name : str
    apply : callable
        Takes a stack and the slice (0-based) that single-slice damage befalls; returns the
        damaged stack, its truth moved along where a slice's place or number changes.
    blind : bool
        Nothing at all is to be seen in that slice afterwards.
    """

    name: str
    apply: Callable[[Stack, int], Stack]
    blind: bool = False


def _clipped(values: Image) -> NDArray[np.uint8]:
    clipped: NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return clipped


def linear(stack: Stack, gain: float, *, clips: bool) -> Stack:
    """Grey values a x + b, cut off at 0 and 255.

    The offset keeps the middle of the range where it is, as an operator would set it; with
    `clips` it is set too bright, so that a tenth of the pixels is saturated.
    """
    grey = stack.image.astype(np.float32)
    low, bright, high = np.percentile(grey, (0.5, 90, 99.5))
    offset = 255 - gain * bright if clips else 127.5 - gain * (low + high) / 2
    return replace(stack, image=_clipped(gain * grey + offset))


def _linear(gain: float, *, clips: bool) -> Damage:
    name = f"a = {gain:g}, a tenth saturated" if clips else f"a = {gain:g}, centred"
    return Damage(name, lambda stack, _: linear(stack, gain, clips=clips))


def _grey(name: str, change: Callable[[Image], Image]) -> Damage:
    """The same change of every voxel's grey value."""
    return Damage(name, lambda stack, _: replace(stack, image=change(stack.image)))


def _gamma(power: float) -> Callable[[Image], Image]:
    return lambda image: _clipped(255 * (image / 255.0) ** power)


def _noise(image: Image) -> Image:
    return _clipped(image + np.random.default_rng(0).normal(0, 10, image.shape))


def _missing(stack: Stack, z: int) -> Stack:
    start = stack.centre[0] - (z < stack.centre[0])
    return replace(
        stack,
        image=np.delete(stack.image, z, axis=0),
        truth=np.delete(stack.truth, z, axis=0),
        centre=(start, *stack.centre[1:]),
    )


def _duplicated(stack: Stack, z: int) -> Stack:
    start = stack.centre[0] + (z < stack.centre[0])
    return replace(
        stack,
        image=np.insert(stack.image, z, stack.image[z], axis=0),
        truth=np.insert(stack.truth, z, stack.truth[z], axis=0),
        centre=(start, *stack.centre[1:]),
    )


def _one_slice(stack: Stack, z: int, plane: Image) -> Stack:
    image = stack.image.copy()
    image[z] = plane
    return replace(stack, image=image)


def _shifted(stack: Stack, z: int) -> Stack:
    pixels = round(SHIFT / stack.voxel[2])
    moved = _one_slice(stack, z, _move(stack.image[z], pixels))
    truth = stack.truth.copy()
    truth[z] = _move(truth[z], pixels)
    return replace(moved, truth=truth)


def _move(plane: Image, pixels: int) -> Image:
    """Moved to the right; the left edge is repeated."""
    return np.concatenate([np.repeat(plane[:, :1], pixels, axis=1), plane[:, :-pixels]], axis=1)


def _blurred(stack: Stack, z: int) -> Stack:
    sigma = (BLUR / stack.voxel[1], BLUR / stack.voxel[2])
    return _one_slice(
        stack, z, _clipped(ndimage.gaussian_filter(stack.image[z].astype(np.float32), sigma))
    )


DAMAGES: tuple[Damage, ...] = (
    *(_linear(gain, clips=clips) for gain in (0.4, 0.7, 1.3, 1.6) for clips in (False, True)),
    _grey("gamma 0.7", _gamma(0.7)),
    _grey("gamma 1.4", _gamma(1.4)),
    _grey("16 bit, x 200", lambda image: image.astype(np.uint16) * np.uint16(200)),
    _grey("inverted contrast", lambda image: (255 - image).astype(np.uint8)),
    _grey("noise of sigma 10", _noise),
    Damage("one slice missing", _missing),
    Damage(
        "one slice black",
        lambda stack, z: _one_slice(stack, z, np.zeros_like(stack.image[z])),
        blind=True,
    ),
    Damage("one slice duplicated", _duplicated),
    Damage("one slice shifted by 400 nm", _shifted),
    Damage("one slice blurred by 200 nm", _blurred),
)
