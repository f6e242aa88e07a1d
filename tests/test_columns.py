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
from hela_dask.errors import InputError
from hela_dask.storage import store

DOCS = Path(__file__).parent.parent / "docs"
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
    assert set(COLUMNS) - boxes - named == set()
    assert (set(OBJECT_COLUMNS) | set(CONTACT_COLUMNS)) - named == set()
    columns = [*COLUMNS.values(), *OBJECT_COLUMNS.values(), *CONTACT_COLUMNS.values()]
    assert all(column.meaning for column in columns)
    assert {column.unit for column in columns} <= {"", "nm", "µm²", "µm³", "s", "MiB", "1"}


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
