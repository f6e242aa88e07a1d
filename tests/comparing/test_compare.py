"""Groups of runs: the differences that are there and no others."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hela_dask as hd
from hela_dask.columns import MEASURES
from hela_dask.comparing.statistics import compare_measures
from hela_dask.editing.review import set_review
from hela_dask.errors import (
    InputError,
    NothingToDoError,
)
from hela_dask.storage import store
from tests.comparing.runs import DRAWN, draw_cells, make_group, make_run
from tests.report.pages import Page

NUCLEI = {"nucleus_volume", "nucleus_diameter", "nucleus_to_cell"}


def test_larger_nuclei_are_found_and_nothing_else(found: hd.Comparison) -> None:
    assert set(found.table["measure"]) == set(DRAWN)
    assert set(found.differences["measure"]) == NUCLEI
    row = found.table.set_index("measure").loc["nucleus_volume"]
    assert 100 < row["difference_low"] < row["difference"] < row["difference_high"] < 450
    assert 0.8 < row["cliffs_delta_low"] < row["cliffs_delta"] < row["cliffs_delta_high"] <= 1
    assert (row["reference_volumes"], row["group_cells"]) == (5, 40)
    assert (row["permuted"], row["unit"]) == ("volumes", "µm³")
    # A volume and the diameter of its sphere have the same order, so the same test.
    both = found.table.set_index("measure")[["cliffs_delta", "cliffs_delta_low", "p_value"]]
    assert list(both.loc["nucleus_volume"]) == list(both.loc["nucleus_diameter"])


def test_cells_that_the_volume_cuts_are_left_out(found: hd.Comparison) -> None:
    assert found.left_out == 20
    assert len(found.cells) == 80
    assert list(found.cells) == ["group", "run", "image", "label", *DRAWN]
    assert set(found.cells["label"]) == set(range(1, 9))


def test_cells_that_a_review_rejects_are_left_out(undrawn: None, tmp_path: Path) -> None:
    groups = {
        name: make_group(tmp_path, name, 2, seed=seed) for seed, name in enumerate(("a", "b"))
    }
    first = groups["a"][0]
    set_review(first, 3, "rejected", by="A. Person")
    set_review(first, 4, "accepted")
    set_review(first, 9, "rejected")  # which the volume cuts
    found = hd.compare(groups, tmp_path / "out")
    (text,) = [text for text in found.warnings if "that a review" in text]
    assert f"left out: 1 of {first}." in text
    of_first = found.cells[found.cells["run"] == str(first)]
    assert of_first["label"].tolist() == [1, 2, 4, 5, 6, 7, 8] and len(found.cells) == 31
    for run in groups["a"]:
        for label in range(1, 9):
            set_review(run, label, "rejected")
    with pytest.raises(NothingToDoError, match="the reviews reject 16, and the volume cuts 4"):
        hd.compare(groups, tmp_path / "none")


def _with_shapes(run: Path, seed: int, longer: float = 1.0) -> None:
    """Shapes of the cells, as a run writes them: whole numbers with gaps, ratios, lengths."""
    rng, cells = np.random.default_rng(seed), pd.read_parquet(run / "cells.parquet")
    handles = pd.array(rng.integers(0, 2, len(cells)), dtype="Int64")
    handles[0] = pd.NA
    length = rng.normal(longer, 0.02, len(cells)) * 15_000
    store.write_table(
        run / "cells",
        cells.assign(nucleus_handles=handles, cell_axis_1=length, cell_axis_1_direction_z=0.5),
    )


def test_shapes_are_measures(tmp_path: Path, undrawn: None) -> None:
    groups = {
        name: make_group(tmp_path, name, 6, seed=seed)
        for seed, name in enumerate(("control", "longer"))
    }
    for name, runs in groups.items():
        for number, run in enumerate(runs):
            _with_shapes(run, number + 10 * (name == "longer"), 1.2 if name == "longer" else 1.0)
    found = hd.compare(groups, tmp_path / "out")
    assert list(found.differences["measure"]) == ["cell_axis_1"]
    assert found.differences["unit"].item() == "nm"
    assert set(found.table["measure"]) == {*DRAWN, "nucleus_handles", "cell_axis_1"}
    assert found.cells["nucleus_handles"].dtype == float


def test_one_sentence_names_many_measures_that_are_left_out(tmp_path: Path, undrawn: None) -> None:
    groups = {name: make_group(tmp_path, name, 1, seed=number) for number, name in enumerate("ab")}
    more = {name: 1.0 for name in MEASURES if name not in DRAWN}
    for name, added in (("a", {"cell_area": 1.0}), ("b", more)):
        cells = pd.read_parquet(groups[name][0] / "cells.parquet")
        store.write_table(groups[name][0] / "cells", cells.assign(**added))
    found = hd.compare(groups, tmp_path / "out")
    (text,) = [text for text in found.warnings if "left out" in text]
    count = len(more) - 1
    assert text.startswith(f"{count} measures are left out (cell_sphericity,")
    assert text.endswith(f"{groups['a'][0]} has no such column.")


@pytest.mark.parametrize("asked", [0, 1])
def test_a_run_without_measures_is_refused_with_the_command_that_adds_them(
    asked: int, tmp_path: Path, undrawn: None
) -> None:
    facts: dict[str, Any] = {
        "parameters": {"measure": {"in_runs": asked}},
        "method": "volumetric",
    }
    runs = [
        make_run(tmp_path / f"{name}.run", draw_cells(np.random.default_rng(k), 5), **facts)
        for k, name in enumerate("ab")
    ]
    found = hd.compare({"a": runs[:1], "b": runs[1:]}, tmp_path / "both")
    (text,) = [text for text in found.warnings if "No run has measures of shape" in text]
    command = (
        f"hela-dask run {tmp_path / 'a.ome.zarr'} --method volumetric --params "
        f"{runs[0] / 'run.toml'} --out {runs[0]}"
    )
    assert command in text
    _with_shapes(runs[1], 1)
    with pytest.raises(
        InputError, match=r"a\.run has no measures of shape, which the other"
    ) as error:
        hd.compare({"a": runs[:1], "b": runs[1:]}, tmp_path / "out")
    assert command in str(error.value)
    assert ("--overwrite after setting in_runs = 1" in str(error.value)) == (not asked)


@pytest.mark.parametrize(("volumes", "most"), [(4, 5), (5, 10)])
def test_volumes_of_one_kind_hardly_ever_differ(volumes: int, most: int) -> None:
    # In 1000 such tables 0.2 % have a false difference with 4 volumes, 5.1 % with 5: the number of
    # 100 tables is above 10 in 1 % of all cases.
    wrong = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        parts = [
            draw_cells(rng, 8).assign(group=f"g{k % 2}", run=f"r{k}") for k in range(2 * volumes)
        ]
        cells = pd.concat(parts).rename(columns=lambda name: name.replace("_voxels", "_volume"))
        measures = [name for name in MEASURES if name in cells]
        possible = math.comb(2 * volumes, volumes)
        table = compare_measures(cells, measures, seed=seed, resamples=possible)
        wrong += bool((table["p_adjusted"] <= 0.05).any())
    assert wrong <= most


def test_one_volume_each_is_compared_with_a_warning(
    undrawn: None, groups: dict[str, list[Path]], tmp_path: Path
) -> None:
    one = {name: runs[:1] for name, runs in groups.items()}
    found = hd.compare(one, tmp_path / "out")
    assert set(found.table["permuted"]) == {"cells"}
    assert "understate the uncertainty" in found.warnings[0]
    assert "no evidence of a difference" in found.warnings[1]
    shown = " ".join(Page(found.page.read_text(encoding="utf-8")).text.split())
    assert "0 of 6 comparisons of a measure show a difference between groups" in shown
    assert "The cells of these volumes differ; other volumes of the same groups may not" in shown
    assert "independent" in str(found)


def test_too_few_volumes_cannot_differ(
    undrawn: None, groups: dict[str, list[Path]], tmp_path: Path
) -> None:
    few = {name: runs[:2] for name, runs in groups.items()}
    found = hd.compare(few, tmp_path / "out")
    assert any("Report the median of each volume" in text for text in found.warnings)
    assert found.differences.empty
    assert "no p-value can be below 0.33" in found.warnings[0]
    shown = " ".join(Page(found.page.read_text(encoding="utf-8")).text.split())
    assert "With so few volumes no difference can be found, however large it is." in shown
    volumes = pd.read_parquet(tmp_path / "out" / "volumes.parquet")
    first = volumes[(volumes["measure"] == "nucleus_volume") & (volumes["group"] == "control")]
    assert f"in 2: {', '.join(f'{median:.0f}' for median in first['median'])}" in shown


def test_runs_that_differ_otherwise_are_named(undrawn: None, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    plain = make_run(tmp_path / "a.run", draw_cells(rng, 5))
    other = make_run(
        tmp_path / "b.run",
        draw_cells(rng, 5),
        method="volumetric",
        parameters={"detect": {"spacing": 500.0}},
        versions={"hela_dask": "0.0.1"},
        image={"shape": [100, 900, 900], "voxel_size": [50, 20, 20], "extent": [5e3, 18e3, 18e3]},
        cells=[1, 2],
    )
    empty = make_run(tmp_path / "c.run", draw_cells(rng, 3), cut=3)
    text = " ".join(hd.compare({"a": [plain], "b": [other, empty]}, tmp_path / "out").warnings)
    for words in (
        "differ in method: unet (a, b), volumetric (b)",
        "differ in voxel size: 50 x 40 x 40 nm (a, b), 50 x 20 x 20 nm (b)",
        f"No complete cell, so no part of the comparison: {empty}",
        "differ in parameters: [detect] spacing",
        "0.0.1 (b)",
        "5.0 to 15.0 µm",
        f"Only selected cells were segmented (--cells, --box) in {other}",
    ):
        assert words in text, words


def test_each_of_three_groups_is_compared_with_the_first(
    undrawn: None, groups: dict[str, list[Path]], tmp_path: Path
) -> None:
    three = groups | {"more": make_group(tmp_path, "more", 5, seed=5)}
    found = hd.compare(three, tmp_path / "out")
    assert set(zip(found.table["reference"], found.table["group"], strict=True)) == {
        ("control", "treated"),
        ("control", "more"),
    }
    assert set(found.differences["group"]) == {"treated"}


def test_measures_without_values_in_a_group_are_left_out(undrawn: None, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    runs = [make_run(tmp_path / f"{name}.run", draw_cells(rng, 5)) for name in "ab"]
    cells = pd.read_parquet(runs[0] / "cells.parquet")
    cells["envelope_volume"] = np.nan
    cells.loc[0, "nucleus_volume"] = np.nan
    store.write_table(runs[0] / "cells", cells.drop(columns="nucleus_to_cell"))
    found = hd.compare({"a": runs[:1], "b": runs[1:]}, tmp_path / "out")
    assert "envelope_volume" not in found.cells
    assert any(
        f"(nucleus_to_cell) is left out: {runs[0]} has no such column" in text
        for text in found.warnings
    )
    assert any("envelope volume (envelope_volume) is left out" in text for text in found.warnings)
    counts = found.table.set_index("measure")["reference_cells"]
    assert (counts["nucleus_volume"], counts["cell_volume"]) == (4, 5)


def test_a_result_of_a_run_is_a_run_too(
    undrawn: None, groups: dict[str, list[Path]], found: hd.Comparison, tmp_path: Path
) -> None:
    results = {
        name: [hd.RunResult(run, run, pd.DataFrame(), {}, run / "report.html") for run in members]
        for name, members in groups.items()
    }
    again = hd.compare(results, tmp_path / "out")
    pd.testing.assert_frame_equal(again.table, found.table)
