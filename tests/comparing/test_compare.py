"""Groups of runs: the differences that are there and no others, one sentence for each bad input."""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

import hela_dask as hd
from hela_dask.cli import main
from hela_dask.columns import MEASURES
from hela_dask.comparing.columns import COMPARISON_COLUMNS
from hela_dask.comparing.statistics import compare_measures
from hela_dask.editing.review import set_review
from hela_dask.errors import (
    ExistsError,
    HelaDaskError,
    InputError,
    MissingInputError,
    NothingToDoError,
    ParameterError,
)
from hela_dask.running.made import find_earlier
from hela_dask.storage import store
from tests.comparing.runs import draw_cells, make_group, make_run
from tests.test_report import HOSTILE, Page

NUCLEI = {"nucleus_volume", "nucleus_diameter", "nucleus_to_cell"}
DRAWN = [name for name in MEASURES if name.endswith(("_volume", "_to_cell")) or "_diam" in name]
DRAWN = [name for name in DRAWN if "max" not in name]  # of cells that are drawn without a shape


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Five volumes of each group; the nuclei of one are larger."""
    folder = tmp_path_factory.mktemp("groups")
    return {
        "control": make_group(folder, "control", 5, seed=1),
        "treated": make_group(folder, "treated", 5, seed=2, larger=1.4),
    }


@pytest.fixture(scope="module")
def found(groups: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> hd.Comparison:
    return hd.compare(groups, tmp_path_factory.mktemp("compared") / "out")


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty pictures: drawing takes as long as all the rest."""
    monkeypatch.setattr(
        "hela_dask.comparing.compare.draw_strips",
        lambda strips, path, label: path.write_bytes(b"\x89PNG"),
    )


def test_a_comparison_of_an_earlier_table_is_named(tmp_path: Path, undrawn: None) -> None:
    runs = {name: make_group(tmp_path, name, 2, seed=3) for name in ("control", "treated")}
    hd.compare(runs, tmp_path / "out")
    first, other = runs["control"][0], runs["treated"][1]
    assert not find_earlier(first) and not find_earlier(other)
    set_review(first, 1, "rejected", by="A. Person")
    (found,) = find_earlier(first)
    assert (found.path, found.part) == (tmp_path / "out", "review.csv")
    assert not find_earlier(other)
    assert main([*shlex.split(found.command)[1:], "--quiet"]) == 0
    assert not find_earlier(first)


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


def test_the_files_are_complete_and_described(found: hd.Comparison) -> None:
    names = {path.name for path in found.path.iterdir()}
    tables = {
        f"{name}.{suffix}"
        for name in ("cells", "comparison", "volumes")
        for suffix in ("csv", "parquet")
    }
    pictures = {f"{name}.{suffix}" for name in DRAWN for suffix in ("png", "svg")}
    others = {"columns.csv", "comparison.html", "comparison.json", "methods.txt"}
    assert names == tables | pictures | others
    table = pd.read_parquet(found.path / "comparison.parquet")
    pd.testing.assert_frame_equal(table, found.table)
    described = pd.read_csv(found.path / "columns.csv")
    for name in ("cells", "comparison", "volumes"):
        schema = pyarrow.parquet.read_schema(found.path / f"{name}.parquet")
        assert all(field.metadata[b"description"] for field in schema)
        own = described[described["table"] == name]
        assert own["column"].tolist() == schema.names and own["meaning"].notna().all()
    assert set(table) <= set(COMPARISON_COLUMNS)
    written = pd.read_csv(found.path / "comparison.csv").set_index("measure")
    assert written.loc["nucleus_volume", "unit"] == "µm³"
    exact = table.set_index("measure").loc["nucleus_volume"]
    assert written.loc["nucleus_volume", "p_adjusted"] == pytest.approx(exact["p_adjusted"])


