"""The report: everything in one file, whatever is missing, and nothing unescaped."""

from __future__ import annotations

import base64
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hela_dask.columns import COLUMNS
from hela_dask.errors import InputError, MissingInputError
from hela_dask.evaluation.evaluate import score_classes, score_instances
from hela_dask.parameters import Parameters
from hela_dask.report import pictures, write_report
from hela_dask.report.methods_text import run_text
from hela_dask.report.page import duration
from hela_dask.report.reading import open_view
from hela_dask.report.tables import CELLS, QUALITY
from hela_dask.running.reading import RunFolder
from hela_dask.storage import store
from hela_dask.storage.label_groups import create_labels

SHAPE, SIZE = (6, 300, 320), (250.0, 40.0, 40.0)
ID = "0123456789abcdef" * 2
VOID = {"meta", "img", "br", "wbr"}


class Page(HTMLParser):
    """Checks that tags close, and keeps what refers elsewhere, images and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.images: list[bytes] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in {"href", "src"} and value:
                if value.startswith("data:image/"):
                    self.images.append(base64.b64decode(value.split(",", 1)[1]))
                else:
                    self.links.append(value)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "script"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def make_run(folder: Path) -> Path:
    """A run of two cells: 4 is whole, 9 failed; written as the pipeline writes it."""
    image = store.create_image(folder / "a.ome.zarr", SHAPE, np.uint8, SIZE, name="image")
    nuclei, cells = np.zeros((2, *SHAPE), np.uint32)
    cells[1:5, 100:200, 100:200], nuclei[2:4, 130:170, 130:170] = 4, 4
    grey = np.random.default_rng(0).integers(90, 110, SHAPE).astype(np.uint8) + 40 * (cells == 0)
    images: list[tuple[Any, np.ndarray, Any]] = [(image, grey.astype(np.uint8), "mean")]
    for name, labels in (("nuclei", nuclei), ("cells", cells)):
        group = create_labels(
            image.path,
            name,
            SHAPE,
            np.uint32,
            SIZE,
            source_image=image.path,
            run=folder / "a.run",
            run_id=ID,
        )
        images.append((group, labels, "nearest"))
    for group, data, how in images:
        for z0, z1 in store.slabs(group):
            store.write_slab(group, z0, data[z0:z1], downsample=how)
    run = folder / "a.run"
    table = pd.DataFrame(
        {
            "label": [4, 9],
            "z": [625.0, 500.0],
            "y": [6000.0, 2000.0],
            "x": [6000.0, 2000.0],
            "height": [2000.0, 900.0],
            "first_slice": [2, 1],
            "last_slice": [5, 6],
            "status": ["cut_by_volume", "failed"],
            "reason": ["", "ValueError: <script>alert(1)</script> & more"],
            "flags": ["no_protrusions", ""],
            "touches_first_slice": [True, True],
            "touches_last_slice": [False, False],
            "touches_side": [False, False],
            "complete": [False, False],
            "nucleus_volume": [0.256, np.nan],
            "cell_volume": [3.2, np.nan],
            "seconds": [1.5, 0.2],
            "peak_memory": [200.0, 100.0],
        }
    )
    detections = table[["z", "y", "x", "height"]].assign(slice=[3, 3], rank=[1, 2], thickness=250.0)
    store.write_table(run / "cells", table)
    store.write_table(run / "detections", detections)
    facts = {
        "id": ID,
        "store": str(image.path),
        "image": {
            "shape": SHAPE,
            "voxel_size": SIZE,
            "extent": [1500.0, 12_000.0, 12_800.0],
            "dtype": "uint8",
        },
        "method": "propagate",
        "parameters": {"detect": {"resolution": 40.0}},
        "labels": {name: str(image.path / "labels" / name) for name in ("nuclei", "cells")},
        "state": "finished",
        "started": "2026-01-02T03:04:05+00:00",
        "timings": {"detect": 2.0, "segment": 130.5},
        "warnings": ["cell 9 failed <&>"],
        "versions": {"hela_dask": "0.1.0", "numpy": "2.0"},
    }
    store.write_json(run / "run.json", facts)
    store.write_text(run / "run.id", f"hela_dask run {ID}\n")
    return run


def score(run: Path, kind: str) -> None:
    """Scores against a truth that is the prediction, one pixel off."""
    labels = json.loads((run / "run.json").read_text())["labels"]
    truth = run.parent / "truth.npy"
    classes = np.full(SHAPE, 4, np.uint8)
    classes[1:5, 100:200, 101:201], classes[2:4, 130:170, 131:171] = 5, 2
    found: dict[str, Any] = {"slices": [1, 6]}
    if kind == "classes":
        np.save(truth, classes)
        predicted = {"nucleus": labels["nuclei"], "cell": labels["cells"]}
        wanted = {"nucleus": [2], "cell": [2, 5]}
        found |= score_classes(predicted, truth, wanted).to_dict()
        found["truth"] = {"classes": str(truth)}
    else:
        np.save(truth, (classes != 4).astype(np.uint8))
        found["cell"] = score_instances(labels["cells"], truth).to_dict()
        found["truth"] = {"cell": str(truth)}
    store.write_json(run / "scores.json", found)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("report"))


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of the run's small files; the store is shared, as it is only read."""
    copy = tmp_path / "a.run"
    shutil.copytree(made, copy)
    return copy


