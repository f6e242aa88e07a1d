"""The page and the sentences of a comparison: numbers of volumes, lists of medians, grammar."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hela_dask as hd
from hela_dask.editing.review import set_review
from hela_dask.storage import store
from tests.comparing.runs import draw_cells, make_group, make_run
from tests.report.pages import Page


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty pictures: drawing takes as long as all the rest."""
    monkeypatch.setattr(
        "hela_dask.comparing.compare.draw_strips",
        lambda strips, path, label: path.write_bytes(b"\x89PNG"),
    )


def _shown(found: hd.Comparison) -> str:
    return " ".join(Page(found.page.read_text(encoding="utf-8")).text.split())


@pytest.mark.parametrize("sizes", [(4, 2), (2, 4), (4, 4), (5, 5), (1, 5)])
def test_medians_are_listed_where_no_difference_can_be_found(
    sizes: tuple[int, int], tmp_path: Path
) -> None:
    names = "control", "treated"
    groups = {
        name: make_group(tmp_path, name, count, seed=seed)
        for seed, (name, count) in enumerate(zip(names, sizes, strict=True))
    }
    found = hd.compare(groups, tmp_path / "out")
    shown, few = _shown(found), sum(sizes) == 6 and 1 not in sizes
    volumes = pd.read_parquet(found.path / "volumes.parquet")
    volumes = volumes[volumes["measure"] == "nucleus_volume"]
    for name, count in zip(names, sizes, strict=True):
        medians = volumes.loc[volumes["group"] == name, "median"]
        text = f"in {count}: {', '.join(f'{median:.0f}' for median in medians)}"
        assert (text in shown) == few
    assert ("With so few volumes no difference can be found" in shown) == few
    assert ("the median of each volume follows" in shown) == few


def test_a_group_in_several_comparisons_has_its_medians_where_one_needs_them(
    tmp_path: Path,
) -> None:
    groups = {
        name: make_group(tmp_path, name, count, seed=seed)
        for seed, (name, count) in enumerate({"a": 4, "b": 2, "c": 6}.items())
    }
    shown = _shown(hd.compare(groups, tmp_path / "out"))
    assert "32 in 4: " in shown and "16 in 2: " in shown and "48 in 6: " not in shown


def test_runs_without_complete_cells_are_no_volumes_with_medians(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    empty = make_run(tmp_path / "empty.run", draw_cells(rng, 3), cut=3)
    groups = {
        "a": [*make_group(tmp_path, "a", 5, seed=1), empty],
        "b": make_group(tmp_path, "b", 5, seed=2),
        "c": [make_group(tmp_path, "c", 1, seed=3)[0]],
    }
    shown = _shown(hd.compare(groups, tmp_path / "out"))
    assert "complete cells of 11 volumes" in shown
    assert "the median of each volume follows" not in shown


def test_verbs_agree_with_one(tmp_path: Path) -> None:
    groups = {}
    for number, name in enumerate("ab"):
        run = make_run(
            tmp_path / f"{name}.run", draw_cells(np.random.default_rng(number), 6), cut=1 - number
        )
        cells = pd.read_parquet(run / "cells.parquet")
        drop = [column for column in map(str, cells) if column.endswith(("_volume", "_to_cell"))]
        store.write_table(run / "cells", cells.drop(columns=[*drop, "nucleus_diameter"]))
        groups[name] = [run]
    set_review(groups["b"][0], 3, "rejected")
    found = hd.compare(groups, tmp_path / "out")
    text, shown = (found.path / "methods.txt").read_text(encoding="utf-8"), _shown(found)
    assert "1 measure of each cell was compared: cell diameter" in text
    assert "1 cell cut by the sides of the volumes was left out, as was 1 cell rejected" in text
    assert "were adjusted for 1 comparison by" in text
    assert "10 cells. 1 cell that the volume cuts is left out." in shown
    assert "of 1 comparison of a measure show" in shown
    (warning,) = [line for line in found.warnings if "one volume" in line]
    assert warning.startswith("a and b: one volume each with complete cells.")


def test_methods_and_networks_agree_with_their_number(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    runs = [
        make_run(tmp_path / f"{name}.run", draw_cells(rng, 5), method=method, network=network)
        for name, method, network in (("a", "unet", "1" * 32), ("b", "volumetric", "2" * 32))
    ]
    hd.compare({"a": runs[:1], "b": runs[1:]}, tmp_path / "out")
    text = (tmp_path / "out" / "methods.txt").read_text(encoding="utf-8")
    assert ", methods unet and volumetric, in volumes" in text
    assert "used the networks 111111111111 and 222222222222 (fingerprints)." in text
