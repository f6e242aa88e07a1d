"""Stores and runs that were moved, renamed, copied or linked; paths however they are spelt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hela_dask as hd
from hela_dask._run import RunResult, run
from hela_dask.errors import ExistsError, InputError, MissingInputError, ParameterError
from hela_dask.running.folders import run_folder
from hela_dask.running.reading import read_folder
from hela_dask.storage.places import enclosing_store, is_within, same_place
from tests.test_run import times


def go(scene: Path, here: Any, **more: Any) -> RunResult:
    return run(scene, client=here, progress=False, **more)


def rename(scene: Path) -> Path:
    scene.with_name("balls.run").rename(scene.with_name("new.run"))
    return scene.rename(scene.with_name("new.ome.zarr"))


def move(scene: Path) -> Path:
    folder = scene.parent / "elsewhere" / "deep"
    folder.mkdir(parents=True)
    scene.with_name("balls.run").rename(folder / "balls.run")
    return scene.rename(folder / scene.name)


def copy(scene: Path) -> Path:
    target = scene.with_name("copy.ome.zarr")
    shutil.copytree(scene, target)
    shutil.copytree(scene.with_name("balls.run"), scene.with_name("copy.run"))
    return target


def link(scene: Path) -> Path:
    target = scene.parent / "links" / scene.name
    target.parent.mkdir()
    target.symlink_to(scene)
    target.with_name("balls.run").symlink_to(scene.with_name("balls.run"))
    return target


def copy_elsewhere(scene: Path) -> Path:
    folder = scene.parent / "elsewhere"
    shutil.copytree(scene, folder / "copy.ome.zarr")
    shutil.copytree(scene.with_name("balls.run"), folder / "copy.run")
    return folder / "copy.ome.zarr"


@pytest.mark.parametrize("how", [rename, move, copy, copy_elsewhere, link])
def test_a_store_and_its_run_stay_together(
    scene: Path, here: Any, calls: dict[str, Any], how: Callable[[Path], Path]
) -> None:
    first = go(scene, here)
    expected, number = first.labels["cells"].values, len(calls["segment"])
    there = how(scene)
    folder = run_folder(there, None)
    assert hd.verify(there, progress=False).ok
    found = hd.open_run(folder)
    np.testing.assert_array_equal(found.labels["cells"].values, expected)
    assert same_place(found.store, scene if how is copy else there)  # a copy is the same image
    seen = read_folder(folder)
    assert seen.store is not None and seen.labels("nuclei") is not None
    shards = times(*there.glob("labels/*/0"))
    again = go(there, here)
    assert len(calls["segment"]) == number and times(*there.glob("labels/*/0")) == shards
    np.testing.assert_array_equal(again.labels["cells"].values, expected)
    facts = json.loads((folder / "run.json").read_text())
    assert same_place(folder / facts["store"], there)
    if how is copy:  # each has its own labels from now on
        assert go(scene, here).path == first.path
        other = go(there, here, parameters={"region": {"width": 21000.0}}, overwrite=True)
        assert same_place(other.label_paths["cells"].parent.parent, there)
        assert same_place(hd.open_run(first.path).store, scene)


def test_labels_in_a_store_of_their_own_are_found_after_a_move(
    scene: Path, here: Any, calls: dict[str, Any]
) -> None:
    own = scene.with_name("own.ome.zarr")
    first = go(scene, here, labels=own)
    folder = scene.parent / "elsewhere"
    folder.mkdir()
    shutil.move(first.path, folder / "x.run")
    assert hd.open_run(folder / "x.run").label_paths["cells"] == own / "labels" / "cells"
    shutil.move(own, folder / "y.ome.zarr")
    found = hd.open_run(folder / "x.run")
    assert found.label_paths["cells"] == folder / "y.ome.zarr" / "labels" / "cells"
    shutil.rmtree(folder / "y.ome.zarr")
    with pytest.raises(MissingInputError, match=r"labels 'cells' of .* are gone"):
        hd.open_run(folder / "x.run")


def test_a_copy_of_a_run_folder_does_not_take_the_labels(
    scene: Path, here: Any, calls: dict[str, Any]
) -> None:
    first = go(scene, here)
    backup = scene.with_name("backup.run")
    shutil.copytree(first.path, backup)
    assert hd.open_run(backup).summary() == first.summary()
    with pytest.raises(ExistsError, match=r"made by .*balls\.run: replace it with --overwrite"):
        go(scene, here, out=backup)
    go(scene, here, out=backup, parameters={"region": {"width": 21000.0}}, overwrite=True)
    with pytest.raises(InputError, match=r"replaced by .*backup\.run"):
        hd.open_run(first.path)
    assert hd.open_run(backup).exit_code == 0


def test_a_run_of_another_volume_is_refused(
    scene: Path, here: Any, calls: dict[str, Any], tmp_path: Path
) -> None:
    from tests.scenes import BALLS, make_scene

    go(scene, here)
    other = make_scene(tmp_path / "other.ome.zarr", BALLS[:2])
    with pytest.raises(ExistsError, match=r"is the run of .*balls\.ome\.zarr, not of"):
        go(other, here, out=scene.with_name("balls.run"))
    shutil.rmtree(scene)
    with pytest.raises(ExistsError, match="is the run of"):
        go(other, here, out=scene.with_name("balls.run"))


@pytest.mark.parametrize(
    ("option", "spelt"),
    [
        ("out", "link/x.run"),
        ("out", "balls.ome.zarr/../balls.ome.zarr/x.run"),
        ("out", "sub/../balls.ome.zarr/0/x.run"),
        ("out", "link"),
        ("out", "."),
        ("out", "other.zarr/x.run"),
        ("out", "link/labels"),
        ("labels", "link/x.zarr"),
        ("labels", "sub/../balls.ome.zarr/0"),
        ("labels", "other.zarr/sub/x.zarr"),
        ("labels", "balls.run/done"),
        ("labels", "balls.run/coarse/x.zarr"),
    ],
)
def test_nothing_is_written_into_or_around_a_volume(
    scene: Path, here: Any, option: str, spelt: str
) -> None:
    (scene.parent / "link").symlink_to(scene)
    (scene.parent / "sub").mkdir()
    shutil.copytree(scene, scene.parent / "other.zarr")
    before = times(scene.parent)
    with pytest.raises(ParameterError, match=f"--{option} "):
        go(scene, here, **{option: scene.parent / spelt})
    assert times(scene.parent) == before


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "name", ["run.toml", "done/notes.txt", "cells.csv", "report.html", "run.json", "lock"]
)
def test_a_folder_of_a_user_is_no_run_folder(
    scene: Path, here: Any, calls: dict[str, Any], tmp_path: Path, name: str, overwrite: bool
) -> None:
    folder = tmp_path / "thesis"
    path = folder / name
    path.parent.mkdir(parents=True)
    path.write_text('{"mine": true}')
    before = times(folder)
    with pytest.raises(ExistsError, match=r"not a (run folder|lock of hela_dask)"):
        go(scene, here, out=folder, overwrite=overwrite)
    assert times(folder) == before and list(folder.iterdir()) == [
        folder / name.split("/", maxsplit=1)[0]
    ]


def test_labels_of_other_programs_are_never_replaced(
    scene: Path, here: Any, calls: dict[str, Any]
) -> None:
    import zarr

    go(scene, here)
    shutil.rmtree(scene / "labels" / "nuclei")
    zarr.open_group(scene / "labels" / "nuclei", mode="w").attrs["mine"] = True
    before = times(scene / "labels")
    for overwrite in (False, True):
        with pytest.raises(ExistsError, match=r"something else than hela_dask.* never replaced"):
            go(scene, here, overwrite=overwrite)
    assert times(scene / "labels") == before
    # Nor where metadata are lost: a file is there that the run has not written.
    (scene / "labels" / "nuclei" / "zarr.json").unlink()
    (scene / "labels" / "nuclei" / "0" / "c").mkdir(parents=True)
    (scene / "labels" / "nuclei" / "0" / "c" / "0").write_bytes(b"of another program")
    for overwrite in (False, True):
        with pytest.raises(ExistsError, match=r"labels/nuclei cannot be read .*remove it"):
            go(scene, here, overwrite=overwrite)
    assert (scene / "labels" / "nuclei" / "0" / "c" / "0").is_file()


def test_a_link_is_the_store_that_it_leads_to(
    scene: Path, here: Any, calls: dict[str, Any]
) -> None:
    first = go(scene, here)
    linked = scene.with_name("linked.ome.zarr")
    linked.symlink_to(scene)
    before = times(scene, first.path)
    assert go(linked, here, out=first.path).path == first.path
    assert go(scene, here, labels=linked).label_paths == first.label_paths
    assert times(scene, first.path) == before


def test_places(tmp_path: Path) -> None:
    store = tmp_path / "plate.zarr"
    (store / "A" / "0").mkdir(parents=True)
    (store / "zarr.json").write_text("{}")
    assert enclosing_store(store / "A" / "0" / "x") == store
    assert enclosing_store(store) is None
    assert run_folder(store / "A" / "0", None) == tmp_path / "plate.A.0.run"
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert not is_within(tmp_path / "c" / "..", store)
    assert is_within(store / ".." / "plate.zarr" / "new", store)
