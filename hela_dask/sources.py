"""What can be converted, behind one face: TIFF, MRC, OME-Zarr and .npy, read slices at a time."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.errors import HelaDaskError, InputError, MissingInputError
from hela_dask.storage.level_array import LevelArray
from hela_dask.storage.metadata import Triple, local_path, read_image

__all__ = ["Sizes", "Source", "open_source"]

Sizes = tuple[float | None, float | None, float | None]

_ZARR = ("zarr.json", ".zattrs", ".zgroup", ".zarray")
_TIFF = (".tif", ".tiff", ".btf", ".tf8")
_MRC = (".mrc", ".mrcs", ".rec", ".st", ".map", ".ali")


@dataclass(frozen=True)
class Source:
    """A volume in some file or folder, its header checked, its voxels not yet read.

    Attributes
    ----------
    path : Path
        What was opened.
    kind : str
        What it is, for people.
    shape : (z, y, x)
    dtype : numpy.dtype
        Of what :meth:`read` gives.
    sizes : (z, y, x)
        Voxel size in nm as far as the metadata state it; None where they do not.
    files : tuple of Path
        What its identity depends on: each slice, the one file, or all that hold the finest level.
    reader : callable
        ``reader(z0, z1)`` reads slices; use :meth:`read`.
    translation : (z, y, x)
        Centre of the first voxel in nm, where the metadata state it.
    remarks : tuple of str
        What is odd about it and was decided here: sentences for a warning.
    """

    path: Path
    kind: str
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    sizes: Sizes
    files: tuple[Path, ...]
    reader: Callable[[int, int], NDArray[Any]]
    translation: Triple = (0.0, 0.0, 0.0)
    remarks: tuple[str, ...] = ()

    @property
    def voxel_size(self) -> Triple | None:
        """z, y, x in nm, or None where the metadata do not state all three."""
        z, y, x = self.sizes
        return None if z is None or y is None or x is None else (z, y, x)

    def read(self, z0: int, z1: int) -> NDArray[Any]:
        """Slices `z0` to `z1` (from 0, end excluded), shape (z1 - z0, y, x).

        Raises
        ------
        InputError
            When a slice cannot be read; it is named.
        """
        try:
            block = self.reader(z0, z1)
        except HelaDaskError:
            raise
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise InputError(
                f"{self.path}: slices {z0 + 1} to {z1} cannot be read: {error}"
            ) from error
        return np.ascontiguousarray(block, dtype=self.dtype)


def open_source(path: str | Path) -> Source:
    """Open a folder of TIFF slices, a TIFF, MRC or ``.npy`` file, or an OME-Zarr for reading.

    Every header is read and checked, no voxel is.

    Parameters
    ----------
    path : str or Path
        A folder of TIFF slices in natural order (z2 before z10; hidden files are passed over), a
        TIFF of one or many pages (OME-TIFF and ImageJ TIFF with their voxel size), an MRC, an
        OME-Zarr 0.4 or 0.5 image or label group (its finest level), or a ``.npy`` array.

    Raises
    ------
    MissingInputError
        When there is nothing at `path`.
    InputError
        When it is none of these, or is damaged; the file is named.
    """
    from hela_dask.tiff_sources import open_folder, open_tiff

    path = local_path(path)
    if not path.exists():
        raise MissingInputError(f"{path} does not exist")
    if path.is_dir():
        if any((path / name).exists() for name in _ZARR):
            return _open_ome_zarr(path)
        return open_folder(path, _TIFF)
    suffix = path.suffix.lower()
    if suffix in _TIFF:
        return open_tiff(path)
    if suffix in _MRC:
        return _open_mrc(path)
    if suffix == ".npy":
        return _open_npy(path)
    raise InputError(
        f"{path} is no kind of file that can be read here: give a folder of TIFF slices, a TIFF, "
        "an MRC, an OME-Zarr or a .npy file"
    )


def _open_ome_zarr(path: Path) -> Source:
    image = read_image(path, unknown_scale=True)
    if not image.complete:
        raise InputError(f"{path} is not finished: complete the command that writes it first")
    level = image.levels[0]
    folder = image.path / level.path

    def read(z0: int, z1: int) -> NDArray[Any]:
        return LevelArray.of(image.path, level)[z0:z1]

    z, y, x = (None if math.isnan(size) else size for size in level.voxel_size)
    unknown = any(math.isnan(start) for start in level.translation)
    described = [path / name for name in _ZARR if (path / name).exists()]
    stored = sorted(file for file in folder.rglob("*") if file.is_file())
    return Source(
        path=path,
        kind=f"OME-Zarr {image.version}",
        shape=level.shape,
        dtype=image.dtype.newbyteorder("="),
        sizes=(z, y, x),
        files=(*described, *stored),
        reader=read,
        translation=(0.0, 0.0, 0.0) if unknown else level.translation,
        remarks=image.remarks,
    )


def _open_npy(path: Path) -> Source:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path} is not a .npy array: {error}") from error
    if array.ndim not in (2, 3) or array.size == 0:
        raise InputError(f"{path} has shape {array.shape}; a volume is (z, y, x) or (y, x)")
    volume = array.reshape((-1, *array.shape[-2:]))
    return Source(
        path=path,
        kind="a .npy array",
        shape=(volume.shape[0], volume.shape[1], volume.shape[2]),
        dtype=volume.dtype.newbyteorder("="),
        sizes=(None, None, None),
        files=(path,),
        reader=lambda z0, z1: np.asarray(volume[z0:z1]),
    )


def _open_mrc(path: Path) -> Source:
    import mrcfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers that are odd, yet can be read
            with mrcfile.mmap(path, mode="r") as file:
                header, data = file.header.copy(), file.data
                shape, dtype = data.shape, data.dtype
                offset = int(data.offset)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} is not a whole MRC file: {error}") from error
    if len(shape) not in (2, 3) or 0 in shape:
        raise InputError(f"{path} has shape {shape}; a volume is one stack of grey slices")
    axes = [int(header[name]) for name in ("mapc", "mapr", "maps")]
    if axes not in ([1, 2, 3], [0, 0, 0]):
        raise InputError(
            f"{path} has its axes in the order {axes}; columns, rows, sections "
            "(1, 2, 3) is what is read"
        )
    if dtype == np.int8 and _unsigned_bytes(header):
        dtype = np.dtype(np.uint8)
    deep, high, wide = (1, *shape)[-3:]

    def read(z0: int, z1: int) -> NDArray[Any]:
        volume = np.memmap(path, dtype, mode="r", offset=offset, shape=(deep, high, wide))
        return np.asarray(volume[z0:z1])

    return Source(
        path=path,
        kind="an MRC file",
        shape=(deep, high, wide),
        dtype=dtype.newbyteorder("="),
        sizes=_mrc_sizes(header),
        files=(path,),
        reader=read,
    )


def _unsigned_bytes(header: Any) -> bool:
    """Whether mode 0 means 0 to 255, as IMOD notes in words 39 and 40 of the header."""
    extra = bytes(header["extra2"].tobytes())
    order = header.dtype["mode"].byteorder
    stamp, flags = np.frombuffer(extra[40:48], np.dtype("i4").newbyteorder(order))
    return bool(stamp == 1146047817 and not flags & 1)


def _mrc_sizes(header: Any) -> Sizes:
    """Voxel size from the cell; 0 means unknown, and so does the 1 Å that writers leave there."""
    sizes: list[float | None] = []
    for axis, count in (("z", "mz"), ("y", "my"), ("x", "mx")):
        samples = int(header[count])
        angstrom = float(header["cella"][axis]) / samples if samples > 0 else 0.0
        known = math.isfinite(angstrom) and angstrom > 0
        sizes.append(round(angstrom, 6) / 10 if known else None)
    if all(size is not None and math.isclose(size, 0.1) for size in sizes):
        return None, None, None
    return _sizes(sizes)


def _sizes(values: Sequence[float | None]) -> Sizes:
    z, y, x = values
    return z, y, x
