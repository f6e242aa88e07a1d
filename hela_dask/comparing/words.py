"""Names and units of measures as people read them."""

from __future__ import annotations

from hela_dask.columns import COLUMNS

__all__ = ["measure_name", "name_and_unit", "unit_after"]


_SPELLED = {
    "nucleus_to_cell": "ratio of nucleus volume to cell volume",
    "nucleus_handles": "number of holes through the nucleus",
    "n_neighbours": "number of neighbours",
    "cell_protrusions": "share of the cell in protrusions",
}  # columns with names that are not those of a quantity


def measure_name(measure: str) -> str:
    """The name of a measure as people read it."""
    return _SPELLED.get(measure, measure.replace("_", " "))


def unit_after(measure: str) -> str:
    """The unit of a column as it follows a number; nothing for a ratio."""
    unit = COLUMNS[measure].unit
    return "" if unit in ("", "1", "count") else f" {unit}"


def name_and_unit(measure: str) -> str:
    """The name of a column with its unit, for an axis or a table."""
    unit = unit_after(measure)
    return f"{measure_name(measure)}{f',{unit}' if unit else ''}"
