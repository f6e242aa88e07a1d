"""The columns of the tables that a run writes: their meanings, units, and digits in a CSV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

from hela_dask.errors import ParameterError
from hela_dask.formatting import similar_name

__all__ = [
    "COLUMNS",
    "CONTACT_COLUMNS",
    "MEASURES",
    "OBJECT_COLUMNS",
    "OBJECT_MEASURES",
    "SHAPE_COLUMNS",
    "Column",
    "axis_label",
    "check_column",
    "columns_table",
    "describe_columns",
    "rounded",
]

_DIGITS = {"nm": 1, "µm²": 3, "µm³": 3, "s": 1, "MiB": 1, "1": 3}


@dataclass(frozen=True)
class Column:
    """The meaning of a column.

    Attributes
    ----------
    meaning : str
    unit : str
        ``nm``, ``µm²``, ``µm³``, ``s``, ``MiB``, ``1`` for a ratio, ``count``, ``slice``,
        ``voxel`` or ``probability``; empty for names, texts and booleans.
    measure : bool
        Whether it measures a property of the cell itself, which groups of cells are compared by.
    """

    meaning: str
    unit: str = ""
    measure: bool = False


_BOX = {
    f"box_{axis}{end}": Column(
        f"{'upper' if end else 'lower'} edge in {axis} of the window in which the cell is "
        "segmented; 0 is the centre of the first voxel, so the volume begins half a voxel below 0",
        "nm",
    )
    for axis in "zyx"
    for end in (0, 1)
}


_SHAPE = (
    (
        "area",
        "area of the surface of the {}; where the volume cuts it, area of the part inside",
        "µm²",
    ),
    (
        "sphericity",
        "area of a sphere of the same volume over the area of the {}: 1 for a sphere, lower for "
        "other shapes",
        "1",
    ),
    (
        "solidity",
        "volume of the {} over that of its convex hull: 1 for a convex shape, lower with clefts",
        "1",
    ),
    (
        "ruffling",
        "area of the {0} over that of its convex hull: 1 for a smooth convex shape, higher with "
        "folds; below 1 where the {0} is bent, branched or a ring, as the hull then has the "
        "larger area",
        "1",
    ),
    *(
        (
            f"axis_{n}",
            f"full length of the {rank} axis of the ellipsoid with the same second moments as "
            "the {}",
            "nm",
        )
        for n, rank in enumerate(("longest", "middle", "shortest"), start=1)
    ),
    *(
        (
            f"axis_{n}_direction_{along}",
            f"{along} component of the unit vector along axis {n} of the {{}}",
            "1",
        )
        for n in (1, 2, 3)
        for along in "zyx"
    ),
    ("max_diameter", "largest distance between two points of the {}", "nm"),
)  # name, meaning, unit


def _shape_of(part: str) -> dict[str, Column]:
    """The measures of shape of any object, without a prefix; directions are not compared."""
    return {
        name: Column(meaning.format(part), unit, measure="direction" not in name)
        for name, meaning, unit in _SHAPE
    }


_OF_BOTH = {
    f"{part}_{name}": column
    for part in ("cell", "nucleus")
    for name, column in _shape_of(part).items()
}

SHAPE_COLUMNS: Final[Mapping[str, Column]] = {
    **_OF_BOTH,
    "cell_protrusions": Column(
        "share of the cell's volume that a ball moved inside it does not reach: its thin parts "
        "([measure] protrusion is the radius)",
        "1",
        measure=True,
    ),
    "nucleus_handles": Column(
        "number of holes right through the nucleus (tunnels, as in a ring)", "count", measure=True
    ),
    "nucleus_pieces": Column(
        "number of separate pieces of the nucleus, without those of less than a tenth of the "
        "largest",
        "count",
    ),
    "nucleus_invagination": Column(
        "depth of the deepest fold or tunnel of the nucleus: largest distance from its surface to "
        "that of its convex hull",
        "nm",
        measure=True,
    ),
    **{
        f"nucleus_offset_{axis}": Column(
            f"{axis} of the nucleus' centroid minus {axis} of the cell's", "nm"
        )
        for axis in "zyx"
    },
    "polarisation": Column(
        "distance between the centroids of nucleus and cell, over the radius of a sphere of the "
        "cell's volume: 0 where the nucleus is in the middle",
        "1",
        measure=True,
    ),
    "cytoplasm_thickness_least": Column(
        "least distance from the nucleus' surface to the cell's surface", "nm", measure=True
    ),
    "cytoplasm_thickness_median": Column(
        "median, over the nucleus' surface, of the distance to the nearest point of the cell's "
        "surface",
        "nm",
        measure=True,
    ),
}
"""Measures of the shape of a cell and its nucleus."""

COLUMNS: Final[Mapping[str, Column]] = {
    "label": Column("number of the cell in the label image"),
    "slice": Column("analysed slice, counted from 1", "slice"),
    "z": Column("z of the centre; 0 is the centre of the first voxel", "nm"),
    "y": Column("y of the centre; 0 is the centre of the first voxel", "nm"),
    "x": Column("x of the centre; 0 is the centre of the first voxel", "nm"),
    "height": Column(
        "radius of the largest circle that fits into the cell in an analysed slice, the largest "
        "distance to the resin there; for a cell, the mean over its analysed slices. It is "
        "measured in the plane, not along z",
        "nm",
    ),
    "rank": Column("1 is the detection with the largest height in its slice"),
    "thickness": Column("extent along z that the analysed slice represents", "nm"),
    "n_detections": Column("detections in analysed slices that form the cell", "count"),
    "first_slice": Column("first slice of the cell, counted from 1", "slice"),
    "last_slice": Column("last slice of the cell, counted from 1, included", "slice"),
    "status": Column("result for the cell, as segmented or cut_by_volume; docs/usage.md lists all"),
    "reason": Column("why the cell or its nucleus is missing; else empty"),
    "flags": Column("remarks on the masks, comma separated; the report explains each"),
    "edited_by": Column("author of the last edit of the cell; empty where there is none"),
    "edited_on": Column("time of the last edit of the cell; empty where there is none"),
    **_BOX,
    "touches_first_slice": Column("true where the first slice of the volume cuts the cell"),
    "touches_last_slice": Column("true where the last slice of the volume cuts the cell"),
    "touches_side": Column("true where a side of the volume cuts the cell"),
    "window_clipped": Column("true where the window around the cell would reach beyond the volume"),
    "complete": Column(
        "true where the cell is segmented and whole: it touches neither the first nor the last "
        "slice nor a side of the volume. Use these cells for statistics"
    ),
    "seconds": Column("time that segmentation of the cell took", "s"),
    "peak_memory": Column("largest memory of the process that segmented the cell", "MiB"),
    "confidence": Column("trust in the masks, from 0 to 1: check the lowest first", "1"),
    "nucleus_jitter": Column(
        "unsteadiness of the nucleus' outline: mean width that changes from slice to slice", "nm"
    ),
    "cell_jitter": Column(
        "unsteadiness of the cell's outline: mean width that changes from slice to slice", "nm"
    ),
    "nucleus_jump": Column(
        "largest sudden change of the nucleus between slices, over the area of a usual slice", "1"
    ),
    "cell_jump": Column(
        "largest sudden change of the cell between slices, over the area of a usual slice", "1"
    ),
    "contact": Column(
        "share of the cell's membrane without resin beside it (neighbours, or an error)", "1"
    ),
    "nucleus_exposed": Column("share of the nucleus' surface without cytoplasm beside it", "1"),
    "beyond_window": Column(
        "area of the cell on the sides of its window, over the area of a usual slice", "1"
    ),
    "doubtful_slices": Column("slices to check, as slices 10-12, 20, counted from 1"),
    "nucleus_volume": Column("volume of the nucleus, without its envelope", "µm³", measure=True),
    "cell_volume": Column("volume of the cell with nucleus and envelope", "µm³", measure=True),
    "envelope_volume": Column("volume of the nuclear envelope", "µm³", measure=True),
    "nucleus_diameter": Column("diameter of a sphere of the nucleus' volume", "nm", measure=True),
    "cell_diameter": Column("diameter of a sphere of the cell's volume", "nm", measure=True),
    "nucleus_to_cell": Column("volume of the nucleus over that of the cell", "1", measure=True),
    **SHAPE_COLUMNS,
    "n_neighbours": Column("number of other cells that the cell touches", "count", measure=True),
    "nucleus_first_slice": Column("first slice of the nucleus, counted from 1", "slice"),
    "nucleus_last_slice": Column("last slice of the nucleus, counted from 1, included", "slice"),
    "what": Column("kind of the object: cell or nucleus"),
    "file": Column("file of the mesh"),
    "triangles": Column("number of triangles of the mesh", "count"),
    "mesh_volume": Column("volume that the mesh encloses", "µm³"),
    "labels_volume": Column("volume of all voxels of the object", "µm³"),
    "volume_difference": Column("mesh_volume minus labels_volume, over labels_volume", "1"),
    "mesh_area": Column("area of the mesh", "µm²"),
    "mesh_distance": Column(
        "largest distance of a point of the mesh from the surface of the labels", "nm"
    ),
    "labels_distance": Column(
        "largest distance of a point of the surface of the labels from the mesh", "nm"
    ),
    "labels_beyond": Column("share of that surface that is farther than the error", "1"),
    "closed": Column("true where each edge of the mesh has two triangles, of one orientation"),
    "euler_number": Column(
        "vertices minus edges plus triangles of the mesh: 2 without holes", "count"
    ),
    "flat_sides": Column("sides of the volume that cut the object, where the mesh is flat"),
}
"""Of ``cells.parquet``, ``detections.parquet`` and the table of meshes."""

MEASURES: Final = tuple(name for name, column in COLUMNS.items() if column.measure)
"""Columns that groups of cells are compared by."""

OBJECT_MEASURES: Final[Mapping[str, Column]] = {
    **_shape_of("object"),
    "protrusions": Column(
        "share of the object's volume that a ball moved inside it does not reach: its thin parts "
        "([measure] protrusion is the radius)",
        "1",
    ),
    "pieces": Column(
        "number of separate pieces of the object, without those of less than a tenth of the "
        "largest",
        "count",
    ),
    "handles": Column("number of holes right through the object (tunnels, as in a ring)", "count"),
    "invagination": Column(
        "depth of the deepest fold or tunnel of the object: largest distance from its surface to "
        "that of its convex hull",
        "nm",
    ),
    "resolved": Column(
        "true where axis 3 is at least four sigmas of the smoothing; thinner objects lose more "
        "than 6 % of their area"
    ),
}
"""Measures of the shape of one labelled object."""

OBJECT_COLUMNS: Final[Mapping[str, Column]] = {
    "label": Column("number of the object in the labels"),
    "volume": Column("volume of the object's voxels", "µm³"),
    **OBJECT_MEASURES,
    **{
        f"{axis}{end}": Column(
            f"{'end' if end else 'begin'} of the object's box along {axis}, counted from 0"
            f"{', not included' if end else ''}",
            "voxel",
        )
        for axis in "zyx"
        for end in (0, 1)
    },
    "complete": Column(
        "true where the object touches neither the first nor the last slice nor a side"
    ),
}
"""Of a table of labelled objects of any origin."""

CONTACT_COLUMNS: Final[Mapping[str, Column]] = {
    "label": Column("number of one of the two cells (objects), the smaller one"),
    "other": Column("number of the other of the two, the larger one"),
    "contact_area": Column("area in which the two touch; 0 where they are only near", "µm²"),
    "distance": Column("least distance of the two; 0 where they touch", "nm"),
}
"""Of a table of contacts."""


def describe_columns(
    table: pd.DataFrame, columns: Mapping[str, Column] = COLUMNS
) -> dict[str, dict[str, str]]:
    """Unit and meaning of the known columns of a table, for the metadata of a Parquet file."""
    known = [name for name in map(str, table) if name in columns]
    return {
        name: {"unit": columns[name].unit, "description": columns[name].meaning} for name in known
    }


def columns_table(tables: Mapping[str, tuple[pd.DataFrame, Mapping[str, Column]]]) -> pd.DataFrame:
    """A row per column of some tables: ``table``, ``column``, ``unit`` and ``meaning``.

    `tables` are the tables with the meanings of their columns, by the names of their files. A
    column without a known meaning has an empty one.
    """
    unknown = Column("")
    rows = [
        (name, column, columns.get(column, unknown).unit, columns.get(column, unknown).meaning)
        for name, (table, columns) in tables.items()
        for column in map(str, table)
    ]
    return pd.DataFrame(rows, columns=["table", "column", "unit", "meaning"])


def rounded(table: pd.DataFrame, columns: Mapping[str, Column] = COLUMNS) -> pd.DataFrame:
    """The table with as many decimals as its units are worth, for people."""
    digits = {
        name: _DIGITS[columns[name].unit]
        for name in map(str, table)
        if name in columns
        and columns[name].unit in _DIGITS
        and pd.api.types.is_float_dtype(table[name].dtype)
    }
    return table.round(digits)


def axis_label(name: str, columns: Mapping[str, Column] = COLUMNS) -> str:
    """The name of a column with its unit, for an axis of a plot."""
    unit = columns[name].unit if name in columns else ""
    return name.replace("_", " ") + ("" if unit in ("", "1", "count") else f" ({unit})")


def check_column(name: str, table: pd.DataFrame) -> None:
    """ParameterError unless a table has a column of numbers with this name."""
    known = [str(column) for column in table.select_dtypes("number")]
    if name in known:
        return
    if name in table:
        raise ParameterError(f"the column {name!r} has no numbers, so it cannot be plotted")
    hint = similar_name(name, known, "columns with numbers")
    raise ParameterError(f"there is no column {name!r}; {hint}")
