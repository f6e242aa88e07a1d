"""Measurements of drawn cells, and that slabs in any order add up to the same."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from hela_dask.errors import InputError
from hela_dask.steps.measure import combine_counts, count_slab, measure_cells, measurements

SIZE = (50.0, 40.0, 20.0)


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Four cells in 6 x 10 x 12 voxels.

    1: slices 2-5, 4 x 5 pixels (80 voxels), its nucleus slices 3-4, 2 x 2 (8 voxels); complete
    2: slice 1 only, 2 x 3, no nucleus: touches the first slice
    3: slices 5-6, against the right side: touches the last slice and a side
    7: a nucleus alone, one voxel, at the upper edge: touches a side
    """
    nuclei, cells = np.zeros((2, 6, 10, 12), np.uint32)
    cells[1:5, 3:7, 2:7], nuclei[2:4, 4:6, 3:5] = 1, 1
    cells[0, 7:9, 2:5] = 2
    cells[4:, 3:7, 9:] = 3
    nuclei[2, 0, 9] = 7
    return nuclei, cells


def test_measures_of_drawn_cells() -> None:
    table = measure_cells(*drawn(), SIZE).set_index("label")
    assert table.index.tolist() == [1, 2, 3, 7]
    # A voxel is 50 * 40 * 20 nm³ = 4e-5 µm³.
    assert table["cell_volume"].tolist()[:3] == pytest.approx([80 * 4e-5, 6 * 4e-5, 24 * 4e-5])
    assert table.loc[1, "nucleus_volume"] == pytest.approx(8 * 4e-5)
    assert table.loc[1, "nucleus_to_cell"] == pytest.approx(0.1)
    # The sphere of 80 * 40000 nm³: (6 * 3.2e6 / pi) ** (1/3).
    assert table.loc[1, "cell_diameter"] == pytest.approx((6 * 3.2e6 / math.pi) ** (1 / 3))
    assert table["nucleus_volume"].isna().tolist() == [False, True, True, False]
    assert table["cell_volume"].isna().tolist() == [False, False, False, True]
    assert table["envelope_volume"].isna().all()


def test_an_envelope_is_measured_beside_its_nucleus() -> None:
    nuclei, cells = drawn()
    envelope = np.zeros_like(nuclei)
    envelope[2, 4:6, 5] = 1
    table = measure_cells(nuclei, cells, SIZE, envelope=envelope).set_index("label")
    assert table.loc[1, "envelope_volume"] == pytest.approx(2 * 4e-5)
    others = table.drop(columns="envelope_volume")
    assert others.equals(
        measure_cells(nuclei, cells, SIZE).set_index("label").drop(columns="envelope_volume")
    )
    with pytest.raises(InputError, match="envelope is 6 x 10 x 6 and cells"):
        measure_cells(nuclei, cells, SIZE, envelope=envelope[..., ::2])


def test_slices_are_counted_from_one_and_edges_are_seen() -> None:
    table = measure_cells(*drawn(), SIZE).set_index("label")
    assert table["first_slice"].tolist() == [2, 1, 5, 3]
    assert table["last_slice"].tolist() == [5, 1, 6, 3]
    assert table["nucleus_first_slice"].tolist() == [3, pd.NA, pd.NA, 3]
    assert table["nucleus_last_slice"].tolist() == [4, pd.NA, pd.NA, 3]
    assert table["touches_first_slice"].tolist() == [False, True, False, False]
    assert table["touches_last_slice"].tolist() == [False, False, True, False]
    assert table["touches_side"].tolist() == [False, False, True, True]
    assert table["complete"].tolist() == [True, False, False, False]


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_slabs_in_any_order_add_up(depth: int) -> None:
    nuclei, cells = drawn()
    whole = count_slab(nuclei, cells, 0)
    parts = [count_slab(nuclei[z : z + depth], cells[z : z + depth], z) for z in range(0, 6, depth)]
    pd.testing.assert_frame_equal(combine_counts(parts), whole)
    pd.testing.assert_frame_equal(combine_counts(parts[::-1]), whole)
    pd.testing.assert_frame_equal(combine_counts([combine_counts(parts[1:]), parts[0]]), whole)
    assert (whole.dtypes == np.int64).all()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "uint16", ">u2", "int32", "uint64"])
def test_labels_of_any_type_are_counted(dtype: str) -> None:
    largest = 1 if dtype == "bool" else min(np.iinfo(dtype).max, 65535)
    labels = np.zeros((2, 3, 4), dtype)
    assert count_slab(labels, None, 0).empty
    labels[1, 2, 1:3] = largest
    row = count_slab(labels, None, 7, corner=(10, 20)).iloc[0]
    assert row[["label", "nucleus_voxels", "cell_voxels"]].tolist() == [largest, 2, 0]
    assert row[["z0", "z1", "y0", "y1", "x0", "x1"]].tolist() == [8, 9, 12, 13, 21, 23]


def test_a_large_block_has_the_counts_of_its_parts() -> None:
    labels = np.random.default_rng(0).integers(0, 300, (5, 1024, 1024)).astype(np.uint16)
    parts = [count_slab(labels[z : z + 1], None, z) for z in range(5)]
    pd.testing.assert_frame_equal(count_slab(labels, None, 0), combine_counts(parts))


def test_a_label_below_zero_is_refused() -> None:
    with pytest.raises(InputError, match="0 or more, not -5"):
        count_slab(np.full((1, 2, 2), -5, np.int16), None, 0)


def test_no_cell_is_an_empty_table_with_the_same_columns() -> None:
    nothing = np.zeros((2, 4, 4), np.uint16)
    table = measurements(count_slab(nothing, nothing, 0), SIZE, (2, 4, 4))
    assert len(table) == 0
    assert table.columns.equals(measure_cells(*drawn(), SIZE).columns)


def test_nuclei_can_be_counted_without_cells() -> None:
    nuclei, _ = drawn()
    table = measurements(count_slab(nuclei, None, 0), SIZE, (6, 10, 12))
    assert table["label"].tolist() == [1, 7]
    assert table["cell_volume"].isna().all()
    assert table["nucleus_to_cell"].isna().all()


def test_wrong_input_is_named() -> None:
    nuclei, cells = drawn()
    with pytest.raises(InputError, match="one shape"):
        count_slab(nuclei[:1], cells, 0)
    with pytest.raises(InputError, match="nuclei is 6 x 10 x 6 and cells 6 x 10 x 12 voxels"):
        measure_cells(nuclei[..., ::2], cells, SIZE)
    with pytest.raises(InputError, match="no voxel size"):
        measure_cells(nuclei, cells)


def test_volumes_of_the_real_cell(real_data: Path) -> None:
    truth = tifffile.imread(real_data / "roi1656" / "labels_z001-180.tif")
    nucleus, cell = truth == 2, np.isin(truth, (1, 2, 5))
    row = measure_cells(nucleus.astype(np.uint8), cell.astype(np.uint8), (50, 40, 40)).iloc[0]
    assert row["nucleus_volume"] == pytest.approx(4_464_215 * 8e-5)
    assert row["cell_volume"] == pytest.approx(13_283_995 * 8e-5)
    assert (row["first_slice"], row["nucleus_first_slice"]) == (1, 24)
    assert row["touches_first_slice"]
