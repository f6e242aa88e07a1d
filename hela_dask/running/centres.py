"""Centres of cells from a user: all of them instead of detection, or corrections of it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hela_dask.errors import InputError
from hela_dask.formatting import by_axis
from hela_dask.statuses import CHAIN_TOO_SHORT, DETECTED
from hela_dask.storage.tables import Table, read_table
from hela_dask.units import to_nm
from hela_dask.volume.opening import Image

log = logging.getLogger(__name__)

__all__ = ["correct_cells", "points_table", "read_centres", "read_corrections"]

_PLACE = ["z", "y", "x"]
_HINT = ": centres are z, y, x in nm, or axis-0, axis-1, axis-2 of a points layer with three axes"
_IDS = {"id", "cell", "cell_id", "label_id", "labels", "number"}
_SHAPES = ("vertex-index", "shape-type")  # columns of napari's shapes, one row per corner
_UNITS = ("unit", "units")
_COARSE = 2.0  # nm: in smaller voxels, numbers of voxels and nm are alike
# Napari's names of these columns in the CSV of a points layer.
_AXES = ["axis-0", "axis-1", "axis-2"]


def read_centres(table: str | Path | pd.DataFrame, image: Image) -> pd.DataFrame:
    """Cells from a table of centres, instead of from detection.

    Parameters
    ----------
    table : path or DataFrame
        A CSV (or Parquet) with the columns ``z``, ``y``, ``x`` in nm and, if the cells are to keep
        their numbers, ``label``; or napari's of a points layer, see :func:`read_corrections`.
        Without labels they are numbered by z, y, x. A column may name another unit: ``z (µm)``.
    image : Image
        The volume that they lie in.

    Returns
    -------
    pandas.DataFrame
        As :func:`hela_dask.link_cells` gives it; ``height`` is not known (NaN).

    Raises
    ------
    MissingInputError, InputError
        For a file that is not there, a column or number that is missing, a centre outside the
        volume, or a label that is used twice.
    """
    found, path = _read(table, image, "the table of centres")
    for name in _PLACE:
        if found[name].isna().any():
            raise InputError(f"{path}, row {found.index[found[name].isna()][0]}: {name} is empty")
    if found["label"].isna().any() and found["label"].notna().any():
        raise InputError(f"{path}: labels are whole numbers of 1 or more, and all rows have one")
    found = found.sort_values(_PLACE, ignore_index=True)
    labels = found["label"]
    if labels.isna().all():
        labels = pd.Series(np.arange(1, len(found) + 1), dtype=float)
    if labels.duplicated().any():
        raise InputError(f"{path}: label {int(labels[labels.duplicated()].iloc[0])} is used twice")
    rows = [
        _given(int(label), tuple(place), image)
        for label, place in zip(labels, found[_PLACE].to_numpy(), strict=True)
    ]
    return pd.DataFrame(rows).sort_values("label", ignore_index=True)


def read_corrections(table: str | Path | pd.DataFrame, image: Image) -> pd.DataFrame:
    """Corrections of the cells that detection finds, for :func:`correct_cells`.

    Parameters
    ----------
    table : path or DataFrame
        A CSV (or Parquet). Either with the columns ``z``, ``y``, ``x`` in nm and perhaps ``label``.
        Or as napari saves a points layer, ``axis-0``, ``axis-1``, ``axis-2``: with the column
        ``label`` that ``RUN/centres.csv`` has, positions are nm, as in that file; without it, the
        layer was made in the viewer, which gives it the image's scale and saves positions in voxels
        of the full resolution. A column ``unit`` (``nm`` or ``voxel``) selects the unit.
    image : Image
        The volume that they lie in.

    Returns
    -------
    pandas.DataFrame
        ``label`` (NaN where none is given), ``z``, ``y``, ``x`` (nm; NaN: take the cell out).
    """
    found, path = _read(table, image, "the table of corrections")
    there = found[_PLACE].notna()
    bad = (there.any(axis=1) & ~there.all(axis=1)) | (~there.any(axis=1) & found["label"].isna())
    if bad.any():
        raise InputError(
            f"{path}, row {found.index[bad][0]}: give z, y and x, or a label alone to take "
            "that cell out"
        )
    return found.reset_index(drop=True)


def _read(given: str | Path | pd.DataFrame, image: Image, what: str) -> tuple[pd.DataFrame, str]:
    """Label, z, y and x (nm) of each row, NaN where a field is empty; and the table's name.

    The index is the number of the row, from 1.
    """
    table = read_table(given, what, _HINT)
    _check_layer(table)
    in_voxels = False
    if _AXES[0] in table and not any(name in table for name in _PLACE):
        values = table.numbers(_AXES, lengths=True)
        values = dict(zip(_PLACE, values.values(), strict=True))
        in_voxels = _in_voxels(table)
    else:
        values = table.numbers(_PLACE, lengths=True)
        _check_unit(table)
    if not table.rows:
        raise InputError(f"{table.source} holds no centre")
    numbers = table.numbers(["label"]) if "label" in table else {"label": np.nan}
    found = pd.DataFrame({**numbers, **values}, index=pd.Index(table.rows))
    labels = found["label"].dropna()
    if bad := labels.index[(labels != labels.round()) | (labels < 1)].tolist():
        raise InputError(
            f"{table.source}, row {bad[0]}: labels are whole numbers of 1 or more, not "
            f"{labels[bad[0]]:g}"
        )
    if "label" not in table:
        _warn_of_ids(table)
    level = image.levels[0]
    if in_voxels:
        found[_PLACE] = found[_PLACE] * np.array(level.voxel_size) + np.array(level.translation)
    _check_inside(table.source, found, image, voxels=in_voxels)
    if not in_voxels:
        _warn_of_voxels(table.source, found, image)
    return found, table.source


def _check_layer(table: Table) -> None:
    """Refuse napari's files of other layers than points with three axes."""
    if shapes := [name for name in _SHAPES if name in table]:
        raise InputError(
            f"{table.source} is a shapes layer of napari (column {shapes[0]!r}), a row a corner: "
            "put the centres into a points layer"
        )
    if "axis-3" in table and not all(name in table for name in _PLACE):
        raise InputError(
            f"{table.source} is a points layer with more than three axes: keep z, y and x as "
            "axis-0, axis-1, axis-2, and take the other columns out"
        )


