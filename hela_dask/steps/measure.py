"""Measurements of each cell, from integer counts that are summed over slabs of labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hela_dask.errors import InputError
from hela_dask.evaluation.labels_input import open_labels, pair_labels
from hela_dask.formatting import by_axis, swapped_axes
from hela_dask.kernels.overlaps import Rows, count_codes, reduce_rows
from hela_dask.types import Labels

__all__ = ["combine_counts", "count_slab", "measure_cells", "measurements"]

_SUMS = ("nucleus_voxels", "cell_voxels", "envelope_voxels")
_LOW = ("z0", "y0", "x0", "nucleus_z0")
_HIGH = ("z1", "y1", "x1", "nucleus_z1")
_ROWS = ("label", *_SUMS, "z0", "z1", "y0", "y1", "x0", "x1", "nucleus_z0", "nucleus_z1")
_NO_SLICE = np.iinfo(np.int64).max  # lowest slice of a nucleus that has none


def count_slab(
    nuclei: Labels | None,
    cells: Labels | None,
    z0: int,
    envelope: Labels | None = None,
    corner: tuple[int, ...] = (0, 0),
) -> pd.DataFrame:
    """Voxels and extent of every label in one slab of slices, or in a tile of one.

    Parameters
    ----------
    nuclei, cells, envelope : (dz, y, x) whole numbers, or None where that one is not made
        Instance labels; a nucleus and its envelope have the label of their cell,
        0 is none.
    z0 : int
        Index of the slab's first slice in the volume.
    corner : tuple of int
        Row and column of the plane that the labels begin at.

    Returns
    -------
    pandas.DataFrame
        One row per label, all int64: ``label``, ``nucleus_voxels``, ``cell_voxels``,
        ``envelope_voxels``, the half-open box ``z0, z1, y0, y1, x0, x1`` in voxels of all of them
        together, and ``nucleus_z0, nucleus_z1`` of the nucleus alone. :func:`combine_counts` joins
        slabs.

    Raises
    ------
    InputError
        When all are None, their shapes differ, or a label is below 0.
    """
    sides = (nuclei, cells, envelope)
    given = [labels for labels in sides if labels is not None]
    if not given or any(labels.shape != given[0].shape for labels in given):
        shapes = [None if labels is None else labels.shape for labels in sides]
        raise InputError(f"nuclei, cells and envelope to count must have one shape, not {shapes}")
    rows = [
        _extents(labels, (z0, *corner), number)
        for number, labels in enumerate(sides)
        if labels is not None
    ]
    return _table(rows)


def _extents(labels: Labels, corner: tuple[int, ...], number: int) -> Rows:
    """Counts of one kind of labels, a row per label; `number` is that of its sum."""
    if labels.dtype == np.bool_:
        labels = labels.view(np.uint8)
    if labels.dtype.kind == "i" and labels.min(initial=0) < 0:
        raise InputError(f"labels to count must be 0 or more, not {labels.min()}")
    counts = count_codes(labels, corner)
    rows = np.zeros((len(counts), len(_ROWS)), np.int64)
    rows[:, 0], rows[:, 1 + number], rows[:, 4:10] = counts[:, 0], counts[:, 1], counts[:, 2:]
    rows[:, 10:] = (_NO_SLICE, -1) if number else counts[:, 2:4]
    return rows


def combine_counts(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Counts of several slabs as one table, sorted by label; the same in any order."""
    return _table([part[list(_ROWS)].to_numpy(np.int64) for part in parts if len(part)])


def _table(parts: Sequence[Rows]) -> pd.DataFrame:
    """Rows of several parts, those of a label added up."""
    rows = np.concatenate([np.zeros((0, len(_ROWS)), np.int64), *parts])
    rows = reduce_rows(rows, keys=1, sums=len(_SUMS))
    return pd.DataFrame(dict(zip(_ROWS, rows.T, strict=True)))[["label", *_SUMS, *_LOW, *_HIGH]]


