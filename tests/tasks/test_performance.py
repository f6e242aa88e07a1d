"""dask's report of the workers: kept with its predecessors, never waited for without an end."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from hela_dask.errors import ResourceError
from hela_dask.tasks.cluster import read_cluster
from hela_dask.tasks.performance import PAGE, PerformanceReport, earlier_pages
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.session import Session

pytestmark = pytest.mark.usefixtures("performance_page")


def session_of(folder: Path, client: Any) -> Session:
    return Session(
        client,
        read_cluster(),
        store=folder,
        run=folder,
        needs=[],
        progress=RunProgress(False),
        begin=lambda: None,
    )


@pytest.mark.parametrize("error", [ResourceError("no memory"), KeyboardInterrupt(), None])
def test_every_end_of_a_run_has_its_report(
    tmp_path: Path, here: Any, error: BaseException | None
) -> None:
    (tmp_path / PAGE).write_text("of the call before")
    expected = contextlib.nullcontext() if error is None else pytest.raises(type(error))
    with expected, session_of(tmp_path, here) as session:
        assert session.client().submit(sum, [1, 2]).result() == 3
        if error is not None:
            raise error
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert "Bokeh" in page
    assert (tmp_path / "performance-1.html").read_text() == "of the call before"
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {PAGE, "performance-1.html", "progress.json"}


def test_a_run_that_was_taken_over_leaves_the_reports_alone(tmp_path: Path, here: Any) -> None:
    with session_of(tmp_path, here) as session:
        session.client()
        other = RunProgress(False)
        other.keep(tmp_path)
        (tmp_path / PAGE).write_text("of the other call")
    other.close()
    assert (tmp_path / PAGE).read_text() == "of the other call"
    assert {path.name for path in tmp_path.iterdir()} == {PAGE, "progress.json"}


def test_without_its_lock_a_run_writes_neither_progress_nor_report(
    tmp_path: Path, here: Any
) -> None:
    with session_of(tmp_path, here) as session:
        session.client()
        session._progress.holds = lambda: False
        before = (tmp_path / "progress.json").read_bytes()
        session._progress.stage("segment", 4)
    assert (tmp_path / "progress.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["progress.json"]


def test_the_reports_of_a_few_calls_are_kept(tmp_path: Path, here: Any) -> None:
    for number in range(3):
        (tmp_path / PAGE).write_text(str(number))
        PerformanceReport(here, tmp_path)._shift()
    kept = [path.read_text() for path in earlier_pages(tmp_path) if path.exists()]
    assert kept == ["2", "1", "0"] and not (tmp_path / PAGE).exists()
    for number in range(3, 9):
        (tmp_path / PAGE).write_text(str(number))
        PerformanceReport(here, tmp_path)._shift()
    kept = [path.read_text() for path in earlier_pages(tmp_path)]
    assert kept == ["8", "7", "6", "5"] and len(list(tmp_path.iterdir())) == 4


def test_a_scheduler_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hela_dask.tasks.performance._SHORT", 0.1)
    report = PerformanceReport(here, tmp_path)

    async def hang(*_: Any, **__: Any) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(report._report, "__aexit__", hang, raising=False)
    monkeypatch.setattr(type(report._report), "__aexit__", hang)
    assert "did not answer within" in report.write(failed=True)
    monkeypatch.setattr("hela_dask.tasks.performance.is_connected", lambda _: False)
    assert report.write() == "the scheduler is gone"
    assert list(tmp_path.iterdir()) == []
