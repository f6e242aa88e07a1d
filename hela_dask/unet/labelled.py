"""Images with their labels, checked against each other and read block by block."""

from __future__ import annotations

import functools
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.utils import SerializableLock
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.conversion.readers.source import Source
from hela_dask.conversion.sources import open_source
from hela_dask.conversion.suitability import check_volume, volume_remarks
from hela_dask.errors import InputError, ParameterError
from hela_dask.evaluation.labels_input import LabelSource, majority, open_labels
from hela_dask.formatting import by_axis, swapped_axes
from hela_dask.geometry import Geometry, checked_voxel_size
from hela_dask.storage.metadata import read_image
from hela_dask.storage.nodes import is_node
from hela_dask.types import Triple
from hela_dask.unet.targets import ClassMap
from hela_dask.volume.opening import as_volume, working_volume

__all__ = ["Blocks", "Cache", "count_classes", "image_blocks", "label_blocks", "open_image"]

log = logging.getLogger(__name__)

_BLOCK = (16, 512, 512)  # voxels that are read at a time, at most
_BUDGET = 512 * 2**20  # bytes that are kept

Array = NDArray[Any]


class Cache:
    """The last results, up to a number of bytes; for several threads. A copy starts empty."""

    def __init__(self, budget: int = _BUDGET) -> None:
        self.budget, self._bytes = budget, 0
        self._kept: OrderedDict[Hashable, Array] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Cache], tuple[int]]:
        return Cache, (self.budget,)

    def get(self, key: Hashable, make: Callable[[], Array]) -> Array:
        """The result of `make`, cached."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()  # two threads may make the same: it is the same
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._bytes += made.nbytes
            while self._bytes > self.budget and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return made


@dataclass(frozen=True)
class Blocks:
    """A volume that is read in blocks, of which the last are kept."""

    name: str  # its name in errors; no two in one cache are called the same
    # (z, y, x)
    shape: tuple[int, int, int]
    block: tuple[int, int, int]
    # ``read(box)`` gives the voxels of a box (z, y, x)
    read: Callable[[Box], Array]
    cache: Cache

    def values(self, window: Box) -> Array:
        """The voxels of a box within the volume."""
        found = []
        for place, part in window.chunks(self.block):
            box = Box.at(place, (1, 1, 1)).scale(self.block).clip(self.shape)
            kept = self.cache.get((self.name, place), functools.partial(self.read, box))
            found.append((part.relative_to(window), kept[part.relative_to(box)]))
        joined = np.empty(window.shape, found[0][1].dtype)
        for part, values in found:
            joined[part] = values
        return joined

    def window(self, z: int, rows: slice, columns: slice) -> Array:
        """A part of one slice, (y, x); `rows` and `columns` have a start and an end within it."""
        plane: Array = self.values(Box((slice(z, z + 1), rows, columns)))[0]
        return plane

    def plane(self, z: int) -> Array:
        """One whole slice."""
        return self.window(z, slice(0, self.shape[1]), slice(0, self.shape[2]))


def open_image(store: Any, pixel: float, size: Triple | None = None) -> xr.DataArray:
    """The volume to learn from, lazily, with pixels of at most `pixel` nm where it has them.

    `store` is the path of an OME-Zarr, a TIFF stack (a file or a folder), an MRC or ``.npy`` file,
    or a DataArray; `size` is that of a voxel, (z, y, x) in nm, if the file does not contain it.

    Raises
    ------
    MissingInputError, InputError
        When there is nothing there, or it cannot be read.
    ParameterError
        When the voxel size is not known.
    """
    size = None if size is None else checked_voxel_size(size)
    if isinstance(store, xr.DataArray):
        return working_volume(_with_size(store, size), pixel)
    if not isinstance(store, str | Path):
        raise InputError(
            "the image must be a path or an xarray.DataArray as hela_dask.open_volume returns it, "
            f"not {type(store).__name__}"
        )
    path = Path(store)
    if is_node(path):
        image = read_image(path)
        check_volume(image)
        for remark in volume_remarks(image):
            log.warning("%s", remark)
        _check_size(str(path), image.levels[0].voxel_size, size)
        return working_volume(path, pixel)
    source = open_source(path)
    source.warn()
    if size is not None and source.voxel_size is not None and _differ(size, source.voxel_size):
        log.warning(
            "%s states voxels of %s nm; the %s nm of --voxel-size are used instead",
            *(path, by_axis(source.voxel_size), by_axis(size)),
        )
    size = size or source.voxel_size
    if size is None:
        raise ParameterError(f"{path} does not state its voxel size: give it, --voxel-size Z Y X")
    _check_finite(source)
    # Not the object's own name for dask, which is another each time.
    name = f"planes-{tokenize([(str(file), file.stat().st_mtime_ns) for file in source.files])}"
    planes = _Planes(source.shape, source.dtype, source.read)
    lazy = da.from_array(planes, chunks=(1, *source.shape[1:]), name=name, fancy=False, lock=True)
    attrs = {"source": str(path), "level": 0}
    return working_volume(as_volume(lazy, Geometry(source.shape, size), path.name, attrs), pixel)


def _differ(one: Triple, other: Triple) -> bool:
    return not np.allclose(one, other, rtol=0.01)


def _with_size(volume: xr.DataArray, size: Triple | None) -> xr.DataArray:
    """A volume with the voxel size that is given, where it states none."""
    if size is None:
        return volume
    if "voxel_size" not in volume.attrs and not set(volume.coords) & set("zyx"):
        return volume.assign_attrs(voxel_size=size)
    _check_size("the image", Geometry.of(volume).voxel_size, size)
    return volume


def _check_size(name: str, stated: Triple, given: Triple | None) -> None:
    if given is not None and _differ(stated, given):
        raise ParameterError(
            f"{name} states voxels of {by_axis(stated)} nm, not {by_axis(given)}: leave "
            "--voxel-size out, or convert the image again with it, and train on that"
        )


def _check_finite(source: Source) -> None:
    """Warn of NaN in some slices; refuse it beside values below 0, where 0 is no frame."""
    if source.dtype.kind != "f":
        return
    last = source.shape[0] - 1
    for z in sorted({0, last // 2, last}):
        plane = source.read(z, z + 1)
        if np.isfinite(plane).all():
            continue
        if (plane < 0).any():
            raise InputError(
                f"{source.path} holds NaN or infinite values in slice {z + 1} beside values below "
                "0, so that 0 is no frame around the image: fill them with the lowest value"
            )
        log.warning(
            "%s holds NaN or infinite values: they are read as 0, as a frame around the image",
            source.path,
        )
        return


@dataclass(frozen=True)
class _Planes:
    """A source of slices as dask takes it."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    read: Callable[[int, int], Array]
    ndim: int = 3

    def __getitem__(self, box: tuple[int | slice, ...]) -> Array:
        z, *sides = box
        if not isinstance(z, slice):
            return self._framed(self.read(z, z + 1)[(0, *sides)])
        z0, z1, step = z.indices(self.shape[0])
        return self._framed(self.read(z0, z1)[(slice(None, None, step), *sides)])

    def _framed(self, block: Array) -> Array:
        """0, the grey value of a frame, for NaN: as of an OME-Zarr."""
        return np.where(np.isfinite(block), block, 0) if block.dtype.kind == "f" else block


