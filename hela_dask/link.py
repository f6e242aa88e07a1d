"""Detections of adjacent analysed slices joined into chains, one a cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hela_dask.detect import DETECTION_COLUMNS
from hela_dask.errors import InputError
from hela_dask.parameters import LinkParameters
from hela_dask.volume import voxel_size

__all__ = ["assign_chains", "link_cells"]


def link_cells(
    detections: pd.DataFrame, volume: xr.DataArray, parameters: LinkParameters | None = None
) -> pd.DataFrame:
    """Join the detections of a volume into cells (J. Imaging 2021, section 2.4; method A.4).

    A detection continues the chain whose last detection is nearest in the plane, at most
    ``parameters.distance`` away, one to one and the nearest pairs first; a chain may skip
    ``parameters.gap`` analysed slices. A chain has to stand for a depth of at least
    ``parameters.shortest_chain``, or half of the volume's if that is less; each analysed slice
    stands for the ``thickness`` of its row, so one detection is enough in a one-slice volume.

    Parameters
    ----------
    detections
        As from :func:`~hela_dask.detect_cells`, in any order.
    volume
        The volume they were found in, at any resolution: only its depth and its slices count.
    parameters
        Knobs of the stage.

    Returns
    -------
    pandas.DataFrame
        One row a chain, by z, y, x of its centre: ``label`` (1, 2, …), ``z``, ``y``, ``x`` (nm,
        mean of the chain), ``height`` (nm, mean), ``n_detections``, ``first_slice``,
        ``last_slice`` (1-based), ``status`` (``ok`` or ``chain_too_short``), ``reason``, ``flags``.

    Raises
    ------
    InputError
        When a column is missing or holds anything but finite numbers.
    """
    parameters = parameters or LinkParameters()
    _check(detections)
    rows = detections.sort_values(["slice", "rank", "z", "y", "x"], ignore_index=True)
    rows["chain"] = assign_chains(rows, parameters)
    depth = volume.sizes["z"] * voxel_size(volume)[0]
    shortest = min(parameters.shortest_chain, depth / 2)
    groups = rows.groupby("chain", sort=True)
    cells = groups[["z", "y", "x", "height"]].mean()
    cells["n_detections"] = groups.size()
    cells["first_slice"] = groups["slice"].min()
    cells["last_slice"] = groups["slice"].max()
    span = groups["z"].max() - groups["z"].min() + groups["thickness"].mean()
    short = span < shortest * (1 - 1e-9)
    cells["status"] = np.where(short, "chain_too_short", "ok")
    cells["reason"] = [
        f"spans {_um(length)} µm in {count} analysed slice{'s' if count > 1 else ''}, "
        f"less than {_um(shortest)} µm"
        if too_short
        else ""
        for length, count, too_short in zip(span, cells["n_detections"], short, strict=True)
    ]
    cells["flags"] = ""
    cells = cells.sort_values(["z", "y", "x"], ignore_index=True)
    cells.insert(0, "label", np.arange(1, len(cells) + 1))
    return cells


def assign_chains(rows: pd.DataFrame, parameters: LinkParameters) -> NDArray[np.int64]:
    """Number of the chain (0, 1, …) of each detection; `rows` sorted by slice."""
    places = rows[["y", "x"]].to_numpy(dtype=float)
    slices = rows["slice"].to_numpy()
    chain = np.full(len(rows), -1, dtype=np.int64)
    depths = rows["z"].to_numpy(dtype=float)
    thickness = rows["thickness"].to_numpy(dtype=float)
    ends: list[int] = []  # the last detection of each chain
    for number in np.unique(slices):
        here = np.flatnonzero(slices == number)
        # Half a step of slack: the analysed slices are whole slices apart, their share is not.
        furthest = (parameters.gap + 1.5) * thickness[here[0]]
        alive = [end for end in ends if depths[here[0]] - depths[end] < furthest]
        for end, row in _pairs(places, alive, here, parameters.distance):
            chain[row] = chain[end]
            ends[chain[end]] = row
        for row in here[chain[here] < 0]:
            chain[row] = len(ends)
            ends.append(int(row))
    return chain


def _pairs(
    places: NDArray[np.float64], ends: list[int], here: NDArray[np.int64], furthest: float
) -> list[tuple[int, int]]:
    """Pairs of a chain's end and a detection, one to one, the nearest first."""
    if not ends:
        return []
    near: Any = cKDTree(places[ends]).query_ball_point(places[here], furthest)
    candidates = sorted(
        (float(np.hypot(*(places[ends[index]] - places[row]))), -ends[index], int(row))
        for row, indices in zip(here, near, strict=True)
        for index in indices
    )
    pairs = []
    free_ends, free_rows = set(ends), set(here.tolist())
    for _, negative_end, row in candidates:
        if -negative_end in free_ends and row in free_rows:
            free_ends.remove(-negative_end)
            free_rows.remove(row)
            pairs.append((-negative_end, row))
    return pairs


def _check(detections: pd.DataFrame) -> None:
    missing = [name for name in DETECTION_COLUMNS if name not in detections]
    if missing:
        raise InputError(f"the detections lack the column {missing[0]!r}; detect_cells writes it")
    values = detections[list(DETECTION_COLUMNS)].to_numpy(dtype=float)
    if not np.isfinite(values).all():
        name = list(DETECTION_COLUMNS)[int(np.argmin(np.isfinite(values).all(axis=0)))]
        raise InputError(f"column {name!r} of the detections holds values that are not finite")


def _um(length: float) -> str:
    return f"{length / 1000:.1f}"
