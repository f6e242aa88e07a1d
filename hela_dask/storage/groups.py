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
from hela_dask.storage.metadata import Level, Triple
from hela_dask.storage.pyramid import checked_voxel_size, plan_levels
from hela_dask.storage.shards import compressor

__all__ = ["build_group", "note", "ome_zarr_writer", "planned"]


def planned(
    shape: Sequence[int],
    dtype: DTypeLike,
    voxel_size: Sequence[float],
    chunks: Sequence[int] | None,
    shards: Sequence[int] | None,
    *,
    translation: Triple = (0.0, 0.0, 0.0),
    tiled: bool = False,
) -> tuple[Level, ...]:
    """The levels of a new volume, after checks of what was asked for."""
    if len(shape) != 3 or min(shape) < 1:
        raise InputError(f"a volume has a shape of three positive numbers, not {tuple(shape)}")
    size = checked_voxel_size(voxel_size)
    item = np.dtype(dtype).itemsize
    return plan_levels(shape, item, size, chunks, shards, translation=translation, tiled=tiled)


def ome_zarr_writer() -> Any:
    """The module ``ome_zarr.writer``: slow to import, and not needed by the tasks of a run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its own use of its class Scaler
        import ome_zarr.writer
    return ome_zarr.writer


def build_group(
    path: Path, levels: Sequence[Level], dtype: DTypeLike, name: str, notes: Mapping[str, Any]
) -> None:
    """A group with one empty array a level and its multiscales metadata, written by ome-zarr."""
    group = zarr.create_group(LocalStore(path), zarr_format=3)
    for level in levels:
        group.create_array(
            level.path,
            shape=level.shape,
            dtype=np.dtype(dtype),
            chunks=level.chunks,
            shards=level.shards,
            compressors=compressor(),
            fill_value=0,
            dimension_names=("z", "y", "x"),
        )
    datasets = [
        {
            "path": level.path,
            "coordinateTransformations": [
                {"type": "scale", "scale": list(level.voxel_size)},
                {"type": "translation", "translation": list(level.translation)},
            ],
        }
        for level in levels
    ]
    axes = [{"name": axis, "type": "space", "unit": "nanometer"} for axis in "zyx"]
    ome_zarr_writer().write_multiscales_metadata(group, datasets, axes=axes, name=name)
    made_by = f"hela_dask {importlib.metadata.version('hela_dask')}"
    group.attrs["hela_dask"] = {"created_by": made_by, **notes}


def note(path: Path, values: Mapping[str, Any]) -> None:
    """Add `values` to what this package notes in the group."""
    group = zarr.open_group(LocalStore(path), mode="r+")
    old: Any = group.attrs.asdict().get("hela_dask", {})
    group.attrs["hela_dask"] = {**old, **values}
