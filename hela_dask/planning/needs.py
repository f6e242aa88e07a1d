"""What the tasks of a run will need, before it starts: refused with numbers where it cannot fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hela_dask.errors import ResourceError
from hela_dask.kernels.background import background_halo
from hela_dask.parameters import Parameters
from hela_dask.storage.metadata import Image
from hela_dask.volume import working_level

__all__ = [
    "BACKGROUND_SLAB",
    "Need",
    "check_memory",
    "memory_needs",
    "size_text",
    "window_need",
    "worker_memory",
]

# Bytes at the highest point of each task, beside the image itself: measured in fresh workers on
# planes of 413 to 2048 pixels (docs/usage.md); tests/planning/test_peaks.py measures again.
_PROCESS = 280 * 2**20  # a dask worker with the libraries loaded
_COMPILED = 40 * 2**20  # compiled loops and what they bring along, once they are used
_BACKGROUND_PIXEL = 21  # of one plane: grey values as floats, components, distances
_BACKGROUND_VOXEL = 2  # of a slab: votes, the resin
_DETECT_PIXEL = 24  # of one plane: the distance to the resin, summits, components
_SEGMENT_VOXEL = {"volumetric": 11, "propagate": 7}  # of a window: membranes, pieces, masks
_SEGMENT_PIXEL = {"volumetric": 750, "propagate": 1000}  # of its plane: some slices at a time
_LABEL_VOXEL = 12  # of the working level: three label volumes of two bytes, the resin, masks
_OUTLINE_VOXEL = 11  # there too, where nuclei are refined: outlines, on both grids
_LABEL_PIXEL = 90  # of one plane: pieces of tissue that no cell claims
_TILE = 2048 * 2048  # pixels of a tile of the labels
_TILE_VOXEL = 4  # of a tile: all labels, and the shards of coarser levels that they fill
BACKGROUND_SLAB = 16
"""Slices of the working level in a task of the background."""

_USABLE = 0.7  # of its memory: with more, a dask worker begins to spill, and pauses at 0.8


@dataclass(frozen=True)
class Need:
    """The memory that one task takes at most.

    Parameters
    ----------
    stage : str
        That it belongs to, as in ``RUN/done``.
    task : str
        What it does, as a sentence names it.
    bytes : int
        With the process itself.
    advice : str
        The knob to turn, beside more memory; empty where there is none.
    """

    stage: str
    task: str
    bytes: int
    advice: str = ""


def memory_needs(
    image: Image,
    slab_depths: tuple[int, int],
    parameters: Parameters,
    method: str = "volumetric",
) -> list[Need]:
    """The largest task of each stage.

    Parameters
    ----------
    image : Image
        The volume.
    slab_depths : tuple of int
        Slices in a slab of the background, and of the labels.
    parameters : Parameters
        Their region's size sets the largest window.
    method : str
        Of :mod:`hela_dask.methods`.
    """
    level = image.levels[0]
    item = image.dtype.itemsize
    shape, voxel = working_level(image, parameters.working.resolution)
    plane, fine = shape[1] * shape[2], level.shape[1] * level.shape[2]
    region = parameters.region
    size = (region.depth, region.width, region.width)
    window = [
        min(length, round(extent / step) + 1)
        for extent, step, length in zip(size, voxel, shape, strict=True)
    ]
    halo = background_halo(parameters.background, voxel[0])
    background, labels = (min(depth, shape[0]) for depth in slab_depths)
    slices = min(background + 2 * halo, shape[0])
    tile = 0 if fine == plane else min(fine, _TILE)
    voxel_bytes = _LABEL_VOXEL + (_OUTLINE_VOXEL if tile else 0)
    wide = f"slices of {shape[1]} x {shape[2]} pixels"
    return [
        Need(
            "background",
            f"background of {background} {wide}",
            _PROCESS + plane * (slices * item + background * _BACKGROUND_VOXEL + _BACKGROUND_PIXEL),
        ),
        Need("detect", f"detection in {wide}", _PROCESS + plane * _DETECT_PIXEL),
        window_need(image, window, method),
        Need(
            "assemble",
            f"labels of {labels} slices of {level.shape[1]} x {level.shape[2]} pixels",
            _PROCESS
            + _COMPILED
            + plane * (labels * voxel_bytes + _LABEL_PIXEL)
            + labels * tile * (_TILE_VOXEL + item),
        ),
    ]


def window_need(image: Image, window: Sequence[int], method: str = "volumetric") -> Need:
    """For the segmentation of one window of so many voxels in z, y, x of the working level."""
    a_pixel = window[0] * (image.dtype.itemsize + _SEGMENT_VOXEL[method]) + _SEGMENT_PIXEL[method]
    return Need(
        "segment",
        f"segmenting a window of {' x '.join(map(str, window))} voxels",
        _PROCESS + _COMPILED + window[1] * window[2] * a_pixel,
        "make [region] width and depth smaller",
    )


def worker_memory(needs: Sequence[Need]) -> int:
    """Bytes of memory that a worker should have, so that no task makes it spill or pause.

    Rounded up to tenths of a GiB, or to 32 MiB below one, so that it may be asked for as shown.
    """
    least = max(need.bytes for need in needs) / _USABLE
    step = 2**30 / 10 if least > 2**30 else 2**25
    return math.ceil(math.ceil(least / step) * step)


def size_text(size: float) -> str:
    """Bytes as people read them: 64 MiB, 1.4 GiB."""
    if size < 2**20:
        return f"{size / 2**10:.0f} KiB"
    return f"{size / 2**20:.0f} MiB" if size < 2**30 else f"{size / 2**30:.1f} GiB"


def check_memory(needs: Sequence[Need], memory: int | None) -> None:
    """Refuse a plan whose largest task does not fit a worker.

    Parameters
    ----------
    needs : sequence of Need
        From :func:`memory_needs`.
    memory : int or None
        Of one worker (of each of its threads, where it has several), bytes; None or 0 is no limit.

    Raises
    ------
    ResourceError
        With the numbers and the knobs.
    """
    if not memory:
        return
    need = max(needs, key=lambda need: need.bytes, default=None)
    if need is not None and need.bytes > memory * _USABLE:
        other = f", or {need.advice}" if need.advice else ""
        raise ResourceError(
            f"{need.task} takes about {size_text(need.bytes)}, for which a worker should have "
            f"{size_text(worker_memory([need]))}, and it has {size_text(memory)}: give each more "
            f"(--memory, or fewer --workers){other}"
        )
