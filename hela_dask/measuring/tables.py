"""The tables of measured labels, and which objects one task measures."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.columns import OBJECT_MEASURES
from hela_dask.evaluation.instances import InstanceLabels
from hela_dask.measuring.tasks import Objects
from hela_dask.types import Floats, Shape, Voxel

__all__ = ["group_objects", "object_table", "voxels_read"]

Rows = NDArray[np.int64]

_MOST = 256  # objects per task
_VOXELS = 2**22  # that the task of several objects reads
_HELD = 2**28  # bytes that it reads of whole planes


def group_objects(counts: Rows, labels: InstanceLabels) -> Iterator[Objects]:
    """Objects that one task measures: a large one alone, small ones with others near them.

    Parameters
    ----------
    counts
        Rows of :func:`hela_dask.kernels.overlaps.count_runs` of the whole volume.
    labels
        That they are from.
    """
    low, high = counts[:, 6::2], counts[:, 7::2]
    places = (low + high) // 2 // np.array(labels.tile)
    order = np.lexsort((counts[:, 0], *places.T[::-1]))
    first, most = 0, _HELD // labels.dtype.itemsize if labels.planes else _VOXELS
    for end in range(1, len(order) + 1):
        if end < len(order) and end - first < _MOST:
            rows = order[first : end + 1]
            sides = high[rows].max(axis=0) - low[rows].min(axis=0)
            if voxels_read(sides.tolist(), labels) <= most:
                continue
        rows = order[first:end]
        pairs = np.stack([low[rows], high[rows]], axis=2).tolist()
        yield Objects(tuple(counts[rows, 0].tolist()), tuple(Box.of(pair) for pair in pairs))
        first = end


def voxels_read(sides: list[int], labels: InstanceLabels) -> int:
    """Voxels that are read for a box with these sides."""
    return sides[0] * math.prod(labels.shape[1:]) if labels.planes else math.prod(sides)


def object_table(counts: Rows, measures: Floats, voxel: Voxel, shape: Shape) -> pd.DataFrame:
    """One row per object, by label.

    Parameters
    ----------
    counts
        Rows of :func:`hela_dask.kernels.overlaps.count_runs` of the whole volume.
    measures
        :data:`~hela_dask.columns.OBJECT_MEASURES` of each object.
    voxel
        Size (z, y, x) in nm.
    shape
        Of the volume (z, y, x).
    """
    low, high = counts[:, 6::2], counts[:, 7::2]
    table = pd.DataFrame({"label": counts[:, 0], "volume": counts[:, 2] * (math.prod(voxel) / 1e9)})
    for number, name in enumerate(OBJECT_MEASURES):
        table[name] = measures[:, number]
    table["resolved"] = table["resolved"] > 0
    for name in ("pieces", "handles"):
        table[name] = table[name].astype("Int64")
    for number, axis in enumerate("zyx"):
        table[f"{axis}0"], table[f"{axis}1"] = low[:, number], high[:, number]
    table["complete"] = np.all((low > 0) & (high < np.array(shape)), axis=1)
    return table
