"""All sources of a conversion behind one interface.

TIFF, MRC, .npy, HDF5, Imaris, N5, DigitalMicrograph and OME-Zarr, read slices at a time.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hela_dask.conversion.readers.source import Role, Source
from hela_dask.errors import InputError, MissingInputError
from hela_dask.storage.formats import (
    DM_SUFFIXES,
    TIFF_SUFFIXES,
    ZARR_MARKS,
    how_to_read,
    is_n5,
    read_kind,
)
from hela_dask.storage.inside import INSIDE, split_inside
from hela_dask.storage.level_array import LevelArray
from hela_dask.storage.metadata import local_path, read_image

__all__ = ["open_source"]

log = logging.getLogger(__name__)


def open_source(path: str | Path, role: Role = "grey") -> Source:
    """Open a stack of slices in any format that is read here.

    Every header is read and checked, no voxel is (except for one slice of an MRC or TIFF with a
    header that leaves the type of its values open).

    Parameters
    ----------
    path : str or Path
        A folder of slices (TIFF, or DigitalMicrograph dm3 and dm4) in natural order (z2 before
        z10; hidden files are passed over); a TIFF of one or many pages (OME-TIFF, also of several
        files, and ImageJ TIFF with their voxel size); an MRC, dm3, dm4 or ``.npy`` file; an
        OME-Zarr 0.4 or 0.5 image or label group (its finest level), also zipped; an HDF5 or
        Imaris file or an N5 container. A place in one of the last four, or in a zip archive, is
        behind ``::``, as in ``file.h5::/volumes/raw``.
    role : "grey" or "labels"
        The meaning of the values: grey levels are inverted if a TIFF declares white as zero and
        mapped through a grey palette; labels are taken as they are stored.

    Raises
    ------
    MissingInputError, InputError
        When there is nothing at `path`; when it is none of these, or is damaged: it is named.
    MissingDependencyError
        When a package of the extra ``[formats]`` is needed and not installed.
    """
    path = local_path(path)
    container, inside = split_inside(path)
    if not container.exists():
        raise MissingInputError(
            f"{container} is a link to nothing"
            if container.is_symlink()
            else f"{container} does not exist"
        )
    if container.is_dir():
        return _open_folder(path, container, inside, role)
    kind = read_kind(container)
    if kind in ("hdf5", "zip"):
        return _open_container(path, container, inside, kind)
    if inside is not None:
        raise InputError(
            f"{container} has no places inside to be named behind {INSIDE}: HDF5, Imaris, N5 and "
            "zip archives have"
        )
    return _open_file(path, kind, role)


def _open_folder(path: Path, folder: Path, inside: str | None, role: Role) -> Source:
    from hela_dask.conversion.readers.folders import open_folder
    from hela_dask.conversion.readers.n5 import open_n5

    if any((folder / name).exists() for name in ZARR_MARKS):
        if inside is not None:
            raise InputError(f"{folder} is a Zarr folder: name the folder in it, {folder / inside}")
        return _open_ome_zarr(folder)
    if is_n5(folder) and (inside is not None or not _holds_slices(folder)):
        return open_n5(path, folder, inside)
    if inside is not None:
        raise InputError(f"{folder} is no N5 container: name a folder in it without {INSIDE}")
    return open_folder(folder, role)


def _holds_slices(folder: Path) -> bool:
    return any(item.suffix.lower() in (*TIFF_SUFFIXES, *DM_SUFFIXES) for item in folder.iterdir())


def _open_container(path: Path, container: Path, inside: str | None, kind: str) -> Source:
    from hela_dask.conversion.readers.hdf5 import open_hdf5
    from hela_dask.conversion.readers.zipped import open_zip

    if kind == "hdf5":
        return open_hdf5(path, container, inside)
    return open_zip(path, container, inside)


def _open_file(path: Path, kind: str | None, role: Role) -> Source:
    from hela_dask.conversion.readers.arrays import open_npy
    from hela_dask.conversion.readers.dm import open_dm
    from hela_dask.conversion.readers.mrc import open_mrc
    from hela_dask.conversion.readers.tiff_sets import open_tiff

    if kind == "tiff":
        return open_tiff(path, role)
    if kind == "mrc":
        return open_mrc(path)
    if kind == "npy":
        return open_npy(path)
    if kind == "dm":
        return open_dm(path)
    raise InputError(how_to_read(path))


def _open_ome_zarr(path: Path) -> Source:
    image = read_image(path, unknown_scale=True)
    if not image.complete:
        raise InputError(f"{path} is not finished: complete the command that writes it first")
    level = image.levels[0]
    folder = image.folder / level.path

    def read(z0: int, z1: int) -> NDArray[Any]:
        return LevelArray.from_level(image.path, level)[z0:z1]

    z, y, x = (None if math.isnan(size) else size for size in level.voxel_size)
    unknown = any(math.isnan(start) for start in level.translation)
    described = [path / name for name in ZARR_MARKS if (path / name).exists()]
    stored = sorted(file for file in folder.rglob("*") if file.is_file())
    return Source(
        path=path,
        kind=f"OME-Zarr {image.version}",
        shape=level.shape,
        dtype=image.dtype.newbyteorder("="),
        sizes=(z, y, x),
        size_origins=("OME-Zarr scale", "OME-Zarr scale", "OME-Zarr scale"),
        files=(*described, *stored),
        reader=read,
        translation=(0.0, 0.0, 0.0) if unknown else level.translation,
        remarks=image.remarks,
    )
