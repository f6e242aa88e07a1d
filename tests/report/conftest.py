"""One run that a report is written of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hela_dask.report import pictures, write_report
from tests.report.runs import make_run


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
