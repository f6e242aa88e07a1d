"""The tables of an assignment, from the counts of all slabs and the distances around all cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hela_dask.geometry import Geometry
from hela_dask.kernels.overlaps import (
    COMPARTMENTS,
    CYTOPLASM,
    ENVELOPE,
    NUCLEUS,
    Overlaps,
    cell_of,
    compartment_of,
)
from hela_dask.types import Shape

__all__ = ["Distances", "cell_table", "organelle_table"]

Rows = NDArray[np.int64]
Distances = Callable[[int], NDArray[np.void]]
"""Of a cell: rows of label, and least distance to its nucleus and to its outside, by label."""


def organelle_table(
    found: Overlaps, distances: Distances, geometry: Geometry, end: Shape
) -> pd.DataFrame:
    """One row per organelle, by label.

    Parameters
    ----------
    found
        Their cells and compartments.
    distances
        Of a cell that has organelles.
    geometry
        Of the finest level of the run's labels.
    end
        The voxel after the last that the organelles' array covers, along each axis.
    """
    voxel = np.array(geometry.voxel_size)
    centre = np.array(geometry.origin) + voxel * found.centre
    nucleus, membrane = _nearest(found, distances)
    second = pd.array(found.second, dtype="Int64")
    second[found.second < 0] = pd.NA
    kinds = pd.Categorical.from_codes(found.compartment, pd.Index(COMPARTMENTS))
    whole = (found.low > 0).all(axis=1) & (found.high < np.array(end)).all(axis=1)
    return pd.DataFrame(
        {
            "label": found.label,
            "cell": found.cell,
            "compartment": kinds,
            "share": found.cell_voxels / found.voxels,
            "compartment_share": found.compartment_voxels / found.voxels,
            "crosses_border": found.second >= 0,
            "second_cell": second,
            "second_share": found.second_voxels / found.voxels,
            "complete": whole,
            "volume": found.voxels * (voxel.prod() / 1e9),
            **{axis: centre[:, number] for number, axis in enumerate("zyx")},
            "nucleus_distance": nucleus,
            "membrane_distance": membrane,
        }
    )


def _nearest(found: Overlaps, distances: Distances) -> tuple[NDArray[np.float64], ...]:
    """Distances of each organelle in its cell; NaN outside of cells."""
    nearest = np.full((2, found.label.size), np.nan)
    order = np.argsort(found.cell, kind="stable")
    cells, first = np.unique(found.cell[order], return_index=True)
    for cell, members in zip(cells.tolist(), np.split(order, first[1:]), strict=True):
        if cell:
            rows = distances(cell)
            at = np.searchsorted(rows["label"], found.label[members])
            nearest[0, members], nearest[1, members] = rows["nucleus"][at], rows["membrane"][at]
    return nearest[0], nearest[1]


def cell_table(
    organelles: pd.DataFrame, counts: Rows, codes: Rows, cells: pd.DataFrame, geometry: Geometry
) -> pd.DataFrame:
    """One row per labelled cell.

    Parameters
    ----------
    organelles
        From :func:`organelle_table`.
    counts
        From :func:`add_up`.
    codes
        Voxels of each compartment of each cell, from
        :func:`~hela_dask.kernels.overlaps.count_codes`.
    cells
        The run's cells table; a label that it does not have gets an empty status.
    geometry
        Of the finest level of the run's labels.
    """
    voxel = float(np.prod(geometry.voxel_size)) / 1e9
    labels = np.unique(cell_of(codes[:, 0]))
    owner = cell_of(counts[:, 1])
    parts = {
        COMPARTMENTS[kind]: _sums(labels, owner, _of_kind(kind, counts[:, 1], counts[:, 2]))
        for kind in (NUCLEUS, ENVELOPE, CYTOPLASM)
    }
    inside = parts[COMPARTMENTS[CYTOPLASM]]
    cytoplasm = _sums(labels, cell_of(codes[:, 0]), _of_kind(CYTOPLASM, codes[:, 0], codes[:, 1]))
    crossing = organelles["crosses_border"].to_numpy(bool)
    cell = organelles["cell"].to_numpy()
    kinds = organelles["compartment"].to_numpy(str)
    table = pd.DataFrame(
        {
            "label": labels,
            "n_organelles": _sums(labels, cell, np.ones(cell.size, np.int64)),
            "n_crossing": _sums(labels, cell, crossing.astype(np.int64)),
            **{
                f"n_in_{part}": _sums(labels, cell, (kinds == part).astype(np.int64))
                for part in parts
            },
            "organelle_volume": sum(parts.values()) * voxel,
            **{f"volume_in_{part}": voxels * voxel for part, voxels in parts.items()},
            "cytoplasm_volume": cytoplasm * voxel,
            "cytoplasm_share": inside / np.where(cytoplasm > 0, cytoplasm, np.nan),
            **_distances(organelles, labels),
        }
    )
    known = cells[["label", "status", "complete"]].set_index("label").reindex(labels)
    table.insert(1, "status", known["status"].fillna("").tolist())
    table.insert(2, "complete", known["complete"].isin([True]).to_numpy())
    return table


def _distances(organelles: pd.DataFrame, labels: Rows) -> dict[str, NDArray[np.float64]]:
    """Mean and median of the distances of the organelles of each cell; NaN where it has none."""
    names = ["nucleus_distance", "membrane_distance"]
    of_cells = organelles.groupby("cell")[names]
    found = {"mean": of_cells.mean(), "median": of_cells.median()}
    return {
        f"{name}_{kind}": table[name].reindex(labels).to_numpy(float)
        for name in names
        for kind, table in found.items()
    }


def _of_kind(kind: int, codes: Rows, voxels: Rows) -> Rows:
    """The voxels of codes of a compartment; 0 for the others."""
    return np.where(compartment_of(codes) == kind, voxels, 0)


def _sums(labels: Rows, owner: Rows, values: Rows) -> Rows:
    """Sum of the values of each label."""
    sums = np.zeros(labels.size, np.int64)
    there = owner > 0
    np.add.at(sums, np.searchsorted(labels, owner[there]), values[there])
    return sums
