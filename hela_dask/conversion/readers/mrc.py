"""MRC as a volume: headers of many programs, and bytes that may be signed or not."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any, Literal

import mrcfile
import numpy as np
from numpy.typing import NDArray

from hela_dask.conversion.readers.source import Sizes, Source
from hela_dask.errors import InputError
from hela_dask.storage.formats import how_to_read, is_pointer

__all__ = ["open_mrc"]

_IMOD_STAMP = 1146047817


def open_mrc(path: Path) -> Source:
    """An MRC file, its slices in the order of its sections.

    InputError where it is damaged, or no stack of grey slices.
    """
    if not path.is_file() or path.stat().st_size == 0 or is_pointer(path):
        raise InputError(how_to_read(path))
    _check_extension(path)
    header, data, remarks = _opened(path)
    shape, dtype, offset = data.shape, data.dtype, int(data.offset)
    del data
    if len(shape) not in (2, 3) or 0 in shape:
        raise InputError(f"{path} has shape {shape}; a volume is one stack of grey slices")
    axes = [int(header[name]) for name in ("mapc", "mapr", "maps")]
    if axes not in ([1, 2, 3], [0, 0, 0]):
        raise InputError(
            f"{path} has its axes in the order {axes}; columns, rows, sections "
            "(1, 2, 3) is what is read: reorder it (in IMOD: clip rotx, or trimvol -yz)"
        )
    deep, high, wide = (1, *shape)[-3:]
    remarks += _size_remarks(path, offset, (deep, high, wide), dtype)
    facts = {
        "order": "sections as stored",
        "first slice": "section 1",
        "last slice": f"section {deep}",
    }
    if dtype == np.int8:
        unsigned, why = _unsigned_bytes(header)
        dtype = np.dtype(np.uint8) if unsigned else dtype
        facts["bytes"] = f"{'unsigned' if unsigned else 'signed'}, {why}"
        if why.startswith("as its header"):
            remarks.append(
                f"its bytes are taken as unsigned, 0 to 255, {why}, though the MRC standard has "
                "them signed"
            )

    def read(z0: int, z1: int) -> NDArray[Any]:
        volume = np.memmap(path, dtype, mode="r", offset=offset, shape=(deep, high, wide))
        return np.asarray(volume[z0:z1])

    sizes, origins = _voxel_size(header)
    return Source(
        path=path,
        kind="an MRC file",
        shape=(deep, high, wide),
        dtype=dtype.newbyteorder("="),
        sizes=sizes,
        files=(path,),
        reader=read,
        remarks=tuple(f"{path}: {remark}" for remark in remarks),
        size_origins=origins,
        facts=facts,
    )


def _opened(path: Path) -> tuple[Any, Any, list[str]]:
    """Header, values (mapped, not read) and peculiarities; a header without marks is tried too."""
    remarks: list[str] = []
    for permissive in (False, True):
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                with mrcfile.mmap(path, mode="r", permissive=permissive) as file:
                    header, data = file.header.copy(), file.data
        except (OSError, ValueError, EOFError, OverflowError, MemoryError) as error:
            reason = str(error) or "its header asks for more memory than there is"
            continue
        if data is None:
            break
        if permissive:
            remarks += [
                f"its header is not that of an MRC2014 file ({str(item.message).rstrip('.')}); it "
                "is read as one"
                for item in caught
                if "larger than expected" not in str(item.message)
            ]
        return header, data, remarks
    raise InputError(f"{path} is not a whole MRC file: {_shortage(path) or reason}")


def _check_extension(path: Path) -> None:
    """Refuse an extended header that is longer than the file, for which mrcfile makes room."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(1024)
    order: Literal["big", "little"] = "big" if header[212:213] == b"\x11" else "little"
    length = int.from_bytes(header[92:96], order, signed=True)
    if length > size:
        raise InputError(
            f"{path} is not a whole MRC file: its header states an extended header of {length} "
            f"bytes, and the file has {size}"
        )


def _shortage(path: Path) -> str | None:
    """The number of missing slices of a file, if its header can be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with mrcfile.open(path, mode="r", permissive=True, header_only=True) as file:
                header = file.header.copy()
            dtype = mrcfile.utils.data_dtype_from_header(header)
        except (OSError, ValueError, EOFError, OverflowError, MemoryError):
            return None
    x, y, z = (int(header[name]) for name in ("nx", "ny", "nz"))
    there = path.stat().st_size - 1024 - int(header["nsymbt"])
    plane = x * y * dtype.itemsize
    if x <= 0 or y <= 0 or z <= 0:
        return f"its header states {x} x {y} x {z} voxels"
    if there >= z * plane:
        return None
    if there < plane:
        return (
            f"it is truncated or damaged, as its header states {x} x {y} x {z} voxels of "
            f"{z * plane} bytes, and the file has {max(there, 0)}"
        )
    return (
        f"it is truncated, as its header counts {z} slices and the file holds {there / plane:.1f}"
    )


def _size_remarks(
    path: Path, offset: int, shape: tuple[int, int, int], dtype: np.dtype[Any]
) -> list[str]:
    plane = shape[1] * shape[2] * dtype.itemsize
    there = path.stat().st_size - offset
    if there < (shape[0] + 1) * plane:
        return []
    return [
        f"its header counts {shape[0]} slices, but the file has room for {there / plane:.1f}: "
        "whether slices are missing is not known"
    ]


def _unsigned_bytes(header: Any) -> tuple[bool, str]:
    """Whether mode 0 means 0 to 255, and why.

    IMOD notes it in words 39 and 40 of the header. Without this note, the least and the largest
    value in the header decide, as in ITK and Bio-Formats; they are 0, or in the wrong order, where
    a program did not determine them.
    """
    extra = bytes(header["extra2"].tobytes())
    order = header.dtype["mode"].byteorder
    stamp, flags = np.frombuffer(extra[40:48], np.dtype("i4").newbyteorder(order))
    if stamp == _IMOD_STAMP:
        return not flags & 1, "as IMOD notes in the header"
    least, most = float(header["dmin"]), float(header["dmax"])
    if math.isfinite(least) and math.isfinite(most) and 0 <= least < most:
        return True, f"as its header gives values from {least:g} to {most:g}"
    return False, "as in the MRC standard"


def _voxel_size(header: Any) -> tuple[Sizes, tuple[str, str, str]]:
    """Voxel size from the cell; 0 means unknown, and so does the 1 Å that writers leave there."""
    sizes: list[float | None] = []
    for axis, count in (("z", "mz"), ("y", "my"), ("x", "mx")):
        samples = int(header[count])
        angstrom = float(header["cella"][axis]) / samples if samples > 0 else 0.0
        known = math.isfinite(angstrom) and round(angstrom, 6) > 0
        sizes.append(round(angstrom, 6) / 10 if known else None)
    if all(size is not None and math.isclose(size, 0.1) for size in sizes):
        reason = "MRC cell of 1 Å a voxel, which writers leave there"
        return (None, None, None), (reason, reason, reason)
    z, y, x = sizes
    origins = ["" if size is None else "MRC cell" for size in sizes]
    return (z, y, x), (origins[0], origins[1], origins[2])
