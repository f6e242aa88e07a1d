"""Images that show the same as that of a stack, and how their masks are mapped back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stacks import Stack, to_uint8

__all__ = ["VARIANTS", "Variant"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Variant:
    """An image that shows the same.

    Attributes
    ----------
    change : callable
        From a stack to the other one, with its truth and its centre.
    back : callable
        From a mask of that to one of the stack's voxels.
    exact : bool
        Whether it has the same voxels, so that the same result is expected.
    """

    change: Callable[[Stack], Stack]
    back: Callable[[Array, tuple[int, ...]], Array]
    exact: bool = True


def _turned(axes: tuple[int, ...], *, swapped: bool = False) -> Variant:
    """Flipped along some axes, then transposed in the plane."""

    def turn(array: Array) -> Array:
        flipped = np.flip(array, axes)
        return np.ascontiguousarray(flipped.swapaxes(1, 2) if swapped else flipped)

    def back(mask: Array, shape: tuple[int, ...]) -> Array:
        return np.flip(mask.swapaxes(1, 2) if swapped else mask, axes)

    def change(stack: Stack) -> Stack:
        last = np.array(stack.image.shape) - 1
        z, y, x = (
            int(last[axis] - at if axis in axes else at) for axis, at in enumerate(stack.centre)
        )
        v = stack.voxel
        return replace(
            stack,
            image=turn(stack.image),
            truth=turn(stack.truth),
            centre=(z, x, y) if swapped else (z, y, x),
            voxel=(v[0], v[2], v[1]) if swapped else v,
        )

    return Variant(change, back)


def _cropped(*first: int) -> Variant:
    """Without the first slices, rows and columns."""
    part = tuple(slice(number, None) for number in first)

    def change(stack: Stack) -> Stack:
        z, y, x = (at - number for at, number in zip(stack.centre, first, strict=True))
        return replace(stack, image=stack.image[part], truth=stack.truth[part], centre=(z, y, x))

    def back(mask: Array, shape: tuple[int, ...]) -> Array:
        whole = np.zeros(shape, dtype=bool)
        whole[part] = mask
        return whole

    return Variant(change, back)


def _in_place(change: Callable[[Stack], Stack]) -> Variant:
    """With its voxels where those of the stack are."""
    return Variant(change, lambda mask, shape: mask, exact=False)


def _finer(times: int) -> Variant:
    """Each pixel cut into `times` x `times`, with noise of +-8 grey levels."""

    def cut(array: Array) -> Array:
        return array.repeat(times, axis=1).repeat(times, axis=2)

    def change(stack: Stack) -> Stack:
        noise = np.random.default_rng(0).integers(-8, 9, cut(stack.image[:1]).shape[1:])
        z, y, x = stack.centre
        return replace(
            stack,
            image=np.stack([to_uint8(cut(plane[None])[0] + noise) for plane in stack.image]),
            truth=cut(stack.truth),
            centre=(z, y * times + times // 2, x * times + times // 2),
            voxel=(stack.voxel[0], stack.voxel[1] / times, stack.voxel[2] / times),
        )

    def back(mask: Array, shape: tuple[int, ...]) -> Array:
        blocks = mask.reshape(shape[0], shape[1], times, shape[2], times)
        return np.asarray(np.count_nonzero(blocks, axis=(2, 4)) * 2 > times * times)

    return Variant(change, back, exact=False)


def _thinner(times: int) -> Variant:
    """Each slice cut into `times` thinner ones, with noise of +-8 grey levels."""

    def change(stack: Stack) -> Stack:
        noise = np.random.default_rng(0).integers(-8, 9, stack.image.shape[1:])
        planes = enumerate(stack.image.repeat(times, axis=0))
        z, y, x = stack.centre
        return replace(
            stack,
            image=np.stack([to_uint8(plane + np.roll(noise, at)) for at, plane in planes]),
            truth=stack.truth.repeat(times, axis=0),
            centre=(z * times + times // 2, y, x),
            voxel=(stack.voxel[0] / times, *stack.voxel[1:]),
        )

    def back(mask: Array, shape: tuple[int, ...]) -> Array:
        groups = mask.reshape(shape[0], times, *shape[1:])
        return np.asarray(np.count_nonzero(groups, axis=1) * 2 > times)

    return Variant(change, back, exact=False)


def _grey(stack: Stack) -> Stack:
    return replace(stack, image=to_uint8(stack.image * 0.7 + 30.0))


def _moved(stack: Stack) -> Stack:
    z, y, x = stack.centre
    return replace(stack, centre=(z, y + round(1000 / stack.voxel[1]), x))


VARIANTS: dict[str, Variant] = {
    "flipped in z": _turned((0,)),
    "flipped in y": _turned((1,)),
    "flipped in x": _turned((2,)),
    "flipped in z, y and x": _turned((0, 1, 2)),
    "transposed": _turned((), swapped=True),
    "flipped in z, transposed": _turned((0,), swapped=True),
    "flipped in y, transposed": _turned((1,), swapped=True),
    "without the first row and column": _cropped(0, 1, 1),
    "without the first slice": _cropped(1, 0, 0),
    "without 2 slices, 3 rows": _cropped(2, 3, 0),
    "centre moved by 1 µm": _in_place(_moved),
    "grey values x 0.7 + 30": _in_place(_grey),
    "each pixel cut into four, noise of +-8": _finer(2),
    "each pixel cut into sixteen, noise of +-8": _finer(4),
    "each slice cut into two, noise of +-8": _thinner(2),
    "every second slice": _in_place(Stack.every_second),
}
