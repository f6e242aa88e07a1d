"""HDF5 as a volume: a dataset that is named, or the only one with three axes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.conversion.readers.lengths import Found, agreed, voxel_length
from hela_dask.conversion.readers.optional import needed
from hela_dask.conversion.readers.source import Source
from hela_dask.conversion.readers.stored import StoredVolume, axis_names, choose, stored_source
from hela_dask.documents.reading import parse_json
from hela_dask.errors import HelaDaskError, InputError
from hela_dask.storage.formats import how_to_read, is_pointer
from hela_dask.storage.inside import INSIDE

__all__ = ["attribute_text", "check_dataset", "open_hdf5", "opened_hdf5", "read_dataset"]

_KIND = "an HDF5 file"
_MATLAB = "MATLAB_class"
_SIZE_NAMES = ("resolution", "voxel_size", "pixel_size")
_UNIT_NAMES = ("units", "unit", "resolution_unit", "voxel_size_unit")


@contextlib.contextmanager
def opened_hdf5(path: Path, kind: str = _KIND) -> Iterator[Any]:
    """Open an HDF5 file for reading; InputError where it is damaged."""
    h5py = needed("h5py", path, kind)
    with contextlib.suppress(ImportError):
        needed("hdf5plugin", path, kind)  # registers the filters of other programs
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except HelaDaskError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path} is {kind}, but not a whole one ({reason}): copy it again"
        ) from error


def open_hdf5(path: Path, container: Path, inside: str | None) -> Source:
    """A dataset of an HDF5 file: `inside`, or the only one with three axes.

    The voxel size is that of the attributes ``element_size_um`` (µm), ``resolution`` or
    ``voxel_size`` with a unit beside it, or ``axistags``; sizes that contradict are not used.
    """
    if container.stat().st_size == 0 or is_pointer(container):
        raise InputError(how_to_read(container))
    with opened_hdf5(container) as file:
        if "DataSetInfo" in file and "DataSet" in file:
            from hela_dask.conversion.readers.imaris import open_imaris

            return open_imaris(path, container, inside, file)
        place = inside or choose(container, _datasets(file), "dataset")
        dataset = named_dataset(container, file, place)
        path = Path(f"{container}{INSIDE}/{place}") if inside is None else path
        remarks = check_dataset(path, dataset)
        matlab = _MATLAB in dataset.attrs
        stated = "zxy" if matlab and dataset.ndim == 3 else _axes(path, dataset)
        axes = axis_names(path, dataset.shape, stated)
        sizes = _sizes(path, dataset, axes)
        if matlab:
            remarks.append("MATLAB stored it: rows are y, columns x, and pages z")
        volume = StoredVolume(
            path=path,
            kind=f"a dataset of an HDF5 file, {dataset.name}",
            shape=dataset.shape,
            dtype=dataset.dtype,
            axes=axes,
            read=lambda part: read_dataset(container, place, part),
            calibration=agreed(sizes),
            files=(container, *_other_files(container, dataset)),
            remarks=[*remarks, *_offset_remark(dataset)],
            facts={"dataset": dataset.name, "chunks": _chunks(dataset)},
        )
    return stored_source(volume)


def read_dataset(container: Path, place: str, part: tuple[slice, ...]) -> NDArray[Any]:
    """A part of a dataset, one slice per stored axis."""
    with opened_hdf5(container) as file:
        return np.asarray(file[place][part])


def named_dataset(container: Path, file: Any, place: str) -> Any:
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


def check_dataset(path: Path, dataset: Any) -> list[str]:
    """Refuse a dataset that would be read as its fill value; sentences about missing chunks."""
    lost = [file for file in _other_files(path, dataset) if not file.is_file()]
    if lost:
        raise InputError(
            f"{path} refers to values in {lost[0]}, which is not there: copy it there, too"
        )
    if not dataset.size or dataset.is_virtual or dataset.external:
        return []
    if dataset.id.get_storage_size() == 0:
        raise InputError(f"{path} has no data: its values were never written; copy it again")
    _check_filters(path, dataset)
    if dataset.chunks is None:
        return []
    wanted = int(np.prod([-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True)]))
    stored = dataset.id.get_num_chunks()
    if stored >= wanted:
        return []
    return [
        f"{wanted - stored} of its {wanted} chunks were never written; their voxels are read as "
        f"the fill value, {dataset.fillvalue}"
    ]


def _check_filters(path: Path, dataset: Any) -> None:
    h5py = needed("h5py", path, _KIND)
    plan = dataset.id.get_create_plist()
    for number in range(plan.get_nfilters()):
        code, _, _, name = plan.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            shown = (name or b"").decode("utf-8", "replace") or f"filter {code}"
            raise InputError(
                f"{path} is compressed by {shown}, which is not installed: pip install "
                "'hela_dask[formats]' has the usual ones, or save the dataset with gzip (h5repack)"
            )


def _other_files(container: Path, dataset: Any) -> tuple[Path, ...]:
    """Other files that hold values of a dataset: of a virtual one, or external ones."""
    names = [item.file_name for item in dataset.virtual_sources()] if dataset.is_virtual else []
    names += [item[0] for item in dataset.external or ()]
    folder = Path(dataset.file.filename).parent
    return tuple(folder / name for name in dict.fromkeys(names) if name != ".")


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


def attribute_text(value: Any) -> str:
    """The text of an attribute: a string, bytes, or an array of single characters."""
    if value is None:
        return ""
    array = np.asarray(value)
    if array.dtype.kind == "S":
        return b"".join(array.ravel().tolist()).decode("utf-8", "replace").strip("\0 ")
    if array.dtype.kind in "UO":
        parts = [
            item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
            for item in array.ravel().tolist()
        ]
        return "".join(parts).strip("\0 ")
    return str(value)
