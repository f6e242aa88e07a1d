"""What the tasks of a run will need, before it starts: refused with numbers where it cannot fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hela_dask.errors import ResourceError
from hela_dask.kernels.background import background_halo
from hela_dask.parameters import Parameters
from hela_dask.storage.metadata import Image
from hela_dask.volume import working_level

__all__ = ["BACKGROUND_SLAB", "Need", "check_memory", "memory_needs", "window_need"]

# Bytes a voxel or pixel at the highest point of each task, beside the image itself; measured with
# `measured` in running/stages.py on 300 x 500 x 500 and 10 x 2000 x 2000 voxels, rounded up.
_PROCESS = 400 * 2**20  # Python with the libraries loaded
_BACKGROUND_PIXEL = 40  # of one plane: grey values as floats, components, distances
_BACKGROUND_VOXEL = 3.5  # of a slab: votes, the resin, its pyramid
_SEGMENT_VOXEL = 15  # of a window: membranes, cores, pieces, masks and their bits
_SEGMENT_PIXEL = 500  # of one plane of a window: membranes of some slices at a time
_LABEL_VOXEL = 10  # on the working level: three label volumes of two bytes, owners, the resin
_TILE = 2048 * 2048  # pixels of a tile of the labels
_TILE_VOXEL = 22  # of a tile: all labels, and the shards of coarser levels that they fill
_MASK_VOXEL = 4  # of the windows that reach into a slab, with slices on both sides of it
BACKGROUND_SLAB = 16
"""Slices of the working level in a task of the background."""

_USABLE = 0.9  # dask ends a worker at 95 % of its memory


@dataclass(frozen=True)
class Need:
    """The memory that one task takes at most.

    Parameters
    ----------
    task : str
        What it does, as a sentence names it.
    bytes : int
        With the process itself.
    advice : str
        The knob to turn, beside more memory; empty where there is none.
    """

    task: str
    bytes: int
    advice: str = ""


def memory_needs(image: Image, slab_depths: tuple[int, int], parameters: Parameters) -> list[Need]:
    """The largest task of each stage.

    Parameters
    ----------
    image : Image
        The volume.
    slab_depths : tuple of int
        Slices in a slab of the background, and of the labels.
    parameters : Parameters
        Their region's size sets the largest window.
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
    tile = min(fine, _TILE)
    return [
        Need(
            f"background of {background} slices of {shape[1]} x {shape[2]} pixels",
            _PROCESS
            + int(
                plane
                * (
                    min(background + 2 * halo, shape[0]) * 2 * item  # and its negative
                    + background * _BACKGROUND_VOXEL
                    + _BACKGROUND_PIXEL
                )
            ),
        ),
        window_need(image, window),
        Need(
            f"labels of {labels} slices of {level.shape[1]} x {level.shape[2]} pixels",
            _PROCESS
            + int(labels * (plane * _LABEL_VOXEL + tile * (_TILE_VOXEL + item)))
            + _MASK_VOXEL * min(2 * plane * labels, 9 * window[1] * window[2] * labels),
        ),
    ]


def window_need(image: Image, window: Sequence[int]) -> Need:
    """For the segmentation of one window of so many voxels in z, y, x of the working level."""
    plane = window[1] * window[2]
    a_pixel = window[0] * (image.dtype.itemsize + _SEGMENT_VOXEL) + _SEGMENT_PIXEL
    return Need(
        f"segmenting a window of {' x '.join(map(str, window))} voxels",
        _PROCESS + int(plane * a_pixel),
        "make [region] width and depth smaller",
    )


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
    for need in needs:
        if need.bytes > memory * _USABLE:
            other = f", or {need.advice}" if need.advice else ""
            raise ResourceError(
                f"{need.task} takes about {need.bytes / 2**30:.1f} GiB and a worker has "
                f"{memory / 2**30:.1f} GiB: give each more (--memory, or fewer --workers){other}"
            )
