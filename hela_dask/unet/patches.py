"""Training patches, read by dask a few blocks at a time; the same ones for a seed."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.errors import InputError
from hela_dask.types import Voxel
from hela_dask.unet.architectures import Architecture
from hela_dask.unet.augment import AUGMENTATIONS
from hela_dask.unet.cuts import nearest_values, random_cut
from hela_dask.unet.inference import shrink
from hela_dask.unet.labelled import Blocks, Cache
from hela_dask.unet.targets import UNLABELLED, Cells, ClassMap, cell_targets, target_halo

__all__ = ["Batch", "LabelledVolume", "Patches", "RawBatch", "Window"]

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]
RawBatch = tuple[NDArray[np.float32], NDArray[np.uint8]]
Window = tuple[int, slice, slice]
"""A slice, from 0, and the rows and columns of it."""

_VALIDATION = 512  # pixels of a window at a time, at most


@dataclass(frozen=True)
class LabelledVolume:
    """One labelled volume."""

    image: Blocks  # upright
    labels: Blocks  # on the image's grid; may have fewer slices
    class_map: ClassMap  # which of their values are which class
    greys: tuple[float, float]  # grey values that become 0 and 1
    voxel: Voxel  # (z, y, x), nm
    slices: tuple[int, ...]  # to draw from, from 0
    mask: Blocks | None = None  # where it is not 0, the weight of classes is `mask_weight`
    mask_weight: float = 0.0
    instances: Blocks | None = None  # labels that separate cells
    # Which values of `instances` are one cell
    cells: Cells = Cells()  # noqa: RUF009  frozen
    # ``preprocess(plane, pixel)``: the input of a binary model for a plane
    preprocess: Callable[[NDArray[Any], tuple[float, float]], NDArray[Any]] | None = None

    @property
    def pixel(self) -> tuple[float, float]:
        """Pixel size (y, x) in nm."""
        return self.voxel[1:]

    def look(self, architecture: Architecture, window: Window) -> NDArray[np.float32]:
        """The input of the network for a window, (y, x, channels)."""
        z, rows, columns = window
        if architecture.plane is not None:
            shown = [self._plane(architecture, z)]
            shown *= 3 if architecture.channels == "repeated" else 1
        else:
            half, last = architecture.slices // 2, self.image.shape[0] - 1
            near = np.clip(np.arange(z - half, z + half + 1), 0, last)
            shown = [self._scaled(self.image.window(int(at), rows, columns)) for at in near]
        return np.stack(shown, -1)

    def truth(
        self, architecture: Architecture, window: Window, *, masked: bool = True
    ) -> NDArray[np.uint8]:
        """Its target, (y, x, 2 or 5).

        The class (255: not labelled), the weight of the pixel (100: 1), and for architectures with
        these outputs, contact, distance and where they are known.
        """
        z, rows, columns = window
        labels = self.labels.window(z, rows, columns)
        classes = self.class_map.encode(labels[None], self.labels.name, z + 1)[0]
        counts = np.where(classes == UNLABELLED, 0, 100).astype(np.uint8)
        if self.mask is not None and masked:
            under = self.mask.window(z, rows, columns) != 0
            counts[under & (counts > 0)] = round(100 * self.mask_weight)
        parts = [classes, counts]
        if architecture.extra:
            cells = self._cells(window)
            cells[..., 2] &= (classes != UNLABELLED).astype(np.uint8)
            parts += list(np.moveaxis(cells, -1, 0))
        found = np.stack(parts, -1)
        return found if architecture.plane is None else _nearest(found, architecture.plane)

    def cut(
        self, architecture: Architecture, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Input and target of a patch anywhere in space, as of :meth:`look` and :meth:`truth`.

        Labels count in the volume's training slices only; no target depends on others.
        """
        margin = target_halo(self.pixel) if architecture.extra else (0, 0)
        wide = random_cut(
            rng,
            shape=self.image.shape,
            voxel=self.voxel,
            slices=np.asarray(self.slices, dtype=np.intp),
            patch=architecture.patch,
            margin=margin,
        )
        inner = wide.inner(margin)
        image = self._scaled(inner.greys(self.image, architecture.slices))
        labels, z = nearest_values(inner, self.labels)
        used = np.isin(z, self.slices)
        classes = self.class_map.encode(np.where(used, labels, 0)[None], self.labels.name)[0]
        counts = np.where(used & (classes != UNLABELLED), 100, 0).astype(np.uint8)
        if self.mask is not None:
            under = nearest_values(inner, self.mask)[0] != 0
            counts[under & (counts > 0)] = round(100 * self.mask_weight)
        parts = [classes, counts]
        if not architecture.extra:
            return image, np.stack(parts, -1)
        if self.instances is None:
            parts += list(np.zeros((3, *classes.shape), np.uint8))
        else:
            values, at = nearest_values(wide, self.instances)
            unseen = ~np.isin(at, self.slices)
            cells = self.cells.read(np.where(unseen, 0, values), self.pixel)
            found = cell_targets(*cells, self.pixel, unseen)
            rows, columns = (
                slice(n, n + side) for n, side in zip(margin, classes.shape, strict=True)
            )
            found = found[rows, columns]
            found[..., 2] &= used & (classes != UNLABELLED)
            parts += list(np.moveaxis(found, -1, 0))
        return image, np.stack(parts, -1)

    def _cells(self, window: Window) -> NDArray[np.uint8]:
        """Contact, distance, and where known; as of the whole slice."""
        z, *sides = window
        inner = Box(sides)
        if self.instances is None:
            return np.zeros((*inner.shape, 3), np.uint8)
        wide = inner.grow(target_halo(self.pixel)).clip(self.instances.shape[1:])
        values = self.instances.window(z, *wide)
        found = cell_targets(*self.cells.read(values, self.pixel), self.pixel)
        return found[inner.relative_to(wide)]

    def _plane(self, architecture: Architecture, z: int) -> NDArray[np.float32]:
        """A whole slice, shrunk, as :mod:`hela_dask.unet.inference` does."""
        assert architecture.plane is not None
        shape = architecture.plane

        def make() -> NDArray[np.float32]:
            plane = self.image.plane(z)
            if architecture.channels != "binary":
                return self._scaled(shrink(plane, shape))
            assert self.preprocess is not None
            seen = self.preprocess(plane, self.pixel)
            return (shrink(seen.astype(np.float32), shape) >= 0.5).astype(np.float32)

        return self.image.cache.get((self.image.name, "plane", z), make)

    def _scaled(self, plane: NDArray[Any]) -> NDArray[np.float32]:
        low, high = self.greys
        return (plane.astype(np.float32) - np.float32(low)) * np.float32(1 / (high - low))


