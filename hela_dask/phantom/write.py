"""A phantom on disk: the image and its truth in one OME-Zarr store, slab by slab."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hela_dask.phantom.block import phantom_block
from hela_dask.phantom.lattice import uniform
from hela_dask.phantom.plan import KINDS, PhantomSpec, plan_phantom
from hela_dask.storage.metadata import Image, local_path, read_image
from hela_dask.storage.pyramid import layout
from hela_dask.storage.store import (
    create_image,
    create_labels,
    slabs,
    write_label_metadata,
    write_slab,
)
from hela_dask.tasks.lock import Lock, hold_target
from hela_dask.tasks.progress import Count, counted

__all__ = ["make_phantom"]

_TRUTH = {"true_nuclei": "uint16", "true_cells": "uint16", "true_classes": "uint8"}
_CLASS_NAMES = {
    1: ("nuclear envelope", (230, 60, 50, 255)),
    2: ("nucleus", (60, 170, 80, 255)),
    3: ("other cells", (90, 110, 200, 255)),
    4: ("resin", (220, 220, 220, 255)),
    5: ("cytoplasm", (245, 195, 40, 255)),
}


def make_phantom(
    path: str | Path,
    *,
    shape: Sequence[int],
    cells: int,
    diameter: float,
    seed: int = 0,
    voxel_size: Sequence[float] = (50.0, 40.0, 40.0),
    kind: str = KINDS[0],
    overwrite: bool = False,
    progress: bool | Count = True,
) -> Image:
    """Write a synthetic SBF-SEM volume of HeLa cells with its truth.

    ``labels/true_nuclei`` and ``labels/true_cells`` (nucleus included) hold instances, a nucleus
    and its cell with the same id; ``labels/true_classes`` the five classes of
    :func:`phantom_block`. Memory: one slab, about six bytes for each of its voxels.

    Parameters
    ----------
    path
        OME-Zarr store to create.
    shape
        Voxels, z, y, x.
    cells
        How many; at least half of them lie complete inside the volume.
    diameter
        Mean width of the cells, µm. The real ones: 17. Membranes and texture keep their real
        sizes.
    seed
        The same seed gives the same bits.
    voxel_size
        nm, z, y, x.
    kind
        ``"plain"``: smooth nuclei with round lobes at their poles. ``"lobulated"``: nuclei that
        split into islands towards their poles, with deep folds and an obliquely cut envelope, and
        cells with ruffles and blebs at their ends, as measured on a real cell; see
        :func:`hela_dask.phantom.plan_phantom`.
    overwrite
        Replace a store at `path` that this package wrote.
    progress
        Show the progress, on a terminal; or a function that gets the number of slices done and of
        all slices, at the start and after each slab.

    Raises
    ------
    ParameterError
        When the shape cannot hold such cells, or a value makes no sense.
    ExistsError
        When there is something at `path` that may not be replaced.
    StorageError
        When the file system refuses it or is full.

    Examples
    --------
    >>> import hela_dask as hd
    >>> image = hd.make_phantom("phantom.ome.zarr", shape=(48, 120, 120), cells=1, diameter=2)
    >>> sorted(image.labels)
    ['true_cells', 'true_classes', 'true_nuclei']
    """
    spec = plan_phantom(shape, cells, diameter, seed, voxel_size, kind=kind)
    chunks, shards = layout(spec.shape, 1)
    plan = {key: item for key, item in dataclasses.asdict(spec).items() if key != "cells"}
    if not spec.lobulated:
        del plan["kind"]  # stores of plain phantoms are the same bytes as before there were kinds
    with hold_target(local_path(path)) as lock:
        image = create_image(
            path,
            spec.shape,
            "uint8",
            spec.voxel_size,
            name="phantom",
            chunks=chunks,
            shards=shards,
            overwrite=overwrite,
            attrs={"phantom": {**plan, "cells": len(spec.cells)}},
        )
        truth = [
            create_labels(
                image.folder, name, spec.shape, dtype, spec.voxel_size, chunks=chunks, shards=shards
            )
            for name, dtype in _TRUTH.items()
        ]
        _describe(spec, truth)
        _write(spec, image, truth, lock, progress)
    return read_image(image.folder)


def _write(
    spec: PhantomSpec, image: Image, truth: Sequence[Image], lock: Lock, progress: bool | Count
) -> None:
    """Draw and write slab by slab; the image, which marks the end, last."""
    _, height, width = spec.shape
    with counted(progress, "phantom", "slices") as tell:
        tell(0, spec.shape[0])
        for z0, z1 in slabs(image):
            block = phantom_block(spec, z0, z1, 0, height, 0, width)
            parts: list[NDArray[Any]] = [block.nuclei, block.cells, block.classes]
            for labels, part in zip(truth, parts, strict=True):
                write_slab(labels, z0, part, downsample="nearest", check=lock.check)
            write_slab(image, z0, block.image, downsample="mean", check=lock.check)
            tell(z1, spec.shape[0])


def _describe(spec: PhantomSpec, truth: Sequence[Image]) -> None:
    """Colours, and the plan's properties of each cell, in the labels' metadata."""
    colors = {
        cell.label: [*(int(60 + 190 * uniform(3, cell.label, k)) for k in range(3)), 255]
        for cell in spec.cells
    }
    properties = [
        {
            "label-value": cell.label,
            "centre_nm": list(cell.centre),
            "complete": cell.complete,
            "touching": list(cell.touching),
            "hole": cell.hole,
        }
        for cell in spec.cells
    ]
    for labels in truth[:2]:
        write_label_metadata(labels.folder, colors=colors, properties=properties)
    write_label_metadata(
        truth[2].folder,
        colors={value: color for value, (_, color) in _CLASS_NAMES.items()},
        properties=[
            {"label-value": value, "name": name} for value, (name, _) in _CLASS_NAMES.items()
        ],
    )
