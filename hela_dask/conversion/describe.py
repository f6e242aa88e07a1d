"""Description of a volume, before or after its conversion.

The facts that the command info shows.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from hela_dask.conversion.grey_summary import grey_summary, grey_summary_of_source
from hela_dask.conversion.sources import open_source
from hela_dask.conversion.suitability import check_volume, volume_remarks
from hela_dask.errors import HelaDaskError, InputError
from hela_dask.storage.metadata import Image, Level, read_image
from hela_dask.storage.nodes import is_node
from hela_dask.storage.remote import forget, list_files
from hela_dask.storage.urls import StorePath, StoreUrl, local_folder, store_path
from hela_dask.units import voxel_size_warnings

__all__ = ["describe"]


def describe(store: str | Path | StoreUrl) -> dict[str, Any]:
    """Description of a volume, as a dictionary of plain values.

    Parameters
    ----------
    store : str, Path or StoreUrl
        An OME-Zarr image or label group, also at an address (http, https, s3, gs), or anything
        else that :func:`hela_dask.convert` reads.

    Returns
    -------
    dict
        ``path``, ``kind`` (of file, for people), ``version`` (of OME-Zarr, else None),
        ``complete``, ``shape`` (z, y, x), ``dtype``, ``voxel_size`` (nm, None along an axis where
        it is not known), ``voxel_size_from`` (where each is from, or why it is not known),
        ``extent`` (nm), ``translation`` (nm), ``levels``, ``size_on_disk`` (bytes, labels included;
        None for a server that lists no files), ``grey`` (see
        :func:`hela_dask.conversion.grey_summary.grey_summary`; None for labels and unfinished
        stores), ``labels``, ``facts`` (further metadata of files: order of slices, first and last
        one, missing numbers, photometry), ``source``, where this package wrote the store, and
        ``remarks``: peculiarities, sentences.

    Raises
    ------
    MissingInputError, InputError
        As :func:`hela_dask.volume.opening.read_image` and
        :func:`hela_dask.conversion.sources.open_source`.

    Examples
    --------
    >>> import hela_dask as hd
    >>> facts = hd.describe("hela.ome.zarr")
    >>> facts["shape"], facts["voxel_size"]
    ([64, 200, 200], [100.0, 80.0, 80.0])
    """
    path = store_path(store)
    if isinstance(path, StoreUrl):
        forget(str(path))
    if is_node(path):
        return _described_store(read_image(path, unknown_scale=True))
    if isinstance(path, StoreUrl):
        read_image(path)  # an error that names the files that are missing
    return _described_source(local_folder(path))


def _described_store(image: Image) -> dict[str, Any]:
    finest = image.levels[0]
    grey = image.complete and image.name == "image" and image.dtype.kind in "iuf"
    size = [None if math.isnan(step) else step for step in finest.voxel_size]
    origins = ["OME-Zarr scale" if step else "no scale, or no unit of length" for step in size]
    remarks = list(image.remarks)
    if image.complete and image.name == "image":
        remarks = list(volume_remarks(image))
        try:
            check_volume(image)
        except InputError as error:
            grey = False
            remarks.append(str(error))
    return {
        **_common(image.path, f"OME-Zarr {image.version}", finest.shape, image.dtype),
        **_size_facts(finest.shape, size, origins),
        "version": image.version,
        "complete": image.complete,
        "translation": [0.0 if math.isnan(start) else start for start in finest.translation],
        "levels": [_level_facts(level) for level in image.levels],
        "size_on_disk": _size_on_disk(image.path),
        "grey": grey_summary(image) if grey else None,
        "labels": [_label_facts(image.path / "labels" / name) for name in image.labels],
        "source": (image.attributes.get("source") or {}).get("path"),
        "remarks": remarks,
    }


def _described_source(path: Path) -> dict[str, Any]:
    as_labels = []
    try:
        source = open_source(path)
    except InputError as error:
        try:
            source = open_source(path, role="labels")
        except HelaDaskError:
            raise error from None
        as_labels = [f"{error}; as labels it can be read"]
    size = source.voxel_size
    doubts = () if size is None else voxel_size_warnings(source.shape, size)
    numbers = source.dtype.kind in "biuf"
    grey = grey_summary_of_source(source) if numbers else None
    remarks = [*as_labels, *source.remarks, *(f"{path} {doubt}" for doubt in doubts)]
    if not numbers:
        remarks.append(f"{path} holds {source.dtype.name} values, which are no grey levels")
    elif grey is None or grey["not_finite"]:
        count = "no finite value" if grey is None else f"{grey['not_finite']} values that are NaN "
        more = "" if grey is None else "or infinite in what was read of it"
        remarks.append(f"{path} holds {count}{more}: fill them before it is segmented")
    return {
        **_common(path, source.kind, source.shape, source.dtype),
        **_size_facts(source.shape, source.sizes, source.size_origins),
        "version": None,
        "complete": True,
        "translation": list(source.translation),
        "levels": [],
        "size_on_disk": sum(file.stat().st_size for file in source.files),
        "grey": grey,
        "labels": [],
        "facts": dict(source.facts),
        "source": None,
        "remarks": remarks,
    }


def _common(
    path: StorePath, kind: str, shape: Iterable[int], dtype: np.dtype[Any]
) -> dict[str, Any]:
    return {
        "path": str(path),
        "kind": kind,
        "shape": list(shape),
        "dtype": dtype.name,
        "facts": {},
    }


def _size_facts(
    shape: tuple[int, int, int], size: Iterable[float | None], origins: Iterable[str]
) -> dict[str, Any]:
    """Voxel size, where it is from, and extent."""
    steps = list(size)
    return {
        "voxel_size": steps,
        "voxel_size_from": list(origins),
        "extent": [
            None if step is None else length * step
            for length, step in zip(shape, steps, strict=True)
        ],
    }


def _level_facts(level: Level) -> dict[str, Any]:
    return {
        "path": level.path,
        "shape": list(level.shape),
        "voxel_size": list(level.voxel_size),
        "chunks": list(level.chunks),
        "shards": None if level.shards is None else list(level.shards),
    }


def _label_facts(path: StorePath) -> dict[str, Any]:
    try:
        image = read_image(path, unknown_scale=True)
    except HelaDaskError as error:
        return {"name": path.name, "error": str(error)}
    return {
        "name": path.name,
        "shape": list(image.levels[0].shape),
        "dtype": image.dtype.name,
        "complete": image.complete,
        "run": image.attributes.get("run"),
    }


def _size_on_disk(path: StorePath) -> int | None:
    if isinstance(path, StoreUrl):
        files = list_files(str(path))
        return None if files is None else sum(item.size or 0 for item in files.values())
    total, folders = 0, [str(path)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total
