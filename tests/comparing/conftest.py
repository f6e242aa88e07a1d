"""Two groups of five volumes, compared once."""

from __future__ import annotations

from pathlib import Path

import pytest

import hela_dask as hd
from tests.comparing.runs import make_group


@pytest.fixture(scope="session")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Five volumes of each group; the nuclei of one are larger."""
    folder = tmp_path_factory.mktemp("groups")
    return {
        "control": make_group(folder, "control", 5, seed=1),
        "treated": make_group(folder, "treated", 5, seed=2, larger=1.4),
    }


@pytest.fixture(scope="session")
def found(groups: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> hd.Comparison:
    return hd.compare(groups, tmp_path_factory.mktemp("compared") / "out")


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty pictures: drawing takes as long as all the rest."""
    monkeypatch.setattr(
        "hela_dask.comparing.compare.draw_strips",
        lambda strips, path, label: path.write_bytes(b"\x89PNG"),
    )
