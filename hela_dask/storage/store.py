"""The only code that writes arrays: shard-aligned, resumable, with pyramids and label metadata."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hela_dask.errors import ExistsError, InputError, MissingInputError, StorageError
from hela_dask.storage.contents import find_foreign
from hela_dask.storage.files import (
    flush_folders,
    hidden_name,
    remove_folder,
    storage_errors,
    write_columns,
    write_json,
    write_table,
    write_text,
)
from hela_dask.storage.groups import build_group, note, planned
from hela_dask.storage.label_groups import create_labels, write_label_metadata
from hela_dask.storage.manifest import mark_problems, write_slab_mark
from hela_dask.storage.metadata import (
    Image,
    local_path,
    read_image,
    slab_marks,
    slab_ranges,
)
from hela_dask.storage.pyramid import Downsample
from hela_dask.storage.scratch import create_scratch, read_mask, read_scratch, write_scratch
from hela_dask.storage.slab_writer import SlabWriter
from hela_dask.storage.urls import StorePath
from hela_dask.types import Triple

__all__ = [
    "SlabWriter",
    "create_image",
    "create_labels",
    "create_scratch",
    "finished_slabs",
    "read_mask",
    "read_scratch",
    "reopen",
    "slab_writer",
    "slabs",
    "write_columns",
    "write_json",
    "write_label_metadata",
    "write_scratch",
    "write_slab",
    "write_table",
    "write_text",
]


log = logging.getLogger(__name__)

_THREADS = min(4, os.cpu_count() or 1)  # that compress the chunks of one shard


def create_image(
    path: str | StorePath,
    shape: Sequence[int],
    dtype: DTypeLike,
    voxel_size: Sequence[float],
    *,
    name: str,
    chunks: Sequence[int] | None = None,
    shards: Sequence[int] | None = None,
    translation: Triple = (0.0, 0.0, 0.0),
    overwrite: bool = False,
    attrs: Mapping[str, Any] | None = None,
) -> Image:
    """Create an OME-Zarr 0.5 image with all levels of its pyramid, empty and unfinished.

    It is finished once every one of its :func:`slabs` was written with :func:`write_slab`;
    until then :func:`hela_dask.open_volume` refuses it.

    Parameters
    ----------
    path : str or Path
        Folder to create.
    shape, voxel_size, translation : (z, y, x)
        Voxels; nm; centre of the first voxel, nm.
    name : str
        Name of the image in its metadata.
    chunks, shards : sequence of int, optional
        Voxels in z, y, x; a shard is a whole number of chunks. Default 1 x 512 x 512 in 8 x 2048 x
        2048 (see ``docs/storage.md``); 16 deep where a plane is no longer than 1024; less deep and
        wider where a slab of whole planes would be over 512 MiB.
    overwrite : bool
        Replace an OME-Zarr at `path` that this package wrote, with its own labels inside. It is
        not replaced where anything else is in it.
    attrs : mapping, optional
        Noted in the group's attribute ``hela_dask``; JSON.

    Raises
    ------
    ExistsError
        When there is something at `path` that may not be replaced.
    InputError, ParameterError
        When the voxel size, the chunks or the shards make no sense.
    """
    path = local_path(path)
    levels = planned(shape, dtype, voxel_size, chunks, shards, translation=translation)
    if path.exists() or path.is_symlink():
        _check_replaceable(path, overwrite)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = hidden_name(path)
        build_group(temporary, levels, dtype, name, {**(attrs or {}), "complete": False})
        if path.exists():
            remove_folder(path)
        temporary.rename(path)
    return read_image(path)


def slabs(image: Image | str | Path) -> list[tuple[int, int]]:
    """The units of writing: ranges of slices, each as deep as a shard, the last one clipped.

    One task writes one slab of whole planes, so that no two tasks share a shard.
    """
    return slab_ranges(_image(image).levels[0])


def finished_slabs(image: Image | str | Path) -> list[tuple[int, int]]:
    """Those of :func:`slabs` that are written, with all levels of the pyramid."""
    path = image.folder if isinstance(image, Image) else Path(image)
    image = read_image(path)  # as it is now, whatever the caller holds
    ranges = slabs(image)
    marks = _marks(image)
    if image.complete:
        damaged = mark_problems(image)
        return [item for item in ranges if marks / str(item[0]) not in damaged]
    return [item for item in ranges if (marks / str(item[0])).exists()]


def reopen(image: Image | str | Path, ranges: Iterable[tuple[int, int]]) -> None:
    """Declare these slabs unwritten again, and with them the whole; for one caller at a time.

    The other slabs stay. Call it before slabs of a finished image are written anew, so that an
    interruption leaves the image unfinished rather than half old and half new.
    """
    image = read_image(image.folder if isinstance(image, Image) else image)
    again = set(ranges)
    with storage_errors(image.folder):
        marks = _marks(image)
        marks.mkdir(parents=True, exist_ok=True)
        for item in finished_slabs(image):
            if not (marks / str(item[0])).exists():  # of before marks were kept: files unknown
                (marks / str(item[0])).touch()
        for item in again:
            (marks / str(item[0])).unlink(missing_ok=True)
        if again:
            note(image.folder, {"complete": False})


@contextlib.contextmanager
def slab_writer(
    image: Image | str | Path,
    z0: int,
    *,
    downsample: Downsample = "mean",
    check: Callable[[], None] | None = None,
) -> Iterator[SlabWriter]:
    """Write one slab tile by tile, at every level of the pyramid, and mark it as finished.

    It holds a tile and at most one shard of each coarser level, for any size of planes. When the
    block ends without an exception the slab is finished, and the last slab finishes the image; else
    the slab stays unwritten, and is written anew by the next writer.

    `z0` is the first slice of the slab, from 0. `downsample` is how the coarser levels are made:
    ``"mean"`` for images, ``"nearest"`` for labels, or ``"any"``. `check` is called before each
    file is put in place; it raises where the caller may not write any more. StorageError when no
    slab of this image begins at `z0`, or a tile was not written.

    Examples
    --------
    >>> with slab_writer(labels, 0, downsample="nearest") as writer:  # doctest: +SKIP
    ...     for tile in writer.tiles:
    ...         writer.write(tile, masks[:8, *tile])
    """
    image = _image(image)
    stop = dict(slabs(image)).get(z0)
    if stop is None:
        raise StorageError(
            f"{image.path} takes whole slabs, {slabs(image)[0]} and so on; what begins at slice "
            f"{z0} would share a shard with another writer: {_shards(image)}"
        )
    mark = _marks(image) / str(z0)
    with ThreadPoolExecutor(_THREADS, "shard") as threads:
        with storage_errors(image.folder):
            if check is not None:
                check()
            mark.unlink(missing_ok=True)
            writer = SlabWriter(image, z0, stop, downsample, threads, check)
        yield writer
    with storage_errors(image.folder):
        writer.close()
        if check is not None:
            check()
        flush_folders(image.folder, writer.files)
        write_slab_mark(mark, writer.files)
        if all((mark.parent / str(start)).exists() for start, _ in slabs(image)):
            note(image.folder, {"complete": True})


def write_slab(
    image: Image | str | Path,
    z0: int,
    data: NDArray[Any],
    *,
    downsample: Downsample = "mean",
    check: Callable[[], None] | None = None,
) -> None:
    """As :func:`slab_writer`, for a slab that is in memory: `data`, (dz, y, x).

    Its type is the image's (bool for an integer type is fine). StorageError where this is not
    exactly one slab of this image.
    """
    image = _image(image)
    planes = image.levels[0].shape[1:]
    if (z0, z0 + data.shape[0]) not in slabs(image) or data.shape[1:] != planes:
        raise StorageError(
            f"{image.path} takes whole slabs, {slabs(image)[0]} and so on, of planes "
            f"{planes}; {data.shape} at slice {z0} would share a shard with another writer: "
            f"{_shards(image)}"
        )
    if data.dtype not in (image.dtype, np.bool_):
        raise StorageError(f"{image.path} holds {image.dtype.name}, not {data.dtype.name}")
    with slab_writer(image, z0, downsample=downsample, check=check) as writer:
        for tile in writer.tiles:
            writer.write(tile, data[:, *tile])


def _shards(image: Image) -> str:
    depth, high, wide = image.levels[0].file
    return f"its shards are {depth} x {high} x {wide}, so a task takes {depth} whole slices"


def _image(image: Image | str | Path) -> Image:
    return image if isinstance(image, Image) else read_image(image)


def _marks(image: Image) -> Path:
    return slab_marks(image.folder, image.levels[0])


def _check_replaceable(path: Path, overwrite: bool) -> None:
    """Raise unless `path` is an OME-Zarr of ours that may go."""
    try:
        ours = not path.is_symlink() and bool(read_image(path).attributes)
    except (InputError, MissingInputError):
        ours = False
    if not ours:
        raise ExistsError(
            f"{path} exists and is not an OME-Zarr written by hela_dask, so it is never "
            "replaced: choose another name or remove it yourself"
        )
    if not overwrite:
        raise ExistsError(f"{path} exists: choose another name, or replace it with --overwrite")
    foreign = find_foreign(path)
    if foreign is not None:
        raise ExistsError(
            f"{path} holds {foreign.relative_to(path).as_posix()}, which hela_dask did not write, "
            "so it is not replaced: move that away, or choose another name"
        )
    labels = sorted(item.parent.name for item in path.glob("labels/*/zarr.json"))
    if labels:
        log.warning("%s is replaced, and its labels with it: %s", path, ", ".join(labels))
