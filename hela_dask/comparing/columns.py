"""The columns of the tables of a comparison: their meanings and units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hela_dask.columns import COLUMNS, Column

__all__ = ["COMPARED_CELL_COLUMNS", "COMPARISON_COLUMNS", "VOLUME_COLUMNS"]

_OF_MEASURE = "see the column unit"


def _of_side(name: str, owner: str) -> dict[str, Column]:
    """Columns of a comparison that both of its sides have."""
    return {
        f"{name}_cells": Column(f"number of complete cells {owner} with a value", "count"),
        f"{name}_volumes": Column(f"number of volumes {owner} with such cells", "count"),
        f"{name}_median": Column(f"median of the cells {owner}", _OF_MEASURE),
        f"{name}_iqr": Column(
            f"interquartile range of the cells {owner}: width of their middle half",
            _OF_MEASURE,
        ),
        f"{name}_resampled": Column(f"whether the bootstrap resampled volumes or cells {owner}"),
    }


_GROUP = Column("group of runs that is compared")

COMPARED_CELL_COLUMNS: Final[Mapping[str, Column]] = {
    **COLUMNS,
    "group": _GROUP,
    "run": Column("run folder"),
    "image": Column("name of the image"),
}
"""Of ``cells.parquet`` of a comparison: one row per complete cell."""

COMPARISON_COLUMNS: Final[Mapping[str, Column]] = {
    "group": _GROUP,
    "measure": Column("column of the cells that is compared"),
    "unit": Column("unit of the measure, its medians, ranges and differences; 1 for a ratio"),
    "reference": Column("group that it is compared with"),
    **_of_side("reference", "of the reference"),
    **_of_side("group", "of the group"),
    "difference": Column("median of the group minus median of the reference", _OF_MEASURE),
    "difference_low": Column(
        "lower end of the bootstrap interval of 95 % of the difference", _OF_MEASURE
    ),
    "difference_high": Column("upper end of that interval", _OF_MEASURE),
    "volumes_difference": Column(
        "mean of the medians of the group's volumes minus that of the reference's", _OF_MEASURE
    ),
    "volumes_difference_low": Column(
        "lower end of Welch's interval of 95 % of volumes_difference; empty where a group has one "
        "volume",
        _OF_MEASURE,
    ),
    "volumes_difference_high": Column("upper end of that interval", _OF_MEASURE),
    "cliffs_delta": Column(
        "probability that a cell of the group has a larger value than one of the reference, minus "
        "that of a smaller one: 0 without difference, 1 and -1 without overlap",
        "1",
    ),
    "cliffs_delta_low": Column("lower end of the bootstrap interval of 95 % of Cliff's delta", "1"),
    "cliffs_delta_high": Column("upper end of that interval", "1"),
    "permuted": Column("whether volumes or cells were assigned to the groups by the test"),
    "smallest_p": Column("smallest p-value that so many volumes or cells can have", "probability"),
    "p_value": Column("two-sided p-value of the permutation test of Cliff's delta", "probability"),
    "p_adjusted": Column(
        "p-value corrected for all rows of the table (Benjamini-Hochberg)", "probability"
    ),
}
"""Of ``comparison.parquet``: one row per measure and group."""

VOLUME_COLUMNS: Final[Mapping[str, Column]] = {
    **{name: COMPARISON_COLUMNS[name] for name in ("measure", "unit")},
    **{name: COMPARED_CELL_COLUMNS[name] for name in ("group", "image", "run")},
    "number": Column("number of the volume in its group, as in the plot", "count"),
    "cells": Column("number of complete cells of the volume with a value", "count"),
    "median": Column("median of these cells", _OF_MEASURE),
    "lower_quartile": Column("value below which a quarter of these cells lie", _OF_MEASURE),
    "upper_quartile": Column("value above which a quarter of these cells lie", _OF_MEASURE),
    "mean": Column("mean of these cells", _OF_MEASURE),
    "sd": Column("standard deviation of these cells; empty for a single cell", _OF_MEASURE),
}
"""Of ``volumes.parquet``: one row per measure and volume."""
