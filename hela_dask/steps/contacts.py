"""Contacts of cells: areas and least distances, from slabs of labels that add up to a table."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from hela_dask.geometry import checked_voxel_size
from hela_dask.kernels.contact_areas import (
    AREA_UNIT,
    contact_areas,
    contact_halo,
)
from hela_dask.kernels.grid import factors_for
from hela_dask.kernels.label_distances import least_distances
from hela_dask.parameters import MeasureParameters
from hela_dask.types import Labels, Triple

__all__ = ["combine_contacts", "contacts_halo", "contacts_of_slab", "contacts_table"]
__all__ += ["find_contacts", "slab_halo"]

_SLAB = 32  # slices that are measured at a time

_TYPES = {"label": np.int64, "other": np.int64, "area": np.int64, "distance": np.float64}


def contacts_halo(voxel_size: Triple, parameters: MeasureParameters) -> int:
    """Slices above a slab that its contacts depend on."""
    return max(contact_halo(voxel_size), math.ceil(parameters.reach / voxel_size[0]))


def slab_halo(voxel_size: Triple, parameters: MeasureParameters) -> tuple[int, int]:
    """Slices below and above a slab that its contacts depend on.

    Distances between a slab and the slices below it are those of the slab below.
    """
    return contact_halo(voxel_size), contacts_halo(voxel_size, parameters)


def contacts_of_slab(
    cells: Labels,
    voxel_size: Triple,
    below: int,
    above: int,
    parameters: MeasureParameters,
) -> pd.DataFrame:
    """Contacts of the cells in one slab of slices.

    Parameters
    ----------
    cells : (z, y, x) whole numbers
        Labels of whole planes, with a halo below and above the slab.
    voxel_size : (z, y, x) in nm
    below, above : int
        Slices of the halo: :func:`slab_halo`, or fewer where the volume ends.
    parameters : MeasureParameters
        ``resolution`` and ``reach`` are used. Of smaller pixels, every n-th one is read.

    Returns
    -------
    pandas.DataFrame
        One row per pair of cells: ``label`` and ``other``, the larger one; ``area``, a whole number
        of thousandths of nm²; and ``distance``, nm. :func:`combine_contacts` joins slabs.
    """
    by = factors_for(voxel_size[1:], parameters.resolution)
    sparse = cells[:, by[0] // 2 :: by[0], by[1] // 2 :: by[1]]
    voxel = (voxel_size[0], voxel_size[1] * by[0], voxel_size[2] * by[1])
    # Contacts at an end of the volume have windows around voxels beyond it.
    first = below or -contact_halo(voxel)
    last = len(cells) - above if above else len(cells) + contact_halo(voxel)
    areas = contact_areas(sparse, voxel, first, last)
    distances = least_distances(sparse[below:], voxel, parameters.reach)
    rows = [
        (*pair, areas.get(pair, 0), distances.get(pair, math.inf)) for pair in areas | distances
    ]
    return _table(rows)


def combine_contacts(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Contacts of several slabs as one table, sorted by label; the same in any order."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return _table([])
    joined = pd.concat(filled, ignore_index=True).groupby(["label", "other"], sort=True)
    return joined.agg({"area": "sum", "distance": "min"}).reset_index()


def contacts_table(contacts: pd.DataFrame) -> pd.DataFrame:
    """Combined contacts in physical units.

    Returns
    -------
    pandas.DataFrame
        One row per pair of cells: ``label``, ``other``, ``contact_area`` (µm²; 0 where they do not
        touch) and ``distance`` (nm).
    """
    area = contacts["area"] * (AREA_UNIT / 1e6)
    return contacts[["label", "other"]].assign(contact_area=area, distance=contacts["distance"])


def find_contacts(
    cells: Any, voxel_size: Triple, *, parameters: MeasureParameters | None = None
) -> pd.DataFrame:
    """Contacts of all cells of a volume, read slab by slab.

    Parameters
    ----------
    cells : (z, y, x) array
        Labels, of whole numbers.
    voxel_size : (z, y, x) in nm
    parameters : MeasureParameters, optional

    Returns
    -------
    pandas.DataFrame
        As :func:`contacts_table`.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.zeros((40, 50, 100), np.uint16)
    >>> labels[:, :, :50], labels[:, :, 50:80] = 1, 2
    >>> find_contacts(labels, (50.0, 40.0, 40.0)).round(3).to_dict("records")
    [{'label': 1, 'other': 2, 'contact_area': 4.0, 'distance': 0.0}]
    """
    p = parameters or MeasureParameters()
    voxel = checked_voxel_size(voxel_size)
    depth, (before, after) = cells.shape[0], slab_halo(voxel, p)
    parts = []
    for first in range(0, depth, _SLAB):
        last = min(first + _SLAB, depth)
        low, high = max(0, first - before), min(depth, last + after)
        block = np.asarray(cells[low:high])
        parts.append(contacts_of_slab(block, voxel, first - low, high - last, p))
    return contacts_table(combine_contacts(parts))


def _table(rows: list[tuple[int, int, int, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(_TYPES)).astype(_TYPES)
