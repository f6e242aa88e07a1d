"""Cells per analysed slice: which slices, which places, the same for any chunking and level."""

from __future__ import annotations

from typing import Any

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from hela_dask.errors import InputError
from hela_dask.parameters import DetectParameters
from hela_dask.steps.detect import DETECTION_COLUMNS, analysed_slices, detect_cells
from tests.volumes import LargestInput, make_volume


def two_balls(depth: int = 60, rows: int = 200, columns: int = 300) -> NDArray[np.bool_]:
    """Resin around two cells that stand through the whole depth, wide in the middle."""
    z, y, x = np.indices((depth, rows, columns))
    waist = 1 - 0.3 * np.abs(z - depth / 2) / (depth / 2)
    first = np.hypot(y - 90, x - 90) < 60 * waist
    second = np.hypot(y - 110, x - 215) < 50 * waist
    background: NDArray[np.bool_] = ~(first | second)
    return background


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (300, list(range(9, 300, 20))),
        (518, list(range(18, 500, 20))),
        (1, [0]),
        (2, [0, 1]),
        (9, list(range(9))),
        (40, list(range(2, 40, 5))),
        (160, list(range(9, 160, 20))),
    ],
)
def test_analysed_slices_lie_in_the_middle(count: int, expected: list[int]) -> None:
    found = analysed_slices(count, 50.0, DetectParameters())
    assert found == expected
    before, after = found[0], count - 1 - found[-1]
    assert after - before in (0, 1)


def test_a_thin_volume_is_looked_at_more_closely() -> None:
    for count in range(8, 160):
        found = analysed_slices(count, 50.0, DetectParameters())
        assert len(found) >= 8
        assert len(set(np.diff(found))) == 1
    assert analysed_slices(60, 50.0, DetectParameters(fewest_slices=1)) == [9, 29, 49]


def test_slices_thicker_than_the_spacing_are_all_analysed() -> None:
    assert analysed_slices(4, 3000.0, DetectParameters()) == [0, 1, 2, 3]


def test_places_are_nm_in_the_volume_s_own_coordinates() -> None:
    volume = make_volume(two_balls(), chunks=(7, 100, 100), translation=(500.0, 1000.0, 2000.0))
    table = detect_cells(volume, DetectParameters(fewest_slices=1))
    assert dict(table.dtypes.astype(str)) == DETECTION_COLUMNS
    assert table["slice"].tolist() == [10, 10, 30, 30, 50, 50]
    assert table["rank"].tolist() == [1, 2] * 3
    np.testing.assert_allclose(table["z"], 500 + 50.0 * (table["slice"] - 1))
    np.testing.assert_allclose(table["y"], [1000 + 40 * 90, 1000 + 40 * 110] * 3, atol=80)
    np.testing.assert_allclose(table["x"], [2000 + 40 * 90, 2000 + 40 * 215] * 3, atol=80)
    np.testing.assert_allclose(table["height"][2:4], [2400, 2000], rtol=0.05)
    np.testing.assert_allclose(table["thickness"], 1000.0)


@pytest.mark.parametrize("chunks", [(1, 200, 300), (60, 200, 300), (13, 31, 299), (60, 1, 300)])
def test_chunks_do_not_change_the_table(chunks: tuple[int, int, int]) -> None:
    expected = detect_cells(make_volume(two_balls(), chunks=(16, 64, 64)))
    pd.testing.assert_frame_equal(detect_cells(make_volume(two_balls(), chunks=chunks)), expected)


def test_a_finer_level_gives_the_same_cells() -> None:
    coarse = two_balls(depth=20)
    fine = np.kron(coarse, np.ones((1, 4, 4), dtype=bool))
    expected = detect_cells(make_volume(coarse, translation=(0.0, 15.0, 15.0)))
    for chunks in ((20, 800, 1200), (1, 130, 77), (3, 2, 1200)):
        table = detect_cells(make_volume(fine, (50.0, 10.0, 10.0), chunks=chunks))
        pd.testing.assert_frame_equal(table, expected)
    odd = make_volume(fine[:, :-3, :-1], (50.0, 10.0, 10.0), chunks=(20, 100, 99))
    assert len(detect_cells(odd)) == len(expected)


def test_grey_values_give_what_their_background_gives() -> None:
    background = two_balls(depth=1)
    noise = np.random.default_rng(0).normal(0, 5, background.shape)
    grey = np.where(background, 210, 140) + noise
    table = detect_cells(make_volume(grey.astype(np.uint8)))
    expected = detect_cells(make_volume(background))
    assert len(table) == len(expected) == 2
    np.testing.assert_allclose(table[["y", "x"]], expected[["y", "x"]], atol=400)
    np.testing.assert_allclose(table["height"], expected["height"], rtol=0.2)


@pytest.mark.parametrize("fill", [True, False])
def test_nothing_to_see_gives_no_rows(fill: bool) -> None:
    table = detect_cells(make_volume(np.full((25, 40, 50), fill)))
    assert table.empty
    assert dict(table.dtypes.astype(str)) == DETECTION_COLUMNS


def test_a_task_holds_one_plane_however_many_slices_there_are() -> None:
    largest = []
    for count in (40, 160):
        source = da.zeros((count, 64, 80), dtype=bool, chunks=(4, 32, 80))
        with LargestInput() as record, dask.config.set(scheduler="synchronous"):
            detect_cells(make_volume(source))
        largest.append(record.bytes)
    # A plane of the resin, and its distance as float32.
    assert largest[0] == largest[1] <= (1 + 4) * 64 * 80


def test_a_cluster_gives_the_same_table(client: Any) -> None:
    volume = make_volume(two_balls(depth=40), chunks=(8, 100, 100))
    with client.as_current():
        distributed = detect_cells(volume)
    with dask.config.set(scheduler="synchronous"):
        pd.testing.assert_frame_equal(detect_cells(volume), distributed)


def test_what_is_not_a_volume_is_refused() -> None:
    volume = make_volume(np.zeros((2, 8, 8), np.complex64))
    with pytest.raises(InputError, match="complex64"):
        detect_cells(volume)
    with pytest.raises(InputError, match="dims"):
        detect_cells(make_volume(np.zeros((2, 8, 8), bool))[0])
