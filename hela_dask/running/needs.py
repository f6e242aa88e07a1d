"""The memory of the tasks of a run, before it starts: refused with numbers where it cannot fit."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hela_dask.formatting import by_axis
from hela_dask.geometry import Geometry
from hela_dask.kernels.background import background_halo
from hela_dask.kernels.unclaimed import unclaimed_halo
from hela_dask.methods.method import Outputs
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.methods.registry import get_method
from hela_dask.operators.background import SLAB as BACKGROUND_SLAB
from hela_dask.operators.background import background_depth
from hela_dask.operators.classify import neighbours, network_depth, sampling
from hela_dask.parameters import MeasureParameters, Parameters
from hela_dask.steps.contacts import slab_halo
from hela_dask.steps.shape import measured_voxels
from hela_dask.storage.metadata import Image, Level
from hela_dask.tasks.memory import Need
from hela_dask.types import Voxel
from hela_dask.unet.engine import NETWORK_MEMORY
from hela_dask.unet.model import find_model
from hela_dask.volume.planned_reads import KEPT

__all__ = [
    "BACKGROUND_SLAB",
    "PROCESS",
    "contact_slab",
    "contacts_need",
    "measured_level",
    "memory_needs",
    "network_units",
    "predict_need",
    "shape_need",
    "split_need",
    "window_need",
]

# Bytes at the highest point of each task, beside the image itself: measured in fresh workers on
# planes of 413 to 2048 pixels (docs/usage.md); tests/planning/test_peaks.py measures again.
PROCESS = 280 * 2**20  # a dask worker with the libraries loaded
_COMPILED = 40 * 2**20  # compiled loops with their libraries, after the first use
_BACKGROUND_PIXEL = 21  # of one plane: grey values as floats, components, distances
_BACKGROUND_VOXEL = 1  # of a unit: the resin
_BACKGROUND_BLUR = 8  # of a slab of the graph: grey values as floats, before and after the low-pass
_DETECT_PIXEL = 24  # of one plane: the distance to the resin, summits, components
_LABEL_VOXEL = 5  # of a slab: instance, compartment, resin, probability of a boundary
_LABEL_PIXEL = 32  # of one plane: claims, unclaimed pieces
_COVERS = 2  # how often the boxes of all cells cover a plane: each has masks in a slab
_OUTPUT_VOXEL = 2  # of the outputs of a unit: by blocks and at once
_CLASS_VOXEL = 4  # of a slab: the classes by blocks and at once, those written, coarser levels
_CLASS_PIXEL = 110  # of one plane: outputs as floats, their weights, as bytes
_SHAPE_VOXEL = 14  # of the box of a cell and the room around it: shares, smoothed, distances
_PICTURE = 80 * 2**20  # pictures of a cell: their samples, and the library that annotates them
_CONTACT_VOXEL = 9  # of a slab with its halo: labels, faces and corners of contacts
_FINE_VOXEL = 5  # of a tile, and of the begun shards of each coarser level: all labels

_SPLIT_VOXEL = 40  # of the box of a split cell: distances, markers, the queue of the watershed

_CONTACT_VOXELS = 2**24  # of a slab of contacts, unless it has few slices
_CONTACT_SLICES = (32, 64)  # fewest and most


def memory_needs(
    image: Image,
    labels: Sequence[Level],
    parameters: Parameters,
    method: str = DEFAULT_METHOD,
) -> list[Need]:
    """The largest task of each stage.

    `labels` are the levels of the labels that are written; the size of the largest window follows
    from `parameters`.
    """
    item = image.dtype.itemsize
    working = image.levels[0].geometry.working(parameters.working.resolution)
    shape, voxel = working.shape, working.voxel_size
    plane, compiled = shape[1] * shape[2], PROCESS + _COMPILED
    region = parameters.region
    size = (region.depth, region.width, region.width)
    window = [
        min(length, round(extent / step) + 1)
        for extent, step, length in zip(size, voxel, shape, strict=True)
    ]
    halo = background_halo(parameters.background, voxel[0])
    deep = min(background_depth(shape[1:], parameters.background, voxel[0]), shape[0])
    slab = min(BACKGROUND_SLAB, shape[0])
    seen = min(slab + 2 * halo, shape[0])
    wide = f"slices of {shape[1]} x {shape[2]} pixels"
    _, height, width = labels[0].shape
    packed = labels[0].file[0] + 2 * unclaimed_halo(voxel[0], parameters.assemble)  # slices
    return [
        Need(
            "background",
            f"background of {slab} {wide}",
            compiled
            + plane
            * (
                seen * item + slab * _BACKGROUND_VOXEL + deep * _BACKGROUND_BLUR + _BACKGROUND_PIXEL
            ),
        ),
        Need("detect", f"detection in {wide}", PROCESS + plane * _DETECT_PIXEL),
        *_network_needs(working, method, parameters, item),
        window_need(image, window, method),
        Need(
            "assemble",
            f"labels of {labels[0].file[0]} slices of {height} x {width} pixels",
            compiled
            + plane * (_LABEL_PIXEL + _COVERS * packed // 8)
            + labels[0].file[0] * _slice_of_labels(plane, labels, item)
            + _kept_chunks(plane, labels[0], item),
        ),
        *_measure_needs(labels, parameters),
    ]


def measured_level(levels: Sequence[Level], resolution: float) -> int:
    """Number of the level that shapes are measured on, of the label groups.

    It is the coarsest with pixels of at most `resolution` (nm), else the finest.
    """
    fitting = [
        (max(level.voxel_size[1:]), number)
        for number, level in enumerate(levels)
        if max(level.voxel_size[1:]) <= resolution * (1 + 1e-6)
        and level.shape[0] == levels[0].shape[0]
    ]
    return max(fitting)[1] if fitting else 0


def contact_slab(shape: Sequence[int]) -> int:
    """Slices that the contacts of one task are counted in, of a volume of this shape (z, y, x)."""
    fitting = _CONTACT_VOXELS // math.prod(shape[1:])
    return min(shape[0], max(_CONTACT_SLICES[0], min(_CONTACT_SLICES[1], fitting)))


def _measure_needs(labels: Sequence[Level], parameters: Parameters) -> list[Need]:
    """For the shape of the largest usual cell, and the contacts in a slab; the larger one."""
    p = parameters.measure
    if not p.in_runs:
        return []
    level = labels[measured_level(labels, p.resolution)]
    region = parameters.region
    size = (region.depth, region.width, region.width)
    window = [
        min(length, math.ceil(extent / step))
        for extent, step, length in zip(size, level.voxel_size, level.shape, strict=True)
    ]
    needs = (shape_need(window, level.voxel_size, p), contacts_need(level, p))
    return [max(needs, key=lambda need: need.bytes)]


def shape_need(box: Sequence[int], voxel: Voxel, parameters: MeasureParameters) -> Need:
    """For the shape of a cell in a box of so many voxels (z, y, x) of this size (nm)."""
    return Need(
        "measure",
        f"measuring a cell of {by_axis(box)} voxels",
        PROCESS + _COMPILED + _PICTURE + measured_voxels(box, voxel, parameters) * _SHAPE_VOXEL,
        "set [measure] in_runs = 0",
    )


def contacts_need(level: Level, parameters: MeasureParameters) -> Need:
    """For the contacts of cells in a slab of a level of the labels."""
    deep = contact_slab(level.shape)
    seen = min(level.shape[0], deep + sum(slab_halo(level.voxel_size, parameters)))
    by = by_axis(level.shape[1:])
    return Need(
        "measure",
        f"contacts in {deep} slices of {by} pixels",
        PROCESS + _COMPILED + seen * math.prod(level.shape[1:]) * _CONTACT_VOXEL,
        "set [measure] in_runs = 0",
    )


def _slice_of_labels(plane: int, labels: Sequence[Level], item: int) -> int:
    """Bytes per slice: whole planes of the working level, a tile, and one shard a coarser level."""
    finest, *coarser = (
        math.prod(min(pair) for pair in zip(level.file[1:], level.shape[1:], strict=True))
        for level in labels
    )
    if math.prod(labels[0].shape[1:]) == plane:
        item = 0  # nothing of the image is read
    return (
        plane * (_LABEL_VOXEL + _COVERS)
        + finest * (_FINE_VOXEL - 1 + item)
        + sum(coarser) * _FINE_VOXEL
    )


def _kept_chunks(plane: int, finest: Level, item: int) -> int:
    """Bytes of the image that several tiles of a slab need, where labels are refined."""
    pixels = math.prod(finest.shape[1:])
    return 0 if pixels == plane else min(KEPT, pixels * finest.file[0] * item)


def network_units(working: Geometry, asked: Outputs | None) -> int:
    """The number of slabs of outputs of the method's network; 0 where it asks for none."""
    if asked is None:
        return 0
    return math.ceil(len(sampling(working, asked.spacing).slices) / BACKGROUND_SLAB)


