"""Instance labels of organelles on the grid of a run's labels, read box by box."""

from __future__ import annotations

import functools
import logging
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.conversion.readers.source import Source
from hela_dask.conversion.sources import open_source
from hela_dask.errors import InputError
from hela_dask.evaluation.label_checks import check_label_array
from hela_dask.geometry import Geometry
from hela_dask.storage.level_array import LevelArray
from hela_dask.storage.metadata import Image, Level, read_image
from hela_dask.storage.nodes import is_node
from hela_dask.tasks.markers import fingerprint
from hela_dask.types import Shape

__all__ = ["BLOCK", "OrganelleLabels", "open_organelles", "tile_of"]

log = logging.getLogger(__name__)

BLOCK = 2**22
"""Voxels of the run's labels that a task works on at a time."""

_HELD = 2**27  # bytes of planes of a TIFF that are held beside a block, if one plane has less
_SAME = 0.01  # voxel sizes of one grid differ by less than this part
_LARGEST = np.iinfo(np.int64).max


@dataclass(frozen=True)
class OrganelleLabels:
    """Labels of organelles, read on the finest grid of a run's labels; small, workers open them."""

    path: Path  # absolute
    key: str  # fingerprint of the files
    factors: Shape  # fine voxels (z, y, x) per voxel of the organelles
    shape: Shape  # of the organelles
    grid: Shape  # fine voxels
    tile: Shape  # fine voxels that a task works on at a time
    planes: bool  # whether whole planes are read, as from a TIFF: those of a tile's slices at once
    item: int  # bytes per voxel

    @property
    def held(self) -> int:
        """Bytes of the planes that are held beside a tile."""
        slices = -(-self.tile[0] // self.factors[0])
        return slices * math.prod(self.shape[1:]) * self.item if self.planes else 0

    @property
    def end(self) -> Shape:
        """The fine voxel after the last that has a label, along each axis."""
        z, y, x = (
            min(length * by, fine)
            for length, by, fine in zip(self.shape, self.factors, self.grid, strict=True)
        )
        return z, y, x

    def blocks(self, box: Box) -> Iterator[tuple[Box, NDArray[np.int64]]]:
        """The parts of a box of fine voxels that a task works on, each with its labels.

        They are 0 where the organelles' array ends before the volume. InputError for labels under 0
        or over 2**63 - 1.
        """
        deep = (self.tile[0], *(side.stop for side in box[1:]))
        for _, slab in box.chunks(deep):
            stored = self._stored(slab) if self.planes else None
            for _, block in slab.chunks(self.tile):
                yield block, self._fine(block, *(stored or self._stored(block)))

    def _stored(self, box: Box) -> tuple[Box, NDArray[Any]]:
        """The voxels of the organelles that a box of fine ones has a part of, and their labels."""
        coarse = box.coarsen(self.factors).clip(self.shape)
        if coarse.empty:
            return coarse, np.zeros(coarse.shape, np.uint8)
        source = _opened(self.path, self.key, threading.get_ident())
        if isinstance(source, LevelArray):
            part = source[tuple(coarse)]
        else:
            z, y, x = coarse
            part = source.read(z.start, z.stop)[:, y, x]
        self._check(part, coarse.low[0])
        return coarse, part

    def _fine(self, box: Box, stored: Box, labels: NDArray[Any]) -> NDArray[np.int64]:
        """Labels of a box of fine voxels, from stored ones that cover it."""
        coarse = box.coarsen(self.factors).clip(self.shape)
        part = labels[coarse.relative_to(stored)]
        for axis, by in enumerate(self.factors):
            if by > 1:
                part = np.repeat(part, by, axis=axis)
        scaled = coarse.scale(self.factors)
        there = scaled & box
        fine = np.zeros(box.shape, np.int64)
        fine[there.relative_to(box)] = part[there.relative_to(scaled)]
        return fine

    def _check(self, part: NDArray[Any], z: int) -> None:
        if part.dtype.kind == "i" and part.min() < 0:
            k = int(np.argmax((part < 0).any(axis=(1, 2))))
            raise InputError(
                f"{self.path} holds {part.min()} in slice {z + k + 1}: labels are not negative; "
                "save them with 0 where nothing is labelled"
            )
        if part.dtype == np.uint64 and part.max() > _LARGEST:
            raise InputError(
                f"{self.path} holds the label {part.max()}, and labels go up to {_LARGEST}: "
                "number the organelles anew"
            )


@functools.lru_cache(maxsize=64)  # the headers of a folder of TIFFs are read once per thread
def _opened(path: Path, key: str, thread: int) -> LevelArray | Source:
    """The labels, opened by a thread: the file of a compressed TIFF serves one at a time.

    `key` is that of the files, so that changed ones are opened again.
    """
    if is_node(path):
        image = read_image(path, unknown_scale=True)
        return LevelArray.from_level(image.path, image.levels[0])
    return open_source(path, role="labels")


def open_organelles(path: Path, cells: Image) -> OrganelleLabels:
    """Open the labels of organelles, and check that they lie on the labels of a run.

    Parameters
    ----------
    path : Path
        A label group of an OME-Zarr (its finest level), a TIFF, MRC or ``.npy`` file, or a folder
        of TIFF slices; of the shape of the image, or a whole number of times coarser along each
        axis.
    cells : Image
        The labels of the run's cells.

    Raises
    ------
    MissingInputError, InputError
        When there is nothing at `path`; when it holds no instance labels, or its shape, voxel size
        or place contradicts that of the image.
    """
    stored = is_node(path)
    if stored and (names := read_image(path, unknown_scale=True).labels):
        raise InputError(
            f"{path} is an image: name one of its labels, as in {path / 'labels' / names[0]}"
        )
    source = open_source(path, role="labels")
    source.warn()
    check_label_array(source.dtype, source.shape, str(path))
    if source.dtype == np.bool_:
        raise InputError(
            f"{path} is a mask: give each organelle a number first, as "
            "scipy.ndimage.label(mask)[0] does for separate pieces"
        )
    level = cells.levels[0]
    factors = _factors(source, level.shape)
    _check_voxel_size(source, factors, level.geometry)
    planes = not source.kind.startswith("OME-Zarr")
    if not planes:
        _check_place(source, factors, level.geometry)
    return OrganelleLabels(
        path=path.absolute(),
        key=_fingerprint(source),
        factors=factors,
        shape=source.shape,
        grid=level.shape,
        tile=tile_of(level, factors[0], _most_planes(source) if planes else None),
        planes=planes,
        item=source.dtype.itemsize,
    )


def _factors(source: Source, shape: Shape) -> Shape:
    """How many fine voxels (z, y, x) make one of the organelles; the last may be cut or missing."""
    found = []
    for length, fine in zip(source.shape, shape, strict=True):
        by = max(1, round(fine / length))
        if length not in (-(-fine // by), fine // by):
            raise InputError(
                f"{source.path} has {_by(source.shape)} voxels and the image {_by(shape)} "
                "(z x y x x): organelles must have the shape of the image, or be a whole number "
                "of times coarser along each axis"
            )
        found.append(by)
    return found[0], found[1], found[2]


def _by(lengths: Shape) -> str:
    return " x ".join(map(str, lengths))


def _nm(sizes: Any) -> str:
    return " x ".join("?" if size is None else f"{size:g}" for size in sizes)


def _check_voxel_size(source: Source, factors: Shape, fine: Geometry) -> None:
    wanted = tuple(size * by for size, by in zip(fine.voxel_size, factors, strict=True))
    pairs = list(zip(source.sizes, wanted, strict=True))
    if any(size is not None and abs(size - own) > _SAME * own for size, own in pairs):
        raise InputError(
            f"{source.path} has voxels of {_nm(source.sizes)} nm (z x y x x), and on the image "
            f"they would have {_nm(wanted)} nm: correct its voxel size, or name the organelles of "
            "this image"
        )
    if None in source.sizes:
        log.warning(
            "%s does not state its voxel size: that of the image is used, %s nm",
            source.path,
            _nm(wanted),
        )


def _check_place(source: Source, factors: Shape, fine: Geometry) -> None:
    """Refuse labels that state another place than the image; half a voxel is no shift."""
    wanted = tuple(
        start + size * (by - 1) / 2
        for start, size, by in zip(fine.origin, fine.voxel_size, factors, strict=True)
    )
    shift = [at - own for at, own in zip(source.translation, wanted, strict=True)]
    half = [size * by / 2 for size, by in zip(fine.voxel_size, factors, strict=True)]
    if all(abs(by) <= most * 1.001 for by, most in zip(shift, half, strict=True)):
        return
    if not any(source.translation):
        log.warning(
            "%s does not state its place: its first voxel is taken for that of the image",
            source.path,
        )
        return
    raise InputError(
        f"{source.path} is shifted by {', '.join(f'{by:g}' for by in shift)} nm (z, y, x) "
        "against the image (the translation in its metadata): name the organelles of this image, "
        "or correct that translation"
    )


def _most_planes(source: Source) -> int:
    """The number of the organelles' planes that are held at a time."""
    return max(1, _HELD // (math.prod(source.shape[1:]) * source.dtype.itemsize))


def tile_of(level: Level, slices: int = 1, most: int | None = None) -> Shape:
    """Voxels of some whole chunks of labels, about :data:`BLOCK`.

    As deep as their files and a multiple of `slices`, but no more than `most` times that.
    """
    depth, height, width = level.shape
    z, (y, x) = math.lcm(level.file[0], slices), level.chunks[1:]
    if most is not None:
        z = min(z, most * slices)
    while 2 * z * y * x <= BLOCK and (y < height or x < width):
        if y >= height or (x <= y and x < width):
            x *= 2
        else:
            y *= 2
    return min(z, depth), min(y, height), min(x, width)


def _fingerprint(source: Source) -> str:
    """Fingerprint of the files: names, sizes and times of last change."""
    root = source.path if source.path.is_dir() else source.path.parent
    facts = ((file, file.stat()) for file in sorted(set(source.files)))
    return fingerprint(
        source.dtype.str,
        source.shape,
        [(str(file.relative_to(root)), fact.st_size, fact.st_mtime_ns) for file, fact in facts],
    )
