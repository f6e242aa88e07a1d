"""Opening HDF5 files: their datasets, checked and read, and the text of their attributes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.conversion.readers.optional import needed
from hela_dask.errors import HelaDaskError, InputError

__all__ = [
    "attribute_text",
    "check_dataset",
    "opened_hdf5",
    "other_files",
    "read_dataset",
]

_KIND = "an HDF5 file"


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


def read_dataset(container: Path, place: str, part: tuple[slice, ...]) -> NDArray[Any]:
    """A part of a dataset, one slice per stored axis."""
    with opened_hdf5(container) as file:
        return np.asarray(file[place][part])


def check_dataset(path: Path, dataset: Any) -> list[str]:
    """Refuse a dataset that would be read as its fill value; sentences about missing chunks."""
    lost = [file for file in other_files(dataset) if not file.is_file()]
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


def other_files(dataset: Any) -> tuple[Path, ...]:
    """Other files that hold values of a dataset: of a virtual one, or external ones."""
    names = [item.file_name for item in dataset.virtual_sources()] if dataset.is_virtual else []
    names += [item[0] for item in dataset.external or ()]
    folder = Path(dataset.file.filename).parent
    return tuple(folder / name for name in dict.fromkeys(names) if name != ".")


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