class Patches:
    """Batches of augmented patches; each depends on the seed, the epoch and its number alone.

    The first volume is the training volume, others are mixed in; `shares` of the volumes are 1
    together; `batch` is the number of patches per batch. InputError where a patch is larger than a
    slice.
    """

    def __init__(
        self,
        architecture: Architecture,
        labelled_volumes: Sequence[LabelledVolume],
        *,
        shares: Sequence[float] = (1.0,),
        batch: int = 8,
        seed: int = 0,
    ) -> None:
        self.architecture, self.labelled_volumes, self.shares = (
            architecture,
            tuple(labelled_volumes),
            shares,
        )
        self.batch, self.seed = batch, seed
        self._augment = AUGMENTATIONS[architecture.recipe.augmentation]
        if architecture.plane is None:
            for labelled_volume in labelled_volumes:
                _check_patch(architecture, labelled_volume)
        self._grid = _Grid(architecture, labelled_volumes[0])

    def __len__(self) -> int:
        """Number of batches that show everything once."""
        return max(1, self._grid.count // self.batch)

    @property
    def caches(self) -> list[Cache]:
        """Where the blocks of the volumes are kept."""
        found = {
            id(blocks.cache): blocks.cache
            for volume in self.labelled_volumes
            for blocks in (volume.image, volume.labels, volume.mask, volume.instances)
            if blocks is not None
        }
        return list(found.values())

    def one(
        self, epoch: int, number: int, make: Callable[[int, int], RawBatch] | None = None
    ) -> Batch:
        """A batch: images (n, y, x, channels) and targets (n, y, x, 2 or 5), float32.

        `make` gives what :meth:`raw` gives, made elsewhere.
        """
        images, targets = (make or self.raw)(epoch, number)
        return images, _floats(targets)

    def raw(self, epoch: int, number: int) -> RawBatch:
        """A batch with targets as they are kept, uint8."""
        pairs = [self._patch(epoch, number * self.batch + at) for at in range(self.batch)]
        images, targets = zip(*pairs, strict=True)
        return np.stack(images), np.stack(targets)

    def _patch(self, epoch: int, number: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        rng = np.random.default_rng((self.seed, epoch, number))
        labelled_volume = self.labelled_volumes[
            int(rng.choice(len(self.labelled_volumes), p=self.shares))
        ]
        placing = self.architecture.recipe.placing
        if placing == "space":
            return self._augment(*labelled_volume.cut(self.architecture, rng), rng)
        if placing == "grid" and labelled_volume is self.labelled_volumes[0]:
            window = self._grid.window(self._order(epoch, number))
        else:
            window = _anywhere(self.architecture, labelled_volume, rng)
        image = labelled_volume.look(self.architecture, window)
        return self._augment(image, labelled_volume.truth(self.architecture, window), rng)

    def _order(self, epoch: int, number: int) -> int:
        """Place of the grid of the patch of this number: each once before any twice."""
        turn, at = divmod(number, self._grid.count)
        return int(_shuffled(self.seed, epoch, turn, self._grid.count)[at])

    def validation(self, labelled_volume: LabelledVolume) -> Iterator[Batch]:
        """Batches of one that show all slices of a volume once, unchanged.

        Targets have weight 1 for each pixel, without the mask.
        """
        if self.architecture.plane is not None:
            for z in labelled_volume.slices:
                window = (
                    z,
                    slice(0, labelled_volume.image.shape[1]),
                    slice(0, labelled_volume.image.shape[2]),
                )
                image = labelled_volume.look(self.architecture, window)
                truth = labelled_volume.truth(self.architecture, window, masked=False)
                yield image[None], _floats(truth[None])
            return
        multiple = self.architecture.multiple
        parts = [_parts(length) for length in labelled_volume.image.shape[1:]]
        sides = [-(-max(b - a for a, b in some) // multiple) * multiple for some in parts]
        for z in labelled_volume.slices:
            for y in parts[0]:
                for x in parts[1]:
                    window = (z, slice(*y), slice(*x))
                    pad = [(0, sides[0] - (y[1] - y[0])), (0, sides[1] - (x[1] - x[0])), (0, 0)]
                    image = labelled_volume.look(self.architecture, window)
                    target = _floats(labelled_volume.truth(self.architecture, window, masked=False))
                    yield np.pad(image, pad, mode="symmetric")[None], np.pad(target, pad)[None]


@functools.lru_cache(maxsize=2)
def _shuffled(seed: int, epoch: int, turn: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch, turn, 1)).permutation(count)


class _Grid:
    """Places of patches that overlap by half, in all slices of a volume."""

    def __init__(self, architecture: Architecture, labelled_volume: LabelledVolume) -> None:
        self._slices, self._side = labelled_volume.slices, architecture.patch
        if architecture.plane is not None:
            self._side = (labelled_volume.image.shape[1], labelled_volume.image.shape[2])
        self._starts = [
            _starts(length, side)
            for length, side in zip(labelled_volume.image.shape[1:], self._side, strict=True)
        ]
        self.count = len(labelled_volume.slices) * len(self._starts[0]) * len(self._starts[1])

    def window(self, at: int) -> Window:
        """The place of a number."""
        rows, columns = self._starts
        rest, x = divmod(at, len(columns))
        z, y = divmod(rest, len(rows))
        height, width = self._side
        return (
            self._slices[z],
            slice(rows[y], rows[y] + height),
            slice(columns[x], columns[x] + width),
        )


def _starts(length: int, side: int) -> list[int]:
    """Half a side apart, the last one at the end."""
    step = max(1, side // 2)
    return [*range(0, length - side, step), length - side]


def _parts(length: int) -> list[tuple[int, int]]:
    """A length in equal parts, each of a bounded size."""
    count = -(-length // _VALIDATION)
    ends = [round(at * length / count) for at in range(count + 1)]
    return list(itertools.pairwise(ends))


def _check_patch(architecture: Architecture, labelled_volume: LabelledVolume) -> None:
    plane = labelled_volume.image.shape[1:]
    if any(side > length for side, length in zip(architecture.patch, plane, strict=True)):
        raise InputError(
            f"{labelled_volume.image.name} has slices of {plane[0]} x {plane[1]} pixels at "
            f"{labelled_volume.pixel[0]:g} nm, and patches of the model {architecture.name} are "
            f"{architecture.patch[0]} x {architecture.patch[1]}: it needs a larger image"
        )


def _anywhere(
    architecture: Architecture, labelled_volume: LabelledVolume, rng: np.random.Generator
) -> Window:
    z = int(rng.choice(labelled_volume.slices))
    shape = labelled_volume.image.shape[1:]
    sides = shape if architecture.plane is not None else architecture.patch
    rows, columns = (
        slice(start := int(rng.integers(0, length - side + 1)), start + side)
        for length, side in zip(shape, sides, strict=True)
    )
    return z, rows, columns


def _floats(targets: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Targets as the loss takes them."""
    found = targets.astype(np.float32)
    found[..., 0][targets[..., 0] == UNLABELLED] = 0
    found[..., 1] /= 100
    if found.shape[-1] > 2:
        found[..., 3] /= 255
    return found


def _nearest(plane: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """A plane on another grid: the pixel at each place."""
    y, x = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
        for new, old in zip(shape, plane.shape, strict=False)
    )
    found: NDArray[Any] = plane[y[:, None], x]
    return found
