"""The levels that OME-Zarr metadata list: those that are there and fit, the finest first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr

from hela_dask.errors import HelaDaskError, InputError, MissingInputError
from hela_dask.storage.level import Level
from hela_dask.storage.nodes import open_array
from hela_dask.storage.ome import Axes, Dataset, Multiscale, Place
from hela_dask.storage.urls import StorePath
from hela_dask.types import Triple
from hela_dask.units import to_nm

__all__ = ["Pyramid", "read_pyramid"]

_LONGEST = 2**24  # voxels along an axis; 67 mm in pixels of 4 nm
_FARTHEST = 1e13  # nm, 10 km: coordinates of stages are centimetres
_SLACK = 2.0  # coarse voxels by which the extents of two levels may differ, and
_RELATIVE = 0.02  # this part of the extent


Opener = Callable[[str], "zarr.Array[Any]"]


@dataclass(frozen=True)
class Pyramid:
    """The levels of the metadata, as far as they can be used."""

    levels: tuple[Level, ...]  # finest first
    dtype: np.dtype[Any]
    axes: Axes
    remarks: tuple[str, ...]  # peculiarities and their treatment: sentences for a warning


@dataclass(frozen=True)
class _Listed:
    """A level that the metadata list; `array` is None where it is not there."""

    name: str
    place: Place
    array: zarr.Array[Any] | None
    problem: str = ""

    @property
    def voxel(self) -> float:
        """Size of a voxel in the units of the axes, whatever they are."""
        return math.prod((self.place.scale or {}).values())

    @property
    def voxels(self) -> int:
        return 0 if self.array is None else math.prod(self.array.shape)


def read_pyramid(path: StorePath, multiscale: Multiscale, opener: Opener | None = None) -> Pyramid:
    """The levels of the group at `path`, sorted by voxel size; reads metadata only.

    A coarser level that is missing or does not fit is left out, with a remark: it only saves
    time. Without the finest level there is nothing to read: an InputError, as where voxel sizes
    and shapes contradict. `opener` opens the array of a name where the group is in no folder.
    """
    opened = opener or (lambda name: open_array(path / name))
    axes = Axes.read(multiscale.axes, str(path))
    listed = [_listed(path, axes, multiscale, item, opened) for item in multiscale.datasets]
    ordered, remarks = _sorted(path, listed)
    finest, *coarser = ordered
    if finest.array is None:
        raise InputError(
            f"{path} has no readable array {finest.name!r}, its finest level: {finest.problem}"
        )
    remarks += _names_remark(path, axes, finest.name, finest.array)
    first = _level(path, axes, finest, finest.array)
    dtype = np.dtype(finest.array.dtype)
    if dtype.kind not in "biufc":
        raise InputError(f"{path} holds values of the type {dtype}, not numbers")
    levels = [first]
    for item in coarser:
        problem, level = _coarser(path, axes, item, first, dtype)
        if level is None:
            remarks.append(f"{path}: level {item.name!r} is left out: {problem}")
        else:
            levels.append(level)
    return Pyramid(tuple(levels), dtype, axes, tuple(remarks))


def _names_remark(path: StorePath, axes: Axes, name: str, array: zarr.Array[Any]) -> list[str]:
    """A sentence where the array's own names of its axes are others than the group's."""
    own = getattr(array.metadata, "dimension_names", None) or ()
    shown = [str(item).strip().lower() for item in own]
    if None in own or sorted(shown) != sorted(axes.names) or tuple(shown) == axes.names:
        return []
    return [
        f"{path}: the axes are {', '.join(axes.names)} by the metadata of the group, and "
        f"{', '.join(shown)} by those of its array {name!r}; the first are used: check that the "
        "volume is not turned"
    ]


def _listed(
    path: StorePath, axes: Axes, multiscale: Multiscale, dataset: Dataset, opener: Opener
) -> _Listed:
    steps = [
        *(dataset.coordinateTransformations or ()),
        *(multiscale.coordinateTransformations or ()),
    ]
    place = axes.place(steps, f"{path}: level {dataset.name!r}")
    try:
        array = opener(dataset.name)
    except MissingInputError:
        where = path / dataset.name
        problem = f"{where} holds no array" if where.exists() else f"the folder {where} is missing"
        return _Listed(
            dataset.name, place, None, f"{problem}; copy it from where the store is from"
        )
    except HelaDaskError as error:
        return _Listed(dataset.name, place, None, str(error))
    return _Listed(dataset.name, place, array)


def _sorted(path: StorePath, listed: Sequence[_Listed]) -> tuple[list[_Listed], list[str]]:
    """Finest first: by voxel size, or where the first states none, as they are listed."""
    if listed[0].place.scale is None:
        ordered = list(listed)
    else:
        ordered = sorted(
            listed,
            key=lambda item: (item.voxel if item.place.scale else math.inf, -item.voxels),
        )
    finest = ordered[0]
    most = max(ordered, key=lambda item: item.voxels)
    if finest.array is not None and most.voxels > finest.voxels:
        raise InputError(
            f"{path}: level {most.name!r} has more voxels than level {finest.name!r}, whose voxels "
            "are stated to be the finest: correct the scales or the order in its metadata"
        )
    if finest is listed[0]:
        return ordered, []
    return ordered, [
        f"{path} lists level {listed[0].name!r} before the finer {finest.name!r}; its levels are "
        "sorted by voxel size"
    ]


def _coarser(
    path: StorePath, axes: Axes, item: _Listed, finest: Level, dtype: np.dtype[Any]
) -> tuple[str, Level | None]:
    """A coarser level, or why it cannot be used."""
    if item.array is None:
        return item.problem, None
    if np.dtype(item.array.dtype) != dtype:
        return f"it holds {item.array.dtype}, the finest level {dtype}", None
    try:
        level = _level(path, axes, item, item.array)
    except InputError as error:
        return str(error), None
    for number, axis in enumerate("zyx"):
        ratio = level.voxel_size[number] / finest.voxel_size[number]
        wide, length = level.shape[number] * ratio, finest.shape[number]
        if not math.isnan(ratio) and abs(wide - length) > _SLACK * ratio + _RELATIVE * length:
            return (
                f"{level.shape[number]} voxels of {level.voxel_size[number]:g} nm along {axis} do "
                f"not cover the {length} of {finest.voxel_size[number]:g} nm of the finest level"
            ), None
    return "", level


def _level(path: StorePath, axes: Axes, item: _Listed, array: zarr.Array[Any]) -> Level:
    """One level, reduced to z, y, x and to nm."""
    name = item.name
    if array.ndim != len(axes.names):
        raise InputError(
            f"{path}: array {name!r} has {array.ndim} axes, its metadata {len(axes.names)}"
        )
    for axis, length in zip(axes.names, array.shape, strict=True):
        if axis not in "zyx" and length != 1:
            raise InputError(
                f"{path} has {length} positions along its axis {axis!r}; "
                "choose one (a single channel, a single time point) and save it as a store"
            )
        if not 1 <= length <= _LONGEST:
            raise InputError(
                f"{path}: array {name!r} states {length} voxels along {axis}; 1 to {_LONGEST} are "
                "read: its metadata is damaged"
            )
    if min(*array.chunks, *(array.shards or (1,))) < 1:
        raise InputError(
            f"{path}: array {name!r} has chunks of no voxels: its metadata are damaged"
        )
    size, start = _lengths(path, axes, item)
    return Level(
        path=name,
        shape=_zyx(axes, array.shape),
        voxel_size=size,
        translation=start,
        chunks=_zyx(axes, array.chunks),
        shards=None if array.shards is None else _zyx(axes, array.shards),
        axes=axes.names,
    )


def _lengths(path: StorePath, axes: Axes, item: _Listed) -> tuple[Triple, Triple]:
    """Voxel size and translation in nm; NaN where scale or unit are not known."""
    sizes, starts = dict[str, float](), dict[str, float]()
    for axis in axes.units:
        factor = to_nm(axes.unit(axis))
        scale = math.nan if item.place.scale is None else item.place.scale[axis]
        sizes[axis] = _nm(scale, factor)
        # Where no voxel stands for a length, a translation has none either.
        starts[axis] = _nm(item.place.shift[axis], factor) if not math.isnan(scale) else 0.0
        if math.isinf(sizes[axis]) or abs(starts[axis]) > _FARTHEST:
            raise InputError(
                f"{path}: level {item.name!r} states lengths along {axis} that cannot be: voxels "
                f"of {sizes[axis]:g} nm at {starts[axis]:g} nm"
            )
    sizes.setdefault("z", sizes["y"])
    return (sizes["z"], sizes["y"], sizes["x"]), (starts.get("z", 0.0), starts["y"], starts["x"])


def _nm(length: float, factor: float | None) -> float:
    """A length in nm, without the noise of the multiplication."""
    if factor is None:
        return math.nan
    return length if factor == 1 else float(f"{length * factor:.12g}")


def _zyx(axes: Axes, lengths: Sequence[int]) -> tuple[int, int, int]:
    by_name = {axis: int(length) for axis, length in zip(axes.names, lengths, strict=True)}
    return by_name.get("z", 1), by_name["y"], by_name["x"]