def measurements(
    counts: pd.DataFrame,
    voxel_size: tuple[float, float, float],
    shape: tuple[int, int, int],
) -> pd.DataFrame:
    """Counts in physical units.

    Parameters
    ----------
    counts : pandas.DataFrame
        From :func:`combine_counts`, of the whole volume.
    voxel_size : (z, y, x) in nm
    shape : (z, y, x)
        Of the whole volume.

    Returns
    -------
    pandas.DataFrame
        One row per label: ``label``; ``nucleus_volume``, ``cell_volume``, ``envelope_volume`` (µm³,
        the cell with its nucleus and envelope); ``nucleus_diameter``, ``cell_diameter`` (nm, of the
        sphere of that volume); ``nucleus_to_cell`` (ratio of the volumes); ``first_slice``,
        ``last_slice``, ``nucleus_first_slice``, ``nucleus_last_slice`` (1-based, both included; NA
        without a nucleus); ``touches_first_slice``, ``touches_last_slice``, ``touches_side``, and
        ``complete``: none of the three. Missing compartments of a cell are NaN.
    """
    table = pd.DataFrame({"label": counts["label"].to_numpy(np.int64)})
    voxel = float(np.prod(voxel_size)) / 1e9
    for part in ("nucleus", "cell", "envelope"):
        volume = counts[f"{part}_voxels"].to_numpy() * voxel
        table[f"{part}_volume"] = np.where(volume > 0, volume, np.nan)
    for part in ("nucleus", "cell"):
        table[f"{part}_diameter"] = np.cbrt(table[f"{part}_volume"] * 6 / np.pi) * 1000
    table["nucleus_to_cell"] = table["nucleus_volume"] / table["cell_volume"]
    table["first_slice"] = counts["z0"] + 1
    table["last_slice"] = counts["z1"]
    nucleus = counts["nucleus_voxels"] > 0
    table["nucleus_first_slice"] = (counts["nucleus_z0"].where(nucleus, 0) + 1).astype("Int64")
    table["nucleus_last_slice"] = counts["nucleus_z1"].astype("Int64")
    table.loc[~nucleus, ["nucleus_first_slice", "nucleus_last_slice"]] = pd.NA
    table["touches_first_slice"] = counts["z0"] == 0
    table["touches_last_slice"] = counts["z1"] == shape[0]
    sides = [
        counts["y0"] == 0,
        counts["y1"] == shape[1],
        counts["x0"] == 0,
        counts["x1"] == shape[2],
    ]
    table["touches_side"] = np.any(sides, axis=0) if len(counts) else False
    touches = ["touches_first_slice", "touches_last_slice", "touches_side"]
    table["complete"] = ~table[touches].astype(bool).any(axis=1)
    return table


def measure_cells(
    nuclei: Any,
    cells: Any,
    voxel_size: tuple[float, float, float] | None = None,
    *,
    envelope: Any = None,
) -> pd.DataFrame:
    """Measure every cell of its label volumes, reading them slab by slab.

    Parameters
    ----------
    nuclei, cells : path or array
        Instance labels as :func:`hela_dask.evaluation.evaluate.evaluate` takes them, of one shape;
        a nucleus has the label of its cell.
    voxel_size : (z, y, x) in nm, optional
        By default that of the labels.
    envelope : path or array, optional
        Of the nuclei, like these; without it ``envelope_volume`` is NaN.

    Returns
    -------
    pandas.DataFrame
        As :func:`measurements`.

    Raises
    ------
    InputError
        When the shapes differ or no voxel size is known.

    Examples
    --------
    >>> import hela_dask as hd
    >>> import numpy as np
    >>> cell = np.ones((1, 10, 10), np.uint16)
    >>> hd.measure_cells(cell, cell, (50.0, 100.0, 100.0)).cell_volume.item()
    0.05
    """
    sides = [open_labels(nuclei, "nuclei"), open_labels(cells, "cells")]
    if envelope is not None:
        sides.append(open_labels(envelope, "envelope"))
    for side in sides:
        if side.shape != sides[1].shape:
            raise InputError(
                f"{side.name} is {by_axis(side.shape)} and {sides[1].name} "
                f"{by_axis(sides[1].shape)} voxels (z, y, x): labels to measure must have one shape"
                f"{swapped_axes(side.shape, sides[1].shape)}"
            )
    pair = pair_labels(sides[0], sides[1], slices=None, size=voxel_size)
    if pair.voxel_size is None:
        raise InputError(f"{sides[1].name} has no voxel size; give voxel_size=(z, y, x) in nm")
    parts = [count_slab(n, c, z0) for z0, n, c in pair.slabs(*pair.slices)]
    if envelope is not None:
        around = pair_labels(sides[2], sides[1], slices=None, size=voxel_size)
        parts += [count_slab(None, None, z0, e) for z0, e, _ in around.slabs(*around.slices)]
    return measurements(combine_counts(parts), pair.voxel_size, sides[0].shape)
