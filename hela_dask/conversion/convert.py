"""TIFF, MRC, HDF5, N5, OME-Zarr and more into a sharded OME-Zarr 0.5, slab by slab."""

from __future__ import annotations

import hashlib
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.conversion.readers.source import Source
from hela_dask.conversion.sources import open_source
from hela_dask.errors import ExistsError, HelaDaskError, InputError
from hela_dask.formatting import printable
from hela_dask.geometry import checked_voxel_size
from hela_dask.storage.formats import DM_SUFFIXES, HDF5_SUFFIXES, TIFF_SUFFIXES
from hela_dask.storage.inside import container_of
from hela_dask.storage.level import same_levels
from hela_dask.storage.manifest import damaged_slabs
from hela_dask.storage.metadata import (
    Image,
    Level,
    check_store_path,
    local_path,
    read_image,
)
from hela_dask.storage.pyramid import plan_levels
from hela_dask.storage.store import create_image, finished_slabs, reopen, slabs, write_slab
from hela_dask.tasks.lock import Lock, hold_target
from hela_dask.tasks.progress import Count, counted
from hela_dask.types import Triple
from hela_dask.units import voxel_size_warnings

__all__ = ["convert"]

log = logging.getLogger(__name__)

# Names of files, which a target is not
_FILES = (*TIFF_SUFFIXES, *HDF5_SUFFIXES, *DM_SUFFIXES, ".mrc", ".npy", ".json", ".zip", ".ozx")
_TOLERANCE = 0.01  # relative: metadata and option may round differently


def convert(
    source: str | Path,
    target: str | Path,
    *,
    voxel_size: Sequence[float] | None = None,
    chunks: Sequence[int] | None = None,
    shards: Sequence[int] | None = None,
    overwrite: bool = False,
    progress: bool | Count = True,
) -> Image:
    """Convert a stack of slices to OME-Zarr 0.5 with a pyramid.

    Continues an interrupted conversion.

    Memory stays at a small multiple of one slab (the planes of one row of shards).

    Parameters
    ----------
    source : str or Path
        A folder of slices, a TIFF, MRC, ``.npy``, HDF5, Imaris, dm3 or dm4 file, an N5 container,
        or an OME-Zarr 0.4 or 0.5, also zipped (see
        :func:`hela_dask.conversion.sources.open_source`), of 8 or 16 bit. Signed values are taken
        where none is negative; signed bytes with negative ones are raised by 128.
    target : str or Path
        The folder to write, for instance ``hela.ome.zarr``.
    voxel_size : sequence of float, optional
        z, y, x in nm. Needed where the source does not state it; where it states another, this
        one is taken, with a warning.
    chunks, shards : sequence of int, optional
        See :func:`hela_dask.storage.store.create_image`.
    overwrite : bool
        Replace a store at `target` that this package wrote, with the labels inside.
    progress : bool or callable
        Show the progress, on a terminal; or a function that gets the number of slices done and of
        all slices, at the start and after each slab.

    Returns
    -------
    Image
        The finished store.

    Raises
    ------
    MissingInputError, InputError, ParameterError
        When the source, the voxel size or the chunks cannot be used; before anything is written
        except where a slice turns out to be damaged only when it is decoded.
    ExistsError
        When there is something else at `target`.
    StorageError
        When the file system refuses it or is full.
    MissingDependencyError
        When the format needs a package of the extra ``[formats]`` that is not installed.

    Examples
    --------
    >>> import hela_dask as hd
    >>> image = hd.convert("slices.tif", "slices.ome.zarr", voxel_size=(100, 80, 80))
    >>> image.levels[0].shape, image.dtype.name
    ((8, 80, 80), 'uint8')
    """
    path = _checked_target(container_of(source), local_path(target))
    opened = open_source(source)
    opened.warn()
    size = _agreed_voxel_size(opened, voxel_size)
    opened = _unsigned(opened)
    origin = {
        "path": printable(opened.path.absolute().as_posix()),
        "kind": printable(opened.kind),
        "fingerprint": _fingerprint(opened, size),
    }
    origin_nm = _translation(opened, size)
    levels = plan_levels(
        opened.shape, opened.dtype.itemsize, size, chunks, shards, translation=origin_nm
    )
    with hold_target(path) as lock:
        image = _continued(path, levels, origin, overwrite)
        if image is None:
            image = create_image(
                path,
                opened.shape,
                opened.dtype,
                size,
                name=printable(path.name.removesuffix(".zarr").removesuffix(".ome")),
                chunks=chunks,
                shards=shards,
                translation=origin_nm,
                overwrite=overwrite,
                attrs={"source": origin},
            )
        _write(opened, image, lock, progress)
    return read_image(path)


def _write(opened: Source, image: Image, lock: Lock, progress: bool | Count) -> None:
    """Write the slabs that are not written yet."""
    done = set(finished_slabs(image))
    count = sum(stop - start for start, stop in done)
    with counted(progress, "convert", "slices") as tell:
        tell(count, opened.shape[0])
        for start, stop in slabs(image):
            if (start, stop) not in done:
                block = opened.read(start, stop)
                write_slab(image, start, block, downsample="mean", check=lock.check)
                count += stop - start
                tell(count, opened.shape[0])


def _checked_target(source: Path, target: Path) -> Path:
    """`target`, unless writing there would touch the source or is plainly a slip."""
    check_store_path(target)
    if target.suffix.lower() in _FILES:
        raise InputError(f"{target} is to be an OME-Zarr folder: name it {target.stem}.ome.zarr")
    here, there = source.absolute(), target.absolute()
    if source.exists():
        here = here.resolve()
        there = there.resolve()
    inside_store = here in there.parents and any(
        (here / name).exists() for name in ("zarr.json", ".zattrs", ".zgroup", "attributes.json")
    )
    if here == there or there in here.parents or inside_store:
        raise InputError(f"{target} lies in or around the source {source}: choose another target")
    return target


