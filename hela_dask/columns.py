"""The columns of the tables that a run writes: their meanings, units, and digits in a CSV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

__all__ = [
    "COLUMNS",
    "CONTACT_COLUMNS",
    "MEASURES",
    "OBJECT_COLUMNS",
    "OBJECT_MEASURES",
    "SHAPE_COLUMNS",
    "Column",
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
        ``nm``, ``µm²``, ``µm³``, ``s``, ``MiB`` or ``1`` for a ratio; empty for numbers that are
        counted, texts and booleans.
    measure : bool
        Whether it measures a property of the cell itself, which groups of cells are compared by.
    """

    meaning: str
    unit: str = ""
    measure: bool = False


_BOX = {
    f"box_{axis}{end}": Column(f"{'last' if end else 'first'} edge in {axis} of the window", "nm")
    for axis in "zyx"
    for end in (0, 1)
}


def _of_side(name: str, owner: str) -> dict[str, Column]:
    """Columns of a comparison that both of its sides have."""
    return {
        f"{name}_cells": Column(f"complete cells {owner} with a value"),
        f"{name}_volumes": Column(f"volumes {owner} with such cells"),
        f"{name}_median": Column(f"median of the cells {owner}"),
        f"{name}_iqr": Column(f"interquartile range of the cells {owner}"),
        f"{name}_resampled": Column(f"whether the bootstrap resampled volumes or cells {owner}"),
    }


_SHAPE = (
    ("area", "area of the surface of the {}, without the sides of the volume", "µm²"),
    ("sphericity", "area of the sphere of the {0}'s volume over the {0}'s area", "1"),
    ("solidity", "volume of the {} over that of its convex hull", "1"),
    ("ruffling", "area of the {} over that of its convex hull", "1"),
    *(
        (f"axis_{n}", f"length of axis {n} of the ellipsoid of the {{}}'s second moments", "nm")
        for n in (1, 2, 3)
    ),
    *(
        (f"axis_{n}_direction_{along}", f"{along} of the unit vector of axis {n} of the {{}}", "1")
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
        "share of the cell's volume that a ball inside does not reach", "1", measure=True
    ),
    "nucleus_pieces": Column(
        "separate pieces of the nucleus, without those of less than a tenth of the largest"
    ),
    "nucleus_handles": Column("holes right through the nucleus", measure=True),
    "nucleus_invagination": Column(
        "largest distance from the nucleus' surface to that of its convex hull", "nm", measure=True
    ),
    **{
        f"nucleus_offset_{axis}": Column(
            f"{axis} of the nucleus' centroid, from the centroid of the cell", "nm"
        )
        for axis in "zyx"
    },
    "polarisation": Column(
        "distance of the centroids of nucleus and cell over the radius of the sphere of the cell's "
        "volume",
        "1",
        measure=True,
    ),
    "cytoplasm_thickness_least": Column(
        "least distance from the nucleus' surface to the cell's", "nm", measure=True
    ),
    "cytoplasm_thickness_median": Column(
        "median distance from the nucleus' surface to the cell's, over its area",
        "nm",
        measure=True,
    ),
}
"""Measures of the shape of a cell and its nucleus."""