def _check_unit(table: Table) -> None:
    """Refuse a column that gives z, y and x another unit than nm."""
    for name in _UNITS:
        others = [unit for unit in table.texts(name) if unit] if name in table else []
        if wrong := [unit for unit in others if to_nm(unit) != 1]:
            raise InputError(
                f"{table.source}: z, y and x are in nm, but the column {name!r} holds "
                f"{wrong[0][:40]!r}: give them in nm"
            )


def _warn_of_voxels(path: str, centres: pd.DataFrame, image: Image) -> None:
    """Warn where all positions are so small that they may be voxels or µm."""
    level = image.levels[0]
    place = centres[_PLACE].dropna() - np.array(level.translation)
    small = bool(len(place)) and min(level.voxel_size) > _COARSE
    if (
        small
        and (place.abs() < np.array(level.shape)).all(axis=None)
        and (place > 0).any(axis=None)
    ):
        log.warning(
            "%s: all positions are within %s nm (z, y, x) of the first voxel, in a volume of %s "
            "voxels: they are taken as nm, and may be voxels or µm",
            path,
            " x ".join(f"{value:.4g}" for value in place.abs().max()),
            by_axis(level.shape),
        )


def _in_voxels(table: Table) -> bool:
    """Whether the positions of a points layer are voxels, not nm."""
    if "unit" not in table:
        return "label" not in table
    units = set(table.texts("unit")) - {""}
    if len(units) > 1 or not units <= {"nm", "voxel"}:
        raise InputError(
            f"{table.source}: the column 'unit' is nm or voxel, the same in all rows, not "
            f"{', '.join(sorted(units))}"
        )
    return units == {"voxel"}


def _warn_of_ids(table: Table) -> None:
    if named := next((name for name in table.names if name.casefold() in _IDS), None):
        log.warning(
            "%s: the column %r is not read: name it 'label' if it holds the numbers of cells",
            table.source,
            named,
        )