def test_each_volume_has_a_row_per_measure(found: hd.Comparison) -> None:
    volumes = pd.read_parquet(found.path / "volumes.parquet")
    assert len(volumes) == 10 * len(DRAWN)
    row = volumes[volumes["measure"] == "nucleus_volume"].iloc[6]
    assert (row["group"], row["number"], row["cells"]) == ("treated", 2, 8)
    own = found.cells[found.cells["run"] == row["run"]]["nucleus_volume"]
    assert row["median"] == own.median() and row["mean"] == pytest.approx(own.mean())
    assert row["sd"] == pytest.approx(own.std())
    medians = volumes[volumes["measure"] == "nucleus_volume"].groupby("group")["median"].mean()
    compared = found.table.set_index("measure").loc["nucleus_volume"]
    assert compared["volumes_difference"] == pytest.approx(medians["treated"] - medians["control"])
    low, high = compared["volumes_difference_low"], compared["volumes_difference_high"]
    assert low < compared["volumes_difference"] < high


def test_the_methods_are_the_facts_of_the_runs(
    undrawn: None, groups: dict[str, list[Path]], found: hd.Comparison, tmp_path: Path
) -> None:
    text = (found.path / "methods.txt").read_text(encoding="utf-8")
    for words in (
        f"hela_dask {hd.__version__}, method unet, in volumes with voxels of 50 x 40 x 40 nm",
        "All parameters had their defaults.",
        "control, 40 cells in 5 volumes; treated, 40 cells in 5 volumes.",
        "20 cells cut by the sides of the volumes were left out.",
        "6 measures of each cell were compared: nucleus volume,",
        "(9999 resamples of whole volumes)",
        "were adjusted for 6 comparisons by the procedure of Benjamini and Hochberg",
    ):
        assert words in text, words
    page = " ".join(Page(found.page.read_text(encoding="utf-8")).text.split())
    assert all(" ".join(part.split()) in page for part in text.split("\n\n"))
    one = make_run(
        tmp_path / "one.run",
        draw_cells(np.random.default_rng(9), 6),
        parameters={"detect": {"spacing": 500.0}},
    )
    hd.compare({"control": groups["control"], "one": [one]}, tmp_path / "out")
    text = (tmp_path / "out" / "methods.txt").read_text(encoding="utf-8")
    assert "Parameters other than the defaults: [detect] spacing = 500.0." in text
    assert "these p-values are no evidence of a difference" in text
    assert "Welch" not in text


def test_the_page_opens_and_states_what_can_be_concluded(found: hd.Comparison) -> None:
    text = found.page.read_text(encoding="utf-8")
    page = Page(text)
    assert {f"#{name}" for name in page.ids} == set(page.links)
    assert len(page.images) == len(DRAWN)
    assert not re.search(r"https?://|url\(|@import|<link", text)
    shown = " ".join(page.text.split())
    for words in (
        "control and treated",
        "3 of 6 comparisons of a measure show a difference between groups",
        "is larger in treated than in control: median",
        "No difference is found in: cell volume, envelope volume, cell diameter.",
        "This does not show that the groups are equal",
        "fewer than 8 volumes are too narrow",
        "The evidence is the number of volumes, not the number of cells.",
        "80 cells. 20 cells that the volume cuts are left out.",
        "Benjamini and Hochberg",
        "All permutations are computed, so the test is exact.",
        "50 x 40 x 40",
    ):
        assert words in shown, words
    assert "The runs differ" not in shown


