"""One owner at every write: a run that lost its labels or its folder writes nothing more."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hela_dask._run import RunResult, detect, run
from hela_dask.conversion.convert import convert
from hela_dask.errors import ExistsError, StorageError
from hela_dask.running import stages
from hela_dask.tasks.lock import hold_labels, label_lock
from tests.scenes import store_of


def go(scene: Path, here: Any, **more: Any) -> RunResult:
    return run(scene, client=here, progress=False, **more)


def state(*folders: Path) -> dict[str, tuple[int, int]]:
    """Every file with its inode and the time of its last change."""
    return {
        str(path): (path.stat().st_ino, path.stat().st_mtime_ns)
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("lost", ["labels", "run"])
@pytest.mark.parametrize("moment", ["count_slab", "refine", "combine", "describe"])
def test_a_run_that_lost_its_place_writes_nothing_more(
    scene: Path,
    here: Any,
    calls: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    lost: str,
    moment: str,
) -> None:
    """As when it was paused, and another run took over what somebody freed by hand."""
    folder = scene.parent / "balls.run"
    locks = {"labels": label_lock(scene), "run": folder / "lock"}
    monkeypatch.setattr("hela_dask.tasks.lock._TRIES", 2)
    seen: list[dict[str, tuple[int, int]]] = []
    targets = {
        "count_slab": "hela_dask.running.stages.count_slab",
        "refine": "hela_dask.running.stages.volume_refiner",
        "combine": "hela_dask.running.pipeline.combine_counts",
        "describe": "hela_dask.running.finish.add_measurements",
    }
    path = targets[moment]
    module, name = path.rsplit(".", 1)
    real: Callable[..., Any] = getattr(__import__(module, fromlist=[name]), name)

    def paused(*args: Any, **more: Any) -> Any:
        if not seen:
            locks[lost].write_text(json.dumps({"token": "of another"}))
            time.sleep(0.3)  # another thread may have looked just before: its file is in place now
            seen.append(state(scene / "labels", folder))
        return real(*args, **more)

    monkeypatch.setattr(path, paused)
    what = "labels" if lost == "labels" else r"balls\.run"
    with pytest.raises(StorageError, match=rf"{what} is no longer this run's.*nothing more"):
        go(scene, here)
    changed = set(state(scene / "labels", folder).items()) - set(seen[0].items())
    if lost == "labels":  # its own folder may say that it failed
        changed = {item for item in changed if "labels" in item[0]}
    # One slab's unit of counting was under way; of it nothing was put in place either.
    assert not {item for item in changed if not item[0].endswith((".html", ".tmp"))}


def test_labels_that_another_run_writes_are_refused(
    first: RunResult, here: Any, calls: dict[str, Any]
) -> None:
    scene = store_of(first)
    before = state(scene, scene.parent / "balls.run")
    other = scene.parent / "other.npy"
    np.save(other, np.zeros((2, 8, 8), np.uint8))
    with hold_labels(scene, by="other.run"):
        for more in ({"out": scene.parent / "b.run", "overwrite": True}, {}):
            with pytest.raises(ExistsError, match=r"labels is in use by process.*other\.run"):
                go(scene, here, **more)
        with pytest.raises(ExistsError, match="labels is in use"):
            convert(other, scene, voxel_size=(1, 1, 1), overwrite=True)
    assert not (scene.parent / "b.run").exists()
    assert {name for name in state(scene) if "lock" in name} == set()
    assert state(scene, scene.parent / "balls.run") == before
    detect(scene, scene.parent / "c.run", client=here, progress=False)  # writes no labels


def test_nothing_is_left_in_a_store_that_gets_no_labels(
    scene: Path, here: Any, calls: dict[str, Any]
) -> None:
    own = scene.parent / "own.ome.zarr"
    calls["broken"] = {1, 2, 3, 4}

    def fail(*_: Any, **__: Any) -> None:
        raise StorageError("no")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "thresholds", fail)
        with pytest.raises(StorageError):
            go(scene, here, labels=own)
    assert not own.exists() and not (scene / "labels").exists()
    assert (scene.parent / "balls.run").is_dir()
