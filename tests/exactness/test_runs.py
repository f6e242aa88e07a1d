"""Whole runs: the same bits for any layout of the store, any workers, in one go or in pieces."""

from __future__ import annotations

import dataclasses
import errno
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hela_dask.errors import InputError, StorageError
from hela_dask.tasks.markers import Markers
from hela_dask.volume.opening import open_volume, read_image
from tests.exactness.runs import (
    Outcome,
    go,
    outcome,
    same,
    two_cells,
    write,
    write_old,
)
from tests.scenes import without_pages

PIXELS = (40.0, 20.0)
"""Of the image, nm: in the one it is its own working level, in the other a coarser one is."""

LAYOUTS: dict[str, Any] = {
    "a chunk a slice": {"chunks": (1, 600, 600), "shards": (1, 600, 600)},
    "slim and odd": {"chunks": (3, 75, 35), "shards": (3, 75, 105)},
    "one chunk": {"chunks": (20, 600, 600), "shards": (20, 600, 600)},
    "0.4": (3, 47, 101),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A store, and what a run on one thread makes of it."""

    pixel: float
    store: Path
    expected: Outcome
    stages: dict[str, int]
    """In their order, with the number of their units."""
    files: int
    """How many were put in place."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_pages(monkeypatch)


@pytest.fixture(scope="module", params=PIXELS, ids=lambda pixel: f"{pixel:g} nm")
def case(request: Any, here: Any, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp(f"two-{request.param:g}")
    path = write(folder / "two.ome.zarr", request.param)
    with pytest.MonkeyPatch.context() as patch:
        without_pages(patch)
        put, files = Path.replace, []

        def counted(self: Path, target: Any) -> Path:
            files.append(target)
            return put(self, target)

        patch.setattr(Path, "replace", counted)
        result = go(path, here, "first")
    markers = sorted((result.path / "done").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    stages = Counter(file.name.split("-")[0] for file in markers)
    return Case(request.param, path, outcome(result), dict(stages), len(files))


@pytest.fixture
def folder(tmp_path: Path, case: Case) -> Iterator[Path]:
    """The store again, in a folder that goes when the test is over."""
    shutil.copytree(case.store, tmp_path / "two.ome.zarr")
    yield tmp_path
    shutil.rmtree(tmp_path)


def test_there_is_something_to_get_wrong(case: Case) -> None:
    cells, nuclei = case.expected["cells/0"], case.expected["nuclei/0"]
    assert case.expected["cells"]["status"].tolist() == ["cut_by_volume", "cut_by_volume"]
    touching = (
        (cells[:, :, 1:] != cells[:, :, :-1]) & (cells[:, :, 1:] > 0) & (cells[:, :, :-1] > 0)
    )
    assert touching.sum() > 500
    for label in (1, 2):
        assert (nuclei == label).sum() > 0.1 * (cells == label).sum() > 1e4
        assert (case.expected["envelope/0"] == label).any()
    assert 0.2 < case.expected["background/0"].mean() < 0.8
    assert {"background", "segment", "assemble", "measure"} <= set(case.stages)
    assert case.expected["cells"]["cell_area"].gt(0).all()
    assert case.expected["contacts"][["label", "other"]].to_numpy().tolist() == [[1, 2]]
    assert case.expected["contacts"]["contact_area"].item() > 1
    levels = {name.split("/")[1] for name in case.expected if "/" in name}
    assert len(levels) == (1 if case.pixel == 40 else 2)
    assert cells.shape == two_cells(case.pixel).shape


@pytest.mark.parametrize("name", LAYOUTS)
def test_any_layout_of_the_store(case: Case, name: str, here: Any, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    path = tmp_path / "other.ome.zarr"
    if isinstance(layout, dict):
        write(path, case.pixel, **layout)
    else:
        write_old(path, case.store, layout)
    same(case.expected, outcome(go(path, here, "layout")))


@pytest.mark.parametrize(
    ("chunk", "shard"), [((1, 64, 64), (7, 128, 128)), ((3, 37, 50), (6, 111, 111))]
)
def test_any_tiles_of_the_labels(
    case: Case, chunk: Any, shard: Any, here: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_CHUNKS", chunk), ("_SHARDS", shard), ("_SMALL_PLANE", 0)):
        monkeypatch.setattr(f"hela_dask.storage.pyramid.{name}", value)
    result = go(folder / "two.ome.zarr", here, "tiles")
    assert read_image(result.label_paths["cells"]).levels[0].chunks == chunk
    same(case.expected, outcome(result))


@pytest.mark.parametrize(("workers", "threads"), [(1, 4), (4, 1)])
def test_any_number_of_workers_in_threads(
    case: Case, workers: int, threads: int, folder: Path
) -> None:
    from distributed import Client

    with Client(
        processes=False, n_workers=workers, threads_per_worker=threads, dashboard_address=":0"
    ) as client:
        same(case.expected, outcome(go(folder / "two.ome.zarr", client, "threads")))


def test_processes(case: Case, client: Any, folder: Path) -> None:
    assert len(client.scheduler_info(n_workers=-1)["workers"]) == 2
    same(case.expected, outcome(go(folder / "two.ome.zarr", client, "processes")))


def test_stopped_in_every_stage_and_continued(case: Case, here: Any, folder: Path) -> None:
    """One run folder: stopped in each stage as one unit of it is finished, and another is not."""
    path, finish = folder / "two.ome.zarr", Markers.finish
    for stopped, units in case.stages.items():
        met: list[str] = []

        def stop(
            self: Markers, stage: str, *rest: Any, met: Any = met, at: Any = (stopped, units)
        ) -> Any:
            if stage == at[0]:
                met.append(stage)
                if len(met) == min(2, at[1]):
                    raise RuntimeError("stopped here")
            return finish(self, stage, *rest)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Markers, "finish", stop)
            if stopped == "segment":  # a cell that fails does not end a run
                assert go(path, here, "go").exit_code == 3
            elif stopped == "measure":
                warnings = go(path, here, "go").warnings
                assert any("could not be measured" in text for text in warnings)
            else:
                with pytest.raises(RuntimeError, match="stopped here"):
                    go(path, here, "go")
        assert met
    same(case.expected, outcome(go(path, here, "go")))


@pytest.mark.parametrize("part", range(2))
def test_a_disk_that_was_full_for_a_while(
    case: Case, part: int, here: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From some point of the run on no file can be put in place; later it is started again."""
    path, put, left = folder / "two.ome.zarr", Path.replace, iter(range(case.files))
    last = round(case.files * (part + 0.6) / 2)

    def full(self: Path, target: Any) -> Path:
        if next(left, case.files) >= last:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        return put(self, target)

    with monkeypatch.context() as disk, pytest.raises(OSError, match="space"):
        disk.setattr(Path, "replace", full)
        go(path, here, "go")
    same(case.expected, outcome(go(path, here, "go")))


def test_a_disk_that_is_full_in_the_middle_of_the_labels(
    case: Case, here: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, put = folder / "two.ome.zarr", Path.replace
    left = iter(range(1))  # shards of one label group that find room

    def full(self: Path, target: Path) -> Path:
        if "cells" in target.parts and "c" in target.parts and next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        return put(self, target)

    sentence = r"no space left while writing .*labels/cells/.* same command again to continue$"
    with monkeypatch.context() as disk, pytest.raises(StorageError, match=sentence):
        disk.setattr(Path, "replace", full)
        go(path, here, "go")
    with pytest.raises(InputError, match="not finished"):
        open_volume(folder / "go.labels.zarr/labels/cells")
    same(case.expected, outcome(go(path, here, "go")))


@pytest.mark.parametrize("level", [0, 1])
def test_a_chunk_that_is_damaged_is_named_and_one_put_right_continues(
    case: Case, level: int, here: Any, folder: Path
) -> None:
    """The finest level is read last, where labels are refined; a level that nobody reads is not."""
    path = folder / "two.ome.zarr"
    if level >= len(read_image(path).levels):
        pytest.skip("the image has no such level")
    file = sorted(at for at in (path / str(level) / "c").rglob("*") if at.is_file())[-1]
    sound, facts = file.read_bytes(), file.stat()
    half = len(sound) // 2
    harmed = bytes(byte ^ 255 for byte in sound[half - 40 : half + 40])
    for content in (sound[: half - 40] + harmed + sound[half + 40 :], sound):
        file.write_bytes(content)
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        if content != sound:
            name = re.escape(file.relative_to(path).as_posix())
            with pytest.raises(StorageError, match=rf"chunk \(.*{name} is damaged .* copy"):
                go(path, here, "go")
    same(case.expected, outcome(go(path, here, "go")))


def test_cell_by_cell(case: Case, here: Any, folder: Path) -> None:
    path = folder / "two.ome.zarr"
    for cells, statuses in (
        ([2], ["not_selected", "cut_by_volume"]),
        ([1], ["cut_by_volume", "cut_by_volume"]),
    ):
        result = go(path, here, "go", cells=cells)
        assert result.cells["status"].tolist() == statuses
    same(case.expected, outcome(go(path, here, "go")))