def image_blocks(volume: xr.DataArray, name: str, cache: Cache) -> Blocks:
    """A volume's voxels, read by dask in this process."""
    data = volume.data if isinstance(volume.data, da.Array) else da.from_array(volume.data)
    z, y, x = data.shape
    deep = max(1, min(_BLOCK[0], max(data.chunks[0])))

    def read(box: Box) -> Array:
        # Here, even where a cluster is connected: images do not travel.
        return np.asarray(data[box].compute(scheduler="synchronous"))

    return Blocks(name, (z, y, x), (deep, *_BLOCK[1:]), read, cache)


def label_blocks(labels: Any, volume: xr.DataArray, name: str, cache: Cache) -> Blocks:
    """Labels on the grid of a volume; of a finer grid, the commonest of the pixels in one.

    MissingInputError where the path does not exist; InputError where they cannot be read, or are
    not on the volume's grid.
    """
    source = open_labels(labels, name)
    z, y, x = (int(volume.sizes[axis]) for axis in "zyx")
    factor = _factor(source, (z, y, x), Geometry.of(volume).voxel_size)
    side = [n * by for n, by in zip((y, x), factor, strict=True)]
    pad = [(0, whole - length) for whole, length in zip(side, source.shape[1:], strict=True)]

    one_at_a_time = SerializableLock()  # a file has one place that it is read at

    def read(box: Box) -> Array:
        with one_at_a_time:
            found = source.read(box[0].start, box[0].stop)
        return majority(np.pad(found, [(0, 0), *pad], mode="edge"), factor)

    plane = source.shape[1] * source.shape[2] * source.item
    deep = max(1, min(source.depth, _BLOCK[0], _BUDGET // (8 * plane)))
    return Blocks(source.name, (source.shape[0], y, x), (deep, y, x), read, cache)


def _factor(source: LabelSource, shape: Triple | Sequence[int], size: Triple) -> tuple[int, int]:
    """Pixels of the labels (y, x) in one of the image."""
    y, x = (
        max(1, round(own / there)) for own, there in zip(source.shape[1:], shape[1:], strict=True)
    )
    fits = all(
        -(-own // by) == there
        for own, by, there in zip(source.shape[1:], (y, x), shape[1:], strict=True)
    )
    if not fits or source.shape[0] > shape[0]:
        raise InputError(
            f"{source.name} is {by_axis(source.shape)} and the image, at {size[1]:g} nm, "
            f"{by_axis(shape)} voxels (z, y, x): labels have the image's grid, or one a whole "
            f"number of times as fine in y and x{swapped_axes(source.shape, shape)}"
        )
    if source.voxel_size is not None:
        own = (source.voxel_size[0], source.voxel_size[1] * y, source.voxel_size[2] * x)
        if not np.allclose(own, size, rtol=0.01):
            raise InputError(
                f"{source.name} has voxels of {by_axis(source.voxel_size)} nm, which do not make "
                f"the image's of {by_axis(size)} nm: labels cover the image voxel by voxel; "
                "correct the voxel size in their file (in Fiji: Image > Properties)"
            )
    return y, x


def missing_values(
    labels: Blocks, class_map: ClassMap, slices: Sequence[int]
) -> dict[str, list[int]]:
    """Values of each class that no pixel of these slices (from 0) has; only classes that miss any.

    Slices are read until all values were seen.
    """
    missing = {value: name for name, values in class_map.values.items() for value in values}
    for z in slices:
        plane = labels.plane(z)
        missing = {value: name for value, name in missing.items() if not (plane == value).any()}
        if not missing:
            break
    return {
        name: [value for value, its in missing.items() if its == name]
        for name in class_map.classes
        if name in missing.values()
    }


def count_classes(labels: Blocks, class_map: ClassMap, slices: Sequence[int]) -> NDArray[np.int64]:
    """Pixels of each class in each slice (from 0), (slices, classes); every value is checked.

    InputError where a value belongs to no class.
    """
    counts = np.empty((len(slices), len(class_map.classes)), np.int64)
    for row, z in enumerate(slices):
        found = class_map.encode(labels.plane(z)[None], labels.name, z + 1)
        counts[row] = np.bincount(found.ravel(), minlength=256)[: len(class_map.classes)]
    return counts
