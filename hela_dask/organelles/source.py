"""Instance labels of organelles on the grid of a run's labels, read box by box."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.conversion.readers.source import Source
from hela_dask.errors import InputError
from hela_dask.evaluation.instances import InstanceLabels, open_instances, tile_of
from hela_dask.formatting import by_axis, swapped_axes
from hela_dask.geometry import Geometry
from hela_dask.storage.metadata import Image
from hela_dask.types import Shape

__all__ = ["OrganelleLabels", "open_organelles"]

log = logging.getLogger(__name__)

_HELD = 2**27  # bytes of planes of a TIFF that are held beside a block, if one plane has less
_COARSEST = 16  # times: an array of almost any length would fit with larger factors
_SAME = 0.01  # voxel sizes of one grid differ by less than this part


@dataclass(frozen=True)
class OrganelleLabels:
    """Labels of organelles, read on the finest grid of a run's labels; small, workers open them."""

    labels: InstanceLabels
    factors: Shape  # fine voxels (z, y, x) per voxel of the organelles
    grid: Shape  # fine voxels
    tile: Shape  # fine voxels that a task works on at a time

    @property
    def path(self) -> Path:
        """The file or folder, absolute."""
        return self.labels.path

    @property
    def key(self) -> str:
        """Fingerprint of the files."""
        return self.labels.key

    @property
    def shape(self) -> Shape:
        """Voxels of the organelles."""
        return self.labels.shape

    @property
    def held(self) -> int:
        """Bytes of the planes that are held beside a tile."""
        slices = -(-self.tile[0] // self.factors[0])
        plane = math.prod(self.shape[1:]) * self.labels.dtype.itemsize
        return slices * plane if self.labels.planes else 0

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
            stored = self._stored(slab) if self.labels.planes else None
            for _, block in slab.chunks(self.tile):
                yield block, self._fine(block, *(stored or self._stored(block)))

    def _stored(self, box: Box) -> tuple[Box, NDArray[Any]]:
        """The voxels of the organelles that a box of fine ones has a part of, and their labels."""
        coarse = box.coarsen(self.factors).clip(self.shape)
        if coarse.empty:
            return coarse, np.zeros(coarse.shape, np.uint8)
        return coarse, self.labels.read(coarse)

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


def open_organelles(path: Path, cells: Image) -> OrganelleLabels:
    """Open the labels of organelles, and check that they lie on the labels of a run.

    Parameters
    ----------
    path : Path
        A label group of an OME-Zarr (its finest level), or any other format that ``convert``
        reads; of the shape of the image, or a whole number of times coarser along each
        axis.
    cells : Image
        The labels of the run's cells.

    Raises
    ------
    MissingInputError, InputError
        When there is nothing at `path`; when it holds no instance labels, or its shape, voxel size
        or place contradicts that of the image.
    """
    labels, source = open_instances(path)
    level = cells.levels[0]
    factors = _factors(source, level.shape)
    _check_voxel_size(source, factors, level.geometry)
    if not labels.planes:
        _check_place(source, factors, level.geometry)
    most = _most_planes(source) if labels.planes else None
    tile = tile_of((level.file[0], *level.chunks[1:]), level.shape, factors[0], most)
    return OrganelleLabels(labels, factors, level.shape, tile)


def _factors(source: Source, shape: Shape) -> Shape:
    """How many fine voxels (z, y, x) make one of the organelles; the last may be cut or missing."""
    found = []
    for length, fine in zip(source.shape, shape, strict=True):
        by = max(1, round(fine / length))
        if by > _COARSEST or length not in (-(-fine // by), fine // by):
            raise InputError(
                f"{source.path} has {by_axis(source.shape)} voxels and the image {by_axis(shape)} "
                "(z, y, x): organelles must have the shape of the image, or be a whole number "
                f"of times coarser along each axis, at most {_COARSEST}"
                f"{swapped_axes(source.shape, shape)}"
            )
        found.append(by)
    return found[0], found[1], found[2]


def _check_voxel_size(source: Source, factors: Shape, fine: Geometry) -> None:
    wanted = tuple(size * by for size, by in zip(fine.voxel_size, factors, strict=True))
    pairs = list(zip(source.sizes, wanted, strict=True))
    if any(size is not None and abs(size - own) > _SAME * own for size, own in pairs):
        raise InputError(
            f"{source.path} has voxels of {by_axis(source.sizes)} nm (z, y, x), and on the image "
            f"they would have {by_axis(wanted)} nm: correct its voxel size, or name the "
            "organelles of this image"
        )
    if None in source.sizes:
        log.warning(
            "%s does not state its voxel size: that of the image is used, %s nm",
            source.path,
            by_axis(wanted),
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
