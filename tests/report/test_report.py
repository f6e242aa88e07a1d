"""The report: everything in one file, whatever is missing, and nothing unescaped."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hela_dask.errors import InputError, MissingInputError
from hela_dask.report import pictures, write_report
from hela_dask.report.reading import open_view
from hela_dask.storage import store
from tests.report.pages import HOSTILE, Page
from tests.report.runs import read, score


def test_one_file_holds_everything(text: str) -> None:
    page = Page(text)
    # Links lead to sections of the page itself; all pictures are inside.
    assert page.links
    assert {f"#{name}" for name in page.ids} >= set(page.links)
    # Slices 2-5, the planes, the chains, the ranks.
    assert len(page.images) == 4 + 1 + 1 + 1
    for data in page.images:
        assert data[:4] == b"\x89PNG" or data[:3] == b"\xff\xd8\xff"
    assert not re.search(r"https?://|url\(|@import|<link", text)


def test_whatever_a_run_says_is_escaped(text: str) -> None:
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in text
    assert "cell 9 failed &lt;&amp;&gt;" in text


def _hostile(value: Any) -> Any:
    """Every text and every name of a nested value, with a script behind it."""
    if isinstance(value, dict):
        return {key: _hostile(item) for key, item in value.items()} | {HOSTILE: HOSTILE}
    if isinstance(value, list):
        return [_hostile(item) for item in value]
    return value + HOSTILE if isinstance(value, str) else value


def test_no_text_of_a_run_reaches_the_page_unescaped(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "hela_dask.report.draw_pictures",
        lambda folder: ([pictures.Picture("curves", folder.path / "x.png", HOSTILE)], [HOSTILE]),
    )
    (run / "x.png").write_bytes(b"\x89PNG")
    facts = json.loads((run / "run.json").read_text())
    keep = {"timings": facts["timings"] | {HOSTILE: 1.0}, "image": facts["image"]}
    machine = {"platform": HOSTILE, "command": [HOSTILE]}
    more = {"error": HOSTILE, "state": HOSTILE, "machine": machine, "finished": HOSTILE}
    parameters = {"detect": {HOSTILE: HOSTILE}, HOSTILE: {"a": HOSTILE}}
    image = {"image": {**facts["image"], "dtype": HOSTILE}}
    store.write_json(
        run / "run.json",
        _hostile(facts) | keep | image | more | {"parameters": parameters, "warnings": [HOSTILE]},
    )
    store.write_json(
        run / "scores.json",
        {
            "nucleus": {"ji": 0.5, HOSTILE: HOSTILE, "note": HOSTILE},
            "cell": {"instances": {"thresholds": [], HOSTILE: 1}},
            "truth": {HOSTILE: HOSTILE},
            "slices": [1, 2],
        },
    )
    cells = pd.read_parquet(run / "cells.parquet")
    for name in ("reason", "flags"):  # an unknown status is refused
        cells[name] = HOSTILE
    cells["confidence"], cells["doubtful_slices"] = 0.5, HOSTILE
    store.write_table(run / "cells", cells)
    text = write_report(run).read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert text.count("<script>") == 1  # the page's own
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 25
    Page(text)


@pytest.mark.parametrize("kind", ["classes", "instances"])
def test_scores_come_with_curves_and_errors(kind: str, run: Path, few: None) -> None:
    score(run, kind)
    page = read(run)
    assert "Agreement with the truth" in page.text
    # Of the cell 99 of 101 columns agree.
    assert (f"{99 / 101:.4f}" if kind == "classes" else "mean IoU of matched 0.980") in page.text
    names = {path.name for path in (run / "figures").iterdir()}
    # The cell is in slices 2-5, the nucleus in 3-4.
    wanted = {"curves.png", "errors_cell_00004.jpg"}
    assert names >= wanted | ({"errors_nucleus_00003.jpg"} if kind == "classes" else set())


# With everything there: one slice, the planes, the chains, the ranks.
@pytest.mark.parametrize(
    ("missing", "images"),
    [("cells", 2), ("detections", 2), ("labels", 4), ("store", 1), ("all", 0)],
)
def test_what_is_missing_is_left_out(missing: str, images: int, run: Path, few: None) -> None:
    facts = json.loads((run / "run.json").read_text())
    if missing in {"cells", "all"}:
        (run / "cells.parquet").unlink()
    if missing in {"detections", "all"}:
        (run / "detections.parquet").unlink()
    if missing == "labels":
        facts["labels"] = {}
    if missing == "store":
        facts["store"], facts["labels"] = str(run / "gone.ome.zarr"), {}
    store.write_json(run / "run.json", {} if missing == "all" else facts)
    page = read(run)
    assert ("No cell was found" in page.text) == (missing in {"cells", "all"})
    assert ("the image is no longer at" in page.text) == (missing == "store")
    assert len(page.images) == images


def test_old_pictures_do_not_stay(run: Path, few: None) -> None:
    (run / "figures").mkdir(exist_ok=True)
    old = [run / "figures" / name for name in ("overlay_00099.jpg", "curves.png", "space.png")]
    other = run / "figures" / "overlay_00099.png"  # of a person
    for path in (*old, other):
        path.write_bytes(b"old")
    write_report(run)
    assert not any(path.exists() for path in old) and other.exists()


def test_curves_of_removed_scores_do_not_stay(run: Path, few: None) -> None:
    score(run, "classes")
    write_report(run)
    assert (run / "figures" / "curves.png").exists()
    for path in run.glob("scores*"):
        path.unlink()
    write_report(run)
    assert not (run / "figures" / "curves.png").exists()


def test_a_damaged_or_absent_run_is_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no run folder at"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(MissingInputError, match=r"holds no run\.json"):
        write_report(tmp_path)
    (run / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json is not valid JSON: .*; start the run again"):
        write_report(run)


def test_pictures_are_read_at_a_level_that_fits(run: Path) -> None:
    facts = json.loads((run / "run.json").read_text())
    where = Path(facts["store"])
    labels = {name: Path(path) for name, path in facts["labels"].items()}
    # 320 pixels: the next level has 160; of that, every second.
    for most, width, step in ((320, 320, 40.0), (300, 160, 80.0), (100, 80, 160.0)):
        view = open_view(where, labels["nuclei"], labels["cells"], pixels=most)
        grey, nuclei, cells = view.plane(z=2)
        assert grey.shape[1] == width
        assert view.pixel == (step, step)
        assert nuclei is not None
        assert cells is not None
        area = step * step / 1e6
        assert np.count_nonzero(cells) * area == pytest.approx(16.0, rel=0.1)
        assert np.count_nonzero(nuclei) * area == pytest.approx(2.56, rel=0.2)
