"""HDF5 as a volume: a dataset that is named, or the only one with three axes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.conversion.readers.hdf5_file import (
    attribute_text,
    check_dataset,
    opened_hdf5,
    other_files,
    read_dataset,
)
from hela_dask.conversion.readers.imaris import open_imaris
from hela_dask.conversion.readers.lengths import Found, agreed, voxel_length
from hela_dask.conversion.readers.optional import needed
from hela_dask.conversion.readers.source import Source
from hela_dask.conversion.readers.stored import StoredVolume, axis_names, choose, stored_source
from hela_dask.documents.reading import parse_json
from hela_dask.errors import InputError
from hela_dask.storage.formats import how_to_read, is_pointer
from hela_dask.storage.inside import INSIDE

__all__ = ["open_hdf5"]

_KIND = "an HDF5 file"
_MATLAB = "MATLAB_class"
_BIGDATAVIEWER = re.compile(r"/t\d{5,}/s\d{2,}/\d+/cells$")
_SIZE_NAMES = ("resolution", "voxel_size", "pixel_size")
_UNIT_NAMES = ("units", "unit", "resolution_unit", "voxel_size_unit")


def open_hdf5(path: Path, container: Path, inside: str | None) -> Source:
    """A dataset of an HDF5 file: `inside`, or the only one with three axes.

    The voxel size is that of the attributes ``element_size_um`` (µm), ``resolution`` or
    ``voxel_size`` with a unit beside it, or ``axistags``; sizes that contradict are not used.
    """
    if container.stat().st_size == 0 or is_pointer(container):
        raise InputError(how_to_read(container))
    with opened_hdf5(container) as file:
        if "DataSetInfo" in file and "DataSet" in file:
            return open_imaris(path, container, inside, file)
        place = inside or choose(container, _finest(_datasets(file)), "dataset")
        dataset = _named_dataset(container, file, place)
        path = Path(f"{container}{INSIDE}/{place}") if inside is None else path
        remarks = check_dataset(path, dataset)
        matlab = _MATLAB in dataset.attrs
        stated = "zxy" if matlab and dataset.ndim == 3 else _axes(path, dataset)
        axes = axis_names(path, dataset.shape, stated)
        sizes = _sizes(path, dataset, axes)
        if matlab:
            remarks.append("MATLAB stored it: rows are y, columns x, and pages z")
        unsigned = np.dtype(np.uint16) if _is_unsigned(dataset) else None
        if unsigned is not None:
            remarks.append(
                "BigDataViewer stores unsigned values as signed ones: they are read as unsigned; "
                "its voxel size is in its XML file, which is not read"
            )
        volume = StoredVolume(
            path=path,
            kind=f"a dataset of an HDF5 file, {dataset.name}",
            shape=dataset.shape,
            dtype=unsigned or dataset.dtype,
            axes=axes,
            read=lambda part: _as(read_dataset(container, place, part), unsigned),
            calibration=agreed(sizes),
            files=(container, *other_files(dataset)),
            remarks=[*remarks, *_offset_remark(dataset)],
            facts={"dataset": dataset.name, "chunks": _chunks(dataset)},
        )
    return stored_source(volume)


def _named_dataset(container: Path, file: Any, place: str) -> Any:
    """The dataset at a place of a file, or an InputError with those that there are."""
    h5py = needed("h5py", container, _KIND)
    try:
        found = file[place] if place else file
    except KeyError:
        found = None
    if isinstance(found, h5py.Dataset):
        return found
    what = "is a group" if found is not None else "is not there"
    names = list(_datasets(file))
    shown = ", ".join(f"/{name}" for name in names[:8]) or "none"
    raise InputError(f"{container}: /{place} {what}; the datasets of the file are: {shown}")


def _datasets(file: Any) -> dict[str, Any]:
    """The datasets of numbers in a file, by their paths."""
    h5py = needed("h5py", Path(file.filename), _KIND)
    found = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape and item.dtype.kind in "biuf":
            found[name] = item

    file.visititems(visit)
    return found


def _is_unsigned(dataset: Any) -> bool:
    """Whether a dataset is one of BigDataViewer's, which are unsigned though HDF5 has int16."""
    return bool(_BIGDATAVIEWER.match(dataset.name)) and dataset.dtype == np.int16


