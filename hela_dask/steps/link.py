"""Detections of adjacent analysed slices linked into chains, one per cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from hela_dask.errors import InputError
from hela_dask.geometry import Geometry
from hela_dask.kernels.chains import link_detections, merge_fragments, split_chains
from hela_dask.parameters import LinkParameters
from hela_dask.statuses import CHAIN_TOO_SHORT, DETECTED
from hela_dask.steps.detect import DETECTION_COLUMNS

__all__ = ["assign_chains", "label_detections", "link_cells", "select_cell_detections"]

# The centre of a cell is a detection of at least this height, relative to the highest.
_MIN_RELATIVE_HEIGHT = 0.9

# A volume with nothing but debris has no typical cell: one of 6 µm (a third of a HeLa cell's width)
# and as high as a chain has to be, in µm³.
_MIN_TYPICAL_VOLUME = 200.0


def link_cells(
    detections: pd.DataFrame, volume: xr.DataArray, parameters: LinkParameters | None = None
) -> pd.DataFrame:
    """Link the detections of a volume into cells (J. Imaging 2021, section 2.4; method A.4).

    A detection continues the chain with the nearest last detection in the plane, at most
    ``parameters.distance`` away, one to one and the nearest pairs first; a chain may skip
    ``parameters.gap`` analysed slices. Then a chain is split where it continues from one cell into
    another above it (``parameters.pinch``), and fragments of one cell are merged.

    As published, a chain is a cell if it spans at least ``parameters.shortest_chain``, or half of
    the volume's depth if that is less, by detections that are not low beside the highest of their
    slice (``parameters.lowest_height``); each analysed slice represents the ``thickness`` of its
    row. But cells may be low in every slice, or flat, or cut by the first or last slice. So a chain
    is a cell too if its discs, one per slice, have ``parameters.smallest_cell`` of the volume of
    those of a typical cell; so many times more, the more often its depth goes into
    ``shortest_chain``. The typical cell is the one for which larger ones make up half of the volume
    of all.

    Parameters
    ----------
    detections
        As from :func:`~hela_dask.detect_cells`, in any order.
    volume
        The volume they were found in, at any resolution: only its depth and its slices count.
    parameters
        Parameters of the stage.

    Returns
    -------
    pandas.DataFrame
        One row per chain, by z, y, x of its centre: ``label`` (1, 2, …), ``z``, ``y``, ``x`` (nm),
        ``height`` (nm, mean over its slices), ``n_detections``, ``first_slice``, ``last_slice``
        (1-based), ``status`` (``detected`` or ``chain_too_short``), ``reason``, ``flags``. The
        centre is one of the cell's own detections, so it lies in the tissue of a bent cell: of
        those in the cell's thickest part, the one nearest to the middle of the chain.

    Raises
    ------
    InputError
        When a column is missing or holds anything but finite numbers.

    Examples
    --------
    >>> import hela_dask as hd
    >>> volume = hd.open_volume("hela.ome.zarr")
    >>> cells = hd.link_cells(hd.detect_cells(volume), volume)
    >>> cells[["label", "first_slice", "last_slice", "status"]]
       label  first_slice  last_slice           status
    0      1           28          36  chain_too_short
    1      2           12          52         detected
    2      3           12          52         detected
    """
    parameters = parameters or LinkParameters()
    _check(detections)
    rows = detections.sort_values(["slice", "rank", "z", "y", "x"], ignore_index=True)
    rows["chain"] = assign_chains(rows, parameters)
    rows["disc"] = np.pi * rows["height"] ** 2 * rows["thickness"] / 1e9
    highest = rows.groupby("slice")["height"].transform("max")
    rows["high"] = rows["height"] >= parameters.lowest_height * highest
    groups = rows.groupby("chain", sort=True)
    cells = rows.loc[_centres(rows), ["z", "y", "x"]].reset_index(drop=True)
    tallest = rows.groupby(["chain", "slice"])[["height", "disc"]].max().groupby("chain")
    cells["height"] = tallest["height"].mean().to_numpy()
    cells["n_detections"] = groups.size().to_numpy()
    cells["first_slice"] = groups["slice"].min().to_numpy()
    cells["last_slice"] = groups["slice"].max().to_numpy()
    depth = Geometry.of(volume).extent[0]
    cells["reason"] = _reasons(rows, tallest["disc"].sum().to_numpy(), depth, parameters)
    cells["status"] = np.where(cells["reason"] == "", DETECTED, CHAIN_TOO_SHORT)
    cells["flags"] = ""
    cells = cells.sort_values(["z", "y", "x"], ignore_index=True)
    cells.insert(0, "label", np.arange(1, len(cells) + 1))
    return cells[[*(name for name in cells if name not in _TEXT_COLUMNS), *_TEXT_COLUMNS]]


_TEXT_COLUMNS = ["status", "reason", "flags"]


def label_detections(
    detections: pd.DataFrame, cells: pd.DataFrame, parameters: LinkParameters | None = None
) -> pd.DataFrame:
    """The detections with the number of their cell, or of a chain that is none.

    Parameters
    ----------
    detections
        As from :func:`~hela_dask.detect_cells`.
    cells
        Result of :func:`link_cells` with these parameters.
    parameters
        Parameters of the stage.

    Returns
    -------
    pandas.DataFrame
        By slice, then rank, with a column ``label``.
    """
    rows = detections.sort_values(["slice", "rank", "z", "y", "x"], ignore_index=True)
    chain = assign_chains(rows, parameters or LinkParameters())
    # The centre of a cell is one of its detections.
    centres = rows[["z", "y", "x"]].merge(cells[["z", "y", "x", "label"]], how="left")["label"]
    known = {int(chain[row]): int(centres[row]) for row in np.flatnonzero(centres.notna())}
    rows["label"] = np.array([known.get(int(number), 0) for number in chain], dtype=np.int64)
    return rows


def select_cell_detections(detections: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """The detections that belong to cells, ranked anew in their slices; for pictures.

    All of them where the column ``label`` of :func:`label_detections` is missing.
    """
    if "label" not in detections:
        return detections
    real = cells.loc[cells["status"] != CHAIN_TOO_SHORT, "label"]
    rows = detections[detections["label"].isin(real)].copy()
    rows["rank"] = rows.groupby("slice")["rank"].rank(method="first").astype(np.int64)
    return rows


def assign_chains(rows: pd.DataFrame, parameters: LinkParameters) -> NDArray[np.int64]:
    """Number of the chain (0, 1, …) of each detection; `rows` sorted by slice, then by rank."""
    if rows.empty:
        return np.empty(0, dtype=np.int64)
    depths = (rows["z"] / rows["thickness"]).to_numpy(dtype=float)
    places = rows[["y", "x"]].to_numpy(dtype=float)
    heights = rows["height"].to_numpy(dtype=float)
    chain = link_detections(
        depths, places, heights, distance=parameters.distance, gap=parameters.gap
    )
    chain = split_chains(chain, places, heights, parameters.pinch)
    chain = merge_fragments(chain, depths, places, heights)
    return np.unique(chain, return_inverse=True)[1].astype(np.int64)


def _centres(rows: pd.DataFrame) -> list[int]:
    """Row of the detection that is the centre of each chain."""
    centres = []
    for _, chain in rows.groupby("chain", sort=True):
        places = chain[["z", "y", "x"]].to_numpy(dtype=float)
        middle = np.average(places, axis=0, weights=chain["disc"])
        upsample = (chain["height"] >= _MIN_RELATIVE_HEIGHT * chain["height"].max()).to_numpy()
        apart = np.where(upsample, np.sqrt(((places - middle) ** 2).sum(axis=1)), np.inf)
        centres.append(int(chain.index[int(apart.argmin())]))
    return centres


def _reasons(
    rows: pd.DataFrame, volumes: NDArray[np.float64], depth: float, parameters: LinkParameters
) -> list[str]:
    """The reason why each chain is not a cell; empty where it is one."""
    shortest = min(parameters.shortest_chain, depth / 2)
    usual = max(_MIN_TYPICAL_VOLUME, _typical_volume(volumes))
    reasons = []
    for (_, chain), size in zip(rows.groupby("chain", sort=True), volumes, strict=True):
        span = _span(chain)
        needed = parameters.smallest_cell * usual * parameters.shortest_chain / span
        # Tolerance of a millionth: spans are sums of thicknesses.
        if _span(chain[chain["high"]]) >= shortest * (1 - 1e-6) or size >= needed:
            reasons.append("")
            continue
        count = chain["slice"].nunique()
        why = f"less than {_um(shortest)} µm" if span < shortest else "but low in most of them"
        reasons.append(
            f"spans {_um(span)} µm in {count} analysed slice{'s' if count > 1 else ''}, {why}, "
            f"and its discs hold {size:.0f} µm³, under {needed:.0f}"
        )
    return reasons


def _typical_volume(volumes: NDArray[np.float64]) -> float:
    """The volume for which larger ones make up half of all."""
    if not len(volumes):
        return 0.0
    falling = np.sort(volumes)[::-1]
    return float(falling[np.searchsorted(np.cumsum(falling), falling.sum() / 2)])


def _span(chain: pd.DataFrame) -> float:
    """Depth in nm that some detections represent."""
    if chain.empty:
        return 0.0
    return float(chain["z"].max() - chain["z"].min() + chain["thickness"].mean())


def _check(detections: pd.DataFrame) -> None:
    if not isinstance(detections, pd.DataFrame):
        raise InputError(
            f"detections are a DataFrame as of detect_cells, not {type(detections).__name__}"
        )
    missing = [name for name in DETECTION_COLUMNS if name not in detections]
    if missing:
        raise InputError(f"the detections lack the column {missing[0]!r}; detect_cells writes it")
    values = detections[list(DETECTION_COLUMNS)].to_numpy(dtype=float)
    if not np.isfinite(values).all():
        name = list(DETECTION_COLUMNS)[int(np.argmin(np.isfinite(values).all(axis=0)))]
        raise InputError(f"column {name!r} of the detections holds values that are not finite")


def _um(length: float) -> str:
    return f"{length / 1000:.1f}"
