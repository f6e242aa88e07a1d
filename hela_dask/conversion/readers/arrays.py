"""NumPy's own files as a volume."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from hela_dask.conversion.readers.source import Source
from hela_dask.errors import InputError
from hela_dask.storage.formats import content_kind

__all__ = ["open_npy"]


def open_npy(path: Path) -> Source:
    """A ``.npy`` array (z, y, x), or (y, x) for one slice; leading axes of length 1 are dropped."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError, TypeError) as error:
        reason = _shortage(path) or f"{path} is not a .npy array: {error}"
        if path.is_file() and path.stat().st_size and content_kind(path) != "npy":
            reason = f"{path} is not a .npy array by its first bytes: save it with numpy.save"
        raise InputError(reason) from error
    if not isinstance(array, np.memmap):
        raise InputError(f"{path} is not a .npy array, but several: save the volume alone as .npy")
    if array.ndim < 2 or array.size == 0 or max(array.shape[:-3], default=1) > 1:
        raise InputError(f"{path} has shape {array.shape}; a volume is (z, y, x) or (y, x)")
    if array.dtype.kind not in "biuf":
        raise InputError(f"{path} holds {array.dtype} values; a volume holds numbers")
    volume = array.reshape((-1, *array.shape[-2:]))
    behind = path.stat().st_size - int(array.offset) - array.nbytes
    remarks = (
        (f"{path}: its header describes {array.nbytes} bytes of values, and {behind} more follow",)
        if behind > 0
        else ()
    )
    return Source(
        path=path,
        kind="a .npy array",
        shape=(volume.shape[0], volume.shape[1], volume.shape[2]),
        dtype=volume.dtype.newbyteorder("="),
        sizes=(None, None, None),
        files=(path,),
        reader=lambda z0, z1: np.asarray(volume[z0:z1]),
        remarks=remarks,
    )


def _shortage(path: Path) -> str | None:
    """The missing bytes of a file, if its header can be read."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            reader = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, _, dtype = reader(file)
            there = path.stat().st_size - file.tell()
        stated = math.prod(shape) * dtype.itemsize
    except (ValueError, EOFError, OSError, SyntaxError, TypeError, KeyError):
        return None
    if dtype.hasobject or there >= stated:
        return None
    return (
        f"{path} is truncated: its header states {stated} bytes of values (shape {shape}), and the "
        f"file has {there}; copy it again"
    )
