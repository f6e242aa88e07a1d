"""All sources of a conversion behind one interface.

TIFF, MRC, OME-Zarr and .npy, read slices at a time.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hela_dask.conversion.readers.source import Role, Source
from hela_dask.errors import InputError, MissingInputError
from hela_dask.storage.formats import ZARR_MARKS, how_to_read, read_kind
from hela_dask.storage.level_array import LevelArray
from hela_dask.storage.metadata import local_path, read_image

__all__ = ["open_source"]

log = logging.getLogger(__name__)


def open_source(path: str | Path, role: Role = "grey") -> Source:
    """Open a folder of TIFF slices, a TIFF, MRC or ``.npy`` file, or an OME-Zarr for reading.

    Every header is read and checked, no voxel is (except for one slice of an MRC or TIFF with a
    header that leaves the type of its values open).

    Parameters
    ----------
    path : str or Path
        A folder of TIFF slices in natural order (z2 before z10; hidden files are passed over), a
        TIFF of one or many pages (OME-TIFF, also of several files, and ImageJ TIFF with their
        voxel size), an MRC, an OME-Zarr 0.4 or 0.5 image or label group (its finest level), or a
        ``.npy`` array.
    role : "grey" or "labels"
        The meaning of the values: grey levels are inverted if a TIFF declares white as zero and
        mapped through a grey palette; labels are taken as they are stored.

    Raises
    ------
    MissingInputError, InputError
        When there is nothing at `path`; when it is none of these, or is damaged: it is named.
    """
    from hela_dask.conversion.readers.arrays import open_npy
    from hela_dask.conversion.readers.mrc import open_mrc
    from hela_dask.conversion.readers.tiff_sets import open_folder, open_tiff

    path = local_path(path)
    if not path.exists():
        raise MissingInputError(
            f"{path} is a link to nothing" if path.is_symlink() else f"{path} does not exist"
        )
    if path.is_dir():
        if any((path / name).exists() for name in ZARR_MARKS):
            return _open_ome_zarr(path)
        return open_folder(path, role)
    kind = read_kind(path)
    if kind == "tiff":
        return open_tiff(path, role)
    if kind == "mrc":
        return open_mrc(path)
    if kind == "npy":
        return open_npy(path)
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
