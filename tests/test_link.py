"""Detections joined into chains: hand-made tables whose answer is seen by eye."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hela_dask.detect import detect_cells
from hela_dask.errors import InputError
from hela_dask.link import link_cells
from hela_dask.parameters import LinkParameters
from tests.volumes import make_volume

STEP = 1000.0


def volume(count: int) -> xr.DataArray:
    return make_volume(np.zeros((count, 4, 4), bool), (STEP, 1e4, 1e4))


def table(*rows: tuple[int, float, float]) -> pd.DataFrame:
    """Detections from slice (1-based), y and x in µm; every slice stands for 1 µm."""
    slices = np.array([row[0] for row in rows])
    return pd.DataFrame(
        {
            "slice": slices,
            "z": (slices - 1) * STEP,
            "y": [1000.0 * row[1] for row in rows],
            "x": [1000.0 * row[2] for row in rows],
            "height": 4000.0,
            "rank": [
                1 + sum(row[0] == before[0] for before in rows[:n]) for n, row in enumerate(rows)
            ],
            "thickness": STEP,
        }
    )


def test_two_straight_cells() -> None:
    rows = [(z, 10.0, 30.0) for z in range(1, 11)] + [(z, 10.0, 10.0) for z in range(1, 11)]
    cells = link_cells(table(*rows), volume(10))
    assert cells["label"].tolist() == [1, 2]
    assert cells["x"].tolist() == [10000.0, 30000.0]
    assert cells["z"].tolist() == [4500.0, 4500.0]
    assert cells["n_detections"].tolist() == [10, 10]
    assert (cells["first_slice"].tolist(), cells["last_slice"].tolist()) == ([1, 1], [10, 10])
    assert cells["status"].tolist() == ["ok", "ok"]
    assert cells["reason"].tolist() == ["", ""]


def test_a_step_of_three_micrometres_links_and_a_longer_one_does_not() -> None:
    assert len(link_cells(table((1, 10, 10), (2, 10, 13)), volume(2))) == 1
    assert len(link_cells(table((1, 10, 10), (2, 10, 13.01)), volume(2))) == 2


def test_links_are_one_to_one_and_the_nearest_pair_goes_first() -> None:
    # Both ends want the detection at 11; the one at 10.5 is nearer, the other takes what is left.
    cells = link_cells(table((1, 9, 5), (1, 10.5, 5), (2, 11, 5), (2, 7, 5)), volume(2))
    assert sorted(cells["y"]) == [8000.0, 10750.0]
    assert cells["n_detections"].tolist() == [2, 2]


def test_a_missed_slice_is_bridged_but_not_two() -> None:
    rows = [(z, 10.0, 10.0) for z in (1, 2, 3, 5, 6, 7, 8, 9, 10)]
    assert link_cells(table(*rows), volume(10))["n_detections"].tolist() == [9]
    assert len(link_cells(table(*rows), volume(10), LinkParameters(gap=0))) == 2
    torn = [row for row in rows if row[0] != 5]
    assert sorted(link_cells(table(*torn), volume(10))["n_detections"]) == [3, 5]


def test_a_chain_that_is_too_short_is_a_row_that_says_why() -> None:
    rows = [(z, 10.0, 10.0) for z in range(1, 9)] + [(z, 10.0, 30.0) for z in range(1, 8)]
    cells = link_cells(table(*rows), volume(30)).sort_values("x")
    assert cells["status"].tolist() == ["ok", "chain_too_short"]  # eight slices of 1 µm
    assert cells["reason"].tolist()[1] == ("spans 7.0 µm in 7 analysed slices, less than 7.5 µm")


def test_in_a_thin_volume_half_the_depth_is_enough() -> None:
    rows = [(z, 10.0, 10.0) for z in range(1, 4)]
    assert link_cells(table(*rows), volume(6))["status"].tolist() == ["ok"]
    assert link_cells(table(*rows), volume(7))["status"].tolist() == ["chain_too_short"]


def test_one_slice_links_each_detection_to_itself() -> None:
    rows, columns = np.indices((200, 300))
    tissue = (np.hypot(rows - 90, columns - 80) < 60) | (np.hypot(rows - 100, columns - 220) < 50)
    for count in (1, 15):  # the only slice; the only analysed one of a thin volume
        thin = make_volume(np.repeat(~tissue[None], count, axis=0))
        cells = link_cells(detect_cells(thin), thin)
        assert cells["status"].tolist() == ["ok", "ok"]
        assert cells["n_detections"].tolist() == [1, 1]


def test_the_order_of_the_rows_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    rows = [
        (z, cell * 4 + rng.normal(0, 0.8), rng.normal(0, 0.8))
        for z in range(1, 13)
        for cell in range(5)
    ]
    detections = table(*rows)
    expected = link_cells(detections, volume(12))
    for seed in range(3):
        shuffled = detections.sample(frac=1, random_state=seed)
        pd.testing.assert_frame_equal(link_cells(shuffled, volume(12)), expected)
    assert expected["n_detections"].sum() == len(rows)


def test_equal_distances_are_decided_the_same_way_every_time() -> None:
    detections = table((1, 10, 9), (1, 10, 11), (2, 10, 10))
    expected = link_cells(detections, volume(2))
    swapped = detections.iloc[[1, 0, 2]]
    pd.testing.assert_frame_equal(link_cells(swapped, volume(2)), expected)


def test_moving_everything_moves_the_centres() -> None:
    rows = [(z, 10.0 + 0.3 * z, 10.0) for z in range(1, 9)] + [
        (z, 20.0, 30.0) for z in range(3, 11)
    ]
    expected = link_cells(table(*rows), volume(12))
    moved = link_cells(table(*((z + 2, y + 5, x) for z, y, x in rows)), volume(12))
    np.testing.assert_allclose(moved["z"], expected["z"] + 2 * STEP)
    np.testing.assert_allclose(moved["y"], expected["y"] + 5000)
    np.testing.assert_array_equal(moved["n_detections"], expected["n_detections"])


def test_no_detections_give_an_empty_table_with_all_columns() -> None:
    full = link_cells(table((1, 10, 10)), volume(1))
    empty = link_cells(table((1, 10, 10)).iloc[:0], volume(1))
    assert empty.empty
    assert list(empty.columns) == list(full.columns)


def test_a_table_that_is_not_of_detections_is_refused() -> None:
    detections = table((1, 10, 10))
    with pytest.raises(InputError, match="'rank'"):
        link_cells(detections.drop(columns="rank"), volume(1))
    detections.loc[0, "y"] = np.nan
    with pytest.raises(InputError, match="'y'"):
        link_cells(detections, volume(1))
