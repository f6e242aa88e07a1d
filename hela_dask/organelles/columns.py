"""The columns of the tables of organelles: their meanings and units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hela_dask.columns import COLUMNS, Column

__all__ = ["ORGANELLE_CELL_COLUMNS", "ORGANELLE_COLUMNS"]

_PARTS = ("nucleus", "envelope", "cytoplasm")

ORGANELLE_COLUMNS: Final[Mapping[str, Column]] = {
    "label": Column("number of the organelle in its label image"),
    "cell": Column("cell that holds most voxels of the organelle; 0 outside of all cells"),
    "compartment": Column("part of that cell that holds most of the voxels, or outside"),
    "share": Column("share of the organelle's voxels in that cell", "1"),
    "compartment_share": Column(
        "share of the organelle's voxels in that compartment of that cell", "1"
    ),
    "crosses_border": Column(
        "true where the organelle has voxels in several cells, or in a cell and outside"
    ),
    "second_cell": Column("cell with the second largest share; 0 outside, empty where none"),
    "second_share": Column("share of the organelle in the second cell", "1"),
    "volume": Column("volume of all voxels of the organelle", "µm³"),
    **{
        axis: Column(f"{axis} of the centre of mass; 0 is the centre of the first voxel", "nm")
        for axis in "zyx"
    },
    "complete": Column(
        "true where the organelle touches neither the first nor the last slice nor a side of the "
        "volume. Use these organelles for statistics"
    ),
    "nucleus_distance": Column(
        "least distance of the organelle to the nucleus with its envelope; 0 where it reaches it",
        "nm",
    ),
    "membrane_distance": Column(
        "least distance of the organelle to the outside of the cell; 0 where it reaches it", "nm"
    ),
}
"""Of ``organelles_NAME.parquet``: one row per organelle."""

ORGANELLE_CELL_COLUMNS: Final[Mapping[str, Column]] = {
    **{name: COLUMNS[name] for name in ("label", "status", "complete")},
    "n_organelles": Column("number of organelles assigned to the cell", "count"),
    "n_crossing": Column("number of those that cross a border of the cell", "count"),
    **{
        f"n_in_{part}": Column(
            f"number of these organelles with most of their voxels in the cell in its {part}",
            "count",
        )
        for part in _PARTS
    },
    "organelle_volume": Column(
        "volume of organelles inside the cell, voxel by voxel: also parts of those that are "
        "assigned to another cell",
        "µm³",
    ),
    **{
        f"volume_in_{part}": Column(f"volume of organelles inside the cell's {part}", "µm³")
        for part in _PARTS
    },
    "cytoplasm_volume": Column("volume of the cell without nucleus and envelope", "µm³"),
    "cytoplasm_share": Column("share of the cytoplasm's volume that organelles fill", "1"),
    **{
        f"{name}_distance_{kind}": Column(
            f"{kind} of {name}_distance of the organelles assigned to the cell", "nm"
        )
        for name in ("nucleus", "membrane")
        for kind in ("mean", "median")
    },
}
"""Of ``organelles_NAME_cells.parquet``: one row per labelled cell."""
