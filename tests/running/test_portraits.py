"""Pictures of cells in space: which are drawn, drawn again, removed, and shown in the report."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from distributed import Client

import hela_dask as hd
from hela_dask._run import RunResult, run
from hela_dask.report import write_report
from hela_dask.report.space import cell_pictures
from hela_dask.running.portraits import picture_path
from hela_dask.running.reading import read_folder
from hela_dask.tasks.code import code_fingerprint
from hela_dask.tasks.markers import Markers
from tests.scenes import make_scene, run_scene, stand_in, store_of

OFF = {"measure": {"in_runs": 0}}


@pytest.fixture(scope="module")
def known(here: Any, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A finished run with the pictures of its cells."""
    return run_scene(tmp_path_factory.mktemp("known"), here, portraits=True)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The stand-ins; the pictures of cells are drawn."""
    return stand_in(monkeypatch, portraits=True)


def go(scene: Path, here: Any, **more: Any) -> RunResult:
    return run(scene, client=here, progress=False, **more)


def pictures(result: RunResult) -> dict[str, bytes]:
    folder = result.path / "figures" / "cells"
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def test_each_cell_has_a_picture_that_its_unit_records(
    first: RunResult, here: Any, calls: Any
) -> None:
    result = first
    assert list(pictures(result)) == [f"{label:05d}" for label in range(1, 5)]
    marker = Markers(result.path / "done").read("measure", "00002")
    assert marker is not None and "run/figures/cells/00002.png" in marker.files
    assert any(name.startswith("run/coarse/space-00002/") for name in marker.files)
    pixels = imagecodecs.png_decode(picture_path(result.path, 2).read_bytes())
    assert pixels.shape[1] == 880 and (np.ptp(pixels[..., :3], axis=2) > 40).mean() > 0.1


def test_pictures_have_the_same_bytes_for_any_number_of_workers(
    tmp_path: Path, calls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for workers, threads in ((1, 1), (3, 2)):
        folder = tmp_path / str(workers)
        scene = make_scene(folder / "balls.ome.zarr")
        with Client(
            processes=False, n_workers=workers, threads_per_worker=threads, dashboard_address=":0"
        ) as client:
            result = go(scene, client)
        hd.figure(result.path, folder / "slice.tif", cells=[2], crop=500)
        hd.figure(result.path, folder / "space.svg", space=True)
        write_report(result.path)
        files = [path for path in (result.path / "figures").rglob("*") if path.is_file()]
        files += [folder / "slice.tif", folder / "space.svg"]
        names = [path.relative_to(folder).as_posix() for path in files]
        found.append({name: path.read_bytes() for name, path in zip(names, files, strict=True)})
    drawn = {"slice.tif"} | {
        f"balls.run/figures/{name}" for name in ("space.png", "orthogonal.jpg")
    }
    assert len(found[0]) >= 10 and drawn <= set(found[0])
    assert found[0] == found[1]


def test_a_damaged_picture_is_drawn_again(first: RunResult, here: Any, calls: Any) -> None:
    scene, result = store_of(first), first
    before = pictures(result)
    times = {path: path.stat().st_mtime_ns for path in (result.path / "figures/cells").glob("*")}
    picture_path(result.path, 3).write_bytes(b"damaged")
    again = go(scene, here)
    assert pictures(again) == before
    changed = [path.stem for path, time in times.items() if path.stat().st_mtime_ns != time]
    assert changed == ["00003"]


def test_only_pictures_of_cells_that_changed_are_drawn(
    first: RunResult, here: Any, calls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, result = store_of(first), first
    before, drawn = pictures(result), []

    def drawing(run: Path, label: int, *rest: Any) -> None:
        drawn.append(label)

    # The labels are the same; all cells are measured again.
    with monkeypatch.context() as patch:
        patch.setattr("hela_dask.running.portraits.write_portrait", drawing)
        changed = {"measure": {"protrusion": 400.0}}
        again = go(scene, here, parameters=changed, overwrite=True)
    assert drawn == [] and pictures(again) == before


def test_pictures_of_cells_that_are_gone_are_removed(
    first: RunResult, here: Any, calls: Any
) -> None:
    scene, result = store_of(first), first
    stale = picture_path(result.path, 77)
    shutil.copy(picture_path(result.path, 1), stale)
    (result.path / "done" / "measure-00002.json").unlink()
    (result.path / "done" / "report-all.json").unlink()
    go(scene, here)
    assert not stale.exists() and picture_path(result.path, 2).exists()


def test_the_report_shows_them_or_names_the_parameter(
    first: RunResult, here: Any, calls: Any, tmp_path: Path
) -> None:
    scene, on = store_of(first), first
    off = go(scene, here, parameters=OFF, out=tmp_path / "off.run", labels=tmp_path / "off.zarr")
    assert (
        not (off.path / "figures" / "cells").exists()
        and not (off.path / "figures" / "space.png").exists()
    )
    write_report(off.path)
    assert "set in_runs = 1" in off.report.read_text("utf-8")
    write_report(on.path)
    text = on.report.read_text("utf-8")
    for label in range(1, 5):
        assert f'href="#cell-{label}"' in text and f'id="cell-{label}"' in text
    assert (on.path / "figures" / "space.png").is_file() and "set in_runs = 1" not in text


def test_pictures_of_300_cells_take_a_bounded_part_of_the_page(
    first: RunResult, here: Any, calls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = first
    folder = read_folder(result.path)
    source = picture_path(result.path, 1)
    monkeypatch.setattr("hela_dask.report.space.picture_path", lambda *_: source)
    for count, most in ((300, 300 * 30_000), (500, 500 * 200)):
        cells: dict[int, Any] = {label: {} for label in range(1, count + 1)}
        monkeypatch.setattr("hela_dask.report.space.drawn_cells", lambda _, found=cells: found)
        found = cell_pictures(folder)
        assert len(found) == count
        assert sum(len(picture.address) for picture in found) < most


def test_tasks_compute_no_fingerprint_of_code(
    scene: Path, here: Any, calls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads of a worker that parse code at once can fail, before Python 3.11.8 and 3.12.2."""
    threads = set()

    def noted(*places: str) -> str:
        threads.add(threading.current_thread())
        return code_fingerprint(*places)

    monkeypatch.setattr("hela_dask.running.keys.code_fingerprint", noted)
    go(scene, here)
    assert threads == {threading.main_thread()}
