"""Slices, steps and labels that the benchmarks of accuracy choose and compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

import hela_dask as hd
from benchmarks import bits, stores
from benchmarks.ablation import STEPS, ablation
from benchmarks.pictures import worst_slices
from benchmarks.runs import predictions
from benchmarks.stacks import Stack, raw_path
from hela_dask._run import run
from hela_dask.parameters import Parameters
from tests.drawn import draw_cell


def test_the_worst_slices_are_those_of_lowest_score_and_of_most_wrong_voxels() -> None:
    curve: list[float | None] = [0.9] * 60
    wrong = [10] * 60
    curve[0] = None
    curve[20], curve[21], curve[50] = 0.1, 0.2, 0.3
    wrong[35], wrong[36] = 900, 800
    # 22 is too near to 21, 37 to 36, and the first slice has neither truth nor prediction.
    assert worst_slices(curve, wrong, count=2) == [21, 51, 36, 2]


@pytest.mark.parametrize(("name", "overrides"), STEPS, ids=[name for name, _ in STEPS])
def test_every_step_that_is_turned_off_changes_its_parameters(
    name: str, overrides: dict[str, Any]
) -> None:
    default = Parameters().to_dict()
    for stage, group in Parameters.from_dict(overrides).to_dict().items():
        changed = {key for key, value in group.items() if value != default[stage][key]}
        assert changed == set(overrides.get(stage, {})), name


def test_a_row_of_the_ablation_is_what_a_step_costs() -> None:
    drawn = draw_cell((100.0, 40.0, 40.0), slices=(6, 20))
    truth = np.full(drawn.image.shape, 3, np.uint8)
    truth[drawn.background], truth[drawn.cell], truth[drawn.nucleus] = 4, 5, 2
    stack = Stack(drawn.image, truth, drawn.centre, drawn.voxel)
    whole, without = ablation(
        stack, [("resin that begins too far up", {"background": {"contrast": 0.95}})]
    )
    assert whole["step"] == "all steps"
    assert whole["background"] > 0.8, whole
    assert without["background"] < whole["background"] - 0.02, without


def test_labels_of_a_run_are_found_from_its_folder(
    scene: Path, here: Any, calls: dict[str, Any]
) -> None:
    result = run(scene, client=here, progress=False)
    assert predictions(result.path)["nucleus"] == scene / "labels" / "nuclei"


def test_pixels_of_10_nm_are_those_of_40_nm_cut_into_sixteen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELA_DASK_DATA", str(tmp_path))
    image = np.arange(3 * 16 * 16).reshape(3, 16, 16).astype(np.uint8)
    raw_path(tmp_path).parent.mkdir()
    tifffile.imwrite(raw_path(tmp_path), image, photometric="minisblack")
    stores.fine(tmp_path / "fine.ome.zarr")
    found = hd.open_volume(tmp_path / "fine.ome.zarr", level=0)
    assert found.shape == (3, 64, 64)
    assert not list(tmp_path.glob("*.tif"))
    means = found.values.reshape(3, 16, 4, 16, 4).mean(axis=(2, 4))
    inner = (image > 50) & (image < 205)  # where no noise is cut off
    assert np.abs(means - image)[inner].max() < stores.NOISE  # four standard errors


def test_labels_of_two_commits_are_compared_voxel_by_voxel(tmp_path: Path) -> None:
    for name, value in (("old", 1), ("new", 2)):
        for group in ("cells", "nuclei"):
            array = zarr.create_array(
                tmp_path / name / "labels" / group / "0", shape=(2, 3, 4), dtype="uint16"
            )
            array[...] = 1
            if group == "cells":
                array[1, 2, :value] = 7
    zarr.create_array(tmp_path / "new" / "labels" / "envelope" / "0", shape=(1,), dtype="uint16")
    assert bits.compare(tmp_path / "old", tmp_path / "new") == {
        "cells/0": 1,
        "envelope/0": -1,
        "nuclei/0": 0,
    }
