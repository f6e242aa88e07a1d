"""What the benchmarks choose and write; what they measure is measured elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from benchmarks import bits, page
from benchmarks.ablation import STEPS, ablation
from benchmarks.pictures import worst_slices
from benchmarks.robustness import MOST, table
from benchmarks.runs import RANGES
from benchmarks.stacks import Stack
from hela_dask.parameters import Parameters
from tests.drawn import draw_cell

FIGURES = {
    "ji": 0.9612,
    "ac": 0.99,
    "ji_mean": 0.9,
    "ji_median": 0.95,
    "ji_sd": 0.1,
    "slices": 152,
    "hausdorff_mean": 51.2,
    "hausdorff_95": 203.0,
}


def test_the_worst_slices_are_those_of_lowest_score_and_of_most_wrong_voxels() -> None:
    curve: list[float | None] = [0.9] * 60
    wrong = [10] * 60
    curve[0] = None
    curve[20], curve[21], curve[50] = 0.1, 0.2, 0.3
    wrong[35], wrong[36] = 900, 800
    # 22 is too near to 21, 37 to 36, and the first slice has neither truth nor prediction.
    assert worst_slices(curve, wrong, count=2) == [21, 51, 36, 2]


@pytest.mark.parametrize(("name", "overrides"), STEPS, ids=[name for name, _ in STEPS])
def test_every_step_that_is_turned_off_has_its_knobs(name: str, overrides: dict[str, Any]) -> None:
    default = Parameters().to_dict()
    for stage, knobs in Parameters.from_dict(overrides).to_dict().items():
        changed = {key for key, value in knobs.items() if value != default[stage][key]}
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


def test_a_fall_over_the_limit_is_printed_bold() -> None:
    falls = {"nucleus": 0.5 * MOST, "cell": 2 * MOST, "background": -0.3}
    whole = {"nucleus": 0.97, "cell": 0.96, "background": 0.93}
    lines = table({"middle": {"ji": whole, "damages": {"noise": {"fall": falls}}}})
    assert lines[-1] == "| noise | +0.010 | **+0.040** | -0.300 |"


def test_the_page_has_the_figures_and_leaves_out_what_was_not_measured() -> None:
    classes = ("nucleus", "cell", "cytoplasm", "background")
    real = {
        "ranges": {part: dict.fromkeys(classes, FIGURES) for part in RANGES},
        "seconds": {"segment": 100.0, "all": 120.0},
        "workers": 2,
    }
    text = page.render({"real": {"volumetric": real}})
    assert "| **`volumetric`** | 0.961 | 0.961 | 0.961 | 0.961 | 0.900 |" in text
    assert "0.900 / 0.950 / 0.100 | 152 | 51 | 203 |" in text
    assert "segment 100, all 120" in text
    for heading in ("Phantoms", "Damaged", "adds", "Low contrast"):
        assert heading not in text


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
