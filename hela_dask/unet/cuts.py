"""Patches cut out of a volume in any direction: positions in space, and the values there.

A patch is some parallel planes, as a network sees them. Its middle plane may be turned, scaled and
deformed, and lie obliquely in the volume: a structure that runs flat in the slices is then seen
across them, and one at right angles to them lies flat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.kernels.sampling import sample_linear
from hela_dask.types import Grey, Voxel
from hela_dask.unet.augment import swell
from hela_dask.unet.labelled import Blocks

__all__ = ["Cut", "nearest_values", "random_cut"]

_DEFORMED = 0.5  # share of patches that are scaled, sheared and deformed elastically
_TURNED = 0.5  # share turned by any angle, and scaled by up to a fifth
_OBLIQUE, _LARGEST_TILT = 0.25, 45.0  # share cut obliquely, and the largest angle, degrees
_VERTICAL = 0.1  # share of yz and xz planes

Positions = NDArray[np.float64]


@dataclass(frozen=True)
class Cut:
    """Parallel planes in a volume.

    Attributes
    ----------
    middle : ndarray, (3, y, x)
        z, y, x of each pixel of the middle plane, in voxels; whole numbers are voxel centres.
    step : ndarray, (3,)
        From one plane to the next, in voxels.
    """

    middle: Positions
    step: NDArray[np.float64]

    def inner(self, margin: tuple[int, int]) -> Cut:
        """Without so many rows and columns on each side."""
        y, x = (
            slice(n, length - n) for n, length in zip(margin, self.middle.shape[1:], strict=True)
        )
        return Cut(self.middle[:, y, x], self.step)

    def greys(self, blocks: Blocks, planes: int) -> Grey:
        """Grey values of the planes by linear interpolation, (y, x, planes).

        Beyond the sides of the volume its mirror image continues, beyond its first and last slice
        these are repeated.
        """
        offsets = np.arange(planes) - planes // 2
        at = self.middle[:, None] + self.step[:, None, None, None] * offsets[:, None, None]
        at = _inside(at, blocks.shape)
        box = _box_of(at, blocks.shape)
        at = np.moveaxis(at - np.reshape(box.low, (3, 1, 1, 1)), 1, -1)  # as networks see them
        return sample_linear(blocks.values(box), at.reshape(3, -1)).reshape(at.shape[1:])


def nearest_values(cut: Cut, blocks: Blocks) -> tuple[NDArray[np.integer], NDArray[np.intp]]:
    """Values of the middle plane at the nearest voxels, (y, x), and the slice of each, from 0.

    Sides continue as for grey values. A slice may lie before the first or after the last.
    """
    z = np.rint(cut.middle[0]).astype(np.intp)
    at = np.rint(_inside(cut.middle, blocks.shape)).astype(np.intp)
    box = _box_of(at, blocks.shape)
    found: NDArray[np.integer] = blocks.values(box)[
        tuple(axis - low for axis, low in zip(at, box.low, strict=True))
    ]
    return found, z


def random_cut(
    rng: np.random.Generator,
    *,
    shape: tuple[int, ...],
    voxel: Voxel,
    slices: NDArray[np.intp],
    patch: tuple[int, int],
    margin: tuple[int, int] = (0, 0),
) -> Cut:
    """A patch anywhere in a volume.

    Parameters
    ----------
    rng
        Random numbers.
    shape, voxel
        Of the volume (z, y, x); voxel size in nm.
    slices
        Its middle lies in one of these, from 0.
    patch
        Pixels (y, x), as large as the volume's.
    margin
        Pixels more on each side.
    """
    at = [
        np.arange(-more, side + more) - (side - 1) / 2
        for side, more in zip(patch, margin, strict=True)
    ]
    plane = np.stack(np.meshgrid(*at, indexing="ij"))
    turn = _turn(np.pi / 2 * int(rng.integers(4))).round()
    turn[:, 1] *= 1 if rng.random() < 0.5 else -1
    shift = np.zeros_like(plane)
    if rng.random() < _DEFORMED:
        turn = (np.eye(2) * np.exp(rng.normal(0, 0.1)) + rng.normal(0, 0.05, (2, 2))) @ turn
        shift = swell(plane.shape[1:], rng)
    if rng.random() < _TURNED:
        turn = _turn(rng.uniform(0, 2 * np.pi)) * np.exp(rng.uniform(-0.2, 0.2)) @ turn
    plane = np.tensordot(turn, plane, 1) + shift
    frame = _frame(rng)
    upside_down = rng.random() < 0.5
    centre = [float(rng.choice(slices))]
    for side, length in zip(patch, shape[1:], strict=True):
        centre.append(float(rng.integers(0, length - side + 1)) + (side - 1) / 2)
    size = np.asarray(voxel)
    lengths = plane * np.reshape(size[1:], (2, 1, 1))  # nm
    middle = np.tensordot(frame[:, 1:], lengths, 1) / np.reshape(size, (3, 1, 1))
    step = frame[:, 0] * size[0] / size
    return Cut(middle + np.reshape(centre, (3, 1, 1)), -step if upside_down else step)


def _turn(angle: float) -> NDArray[np.float64]:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _frame(rng: np.random.Generator) -> NDArray[np.float64]:
    """Directions (z, y, x) across planes, and along their rows and columns; mostly the volume's."""
    kind = rng.random()
    if kind < _OBLIQUE:
        angle, axis = np.deg2rad(rng.uniform(10.0, _LARGEST_TILT)), rng.uniform(0, 2 * np.pi)
    elif kind < _OBLIQUE + _VERTICAL:
        angle, axis = np.pi / 2, np.pi / 2 * int(rng.integers(4))
    else:
        return np.eye(3)
    y, x = np.cos(axis), np.sin(axis)  # the plane is tilted about this line in the slice
    cross = np.array([[0, -x, y], [x, 0, 0], [-y, 0, 0]])
    tilt: NDArray[np.float64] = (
        np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    )
    return tilt


def _inside(at: Positions, shape: tuple[int, ...]) -> Positions:
    """Positions mirrored at the sides of the planes, and cut off at the ends along z."""
    found = np.empty_like(at)
    np.clip(at[0], 0, shape[0] - 1, out=found[0])
    for axis in (1, 2):
        last = shape[axis] - 1
        found[axis] = np.clip(last - np.abs(last - np.abs(at[axis])), 0, last)
    return found


def _box_of(at: NDArray[np.floating] | NDArray[np.intp], shape: tuple[int, ...]) -> Box:
    """The voxels between which positions lie."""
    flat = at.reshape(3, -1)
    low, high = np.floor(flat.min(axis=1)), np.ceil(flat.max(axis=1))
    return Box.of((int(a), int(b) + 1) for a, b in zip(low, high, strict=True)).clip(shape)