def _network_needs(working: Geometry, method: str, parameters: Parameters, item: int) -> list[Need]:
    """For some slices that go through the network of a method, if it asks for its outputs."""
    asked = get_method(method).asks(parameters)
    if asked is None:
        return []
    (depth, *plane), voxel = working.shape, working.voxel_size
    halo = neighbours(find_model(asked.model)[1], voxel)
    every = sampling(working, asked.spacing).slices.step
    slab = min(depth, network_depth(working.shape[1:], halo, every))
    seen = min(slab + 2 * halo, depth)
    kept = BACKGROUND_SLAB * _OUTPUT_VOXEL * len(asked.names)
    return [
        Need(
            "classify",
            f"network in {slab} slices of {by_axis(plane)} pixels",
            PROCESS + NETWORK_MEMORY + math.prod(plane) * (seen * item + kept + _CLASS_PIXEL),
        )
    ]


def window_need(image: Image, window: Sequence[int], method: str = DEFAULT_METHOD) -> Need:
    """For the segmentation of one window of so many voxels in z, y, x of the working level."""
    depth, height, width = window
    taken = get_method(method).memory((depth, height, width), image.dtype.itemsize)
    return Need(
        "segment",
        f"segmenting a window of {by_axis(window)} voxels",
        PROCESS + _COMPILED + taken,
        "make [region] width and depth smaller",
    )


def split_need(voxels: int) -> Need:
    """For a split that is computed on so many voxels."""
    return Need(
        "split",
        f"splitting a cell on {voxels / 1e6:.1f} million voxels",
        PROCESS + _COMPILED + voxels * _SPLIT_VOXEL,
    )


def predict_need(shape: Sequence[int], slices: int, halo: int, item: int) -> Need:
    """For the classes of some slices by a network.

    `shape` are the voxels (z, y, x) of the network's level, `slices` those that a task predicts,
    `halo` further input slices on either side, `item` bytes of a grey value.
    """
    plane, seen = shape[1] * shape[2], min(slices + 2 * halo, shape[0])
    return Need(
        "predict",
        f"classes of {slices} slices of {shape[1]} x {shape[2]} pixels",
        PROCESS + NETWORK_MEMORY + plane * (seen * item + slices * _CLASS_VOXEL + _CLASS_PIXEL),
    )
