"""The prediction of a model for a block of slices, on the block's own grid.

Slice by slice, in tiles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.errors import ResourceError
from hela_dask.kernels.grid import block_mean
from hela_dask.types import Grey, Voxel
from hela_dask.unet.card import Card
from hela_dask.unet.model import Model

__all__ = ["TILE", "blending", "predict_block", "predict_slices", "resize", "tile_length", "tiles"]

TILE, OVERLAP = 512, 128  # pixels of the model's size
_SHIFT = 5  # pixels: an odd number moves the grid on which a network pools at every depth


def predict_block(
    model: Model, image: NDArray[Any], voxel: Voxel, greys: tuple[float, float]
) -> NDArray[np.uint8]:
    """Predict a block.

    Parameters
    ----------
    image : ndarray, (z, y, x)
        Grey values with bright resin, or the input of a binary model.
    voxel : tuple of float
        z, y, x of the image, nm; the model's own may be another.
    greys : tuple of float
        The grey values that become 0 and 1: ``low`` and ``high`` of
        :class:`~hela_dask.GreyLevels`.

    Returns
    -------
    ndarray of uint8, (z, y, x, outputs)
        ``model.card.outputs``, 255 is 1.

    Raises
    ------
    ResourceError
        When not even one tile fits the memory.
    """
    return np.stack(list(predict_slices(model, image, voxel, greys)))


def predict_slices(
    model: Model,
    image: NDArray[Any],
    voxel: Voxel,
    greys: tuple[float, float],
    wanted: slice = slice(None),
    *,
    reach: int | None = None,
    turned: Container[int] = (),
    outputs: Sequence[int] | None = None,
) -> Iterator[NDArray[np.uint8]]:
    """As :func:`predict_block`, one slice (y, x, outputs) after the other; of `wanted` ones.

    Slices up to `reach` away replace an empty one; if None, all of the block. The model sees
    `turned` slices as in :func:`_turned`. `outputs` are the numbers of those that are given; if
    None, all.
    """
    normalisation = model.card.normalisation(*greys)
    look = _Look(model.card, image, voxel, normalisation, len(image) if reach is None else reach)
    for z in range(len(image))[wanted]:
        seen = look.slice(z)
        predict = _run if model.card.plane is not None else _tiled
        found = _turned(model, seen, predict) if z in turned else predict(model, seen)
        chosen = range(found.shape[-1]) if outputs is None else outputs
        planes = np.stack([resize(found[..., at], image.shape[1:]) for at in chosen])
        planes *= 255
        yield np.moveaxis(np.rint(planes, out=planes).astype(np.uint8), 0, -1)


class _Look:
    """A block as a model sees it: at its pixel size, grey values scaled, slices with neighbours."""

    def __init__(
        self,
        card: Card,
        image: NDArray[Any],
        voxel: Voxel,
        normalisation: tuple[float, float],
        reach: int,
    ) -> None:
        self._card, self._image, self._reach = card, image, reach
        self._normalisation = normalisation  # offset, scale
        self._kept: dict[int, Grey] = {}
        shape = image.shape[1:]
        self._shape = card.plane or tuple(
            max(1, round(length * size / own))
            for length, size, own in zip(shape, voxel[1:], card.voxel_size[1:], strict=True)
        )
        half = card.slices // 2
        step = card.voxel_size[0] / voxel[0]
        self._offsets = [_away(at * step) for at in range(-half, half + 1)]
        self._shown = [bool(plane.min() < plane.max()) for plane in image]

    def slice(self, z: int) -> Grey:
        """(y, x, channels) of a slice."""
        wanted = [self._nearest(z + offset, z) for offset in self._offsets]
        self._kept = {at: self._kept[at] for at in set(wanted) & set(self._kept)}
        planes = [self._plane(at) for at in wanted]
        planes = planes * 3 if self._card.channels == "repeated" else planes
        return np.moveaxis(np.stack(planes), 0, -1)

    def _nearest(self, at: int, z: int) -> int:
        """The slice nearest to `at`, on the way to `z`, that is not empty."""
        at = min(max(at, 0), len(self._image) - 1)
        while at != z and not self._shown[at]:
            at += 1 if at < z else -1
        if self._shown[at]:
            return at
        first = max(0, z - self._reach)
        near = enumerate(self._shown[first : z + self._reach + 1], first)
        shown = [other for other, yes in near if yes]
        return min(shown, key=lambda other: (abs(other - z), other), default=z)

    def _plane(self, z: int) -> Grey:
        if z not in self._kept:
            offset, scale = self._normalisation
            plane = shrink(self._image[z], self._shape)
            if self._card.channels == "binary":
                self._kept[z] = (plane >= 0.5).astype(np.float32)
            else:
                self._kept[z] = (plane - np.float32(offset)) * np.float32(scale)
        return self._kept[z]


def _away(offset: float) -> int:
    """Rounded away from zero: a neighbour is never the slice itself."""
    return 0 if offset == 0 else int(math.copysign(max(1, round(abs(offset))), offset))


def shrink(plane: NDArray[Any], shape: Sequence[int]) -> Grey:
    """A plane on another grid over the same area: means where it shrinks by whole numbers."""
    factors = tuple(max(1, round(a / b)) for a, b in zip(plane.shape, shape, strict=True))
    whole = tuple(-(-length // by) for length, by in zip(plane.shape, factors, strict=True))
    means = block_mean(plane, (factors[0], factors[1])) if factors != (1, 1) else plane
    if whole == tuple(shape) or tuple(means.shape) == tuple(shape):
        return means.astype(np.float32)
    return resize(means.astype(np.float32), shape)


def resize(plane: Grey, shape: Sequence[int]) -> Grey:
    """A plane on another grid over the same area, by linear interpolation."""
    if tuple(plane.shape) == tuple(shape):
        return plane
    zoom = [new / old for new, old in zip(shape, plane.shape, strict=True)]
    found: Grey = ndimage.zoom(
        plane, zoom, order=1, mode="nearest", grid_mode=True, prefilter=False
    )
    if found.shape != tuple(shape):
        raise AssertionError(f"{found.shape} where {tuple(shape)} was asked for")
    return found


def tile_length(length: int, multiple: int) -> int:
    """The length of the tiles that cover a length, about :data:`TILE` at most.

    It is a whole multiple, and no longer than that number of tiles needs.
    """
    side = max(multiple, TILE // multiple * multiple)
    count = max(1, math.ceil((length - OVERLAP) / (side - OVERLAP)))
    shared = (length + (count - 1) * OVERLAP) / count
    return min(side, math.ceil(shared / multiple) * multiple)


def tiles(length: int, tile: int, overlap: int) -> list[int]:
    """Starts of tiles that cover a length, each overlapping the next by `overlap` or more."""
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // (tile - overlap))
    return [round(at * (length - tile) / (count - 1)) for at in range(count)]


def blending(starts: Sequence[int], tile: int, at: int) -> Grey:
    """Weight of tile number `at` along one axis: ramps where it overlaps its neighbours."""
    weight = np.ones(tile, np.float32)
    for other, side in ((at - 1, slice(None)), (at + 1, slice(None, None, -1))):
        if 0 <= other < len(starts):
            shared = tile - abs(starts[at] - starts[other])
            ramp = (np.arange(shared, dtype=np.float32) + 0.5) / shared
            weight[side][:shared] *= ramp
    return weight


def _tiled(model: Model, seen: Grey) -> Grey:
    """Outputs of a slice of any size, tile by tile: more at once are no faster on a CPU."""
    shape = seen.shape[:2]
    size = [tile_length(length, model.card.multiple) for length in shape]
    pad = [(0, max(0, own - length)) for own, length in zip(size, shape, strict=True)]
    if any(after for _, after in pad):
        seen = np.pad(seen, [*pad, (0, 0)], mode="symmetric")
    starts = [tiles(length, own, OVERLAP) for length, own in zip(seen.shape[:2], size, strict=True)]
    places = [(y, x) for y in range(len(starts[0])) for x in range(len(starts[1]))]
    if len(places) == 1:
        return _run(model, seen)[: shape[0], : shape[1]]
    # In memory, outputs come first, as those of the network.
    total = np.moveaxis(np.zeros((len(model.card.outputs), *seen.shape[:2]), np.float32), 0, -1)
    weights = np.zeros((*seen.shape[:2], 1), np.float32)
    for place in places:
        window = tuple(
            slice(starts[axis][at], starts[axis][at] + size[axis]) for axis, at in enumerate(place)
        )
        y, x = (blending(starts[axis], size[axis], at) for axis, at in enumerate(place))
        weight = (y[:, None] * x)[..., None]
        total[window] += _run(model, seen[window]) * weight
        weights[window] += weight
    total /= weights
    return total[: shape[0], : shape[1]]


def _turned(model: Model, seen: Grey, predict: Callable[[Model, Grey], Grey]) -> Grey:
    """A slice seen transposed, its neighbours in reverse, and moved by some pixels.

    Where pixels or the plane of the model are not square it is turned by 180 degrees instead; it is
    not moved where that takes more tiles, or the plane is fixed.
    """
    card = model.card
    square = card.voxel_size[1] == card.voxel_size[2]
    if card.plane is not None:
        square &= card.plane[0] == card.plane[1]

    def turn(image: Grey) -> Grey:
        return image.swapaxes(0, 1) if square else image[::-1, ::-1]

    other = turn(seen)[..., ::-1]
    moved = [length + _SHIFT for length in other.shape[:2]]
    same = card.plane is None and _tile_count(moved, card) == _tile_count(other.shape, card)
    shift = _SHIFT if same else 0
    other = np.pad(other, ((shift, 0), (shift, 0), (0, 0)), mode="symmetric")
    return turn(predict(model, other)[shift:, shift:])


def _tile_count(shape: Sequence[int], card: Card) -> int:
    """The number of tiles of a plane of the model's pixels."""
    sides = [len(tiles(n, tile_length(n, card.multiple), OVERLAP)) for n in shape[:2]]
    return math.prod(sides)


def _run(model: Model, image: Grey) -> Grey:
    """Outputs (y, x, outputs) of one image (y, x, channels)."""
    try:
        found: Grey = model(image[None])[0]
    except MemoryError as error:
        raise ResourceError(
            f"not enough memory for one tile of {image.shape[0]} x {image.shape[1]} pixels in the "
            f"model from {model.folder}: give each worker more (--memory, or fewer --workers)"
        ) from error
    return found
