"""Files reach the disk before the mark that says that they are there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from hela_dask.storage import store
from hela_dask.storage.files import write_json
from tests.scenes import make_scene


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """What is flushed and renamed, in this order."""
    found: list[tuple[str, Path]] = []
    fsync, replace = os.fsync, Path.replace

    def flushed(handle: int) -> None:
        found.append(("flush", Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    def renamed(self: Path, target: Path) -> Path:
        found.append(("name", Path(target)))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", renamed)
    return found


pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")


def test_content_then_name_then_folder(tmp_path: Path, events: list[tuple[str, Path]]) -> None:
    write_json(tmp_path / "a.json", {})
    (first, temporary), (second, name), (third, folder) = events
    assert (first, second, third) == ("flush", "name", "flush")
    assert temporary.name.startswith(".a.json") and name == tmp_path / "a.json"
    assert folder == tmp_path


def test_a_slab_is_on_the_disk_before_its_mark(
    tmp_path: Path, events: list[tuple[str, Path]]
) -> None:
    path = make_scene(tmp_path / "p.ome.zarr")
    at = next(i for i, event in enumerate(events) if event == ("name", path / "0/.slabs/8"))
    begun = next(i for i, event in enumerate(events) if event == ("name", path / "0/c/1/0/0"))
    assert begun < at
    between = {target for kind, target in events[begun:at] if kind == "flush"}
    assert {path / "0/c/1/0", path / "0/c/1", path / "0/c", path / "0", path} <= between


def test_masks_are_on_the_disk_before_they_are_recorded(
    tmp_path: Path, events: list[tuple[str, Path]]
) -> None:
    path = store.create_scratch(tmp_path / "7", (20, 8, 8), np.uint8)
    files = store.write_scratch(path, np.ones((20, 8, 8), np.uint8))
    assert set(files) == {"zarr.json", "c/0/0/0", "c/1/0/0"}
    flushed = [target for kind, target in events if kind == "flush"]
    assert flushed[-2:] == [path, tmp_path]
    assert sum(target.name.startswith(".0.") for target in flushed) == 2


def test_a_file_system_that_cannot_flush_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: int) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refused)
    write_json(tmp_path / "a.json", {})
    assert (tmp_path / "a.json").read_text() == "{}\n"
