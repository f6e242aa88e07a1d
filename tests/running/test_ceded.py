"""A cell whose masks leak over a neighbour's centre: the neighbour stays whole, the row says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

import hela_dask as hd
from hela_dask.running import pipeline
from hela_dask.steps import segment
from hela_dask.volume.opening import open_volume
from tests.scenes import BALLS, ball

WIDE = {"region": {"width": 30000.0}}  # windows in which there is room for a leak


def leak(monkeypatch: pytest.MonkeyPatch, store: Path, label: int, mask: npt.NDArray[Any]) -> None:
    """From now on a cell, and its nucleus, is segmented as this mask of the volume."""
    quick = segment.segment_window

    def leaked(volume: xr.DataArray, region: Any, *more: Any, **named: Any) -> xr.Dataset:
        found = quick(volume, region, *more, **named)
        if region.label == label:
            here = mask[region.slices(open_volume(store))]
            found["cell"].values[:] = found["nucleus"].values[:] = here
            found["envelope"].values[:] = False
        return found

    monkeypatch.setattr(segment, "segment_window", leaked)


def go(store: Path, here: Any, **more: Any) -> hd.RunResult:
    return hd.run(store, client=here, progress=False, parameters=WIDE, **more)


def owners(result: hd.RunResult) -> list[int]:
    """The labels of the balls."""
    cells = result.labels["cells"].values
    return [int(cells[z, y, x]) for z, y, x, _ in BALLS]


def test_a_leak_over_a_centre_takes_nothing_and_is_flagged(
    scene: Path, here: Any, calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = go(scene, here)
    expected, known = first.labels["cells"].values, owners(first)
    nuclei = first.labels["nuclei"].values
    assert (first.cells["flags"] == "").all()
    # The first ball's cell is segmented with half of the second ball, as one nucleus.
    z, y, x, radius = BALLS[1]
    bad = ball(*BALLS[0]) | ball(z, y, x - 5, radius - 5)
    leak(monkeypatch, scene, known[0], bad)
    again = go(scene, here, out=scene.parent / "again.run", overwrite=True)
    assert owners(again) == known
    np.testing.assert_array_equal(again.labels["cells"].values, expected)
    theirs = again.labels["nuclei"].values
    np.testing.assert_array_equal(theirs == known[1], nuclei == known[1])
    np.testing.assert_array_equal(theirs == known[0], ball(*BALLS[0]))
    table = again.cells.set_index("label")
    assert table["flags"].to_dict() == {**dict.fromkeys(known, ""), known[0]: "ceded"}
    assert again.exit_code == 0


def test_a_cell_that_cedes_all_of_itself_has_no_numbers(
    scene: Path, here: Any, calls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = owners(go(scene, here, method="volumetric"))
    z, y, x, radius = BALLS[1]
    leak(monkeypatch, scene, known[0], ball(z, y, x, radius - 5))
    result = go(scene, here, out=scene.parent / "again.run", method="volumetric", overwrite=True)
    row = result.cells.set_index("label").loc[known[0]]
    assert row["flags"] == "ceded" and not row["complete"] and result.exit_code == 3
    assert row["status"] == "failed" and row["reason"].startswith("no tissue is left for it")
    assert row[["nucleus_volume", "cell_volume", "envelope_volume"]].isna().all()
    assert not (result.labels["cells"].values == known[0]).any()
    # What is known of the masks is not looked up again, and the row stays as it is.
    monkeypatch.setattr(pipeline, "find_ceded", None)
    again = go(scene, here, out=scene.parent / "again.run", method="volumetric")
    assert again.cells["flags"].tolist() == result.cells["flags"].tolist()
