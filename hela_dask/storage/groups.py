"""OME-Zarr groups: planned, built empty with their metadata, and annotated."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import DTypeLike
from zarr.storage import LocalStore

from hela_dask.errors import InputError
from hela_dask.geometry import checked_voxel_size
from hela_dask.storage.metadata import Image, Level
from hela_dask.storage.pyramid import plan_levels
from hela_dask.storage.shards import compressor
from hela_dask.types import Triple
from hela_dask.units import to_nm

__all__ = ["build_group", "label_levels", "note", "ome_zarr_writer", "planned"]

_AXES = ("z", "y", "x")
_UNITS = ("nanometer", "nanometer", "nanometer")


def planned(
    shape: Sequence[int],
    dtype: DTypeLike,
    voxel_size: Sequence[float],
    chunks: Sequence[int] | None,
    shards: Sequence[int] | None,
    *,
    translation: Triple = (0.0, 0.0, 0.0),
    tiled: bool = False,
    count: int | None = None,
    axes: tuple[str, ...] = _AXES,
) -> tuple[Level, ...]:
    """The levels of a new volume, after checks of the request."""
    if len(shape) != 3 or min(shape) < 1:
        raise InputError(f"a volume has a shape of three positive numbers, not {tuple(shape)}")
    size = checked_voxel_size(voxel_size)
    item = np.dtype(dtype).itemsize
    return plan_levels(
        shape,
        item,
        size,
        chunks,
        shards,
        translation=translation,
        tiled=tiled,
        count=count,
        axes=axes,
    )


def label_levels(
    image: Image,
    dtype: DTypeLike,
    *,
    shape: Sequence[int] | None = None,
    voxel_size: Sequence[float] | None = None,
    translation: Triple | None = None,
    chunks: Sequence[int] | None = None,
    shards: Sequence[int] | None = None,
) -> tuple[Level, ...]:
    """The levels of labels of an image: as many as it has, with its axes.

    The format wants the same number of levels; axes of length one are kept where they stand as
    the format wants them (time, channel, z, y, x). `shape`, `voxel_size` and `translation` are
    those of the finest level of the labels, where it is not that of the image; `chunks` and
    `shards` as in :func:`hela_dask.storage.store.create_image`.
    """
    finest = image.levels[0]
    regular = tuple(axis for axis in ("t", "c", *_AXES) if axis in finest.axes)
    return planned(
        finest.shape if shape is None else shape,
        dtype,
        finest.voxel_size if voxel_size is None else voxel_size,
        chunks,
        shards,
        translation=finest.translation if translation is None else translation,
        tiled=True,
        count=len(image.levels),
        axes=regular if regular == finest.axes else _AXES,
    )


def ome_zarr_writer() -> Any:
    """The module ``ome_zarr.writer``: slow to import, and not needed by the tasks of a run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its own use of its class Scaler
        import ome_zarr.writer
    return ome_zarr.writer


def build_group(
    path: Path,
    levels: Sequence[Level],
    dtype: DTypeLike,
    name: str,
    notes: Mapping[str, Any],
    units: Sequence[str] = _UNITS,
) -> None:
    """A group with one empty array a level and its multiscales metadata, written by ome-zarr.

    Lengths are written in `units` (z, y, x), by their names in the specification.
    """
    group = zarr.create_group(LocalStore(path), zarr_format=3)
    for level in levels:
        group.create_array(
            level.path,
            shape=level.stored(level.shape, 1),
            dtype=np.dtype(dtype),
            chunks=level.stored(level.chunks, 1),
            shards=None if level.shards is None else level.stored(level.shards, 1),
            compressors=compressor(),
            fill_value=0,
            dimension_names=level.axes,
        )
    datasets = [
        {
            "path": level.path,
            "coordinateTransformations": [
                {"type": "scale", "scale": _in_units(level, level.voxel_size, units, 1.0)},
                {
                    "type": "translation",
                    "translation": _in_units(level, level.translation, units, 0.0),
                },
            ],
        }
        for level in levels
    ]
    by_axis = dict(zip("zyx", units, strict=True))
    axes = [
        {"name": axis, "type": "space", "unit": by_axis[axis]}
        if axis in by_axis
        else {"name": axis, "type": {"t": "time", "c": "channel"}[axis]}
        for axis in levels[0].axes
    ]
    ome_zarr_writer().write_multiscales_metadata(group, datasets, axes=axes, name=name)
    made_by = f"hela_dask {importlib.metadata.version('hela_dask')}"
    group.attrs["hela_dask"] = {"created_by": made_by, **notes}


def _in_units(
    level: Level, lengths: Sequence[float], units: Sequence[str], other: float
) -> list[float]:
    """Lengths in nm (z, y, x) in other units, along all axes of the stored array."""
    found = []
    for length, unit in zip(lengths, units, strict=True):
        factor = to_nm(unit) or 1.0
        found.append(length if factor == 1 else float(f"{length / factor:.12g}"))
    return list(level.stored(found, other))


def note(path: Path, values: Mapping[str, Any]) -> None:
    """Add `values` to this package's metadata in the group."""
    group = zarr.open_group(LocalStore(path), mode="r+", zarr_format=3, use_consolidated=False)
    old: Any = group.attrs.asdict().get("hela_dask", {})
    group.attrs["hela_dask"] = {**old, **values}