def _as(block: NDArray[Any], dtype: np.dtype[Any] | None) -> NDArray[Any]:
    return block if dtype is None else block.astype(np.int16, copy=False).view(dtype)


def _finest(found: Mapping[str, Any]) -> dict[str, Any]:
    """The same without the coarser levels of BigDataViewer."""
    return {
        name: item
        for name, item in found.items()
        if not _BIGDATAVIEWER.match(f"/{name}") or name.split("/")[2] == "0"
    }


def _chunks(dataset: Any) -> str:
    return "none" if dataset.chunks is None else " x ".join(map(str, dataset.chunks))


def _axes(path: Path, dataset: Any) -> list[str] | None:
    """The names of the axes, of ilastik's ``axistags`` or of the labels of HDF5's dimensions."""
    tags = _axis_tags(path, dataset)
    if tags is not None:
        return [str(tag.get("key", "")) for tag in tags]
    labels = [str(item.label).strip().lower() for item in dataset.dims]
    return labels if {"y", "x"} <= set(labels) else None


def _axis_tags(path: Path, dataset: Any) -> list[Mapping[str, Any]] | None:
    text = attribute_text(dataset.attrs.get("axistags"))
    if not text:
        return None
    try:
        tags = parse_json(text, "axistags")["axes"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: its attribute axistags cannot be read: {error}") from error
    if not (isinstance(tags, list) and all(isinstance(tag, dict) for tag in tags)):
        raise InputError(f"{path}: its attribute axistags is no list of axes")
    return tags


def _sizes(path: Path, dataset: Any, axes: tuple[str, ...]) -> list[dict[str, Found]]:
    """Voxel sizes that the attributes of a dataset state, each axis by axis."""
    found = []
    if "element_size_um" in dataset.attrs:
        found.append(_by_axis(dataset, "element_size_um", axes, "µm"))
    unit = next((dataset.attrs[name] for name in _UNIT_NAMES if name in dataset.attrs), "")
    found += [_by_axis(dataset, name, axes, unit) for name in _SIZE_NAMES if name in dataset.attrs]
    tags = _axis_tags(path, dataset) or []
    found.append(
        {
            str(tag.get("key")).lower(): voxel_length(
                tag["resolution"], str(tag.get("unit") or ""), "HDF5 axistags, resolution"
            )
            for tag in tags
            if tag.get("resolution")
        }
    )
    return found


def _by_axis(dataset: Any, name: str, axes: tuple[str, ...], unit: Any) -> dict[str, Found]:
    """An attribute with a length per axis, in the order of the stored axes."""
    origin = f"HDF5 attribute {name}"
    values = np.atleast_1d(dataset.attrs[name])
    spatial = [axis for axis in axes if axis in ("z", "y", "x")]
    named = axes if len(values) == len(axes) else tuple(spatial)
    if len(values) != len(named) or values.dtype.kind not in "iuf":
        shown = " ".join(map(str, values[:5]))
        return dict.fromkeys("zyx", (None, f"{origin} is {shown}, not one number per axis"))
    units = [attribute_text(item) for item in np.atleast_1d(unit)]
    units = units if len(units) == len(named) else [units[0] if units else ""] * len(named)
    return {
        axis: voxel_length(value, text, origin)
        for axis, value, text in zip(named, values, units, strict=True)
        if axis in ("z", "y", "x")
    }


def _offset_remark(dataset: Any) -> list[str]:
    offset = dataset.attrs.get("offset")
    if offset is None or not np.any(offset):
        return []
    shown = " ".join(map(str, np.atleast_1d(offset)[:5]))
    return [f"its attribute offset ({shown}) is not applied: positions begin at its first voxel"]