def _check_inside(path: str, centres: pd.DataFrame, image: Image, *, voxels: bool = False) -> None:
    for name, (low, high) in zip(_PLACE, image.levels[0].geometry.bounds, strict=True):
        for row, value in centres[name].items():
            if not np.isnan(value) and not low <= value <= high:
                unit = "; without a column label, positions are taken for voxels" if voxels else ""
                raise InputError(
                    f"{path}, row {row}: {name} = {value:g} nm is outside the volume, "
                    f"which spans {low:g} to {high:g} nm{unit}"
                )


def correct_cells(
    cells: pd.DataFrame, corrections: pd.DataFrame, image: Image, path: str | Path
) -> pd.DataFrame:
    """Move, add or remove cells; all others keep label and centre.

    A row with the label of a cell moves its centre there; within half a voxel of its centre, it
    changes nothing. A row without a label, or with a new one, adds a cell; without, it gets the
    next free number. A label alone removes its cell. Where a label is used twice, as a viewer does
    with a point that was copied, the row where the cell is means that cell and the other is new.

    `cells` are from :func:`hela_dask.link_cells`, `corrections` from :func:`read_corrections`;
    `path` is where those are from, for messages. The result is sorted by label; flags ``moved`` and
    ``added`` record the changes. InputError for a label to take out that no cell has, or used twice
    for two new places.
    """
    rows: dict[int, Any] = {int(row["label"]): row for row in cells.to_dict("records")}
    where = {label: [row[name] for name in _PLACE] for label, row in rows.items()}
    wanted = [
        (None if np.isnan(label) else int(label), tuple(place))
        for label, *place in corrections[["label", *_PLACE]].to_numpy(dtype=float)
    ]
    still = np.array(image.levels[0].voxel_size) / 2
    stays = [
        label in where and bool((np.abs(np.subtract(place, where[label])) <= still).all())
        for label, place in wanted
    ]
    kept = {label for (label, _), stay in zip(wanted, stays, strict=True) if stay}
    free = max([*rows, *(label for label, _ in wanted if label is not None)], default=0) + 1
    changed: set[int] = set()
    for (named, place), stay in zip(wanted, stays, strict=True):
        if stay:
            continue
        out = bool(np.isnan(place).any())
        if named in changed or (out and named in kept):
            raise InputError(f"{path}: label {named} is used twice, for different things")
        label = free if named is None or named in kept else named
        free += label == free
        changed.add(label)
        if not out:
            rows[label] = _moved(rows.get(label), _given(label, place, image))
        elif rows.pop(label, None) is None:
            raise InputError(f"{path}: there is no cell {label} to take out")
    if not rows:
        raise InputError(f"{path} takes out all cells")
    return pd.DataFrame(list(rows.values())).sort_values("label", ignore_index=True)


def _moved(cell: dict[str, Any] | None, given: dict[str, Any]) -> dict[str, Any]:
    """A detected cell at the given centre; or a new one there."""
    if cell is None:
        return {**given, "flags": "added"}
    return {
        **given,
        "height": cell["height"],
        "n_detections": cell["n_detections"],
        "first_slice": min(cell["first_slice"], given["first_slice"]),
        "last_slice": max(cell["last_slice"], given["last_slice"]),
        "flags": "moved",
    }


def _given(label: int, place: tuple[float, ...], image: Image) -> dict[str, Any]:
    """The row of a cell with a known centre only."""
    number = image.levels[0].geometry.index((place[0], place[1], place[2]))[0] + 1
    return {
        "label": label,
        **dict(zip(_PLACE, map(float, place), strict=True)),
        "height": np.nan,
        "n_detections": 0,
        "first_slice": number,
        "last_slice": number,
        "status": DETECTED,
        "reason": "",
        "flags": "",
    }


def points_table(cells: pd.DataFrame) -> pd.DataFrame:
    """Centres in nm as napari reads and writes a points layer, with their labels as a feature."""
    shown = cells[cells["status"] != CHAIN_TOO_SHORT]
    table = pd.DataFrame({"index": np.arange(len(shown))})
    for axis, name in zip(_AXES, _PLACE, strict=True):
        table[axis] = shown[name].to_numpy().round(1)
    table["label"] = shown["label"].to_numpy()
    table["unit"] = "nm"
    return table
