"""What can be converted, behind one face: TIFF, MRC, OME-Zarr and .npy, read slices at a time."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hela_dask.errors import HelaDaskError, InputError, MissingInputError
from hela_dask.storage.formats import ZARR_MARKS, how_to_read, read_kind
from hela_dask.storage.level_array import LevelArray
from hela_dask.storage.metadata import Triple, local_path, read_image

__all__ = ["Role", "Sizes", "Source", "open_source"]

log = logging.getLogger(__name__)

Sizes = tuple[float | None, float | None, float | None]

Role = Literal["grey", "labels"]


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
    size_origins : (z, y, x)
        Where each size is from, or why there is none; empty where nothing is stated.
    facts : mapping
        More of what it states, for people: the order of the slices, the first and the last one,
        the photometry.
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
    size_origins: tuple[str, str, str] = ("", "", "")
    facts: Mapping[str, str] = field(default_factory=dict)

    def warn(self) -> None:
        """Log each remark as a warning."""
        for remark in self.remarks:
            log.warning("%s", remark)

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


def open_source(path: str | Path, role: Role = "grey") -> Source:
    """Open a folder of TIFF slices, a TIFF, MRC or ``.npy`` file, or an OME-Zarr for reading.

    Every header is read and checked, no voxel is (but one slice of an MRC or TIFF whose header
    leaves open what its values mean).

    Parameters
    ----------
    path : str or Path
        A folder of TIFF slices in natural order (z2 before z10; hidden files are passed over), a
        TIFF of one or many pages (OME-TIFF, also of several files, and ImageJ TIFF with their
        voxel size), an MRC, an OME-Zarr 0.4 or 0.5 image or label group (its finest level), or a
        ``.npy`` array.
    role : "grey" or "labels"
        What the values are: grey levels are inverted where a TIFF says that white is zero and
        mapped through a grey palette; labels are taken as they are stored.

    Raises
    ------
    MissingInputError
        When there is nothing at `path`.
    InputError
        When it is none of these, or is damaged; the file is named.
    """
    from hela_dask.conversion.readers.arrays import open_npy
    from hela_dask.conversion.readers.mrc import open_mrc
    from hela_dask.conversion.readers.tiff_sets import open_folder
    from hela_dask.conversion.readers.tiff_stack import open_tiff

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
    folder = image.path / level.path

    def read(z0: int, z1: int) -> NDArray[Any]:
        return LevelArray.of(image.path, level)[z0:z1]

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