COLUMNS: Final[Mapping[str, Column]] = {
    "label": Column("number in the labels; of a cell by z, y, x of the centre"),
    "slice": Column("slice that was analysed, counted from 1"),
    "z": Column("z of the centre", "nm"),
    "y": Column("y of the centre", "nm"),
    "x": Column("x of the centre", "nm"),
    "height": Column(
        "largest distance to the resin in the plane (the radius of the largest disc inside); of a "
        "cell the mean over its slices",
        "nm",
    ),
    "rank": Column("1 is the detection of the largest height in its slice"),
    "thickness": Column("depth of the volume that the analysed slice stands for", "nm"),
    "n_detections": Column("detections that were linked into the cell"),
    "first_slice": Column("first slice of the cell, counted from 1"),
    "last_slice": Column("last slice of the cell, included"),
    "status": Column("the result for the cell"),
    "reason": Column("why the cell, or a part of it, is missing"),
    "flags": Column("peculiarities, comma separated"),
    "edited_by": Column("author of the last edit of the cell; empty where there is none"),
    "edited_on": Column("time of the last edit of the cell"),
    **_BOX,
    "touches_first_slice": Column("the first slice of the volume cuts the cell"),
    "touches_last_slice": Column("the last slice of the volume cuts the cell"),
    "touches_side": Column("a side of the volume cuts the cell"),
    "window_clipped": Column("the window around the cell reaches beyond the volume"),
    "complete": Column("segmented, and touches neither the first nor the last slice nor a side"),
    "seconds": Column("time that segmentation took", "s"),
    "peak_memory": Column("largest memory of the process that segmented it", "MiB"),
    "confidence": Column("from 0 to 1: how far the masks can be trusted", "1"),
    "nucleus_jitter": Column("mean width along the outline that does not last along z", "nm"),
    "cell_jitter": Column("the same of the cell", "nm"),
    "nucleus_jump": Column("largest sudden change between slices, of a usual slice's area", "1"),
    "cell_jump": Column("the same of the cell", "1"),
    "contact": Column("share of the membrane without resin beside it", "1"),
    "nucleus_exposed": Column("share of the nucleus without cytoplasm beside it", "1"),
    "beyond_window": Column("area of the cell on sides of its window, of a usual slice's", "1"),
    "doubtful_slices": Column("slices to look at, as ranges"),
    "nucleus_volume": Column("volume of the nucleus, without its envelope", "µm³", measure=True),
    "cell_volume": Column("volume of the cell with nucleus and envelope", "µm³", measure=True),
    "envelope_volume": Column("volume of the nuclear envelope", "µm³", measure=True),
    "nucleus_diameter": Column("diameter of the sphere of the nucleus' volume", "nm", measure=True),
    "cell_diameter": Column("diameter of the sphere of the cell's volume", "nm", measure=True),
    "nucleus_to_cell": Column("nucleus volume over cell volume", "1", measure=True),
    **SHAPE_COLUMNS,
    "n_neighbours": Column("other cells that the cell touches", measure=True),
    "nucleus_first_slice": Column("first slice of the nucleus, counted from 1"),
    "nucleus_last_slice": Column("last slice of the nucleus, included"),
    "group": Column("group of runs that is compared"),
    "run": Column("run folder"),
    "image": Column("name of the image"),
    "measure": Column("column of the cells that is compared"),
    "unit": Column("of the measure, its medians, ranges and differences; 1 for a ratio"),
    "reference": Column("group that it is compared with"),
    **_of_side("reference", "of the reference"),
    **_of_side("group", "of the group"),
    "difference": Column("median of the group minus median of the reference"),
    "difference_low": Column("lower end of its bootstrap interval of 95 %"),
    "difference_high": Column("upper end"),
    "cliffs_delta": Column(
        "probability that a cell of the group has a larger value than one of the reference, minus "
        "that of a smaller one"
    ),
    "cliffs_delta_low": Column("lower end of its bootstrap interval of 95 %"),
    "cliffs_delta_high": Column("upper end"),
    "permuted": Column("whether volumes or cells were assigned to the groups by the test"),
    "smallest_p": Column("smallest p-value that so many volumes or cells can have"),
    "p_value": Column("two-sided, of the permutation test of Cliff's delta"),
    "p_adjusted": Column("corrected for all rows (Benjamini-Hochberg)"),
    "cell": Column("cell that holds most voxels of the organelle; 0 outside of all cells"),
    "compartment": Column("outside, or the part of that cell that holds most of them"),
    "share": Column("share of the organelle in that cell", "1"),
    "compartment_share": Column("share of the organelle in that compartment of that cell", "1"),
    "crosses_border": Column("it is in several cells, or in a cell and outside"),
    "second_cell": Column("cell with the second largest share; 0 outside, empty where none"),
    "second_share": Column("share of the organelle in the second cell", "1"),
    "volume": Column("volume of the organelle", "µm³"),
    "what": Column("kind of the object: cell or nucleus"),
    "file": Column("file of the mesh"),
    "triangles": Column("triangles of the mesh"),
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
    "closed": Column("each edge of the mesh has two triangles, of one orientation"),
    "euler_number": Column("vertices minus edges plus triangles of the mesh"),
    "flat_sides": Column("sides of the volume that cut the object"),
    "nucleus_distance": Column(
        "least distance of the organelle to the nucleus with its envelope; 0 where it reaches it",
        "nm",
    ),
    "membrane_distance": Column(
        "least distance of the organelle to the outside of the cell; 0 where it reaches it", "nm"
    ),
    "n_organelles": Column("organelles assigned to the cell"),
    "n_crossing": Column("those of them that cross a border"),
    "organelle_volume": Column("volume of the cell's voxels in organelles", "µm³"),
    "cytoplasm_volume": Column("volume of the cell without nucleus and envelope", "µm³"),
    "cytoplasm_share": Column("share of the cytoplasm in organelles", "1"),
}
"""Of ``cells.parquet``, ``detections.parquet``, and the tables of comparisons and organelles."""

MEASURES: Final = tuple(name for name, column in COLUMNS.items() if column.measure)
"""Columns that groups of cells are compared by."""

OBJECT_MEASURES: Final[Mapping[str, Column]] = {
    **_shape_of("object"),
    "protrusions": Column("share of the object's volume that a ball inside does not reach", "1"),
    "pieces": Column(
        "separate pieces of the object, without those of less than a tenth of the largest"
    ),
    "handles": Column("holes right through the object"),
    "invagination": Column(
        "largest distance from the object's surface to that of its convex hull", "nm"
    ),
    "resolved": Column(
        "its axis 3 has at least four sigmas of the smoothing; thinner objects lose more than 6 % "
        "of their area"
    ),
}
"""Measures of the shape of one labelled object."""

OBJECT_COLUMNS: Final[Mapping[str, Column]] = {
    "label": Column("number of the object in the labels"),
    "volume": Column("volume of the object's voxels", "µm³"),
    **OBJECT_MEASURES,
    **{
        f"{axis}{end}": Column(
            f"{'end' if end else 'begin'} of the object's box along {axis} in voxels from 0"
            f"{', not included' if end else ''}"
        )
        for axis in "zyx"
        for end in (0, 1)
    },
    "complete": Column("the object touches neither the first nor the last slice nor a side"),
}
"""Of a table of labelled objects of any origin."""

CONTACT_COLUMNS: Final[Mapping[str, Column]] = {
    "label": Column("number of one of the two"),
    "other": Column("number of the other, the larger one"),
    "contact_area": Column("area in which the two touch", "µm²"),
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