@pytest.fixture(scope="module")
def text(made: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the whole run."""
    copy = tmp_path_factory.mktemp("whole") / "a.run"
    shutil.copytree(made, copy)
    return write_report(copy).read_text(encoding="utf-8")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One slice of each kind: pictures take their time."""
    monkeypatch.setattr(pictures, "OVERLAYS", 1)
    monkeypatch.setattr(pictures, "ERRORS", 1)


def read(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


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


def test_it_says_what_was_found(text: str) -> None:
    shown = Page(text).text
    for words in (
        "Cells of a.ome.zarr",
        "6 × 300 × 320 voxels (z, y, x) · 250 × 40 × 40 nm",
        "2–5",  # slices of cell 4
        "1 cell outlined: 1 cut by the volume; 1 not segmented: 1 failed.",
        "whole + cut by the volume",
        "625, 6000, 6000",  # nm, z, y, x of cell 4
        "All are at their defaults.",
        "2 min 12 s",  # both stages
        "02 January 2026, 03:04",
        "resolution",
        "cut by the first slice",
        "no protrusions",
    ):
        assert words in shown, words
    assert "Confidence" not in shown  # nothing was measured
    # Said of the cell that was segmented, not of the one that failed.
    assert shown.count("cut by the first slice") == 1


def test_whatever_a_run_says_is_escaped(text: str) -> None:
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in text
    assert "cell 9 failed &lt;&amp;&gt;" in text


HOSTILE = "<script>alert(1)</script>"


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


def test_columns_of_the_tables_have_their_names_in_cells_csv(text: str) -> None:
    for head, name, _ in (*CELLS, *QUALITY):
        for part in re.split(r", | – ", name):
            assert part in COLUMNS and part in head, head
            unit = COLUMNS[part].unit
            assert (f"({unit})" in head) == (unit not in ("", "1", "count", "slice")), head
    assert (
        '<th title="volume of the nucleus, without its envelope">nucleus_<wbr>volume (µm³)' in text
    )
    assert "position: sticky" in text and "scroll to the right" in text


def test_durations_as_text() -> None:
    assert [duration(seconds) for seconds in (3.21, 250.4, 7500)] == [
        "3.2 s",
        "4 min 10 s",
        "2 h 05 min",
    ]


def test_the_most_doubtful_cell_comes_first_and_flags_are_explained(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hela_dask.report.draw_pictures", lambda folder: ([], []))
    table = pd.read_parquet(run / "cells.parquet")
    more = table.iloc[[0, 0]].assign(
        label=[5, 6],
        confidence=[0.91, 0.12],
        contact=[0.04, 0.78],
        nucleus_jitter=[17.2, np.nan],
        flags=["", "little_resin,two_nuclei"],
        reason=["", "2 nuclei in one cell; the one nearest its centre is outlined"],
        doubtful_slices=["", "2-3, 5"],
    )
    both = pd.concat([table, more], ignore_index=True)  # of 4 and 9 nothing was measured
    store.write_table(run / "cells", both)
    text = write_report(run).read_text(encoding="utf-8")
    shown = Page(text).text
    rows = re.findall(r'<tr><td data-v="(\d+)', text)
    assert rows == ["6", "5", "4", "9", "6", "5"]  # all cells, then those with numbers
    assert re.search(r'data-v="0\.12"><span class="badge poor">0\.12</span>', text)
    assert '<span class="badge good">0.91' in text
    assert "much of the membrane has no resin beside it" in shown
    assert "it may be dividing" in shown
    assert "the one nearest its centre is outlined; little resin" in shown
    assert "little resin; two nuclei" not in shown  # the reason tells it
    assert "the outline of the nucleus varies" not in shown
    assert "2-3, 5" in shown
    assert re.search(r'data-v="0\.78">0\.780<', text)
    assert "Confidence in numbers" in shown


def test_the_most_doubtful_slices_are_among_the_pictures() -> None:
    cells = pd.DataFrame(
        {
            "label": [1, 2, 3, 4, 5],
            "confidence": [0.9, 0.2, np.nan, 0.4, 0.3],
            "doubtful_slices": ["4", "slices 1-3, 10-20, 25", "", "7-8", ""],
        }
    )
    found = pictures.doubtful_slices(cells, 2)
    assert found == {
        15: "uncertain in cell 2 (confidence 0.20)",
        7: "uncertain in cell 4 (confidence 0.40)",
    }
    assert list(pictures.doubtful_slices(cells, 9)) == [15, 7, 4]
    assert pictures.doubtful_slices(cells[["label"]], 3) == {}


@pytest.mark.parametrize(
    ("status", "volumes", "tiles"),
    [
        ("segmented", [8.0, 12.0], ["10 ± 3 µm³", "nucleus volume of 2 whole cells (mean ± SD)"]),
        ("segmented", [8.0, np.nan], ["8.00 µm³", "nucleus volume of 1 whole cell"]),
    ],
)
def test_volumes_are_those_of_whole_cells(
    run: Path, monkeypatch: pytest.MonkeyPatch, status: str, volumes: list[float], tiles: list[str]
) -> None:
    monkeypatch.setattr("hela_dask.report.draw_pictures", lambda folder: ([], []))
    assert "nucleus volume" not in read(run).text  # its only cell is cut
    cells = pd.read_parquet(run / "cells.parquet").assign(status=status, nucleus_volume=volumes)
    store.write_table(run / "cells", cells)
    shown = read(run).text
    for words in tiles:
        assert words in shown, words


def test_only_changed_parameters_are_shown_at_once(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hela_dask.report.draw_pictures", lambda folder: ([], []))
    facts = json.loads((run / "run.json").read_text())
    facts["parameters"] = Parameters.from_dict({"detect": {"spacing": 800.0}}).to_dict()
    store.write_json(run / "run.json", facts)
    shown = read(run).text.split("All parameters")[0]
    assert "[detect] spacing" in shown and "800.0 (default 1000.0)" in shown
    assert "[detect] resolution" not in shown


def test_sentences_for_a_methods_section(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hela_dask.report.draw_pictures", lambda folder: ([], []))
    facts = json.loads((run / "run.json").read_text())
    facts |= {"method": "propagate", "edits": [{"kind": "merge", "cells": [1, 2], "by": "me"}]}
    facts["parameters"] = Parameters.from_dict({"detect": {"spacing": 800.0}}).to_dict()
    store.write_json(run / "run.json", facts)
    cells = pd.read_parquet(run / "cells.parquet").assign(status=["segmented", "cut_by_volume"])
    store.write_table(run / "cells", cells)
    shown = " ".join(read(run).text.split("For a methods section")[-1].split())
    for words in (
        "method propagate, in a volume with voxels of",
        "Parameters other than the defaults: [detect] spacing = 800.0.",
        "Labels were corrected by people.",
        "2 cells were outlined in a volume of",
        "1 completely in it, and 1 cut by its sides, to be left out of statistics.",
    ):
        assert words in shown, words
    assert "Surfaces were measured" not in shown
    store.write_table(run / "cells", cells.assign(cell_area=100.0))
    assert "Gaussian smoothing with a sigma of 50 nm" in read(run).text
    stopped = RunFolder(run, {**facts, "state": "failed"}, cells, pd.DataFrame(), {})
    assert run_text(stopped) == []
