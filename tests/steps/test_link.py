"""Detections joined into chains: hand-made tables whose answer is seen by eye."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hela_dask.errors import InputError
from hela_dask.parameters import LinkParameters
from hela_dask.steps.detect import detect_cells
from hela_dask.steps.link import assign_chains, label_detections, link_cells, select_cell_detections
from tests.volumes import make_volume

STEP = 1000.0


def volume(count: int) -> xr.DataArray:
    return make_volume(np.zeros((count, 4, 4), bool), (STEP, 1e4, 1e4))


def table(*rows: tuple[int, float, float], height: float = 4000.0) -> pd.DataFrame:
    """Detections from slice (1-based), y and x in µm; every slice stands for 1 µm."""
    slices = np.array([row[0] for row in rows])
    return pd.DataFrame(
        {
            "slice": slices,
            "z": (slices - 1) * STEP,
            "y": [1000.0 * row[1] for row in rows],
            "x": [1000.0 * row[2] for row in rows],
            "height": height,
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
    assert cells["z"].tolist() == [4000.0, 4000.0]
    assert cells["n_detections"].tolist() == [10, 10]
    assert (cells["first_slice"].tolist(), cells["last_slice"].tolist()) == ([1, 1], [10, 10])
    assert cells["status"].tolist() == ["detected", "detected"]
    assert cells["reason"].tolist() == ["", ""]


def test_a_step_of_three_micrometres_links_and_a_longer_one_does_not() -> None:
    for step, count in ((13.0, 1), (13.01, 2)):
        detections = table((1, 10, 10), (2, 10, step), height=2000.0)
        assert len(link_cells(detections, volume(2))) == count


def test_small_cells_do_not_jump_as_far() -> None:
    for height, count in ((1250.0, 1), (1200.0, 2)):
        detections = table((1, 10, 10), (2, 10, 12.5), height=height)
        assert len(link_cells(detections, volume(2))) == count


def test_links_are_one_to_one_and_the_nearest_pair_goes_first() -> None:
    # Both ends want the detection at 11; the one at 10.5 is nearer, the other takes what is left.
    detections = table((1, 9, 5), (1, 10.5, 5), (2, 11, 5), (2, 7, 5), height=1200.0)
    chains = assign_chains(detections, LinkParameters())
    assert chains.tolist() == [0, 1, 1, 0]


def test_a_missed_slice_is_bridged_but_not_two() -> None:
    rows = [(z, 10.0, 10.0) for z in (1, 2, 3, 5, 6, 7, 8, 9, 10)]
    assert link_cells(table(*rows), volume(10))["n_detections"].tolist() == [9]
    assert len(link_cells(table(*rows), volume(10), LinkParameters(gap=0))) == 2
    torn = [row for row in rows if row[0] != 5]
    assert sorted(link_cells(table(*torn), volume(10))["n_detections"]) == [3, 5]


def test_a_chain_that_is_too_short_is_a_row_that_says_why() -> None:
    high = [(z, 10.0, 10.0) for z in range(1, 9)]
    low = [(z, 10.0, 30.0) for z in range(1, 4)]
    detections = pd.concat([table(*high), table(*low, height=1000.0)])
    cells = link_cells(detections, volume(30)).sort_values("x")
    assert cells["status"].tolist() == ["detected", "chain_too_short"]  # eight slices of 1 µm
    assert cells["reason"].tolist()[1] == (
        "spans 3.0 µm in 3 analysed slices, less than 7.5 µm, and its discs hold 9 µm³, under 40"
    )


def test_a_cell_low_in_every_slice_is_one_by_its_length_and_debris_is_not() -> None:
    detections = pd.concat(
        [
            table(*((z, 10.0, 10.0) for z in range(1, 16)), height=6000.0),
            table(*((z, 10.0, 30.0) for z in range(1, 16)), height=1500.0),  # 0.25 of the highest
            table(*((z, 30.0, 10.0) for z in range(3, 7)), height=5000.0),  # flat: 4 µm high
            table(*((z, 30.0, 30.0) for z in range(3, 6)), height=1200.0),
        ]
    )
    cells = link_cells(detections, volume(30)).sort_values(["y", "x"])
    assert cells["status"].tolist() == ["detected", "detected", "detected", "chain_too_short"]
    published = LinkParameters(smallest_cell=1e9)
    cells = link_cells(detections, volume(30), published).sort_values(["y", "x"])
    assert cells["status"].tolist() == ["detected", *["chain_too_short"] * 3]
    assert "15 analysed slices, but low in most of them" in cells["reason"].iloc[1]


def test_debris_alone_is_no_cell() -> None:
    detections = table(*((z, 10.0, 10.0) for z in range(3, 6)), height=1200.0)
    assert link_cells(detections, volume(30))["status"].tolist() == ["chain_too_short"]


def test_the_centre_of_a_bent_cell_is_in_its_tissue() -> None:
    # A crescent: the mean of its places, y = 10 and x = 14, is in the resin.
    bend = [(z, 10.0 + 1.5 * (z - 5), 18.0 - 0.25 * (z - 5) ** 2) for z in range(1, 10)]
    detections = table(*bend, height=1500.0)
    detections.loc[6:, "height"] = 2000.0
    cells = link_cells(detections, volume(9))
    assert len(cells) == 1
    assert cells[["z", "y", "x"]].iloc[0].tolist() == [6000.0, 13000.0, 17000.0]


def test_cells_on_top_of_each_other_are_two() -> None:
    detections = table(*((z, 10.0, 10.0 if z < 8 else 10.5) for z in range(1, 15)))
    detections["height"] = [2000.0, 4000, 5000, 5500, 5000, 4000, 2500] * 2
    cells = link_cells(detections, volume(14))
    assert cells["n_detections"].tolist() == [7, 7]
    assert cells["status"].tolist() == ["detected", "detected"]


def test_in_a_thin_volume_half_the_depth_is_enough() -> None:
    rows = [(z, 10.0, 10.0) for z in range(1, 4)]
    subsample = table(*rows, height=900.0)
    assert link_cells(subsample, volume(6))["status"].tolist() == ["detected"]
    assert link_cells(subsample, volume(7))["status"].tolist() == ["chain_too_short"]


def test_one_slice_links_each_detection_to_itself() -> None:
    rows, columns = np.indices((200, 300))
    tissue = (np.hypot(rows - 90, columns - 80) < 60) | (np.hypot(rows - 100, columns - 220) < 50)
    for count in (1, 15):  # the only slice; the only analysed one of a thin volume
        subsample = make_volume(np.repeat(~tissue[None], count, axis=0))
        cells = link_cells(detect_cells(subsample), subsample)
        assert cells["status"].tolist() == ["detected", "detected"]
        assert cells["n_detections"].tolist() == [count, count]


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


def test_ties_of_distances_are_resolved_alike_every_time() -> None:
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


def test_detections_say_which_cell_they_belong_to() -> None:
    high = table(*((z, 10.0, 10.0) for z in range(1, 11)))
    low = table((3, 30.0, 30.0), height=1200.0)
    more = table(*((z, 20.0, 10.0) for z in range(1, 11)), height=3000.0)
    detections = pd.concat([high, low, more]).sample(frac=1, random_state=0)
    cells = link_cells(detections, volume(10))
    labelled = label_detections(detections, cells)
    by_place = {y: set(labelled["label"][labelled["y"] == y]) for y in (10e3, 20e3, 30e3)}
    assert all(len(labels) == 1 for labels in by_place.values())
    assert set.union(*by_place.values()) == {1, 2, 3}
    shown = select_cell_detections(labelled, cells)
    assert len(shown) == 20 and not (shown["y"] == 30e3).any()
    assert (shown.groupby("slice")["rank"].max() == 2).all()
    assert len(select_cell_detections(detections, cells)) == 21


def test_no_detections_give_an_empty_table_with_all_columns() -> None:
    full = link_cells(table((1, 10, 10)), volume(1))
    empty = link_cells(table((1, 10, 10)).iloc[:0], volume(1))
    assert empty.empty
    assert list(empty.columns) == list(full.columns)
    assert label_detections(table((1, 10, 10)).iloc[:0], empty)["label"].dtype == np.int64


def test_a_table_that_is_not_of_detections_is_refused() -> None:
    detections = table((1, 10, 10))
    with pytest.raises(InputError, match="'rank'"):
        link_cells(detections.drop(columns="rank"), volume(1))
    detections.loc[0, "y"] = np.nan
    with pytest.raises(InputError, match="'y'"):
        link_cells(detections, volume(1))
