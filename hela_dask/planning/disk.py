"""The disk space of a run, compared with the free space."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hela_dask.errors import ResourceError
from hela_dask.formatting import size_text
from hela_dask.operators.classify import sampling
from hela_dask.storage.files import existing_folder
from hela_dask.storage.groups import label_levels

if TYPE_CHECKING:
    from hela_dask.running.setup import Setup

__all__ = ["DiskNeed", "check_disk", "disk_need"]

# Measured on the real stack at 40 nm and on phantoms at 10 nm. The size of compressed labels is
# that of their borders, so it is smaller for finer pixels; and instance labels, which are of two
# bytes, take together up to twice the size of the resin.
_SHARE = (0.005, 0.0008)  # of the resin's bytes: at any pixel, and more for each nm of it
_INSTANCES = 2.0  # nuclei, cells and envelopes, for each byte of the resin
_COARSE_SHARE = 0.04  # of the working level's voxels, and of each cell's window
_OUTPUT_SHARE = 0.15  # of the voxels of each output of a network
_KEPT_SHARE = 0.07  # of the working level's voxels: labels of slabs, where parts may be joined
_PAGES = 16 * 2**20  # report, figures, tables
_PICTURE = 5 * 2**18  # of each cell in space, and its part of those of the volume
_BLOCK = 4096  # bytes that a small file takes


@dataclass(frozen=True)
class DiskNeed:
    """Estimate of the disk space of a run."""

    labels: int  # bytes of the labels with their pyramids
    run: int  # bytes of the run folder
    files: int  # files of the labels, at most
    labels_path: Path  # where the labels go
    run_path: Path
    labels_free: int  # bytes free there
    run_free: int
    same: bool  # both are on one disk


def disk_need(
    setup: Setup,
    working: Sequence[int],
    windows: Sequence[Sequence[int]],
    share: float | None = None,
) -> DiskNeed:
    """The disk space of a run, from the sizes of its arrays.

    `working` is the shape of the working level; `windows` are the voxels of the cells' windows,
    each (z, y, x); `share` is the part of its voxels' bytes that the compressed background takes,
    by default the typical value.
    """
    levels = label_levels(setup.image, "uint8")
    voxels = sum(math.prod(level.shape) for level in levels)
    share = share or _SHARE[0] + _SHARE[1] * min(levels[0].voxel_size[1], 100.0)
    files = 4 * sum(
        math.prod(-(-length // size) for length, size in zip(level.shape, level.file, strict=True))
        for level in levels
    )
    there = _size(setup.labels) if setup.labels.is_dir() else 0
    labels = max(0, int(voxels * share * (1 + _INSTANCES)) + files * _BLOCK // 2 - there)
    coarse_labels = _COARSE_SHARE * (
        math.prod(working) + sum(math.prod(window) for window in windows)
    )
    asked = setup.outputs
    if asked is not None:
        slices = len(sampling(setup.working, asked.spacing).slices)
        coarse_labels += _OUTPUT_SHARE * len(asked.names) * slices * math.prod(working[1:])
        coarse_labels += _KEPT_SHARE * math.prod(working) if asked.boundary else 0
    pictures = _PICTURE * len(windows) if setup.parameters.measure.in_runs else 0
    run = max(0, int(coarse_labels) + pictures + _PAGES - _size(setup.run))
    places = [existing_folder(path) for path in (setup.owner, setup.run)]
    free = [shutil.disk_usage(place).free for place in places]
    same = places[0].stat().st_dev == places[1].stat().st_dev
    return DiskNeed(labels, run, files, setup.owner, setup.run, free[0], free[1], same)


def check_disk(need: DiskNeed) -> None:
    """Refuse a run that its disks have no room for.

    The ResourceError has the numbers and the option to change.
    """
    labels, place = need.labels, (need.labels_path, need.labels_free, "--labels PATH")
    if need.same:
        asked = [("labels and results", labels + need.run, *place)]
    else:
        run = (need.run, need.run_path, need.run_free, "--out RUN")
        asked = [("labels", labels, *place), ("results", *run)]
    for what, size, path, free, parameter in asked:
        if size > free:
            raise ResourceError(
                f"{what} take about {size_text(size)} and the disk of {path} has "
                f"{size_text(free)} free: make room there, or write elsewhere with {parameter}"
            )


def _size(folder: Path) -> int:
    """Bytes of the files of the labels or of the run that are there already."""
    names = ("background", "nuclei", "cells", "envelope")
    parts = [folder / name for name in names] if folder.name == "labels" else [folder]
    return sum(
        Path(here, name).stat().st_size
        for part in parts
        for here, _, files in os.walk(part)
        for name in files
    )
