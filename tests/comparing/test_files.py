"""The files of a comparison: complete, described, the same bits again; its page and its texts."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

import hela_dask as hd
from hela_dask.cli import main
from hela_dask.comparing.columns import COMPARISON_COLUMNS
from hela_dask.editing.review import set_review
from hela_dask.running.made import find_earlier
from tests.comparing.runs import DRAWN, draw_cells, make_group, make_run
from tests.report.pages import HOSTILE, Page


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
