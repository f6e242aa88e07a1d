"""One undisturbed run, made once for all faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.site import Site, undisturbed_site


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site; its client computes in this process."""
    with undisturbed_site(tmp_path_factory.mktemp("faults")) as found:
        yield found


@pytest.fixture
def site(undisturbed: Site) -> Site:
    """The site as the undisturbed run left it."""
    undisturbed.restore()
    return undisturbed


@pytest.fixture
def quick_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report without pictures."""

    def write(run: Any) -> None:
        Path(run, "report.html").write_text("report", encoding="utf-8")

    monkeypatch.setattr("hela_dask.report.write_report", write)
