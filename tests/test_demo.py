"""The demo: its scores by hand, and all of it on a small phantom."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hela_dask.cli import main
from hela_dask.demo import DemoSize, complete_scores, run_demo
from hela_dask.errors import ExistsError
from hela_dask.evaluation.metrics import contingency, match_instances
from hela_dask.volume.opening import read_image

SMALL = DemoSize((80, 224, 224), cells=2, diameter=7.0, seed=3, voxel_size=(100.0, 80.0, 80.0))


def _matched(prediction: list[int], truth: list[int]) -> Any:
    return match_instances(contingency(np.array(prediction), np.array(truth)))


def test_only_complete_cells_count() -> None:
    # True cells 1 (complete, found with 3 of 4 voxels), 2 (complete, missed), 3 (cut by the
    # border, missed as well); predicted 9 is complete and nowhere, 8 is cut and nowhere.
    truth = [1, 1, 1, 1, 2, 2, 3, 3, 0, 0]
    cells = _matched([7, 7, 7, 0, 0, 0, 0, 0, 9, 8], truth)
    nuclei = _matched([7, 7, 7, 7, 0, 0, 0, 0, 0, 0], truth)
    assert complete_scores(cells, nuclei, true=[1, 2], predicted=[7, 9]) == {
        "complete_cells": 2,
        "found": 1,
        "instance_f1": 2 * 1 / (2 + 1 + 1),
        "mean_cell_iou": 0.75 / 2,
        "mean_nucleus_iou": 1.0 / 2,
    }


def test_a_perfect_result_scores_one() -> None:
    cells = _matched([5, 5, 6, 6, 0], [1, 1, 2, 2, 0])
    scores = complete_scores(cells, cells, true=[1, 2], predicted=[5, 6])
    assert scores["instance_f1"] == scores["mean_cell_iou"] == scores["mean_nucleus_iou"] == 1


@pytest.mark.slow
def test_a_small_demo_finds_its_cells_and_a_second_one_uses_what_is_there(
    tmp_path: Path, client: Any
) -> None:
    first = run_demo(tmp_path, size=SMALL, client=client, progress=False)
    assert first.exit_code == 0
    assert first.report.is_file()
    assert first.figures["instance_f1"] == 1.0
    assert first.figures["mean_cell_iou"] > 0.8
    assert first.figures["mean_nucleus_iou"] > 0.6  # pixels of 80 nm, wider than the envelope
    pixels = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.ome.zarr/**/c/**/*")}
    again = run_demo(tmp_path, size=SMALL, client=client, progress=False)
    assert again.figures == first.figures
    assert pixels == {path: path.stat().st_mtime_ns for path in pixels}
    with pytest.raises(ExistsError, match=r"phantom\.ome\.zarr"):
        run_demo(tmp_path, client=client, progress=False)


def test_an_interrupted_phantom_is_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from hela_dask import demo

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    class Started(Exception):  # noqa: N818
        """The run, which is not what is tested here."""

    def run(store: Path, *_: Any, **__: Any) -> None:
        assert read_image(store).complete
        raise Started

    monkeypatch.setattr(demo, "run", run)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("hela_dask.phantom.write.write_slab", stop)
        run_demo(tmp_path, size=SMALL)
    for _ in range(2):
        with pytest.raises(Started):
            run_demo(tmp_path, size=SMALL)
    with pytest.raises(ExistsError, match="another --out"):
        run_demo(tmp_path, size=dataclasses.replace(SMALL, seed=4))


def test_the_command_ends_with_the_report_and_one_line_of_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from hela_dask import demo

    result = demo.DemoResult(tmp_path / "report.html", {"instance_f1": 0.953179, "found": 4})
    monkeypatch.setattr(demo, "run_demo", lambda *_, **__: result)
    assert main(["demo", "--out", str(tmp_path)]) == 0
    *_, place, figures = capsys.readouterr().out.splitlines()
    assert place == f"report: {tmp_path / 'report.html'}"
    assert figures == '{"instance_f1": 0.9532, "found": 4}'
