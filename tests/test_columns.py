"""Columns of the tables: described once, with units; digits in a CSV; what is no volume."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import xarray as xr

import hela_dask as hd
from hela_dask.columns import COLUMNS, CONTACT_COLUMNS, OBJECT_COLUMNS, rounded
from hela_dask.comparing.columns import COMPARED_CELL_COLUMNS, COMPARISON_COLUMNS
from hela_dask.errors import InputError
from hela_dask.organelles.columns import ORGANELLE_CELL_COLUMNS, ORGANELLE_COLUMNS
from hela_dask.storage import store

DOCS = Path(__file__).parent.parent / "docs"
ALL = {
    **COLUMNS,
    **OBJECT_COLUMNS,
    **CONTACT_COLUMNS,
    **ORGANELLE_COLUMNS,
    **ORGANELLE_CELL_COLUMNS,
    **COMPARED_CELL_COLUMNS,
    **COMPARISON_COLUMNS,
}
PAGES = [DOCS / name for name in ("usage.md", "organelles.md", "compare.md", "meshes.md")]


def test_a_csv_has_the_digits_of_its_units_and_parquet_keeps_all(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "label": [1, 2],
            "z": [1450.123456, np.nan],
            "nucleus_volume": [60.04056789, np.nan],
            "confidence": [0.83925649, 1.0],
            "seconds": [8.3284, 0.0],
            "reason": ["", "x"],
            "other": [0.123456789, 1.0],
        }
    )
    store.write_table(tmp_path / "cells", table)
    lines = (tmp_path / "cells.csv").read_text().splitlines()
    assert lines[1] == "1,1450.1,60.041,0.839,8.3,,0.123456789"
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "cells.parquet"), table)
    schema = pyarrow.parquet.read_schema(tmp_path / "cells.parquet")
    assert schema.field("nucleus_volume").metadata[b"unit"].decode() == "µm³"
    assert b"nucleus" in schema.field("nucleus_volume").metadata[b"description"]
    assert schema.field("other").metadata is None
    assert rounded(table)["label"].tolist() == [1, 2]


def test_every_column_is_described_on_a_page() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"`([a-z_0-9]+)`", text))
    boxes = {name for name in COLUMNS if name.startswith("box_")}
    assert set(ALL) - boxes - named == set()
    assert all(column.meaning for column in ALL.values())
    lengths = {"nm", "µm²", "µm³", "s", "MiB", "1"}
    wholes = {"", "count", "slice", "voxel", "probability", "see the column unit"}
    assert {column.unit for column in ALL.values()} <= lengths | wholes


def test_numbers_that_are_counted_have_a_unit_too() -> None:
    counted = [name for name in ALL if name.startswith("n_") or name.endswith("handles")]
    assert len(counted) >= 6
    assert {ALL[name].unit for name in counted} == {"count"}
    assert {ALL[name].unit for name in ALL if name.endswith("_slice") and "touch" not in name} == {
        "slice"
    }


def test_units_and_meanings_are_beside_the_tables_of_a_folder(tmp_path: Path) -> None:
    table = pd.DataFrame({"label": [1], "nucleus_volume": [2.0], "mine": [3]})
    contacts = pd.DataFrame({"label": [1], "other": [2]})
    tables = {"cells": (table, COLUMNS), "contacts": (contacts, CONTACT_COLUMNS)}
    store.write_columns(tmp_path / "columns.csv", tables)
    assert (tmp_path / "columns.csv").read_bytes().startswith(b"\xef\xbb\xbftable,column")
    found = pd.read_csv(tmp_path / "columns.csv", keep_default_na=False)
    assert list(found) == ["table", "column", "unit", "meaning"]
    assert found["table"].tolist() == ["cells"] * 3 + ["contacts"] * 2
    rows = found.set_index(["table", "column"])
    assert rows.loc[("cells", "nucleus_volume"), "unit"] == "µm³"
    assert rows.loc[("cells", "mine"), "meaning"] == ""
    assert "smaller one" in str(rows.loc[("contacts", "label"), "meaning"])


VOLUME = np.zeros((4, 8, 8), np.uint8)


@pytest.mark.parametrize(
    "call",
    [
        hd.background,
        hd.distance,
        lambda volume: hd.gaussian(volume, 40.0),
        hd.grey_levels,
        hd.detect_cells,
        lambda volume: hd.link_cells(pd.DataFrame(), volume),
        lambda volume: hd.cell_regions(pd.DataFrame(), volume),
    ],
)
@pytest.mark.parametrize("volume", [VOLUME, VOLUME.tolist(), "hela.ome.zarr", None])
def test_what_is_no_volume_is_one_sentence(call: object, volume: object) -> None:
    with pytest.raises(InputError, match=r"a volume is an xarray.DataArray|lack the column"):
        call(volume)  # type: ignore[operator]


def test_a_volume_without_a_voxel_size_is_asked_for_it() -> None:
    with pytest.raises(InputError, match="does not state its voxel size along z"):
        hd.background(xr.DataArray(VOLUME, dims=("z", "y", "x")))
