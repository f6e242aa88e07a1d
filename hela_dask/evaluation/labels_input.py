"""Labels to compare, wherever they are: one slab at a time, two of them on a common grid."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from hela_dask.conversion.sources import open_source
from hela_dask.errors import InputError, MissingInputError
from hela_dask.evaluation.class_maps import named_values
from hela_dask.evaluation.label_checks import check_label_array, checked_slices, standardise_axes
from hela_dask.formatting import by_axis, swapped_axes
from hela_dask.geometry import Geometry
from hela_dask.storage.inside import container_of
from hela_dask.storage.level_array import LevelArray
from hela_dask.storage.metadata import Image, read_image
from hela_dask.storage.nodes import is_node
from hela_dask.storage.remote import forget
from hela_dask.storage.urls import StorePath, StoreUrl, local_folder, store_path
from hela_dask.types import Labels
from hela_dask.volume.opening import open_volume

__all__ = ["LabelSource", "Pair", "Without", "majority", "open_labels", "pair_labels"]

log = logging.getLogger(__name__)

SLAB_BYTES = 32 * 2**20  # worth a read
SLAB_LIMIT = 256 * 2**20  # of one side, however deep its chunks are


@dataclass(frozen=True)
class LabelSource:
    """Labels that are read slices at a time."""

    name: str  # its name in errors
    shape: tuple[int, int, int]  # (z, y, x)
    voxel_size: tuple[float, float, float] | None  # (z, y, x) in nm, or None where it is not known
    depth: int  # slices that are stored together
    item: int  # bytes of a voxel
    read: Callable[[int, int], Labels]  # (z0, z1) -> (z1 - z0, y, x) array
    # Of a class map, see :func:`hela_dask.evaluation.class_maps.named_values`; None for instances,
    # and where nothing is known
    names: Mapping[str, tuple[int, ...]] | None = None


@dataclass(frozen=True)
class Without:
    """Labels, less the voxels where others are not 0: cells without their nuclei."""

    # As :func:`open_labels` takes them, of one shape
    labels: Any
    others: Any


def open_labels(labels: Any, name: str) -> LabelSource:
    """Labels from a path or an array.

    Parameters
    ----------
    labels : path, array or Without
        An OME-Zarr label group (its finest level), also at an address, a TIFF, MRC or ``.npy``
        file, a folder of TIFF slices (values as they are stored, never inverted), a DataArray, or
        anything with a shape, a dtype and slicing; (z, y, x), or (y, x) for one slice.
    name : str
        The name in errors of an array without a name.

    Raises
    ------
    MissingInputError, InputError
        When the path does not exist; when it cannot be read, has not two or three dimensions, or
        holds no whole numbers.
    """
    if isinstance(labels, str | Path | StoreUrl):
        return _not_negative(_from_path(store_path(labels)))
    if isinstance(labels, Without):
        return _without(open_labels(labels.labels, name), open_labels(labels.others, name))
    size = None
    if isinstance(labels, xr.DataArray):
        labels = standardise_axes(labels)
        try:
            size = Geometry.of(labels).voxel_size
        except InputError as error:
            level = logging.WARNING if labels.coords else logging.DEBUG
            log.log(level, "%s has no voxel size: %s", name, error)
        name = str(labels.attrs.get("source") or name)
        labels = labels.data
    if not hasattr(labels, "shape") or not hasattr(labels, "dtype"):
        raise InputError(f"{name} must be a path or an array, not {type(labels).__name__}")
    if isinstance(labels, np.ma.MaskedArray):
        raise InputError(f"{name} is a masked array: fill it first, as in labels.filled(0)")
    if any(math.isnan(length) for length in labels.shape):
        raise InputError(f"{name} has chunks of unknown length: call its compute_chunk_sizes()")
    return _not_negative(_from_array(labels, name, size))


def _not_negative(source: LabelSource) -> LabelSource:
    """Labels that are refused when a slice with a negative one is read."""

    def read(z0: int, z1: int) -> Labels:
        part = source.read(z0, z1)
        if part.dtype.kind == "i" and part.size and part.min() < 0:
            k = int(np.argmax((part < 0).any(axis=(1, 2))))
            raise InputError(
                f"{source.name} holds {part.min()} in slice {z0 + k + 1}: labels are not negative; "
                "save them with 0 where nothing is labelled"
            )
        return part

    return replace(source, read=read)


def _without(labels: LabelSource, others: LabelSource) -> LabelSource:
    if labels.shape != others.shape:
        raise InputError(
            f"{labels.name} is {by_axis(labels.shape)} and {others.name} {by_axis(others.shape)} "
            "voxels (z, y, x): labels that are taken from others must have their shape"
            f"{swapped_axes(labels.shape, others.shape)}"
        )

    def read(z0: int, z1: int) -> Labels:
        kept = np.array(labels.read(z0, z1))
        kept[others.read(z0, z1) != 0] = 0
        return kept

    return replace(
        labels,
        name=f"{labels.name} without {others.name}",
        depth=max(labels.depth, others.depth),
        item=labels.item + others.item,
        read=read,
    )


def _from_path(path: StorePath) -> LabelSource:
    if isinstance(path, StoreUrl):
        forget(str(path))
        read_image(path, unknown_scale=True)  # an error that names the files that are missing
    elif not container_of(path).exists():
        raise MissingInputError(f"no labels at {path}")
    if is_node(path):
        image = read_image(path, unknown_scale=True)
        for remark in image.remarks:
            log.warning("%s", remark)
        if image.labels:
            raise InputError(
                f"{path} is an image: name one of its labels, as in "
                f"{path / 'labels' / image.labels[0]}"
            )
        if any(math.isnan(size) for size in image.levels[0].voxel_size):
            found = _without_size(image)
        else:
            volume = open_volume(path)
            found = _from_array(volume.data, str(path), Geometry.of(volume).voxel_size)
        return replace(found, names=named_values(path))
    source = open_source(local_folder(path), role="labels")
    source.warn()
    check_label_array(source.dtype, source.shape, str(path))
    z, y, x = source.shape
    return LabelSource(
        str(path), (z, y, x), source.voxel_size, 1, np.dtype(source.dtype).itemsize, source.read
    )


def _without_size(image: Image) -> LabelSource:
    """Labels that state no voxel size: masks of other programs often have none."""
    if not image.complete:
        raise InputError(f"{image.path} is not finished: complete the run that writes it first")
    level = image.levels[0]
    found = _from_array(LevelArray.from_level(image.path, level), str(image.path), None)
    return replace(found, depth=level.file[0])


def _from_array(array: Any, name: str, size: tuple[float, float, float] | None) -> LabelSource:
    check_label_array(array.dtype, array.shape, name)
    flat = array.ndim == 2
    z, y, x = (1, *array.shape) if flat else array.shape
    chunks = getattr(array, "chunks", None)
    depth = 1 if flat or not chunks else int(np.max(chunks[0]))

    def read(z0: int, z1: int) -> Labels:
        part = array[None] if flat else array[z0:z1]
        # Threads of this process even where a cluster is connected: images stay here.
        part = part.compute(scheduler="threads") if hasattr(part, "dask") else part
        part = np.asarray(part)
        # In the byte order of this machine: compiled loops take no other.
        return part.astype(part.dtype.newbyteorder("="), copy=False)

    return LabelSource(name, (z, y, x), size, depth, np.dtype(array.dtype).itemsize, read)


def majority(labels: Labels, factor: tuple[int, int]) -> Labels:
    """The commonest label of every block of ``factor`` pixels (y, x); of equals, the smallest.

    `labels` are (z, y, x), y and x multiples of the factor.
    """
    fy, fx = factor
    if factor == (1, 1):
        return labels
    n, y, x = labels.shape
    shrunk = np.empty((n, y // fy, x // fx), labels.dtype)
    for plane, target in zip(labels, shrunk, strict=True):
        blocks = plane.reshape(y // fy, fy, x // fx, fx).swapaxes(1, 2).reshape(-1, fy * fx)
        first = blocks[:, 0].copy()
        # Only blocks on an outline hold several labels.
        mixed = np.flatnonzero((blocks != first[:, None]).any(axis=1))
        runs = np.sort(blocks[mixed], axis=1)
        best, length, longest = runs[:, 0].copy(), np.ones(mixed.size), np.ones(mixed.size)
        for column in range(1, fy * fx):
            length = np.where(runs[:, column] == runs[:, column - 1], length + 1, 1)
            longer = length > longest
            best[longer], longest[longer] = runs[longer, column], length[longer]
        first[mixed] = best
        target.ravel()[:] = first
    return shrunk


@dataclass(frozen=True)
class Pair:
    """A prediction and a truth on one grid, the coarser of the two."""

    prediction: LabelSource
    truth: LabelSource
    # ((y, x), (y, x)): The factors of each side
    reduce: tuple[tuple[int, int], tuple[int, int]]
    slices: tuple[int, int]  # (first, last): Evaluated slices, 1-based, both included
    voxel_size: tuple[float, float, float] | None  # (z, y, x) in nm of the common grid, or None

    def slabs(self, first: int, last: int) -> Iterator[tuple[int, Labels, Labels]]:
        """(index of the first slice, prediction, truth) of slabs from slice to slice, 1-based."""
        sides = (self.prediction, self.truth)
        plane = max(side.shape[1] * side.shape[2] * side.item for side in sides)
        stored = max(side.depth for side in sides)
        depth = max(1, min(max(SLAB_BYTES // plane, stored), SLAB_LIMIT // plane))
        z0 = first - 1
        while z0 < last:
            # Ends where stored chunks end, so that none is read twice.
            z1 = min(last, (z0 // depth + 1) * depth)
            parts = [
                majority(side.read(z0, z1), factor)
                for side, factor in zip(sides, self.reduce, strict=True)
            ]
            yield z0, parts[0], parts[1]
            z0 = z1

    def middle(self, side: LabelSource) -> Callable[[], Labels]:
        """Function that reads the middle one of the evaluated slices of a side, (y, x)."""
        z = sum(self.slices) // 2 - 1
        return lambda: side.read(z, z + 1)[0]


def pair_labels(
    prediction: LabelSource,
    truth: LabelSource,
    slices: tuple[int, int] | None,
    size: tuple[float, float, float] | None = None,
) -> Pair:
    """Bring two label volumes onto the coarser one's pixels.

    Equal in y and x, or one a whole number of times as fine as the other; slice k of one is
    slice k of the other.

    Parameters
    ----------
    slices : (first, last) or None
        1-based, both included; None for all, then both must have as many.
    size : (z, y, x) in nm or None
        Voxel size of the common grid; None to take it from the sources.

    Raises
    ------
    InputError
        When the shapes do not fit or the slices are not in both.
    """
    fits = [
        n // m if n % m == 0 else -(m // n) if m % n == 0 else 0
        for n, m in zip(prediction.shape[1:], truth.shape[1:], strict=True)
    ]
    if 0 in fits or (min(fits) < 0 and max(fits) > 1):
        raise InputError(
            f"{prediction.name} is {by_axis(prediction.shape[1:])} pixels and {truth.name} "
            f"{by_axis(truth.shape[1:])} (y, x): they must be equal, or one a whole number of "
            f"times the other{swapped_axes(truth.shape, prediction.shape)}"
        )
    finer_p = (max(fits[0], 1), max(fits[1], 1))
    finer_t = (max(-fits[0], 1), max(-fits[1], 1))
    depths = prediction.shape[0], truth.shape[0]
    if slices is None:
        if depths[0] != depths[1]:
            raise InputError(
                f"{prediction.name} has {depths[0]} slices and {truth.name} has {depths[1]}: "
                f"name those to compare, for example --slices 1:{min(depths)}"
                f"{swapped_axes(truth.shape, prediction.shape)}"
            )
        slices = (1, depths[0])
    slices = checked_slices(slices)
    if not 1 <= slices[0] <= slices[1] <= min(depths):
        raise InputError(
            f"slices {slices[0]}:{slices[1]} are not in 1:{min(depths)}, which "
            f"{prediction.name} and {truth.name} share (first slice 1, both ends included)"
        )
    return Pair(
        prediction,
        truth,
        (finer_p, finer_t),
        slices,
        size or _common_size(prediction, finer_p, truth, finer_t),
    )


def _common_size(
    prediction: LabelSource, p: tuple[int, int], truth: LabelSource, t: tuple[int, int]
) -> tuple[float, float, float] | None:
    sizes = [
        (side.voxel_size[0], side.voxel_size[1] * y, side.voxel_size[2] * x)
        for side, (y, x) in ((prediction, p), (truth, t))
        if side.voxel_size is not None
    ]
    if len(sizes) == 2 and not np.allclose(sizes[0], sizes[1], rtol=0.01):
        log.warning(
            "voxels of %s would be %s nm and of %s %s nm on one grid; the first are used",
            prediction.name,
            sizes[0],
            truth.name,
            sizes[1],
        )
    return sizes[0] if sizes else None
