"""Names and units of measures as people read them."""

from __future__ import annotations

from hela_dask.columns import COLUMNS

__all__ = ["measure_name", "name_and_unit", "unit_after"]


def measure_name(measure: str) -> str:
    """The name of a column without underscores."""
    return measure.replace("_", " ")


def unit_after(measure: str) -> str:
    """The unit of a column as it follows a number; nothing for a ratio."""
    unit = COLUMNS[measure].unit
    return "" if unit in ("", "1", "count") else f" {unit}"


def name_and_unit(measure: str) -> str:
    """The name of a column with its unit, for an axis or a table."""
    unit = unit_after(measure)
    return f"{measure_name(measure)}{f',{unit}' if unit else ''}"