def _agreed_voxel_size(source: Source, given: Sequence[float] | None) -> Triple:
    """The voxel size from the option, else from the metadata; warns where they differ."""
    stated = " ".join("?" if size is None else f"{size:g}" for size in source.sizes)
    if given is not None:
        wanted = checked_voxel_size(given)
        for mine, theirs in zip(wanted, source.sizes, strict=True):
            if theirs is not None and not math.isclose(mine, theirs, rel_tol=_TOLERANCE):
                origins = " and ".join(dict.fromkeys(name for name in source.size_origins if name))
                log.warning(
                    "%s states a voxel size of %s nm (z y x; %s); the %s nm of --voxel-size are "
                    "used instead",
                    source.path,
                    stated,
                    origins,
                    " ".join(f"{size:g}" for size in wanted),
                )
                break
    elif source.voxel_size is not None:
        wanted = _stated_voxel_size(source, source.voxel_size)
    else:
        known = any(size is not None for size in source.sizes)
        what = f"a part of its voxel size ({stated} nm, z y x)" if known else "no voxel size"
        reasons = dict.fromkeys(
            origin
            for size, origin in zip(source.sizes, source.size_origins, strict=True)
            if size is None and origin
        )
        why = f" ({'; '.join(reasons)})" if reasons else ""
        raise InputError(f"{source.path} states {what}{why}: give it in nm as --voxel-size Z Y X")
    for doubt in voxel_size_warnings(source.shape, wanted):
        log.warning("%s %s", source.path, doubt)
    return wanted


def _stated_voxel_size(source: Source, size: Triple) -> Triple:
    try:
        return checked_voxel_size(size, origin=f"the voxel size of {source.path}")
    except InputError as error:
        raise InputError(f"{error}; give the right one as --voxel-size Z Y X") from error


def _translation(source: Source, voxel_size: Triple) -> Triple:
    """Where the source lies, nm: as many voxels from the origin, where their size is corrected."""
    z, y, x = (
        start * (wanted / stated if stated and start else 1.0)
        for start, wanted, stated in zip(source.translation, voxel_size, source.sizes, strict=True)
    )
    return z, y, x


def _unsigned(source: Source) -> Source:
    """The source as 8 or 16 bit unsigned, or an error with its type."""
    if source.dtype in (np.uint8, np.uint16):
        return source
    if source.dtype == np.bool_:
        return replace(source, dtype=np.dtype(np.uint8))
    if source.dtype not in (np.int8, np.int16):
        raise InputError(
            f"{source.path} holds {source.dtype.name} values; 8 or 16 bit grey values are needed: "
            "scale it to 16 bit first (in Fiji: Image > Type > 16-bit)"
        )
    depth = max(1, 2**26 // (source.shape[1] * source.shape[2]))
    lowest = min(
        int(source.read(start, min(start + depth, source.shape[0])).min())
        for start in range(0, source.shape[0], depth)
    )
    unsigned = np.dtype(f"u{source.dtype.itemsize}")
    if lowest >= 0:
        return replace(source, dtype=unsigned)
    if source.dtype == np.int16:
        raise InputError(
            f"{source.path} holds 16 bit signed values down to {lowest}: add an offset so that "
            "none is negative, and save it as 16 bit unsigned"
        )
    log.warning("%s holds signed bytes down to %d; 128 is added to all", source.path, lowest)

    def shifted(start: int, stop: int) -> NDArray[Any]:
        return (source.read(start, stop).astype(np.int16) + 128).astype(np.uint8)

    return replace(source, dtype=unsigned, reader=shifted)


def _fingerprint(source: Source, voxel_size: Triple) -> str:
    """Identity of the source: every file's name, size and time, shape and voxel size."""
    digest = hashlib.sha256()
    digest.update(repr((source.shape, source.dtype.str, voxel_size)).encode())
    for file in source.files:
        facts = file.stat()
        digest.update(
            os.fsencode(f"{file.absolute().as_posix()}\0{facts.st_size}\0{facts.st_mtime_ns}")
        )
    return digest.hexdigest()


def _continued(
    path: Path, levels: tuple[Level, ...], origin: dict[str, str], overwrite: bool
) -> Image | None:
    """The unfinished or damaged store at `path`, if this very conversion began it; else None.

    Targets that may not be replaced are refused here; files of other programs, in
    :func:`hela_dask.storage.store.create_image`.
    """
    try:
        image = read_image(path)
    except HelaDaskError:
        return None
    begun = image.attributes.get("source", {})
    if begun == origin and same_levels(image.levels, levels) and not (overwrite and image.complete):
        unmarked = set(slabs(image)) - set(finished_slabs(image)) if image.complete else set()
        damaged = unmarked | damaged_slabs(image, read="changed").keys()
        if damaged:
            log.warning(
                "%s: files of %d slabs are missing or changed: they are written again",
                *(path, len(damaged)),
            )
            reopen(image, damaged)
        if damaged or not image.complete:
            return read_image(path)
    if overwrite or not image.attributes:
        return None
    if image.complete:
        problem = "there already and complete"
    elif begun == origin:
        problem = "an unfinished conversion with other chunks"
    elif begun.get("path") == origin["path"]:
        problem = "an unfinished conversion of the same path with other content or voxel size"
    else:
        problem = f"an unfinished store made from {begun.get('path', 'something else')}"
    raise ExistsError(f"{path} is {problem}: choose another name, or replace it with --overwrite")