def test_the_same_call_gives_the_same_bits_and_replaces_its_files(
    groups: dict[str, list[Path]], found: hd.Comparison, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    hd.compare({"a": groups["control"][:1], "b": groups["treated"][:1]}, out, seed=9)
    (out / "nucleus_volume.png").unlink()
    hd.compare(groups, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in found.path.iterdir()
    }


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
    assert "independent" in repr(found)


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


def test_one_volume_in_two_groups_is_a_warning_and_in_one_group_an_error(
    undrawn: None, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    runs = [
        make_run(tmp_path / f"{name}.run", draw_cells(rng, 5), fingerprint="same") for name in "ab"
    ]
    found = hd.compare({"a": runs[:1], "b": runs[1:]}, tmp_path / "out")
    assert any("are runs of one volume" in text for text in found.warnings)
    other = make_run(tmp_path / "c.run", draw_cells(rng, 5))
    with pytest.raises(InputError, match="its cells would count twice"):
        hd.compare({"a": runs, "b": [other]}, tmp_path / "out2")


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


def _with_run(run: Path, **facts: Any) -> None:
    content = json.loads((run / "run.json").read_text(encoding="utf-8"))
    store.write_json(run / "run.json", content | facts)


def _in_nm3(run: Path) -> None:
    path = run / "cells.parquet"
    table = pyarrow.parquet.read_table(path)
    place = table.schema.get_field_index("cell_volume")
    field = table.schema.field(place).with_metadata({"unit": "nm³"})
    pyarrow.parquet.write_table(table.cast(table.schema.set(place, field)), path)


def _all_cut(run: Path) -> None:
    cells = pd.read_parquet(run / "cells.parquet")
    store.write_table(run / "cells", cells.assign(status="cut_by_volume", complete=False))


def _without_measures(run: Path) -> None:
    cells = pd.read_parquet(run / "cells.parquet")
    store.write_table(run / "cells", cells.drop(columns=DRAWN))


def _with_texts(run: Path) -> None:
    cells = pd.read_parquet(run / "cells.parquet")
    store.write_table(run / "cells", cells.assign(cell_diameter="wide"))


BAD_RUNS: list[tuple[Any, type[HelaDaskError], str]] = [
    (lambda run: _with_run(run, state="failed"), MissingInputError, "state is 'failed'"),
    (_in_nm3, InputError, "has cell_volume in nm³, not in µm³"),
    (
        _all_cut,
        NothingToDoError,
        "'b' has no complete cell: the volume cuts all 5 that are segmented",
    ),
    (_without_measures, InputError, "b.run has no measures: add them with hela-dask run"),
    (_with_texts, InputError, "column cell_diameter must hold numbers"),
    (lambda run: (run / "cells.parquet").unlink(), InputError, "cells.parquet is missing"),
    (lambda run: (run / "cells.parquet").write_bytes(b"x"), InputError, "no Parquet table"),
    (lambda run: (run / "run.json").unlink(), MissingInputError, "not a run folder"),
    (shutil.rmtree, MissingInputError, "no run folder at"),
]


@pytest.mark.parametrize(("spoil", "error", "words"), BAD_RUNS)
def test_bad_runs_are_one_sentence_and_nothing_is_written(
    spoil: Any, error: type[HelaDaskError], words: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    runs = [make_run(tmp_path / f"{name}.run", draw_cells(rng, 5)) for name in "ab"]
    spoil(runs[1])
    with pytest.raises(error, match=re.escape(words)):
        hd.compare({"a": runs[:1], "b": runs[1:]}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "at least two groups"),
        ({"a": ["a.run"]}, "at least two groups, and only 'a' was given"),
        ({"a": ["a.run"], "b": []}, "the group 'b' has no runs"),
        ({"a": ["a.run"], "b": "b.run"}, "must be a list of run folders"),
        ({"a": ["a.run"], " ": ["b.run"]}, "must have a name"),
        ({"a": ["a.run"], "b": ["b.run", "./a.run"]}, "in 'a' and 'b': a run belongs to one group"),
        ({"a": ["a.run", "a.run"], "b": ["b.run"]}, "named twice in 'a'"),
        (["a.run", "b.run"], "must be a mapping"),
    ],
)
def test_bad_groups_are_one_sentence(given: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=re.escape(words)):
        hd.compare(given, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_is_in_one_group_whatever_its_path(tmp_path: Path, undrawn: None) -> None:
    run = make_run(tmp_path / "a.run", draw_cells(np.random.default_rng(0), 5))
    (tmp_path / "link.run").symlink_to(run)
    copy = shutil.copytree(run, tmp_path / "copy.run")
    for other, words in (
        (run, "is named in 'a' and 'b': a run belongs to one group, once"),
        (f"{tmp_path}/x/../a.run/", "is named in 'a' and 'b': a run belongs to one group, once"),
        (tmp_path / "link.run", "is named in 'a' and 'b': a run belongs to one group, once"),
        (copy, f"is a copy of {run}, so the run is named in 'a' and 'b': a run belongs to one"),
    ):
        with pytest.raises(ParameterError, match=re.escape(words)):
            hd.compare({"a": [run], "b": [other]}, tmp_path / "out")
    with pytest.raises(ParameterError, match="so the run is named twice in 'a'"):
        other = make_run(tmp_path / "b.run", draw_cells(np.random.default_rng(1), 5))
        hd.compare({"a": [run, copy], "b": [other]}, tmp_path / "out")


def test_only_a_folder_of_this_command_is_replaced(
    groups: dict[str, list[Path]], found: hd.Comparison, tmp_path: Path
) -> None:
    before = (groups["control"][0] / "run.json").read_bytes()
    with pytest.raises(ParameterError, match="lies in the run folder"):
        hd.compare(groups, groups["control"][0])
    assert (groups["control"][0] / "run.json").read_bytes() == before
    out = tmp_path / "out"
    shutil.copytree(found.path, out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(ExistsError, match=r"notes\.txt, which compare did not write"):
        hd.compare(groups, out)
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text("{}")
    with pytest.raises(ParameterError, match="inside the Zarr"):
        hd.compare(groups, tmp_path / "a.zarr" / "out")
    for seed in (-1, 1.5, True):
        with pytest.raises(ParameterError, match="seed must be a whole number"):
            hd.compare(groups, tmp_path / "new", seed=seed)  # type: ignore[arg-type]


def test_texts_of_people_are_escaped(undrawn: None, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    runs = [
        make_run(tmp_path / f"{name}.run", draw_cells(rng, 5), method=f"{HOSTILE}{name}")
        for name in "ab"
    ]
    found = hd.compare({HOSTILE: runs[:1], "measure": runs[1:]}, tmp_path / "out")
    text = found.page.read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert text.count("<script>") == 1  # the page's own
    Page(text)


def test_a_result_of_a_run_is_a_run_too(
    undrawn: None, groups: dict[str, list[Path]], found: hd.Comparison, tmp_path: Path
) -> None:
    results = {
        name: [hd.RunResult(run, run, pd.DataFrame(), {}, run / "report.html") for run in members]
        for name, members in groups.items()
    }
    again = hd.compare(results, tmp_path / "out")
    pd.testing.assert_frame_equal(again.table, found.table)


def test_the_command_prints_the_result(
    undrawn: None, groups: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        text
        for name, runs in groups.items()
        for text in ("--group", f"{name}={','.join(map(str, runs))}")
    ]
    command = ["compare", *options, "--out", str(tmp_path / "out")]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "control: 40 complete cells in 5 volumes" in text
    assert "nucleus volume is larger in treated than in control" in text
    assert main([*command, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["cells"] == {"control": 40, "treated": 40}
    assert len(answer["comparison"]) == len(DRAWN)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--group", "a"], "should look like control=a.run,b.run"),
        (["--group", "a=x,,y"], "should look like control=a.run,b.run"),
        (["--group", "a=x", "--group", "a=y"], "the group 'a' is given twice"),
        (["--group", "a=x"], "at least two groups, and only 'a' was given"),
    ],
)
def test_a_group_that_cannot_be_read_is_one_sentence(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *options, "--out", str(tmp_path / "out")]) == 1
    assert words in capsys.readouterr().err
