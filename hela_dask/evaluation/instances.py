"""Instance labels of any program, checked when they are opened and read box by box."""

from __future__ import annotations

import functools
import logging
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.conversion.readers.source import Source
from hela_dask.conversion.sources import open_source
from hela_dask.errors import InputError
from hela_dask.evaluation.label_checks import check_label_array, check_no_image
from hela_dask.formatting import by_axis
from hela_dask.geometry import checked_voxel_size
from hela_dask.kernels.overlaps import Runs, add_up, count_runs, hash_runs, reduce_rows
from hela_dask.storage.level_array import LevelArray
from hela_dask.storage.metadata import read_image
from hela_dask.storage.nodes import is_node
from hela_dask.tasks.markers import fingerprint
from hela_dask.types import Shape, Voxel
from hela_dask.units import voxel_size_warnings

__all__ = [
    "BLOCK",
    "COUNTED_VOXEL",
    "InstanceLabels",
    "count_instances",
    "grown_tile",
    "open_instances",
    "single_label_text",
    "tile_of",
    "voxel_size_of",
    "warn_of_voxel_size",
]

log = logging.getLogger(__name__)

COUNTED_VOXEL = 80
"""Bytes per voxel of a tile that is counted: labels, runs and their counts."""

_LARGEST = np.iinfo(np.int64).max
_SAME = 0.01  # voxel sizes that differ by less than this part are one
BLOCK = 2**22
"""Voxels to read at a time."""


@dataclass(frozen=True)
class InstanceLabels:
    """Instance labels in files; small, workers open them."""

    path: Path  # absolute
    key: str  # fingerprint of the files
    shape: Shape
    dtype: np.dtype[Any]
    # Voxels that are stored together: of a file along z, of a chunk along y and x; whole planes of
    # a TIFF, MRC or .npy file
    stored: Shape
    planes: bool  # whether whole planes are read

    @property
    def tile(self) -> Shape:
        """Voxels to read at a time: whole chunks, or whole planes."""
        z, y, x = self.stored
        if self.planes:
            return min(self.shape[0], max(1, BLOCK // (y * x))), y, x
        return tile_of((z, y, x), self.shape)

    def read(self, box: Box) -> NDArray[Any]:
        """The labels in a box inside the volume; InputError for labels < 0 or over 2**63 - 1."""
        source = _opened(self.path, self.key, threading.get_ident())
        if isinstance(source, LevelArray):
            part = source[tuple(box)]
        else:
            z, y, x = box
            part = source.read(z.start, z.stop)[:, y, x]
        self._check(part, box.low[0])
        return part

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
                "number the objects anew"
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


def open_instances(path: Path) -> tuple[InstanceLabels, Source]:
    """Open instance labels; also returns their source, with its metadata.

    Parameters
    ----------
    path : Path
        A label group of an OME-Zarr (its finest level), or any other format that ``convert``
        reads.

    Raises
    ------
    MissingInputError, InputError
        When there is nothing at `path`; when it holds no instance labels.
    """
    image = read_image(path, unknown_scale=True) if is_node(path) else None
    if image is not None and image.labels:
        raise InputError(
            f"{path} is an image: name one of its labels, as in {path / 'labels' / image.labels[0]}"
        )
    source = open_source(path, role="labels")
    source.warn()
    check_label_array(source.dtype, source.shape, str(path))
    if source.dtype == np.bool_:
        raise InputError(
            f"{path} is a mask: give each object a number first, as "
            "scipy.ndimage.label(mask)[0] does for separate pieces"
        )
    stored = (1, *source.shape[1:])
    if image is not None:
        level = image.levels[0]
        stored = (level.file[0], *level.chunks[1:])
    found = InstanceLabels(
        path.absolute(), _fingerprint(source), source.shape, source.dtype, stored, image is None
    )
    check_no_image(found.read, found.shape, path)
    return found, source


def voxel_size_of(source: Source, given: Sequence[float] | None) -> Voxel:
    """The voxel size in nm: that which is given, else as the labels state it.

    Raises
    ------
    InputError
        When neither is there, or it is no voxel size.
    """
    stated = source.voxel_size
    if given is None:
        if stated is None:
            raise InputError(
                f"{source.path} does not state its voxel size: give it in nm, as in "
                "--voxel-size 50 10 10 (z y x)"
            )
        return checked_voxel_size(stated, origin=f"the voxel size of {source.path}")
    voxel = checked_voxel_size(given)
    if stated is not None and not np.allclose(voxel, stated, rtol=_SAME):
        log.warning(
            "%s states voxels of %s nm: %s nm are used",
            source.path,
            by_axis(stated),
            by_axis(voxel),
        )
    return voxel


def warn_of_voxel_size(labels: InstanceLabels, voxel: Voxel) -> None:
    """Warnings about a voxel size (nm) that is likely a slip, as ``convert`` has them."""
    for doubt in voxel_size_warnings(labels.shape, voxel):
        log.warning("%s %s", labels.path, doubt)


def single_label_text(path: Path, label: int) -> str:
    """A warning about labels that hold one label only, as a mask of numbers does."""
    return (
        f"{path} holds a single label, {label}: if it is a mask, give each object a number first, "
        "as scipy.ndimage.label(mask)[0] does"
    )


def count_instances(
    labels: InstanceLabels, box: Box
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Voxels and extent of each label in a box, and a hash of its voxels.

    The rows are those of :func:`.overlaps.count_runs` and :func:`.overlaps.hash_runs`.
    """
    counts, hashes = [], []
    for _, block in box.chunks(labels.tile):
        runs = Runs.of(labels.read(block), None, block.low)
        counts.append(count_runs(runs))
        hashes.append(hash_runs(runs))
    return add_up(counts), reduce_rows(np.concatenate(hashes), keys=1, sums=1)


def tile_of(stored: Shape, shape: Shape, slices: int = 1, most: int | None = None) -> Shape:
    """Voxels to read at a time, about :data:`BLOCK`: some whole chunks of an array.

    Parameters
    ----------
    stored : (z, y, x)
        Voxels that are stored together: of a file along z, of a chunk along y and x.
    shape : (z, y, x)
        Of the array.
    slices : int
        The depth of the tile is a multiple of this number.
    most : int, optional
        The depth is at most so many times `slices`.
    """
    z = math.lcm(stored[0], slices)
    if most is not None:
        z = min(z, most * slices)
    return grown_tile((z, *stored[1:]), shape, BLOCK)


def grown_tile(tile: Shape, shape: Shape, voxels: int) -> Shape:
    """A tile of an array, doubled along y and x as long as it has no more than so many voxels."""
    (z, y, x), (depth, height, width) = tile, shape
    while 2 * z * y * x <= voxels and (y < height or x < width):
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
