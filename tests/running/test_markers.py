"""Markers say what is finished, and for which inputs; the lock says who may write."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hela_dask.errors import ExistsError, StorageError
from hela_dask.parameters import BackgroundParameters
from hela_dask.running.lock import Lock, hold
from hela_dask.running.markers import Markers, fingerprint, fingerprint_files
from hela_dask.storage.files import plain


@dataclass(frozen=True)
class Point:
    y: float
    x: tuple[int, int]


def test_plain_is_what_json_gives_back() -> None:
    value = {"p": Point(1.5, (1, 2)), "n": np.float64(2.5), "a": np.arange(2), "nan": np.nan}
    assert plain(value) == {"p": {"y": 1.5, "x": [1, 2]}, "n": 2.5, "a": [0, 1], "nan": None}
    assert plain(value) == json.loads(json.dumps(plain(value)))


def test_a_fingerprint_changes_with_any_part_and_with_nothing_else() -> None:
    one = fingerprint("segment", BackgroundParameters(), (1, 2))
    assert one == fingerprint("segment", BackgroundParameters(), [1, 2])
    assert one != fingerprint("segment", BackgroundParameters(), (2, 1))
    assert one != fingerprint("segment", BackgroundParameters(blur=31.0), (1, 2))
    assert len(one) == 32


def test_files_are_known_by_name_size_and_time_metadata_by_content(tmp_path: Path) -> None:
    (tmp_path / "0" / "c").mkdir(parents=True)
    (tmp_path / "labels").mkdir()
    (tmp_path / "zarr.json").write_text("{}")
    (tmp_path / "0" / "c" / "0").write_bytes(b"12345")
    first = fingerprint_files(tmp_path, skip=["labels"])
    (tmp_path / "labels" / "0").write_bytes(b"more")
    os.utime(tmp_path / "zarr.json", ns=(1, 1))
    assert fingerprint_files(tmp_path, skip=["labels"]) == first
    (tmp_path / "zarr.json").write_text('{"a": 1}')
    second = fingerprint_files(tmp_path, skip=["labels"])
    os.utime(tmp_path / "0" / "c" / "0", ns=(1, 1))
    third = fingerprint_files(tmp_path, skip=["labels"])
    assert len({first, second, third}) == 3


def test_a_marker_counts_only_for_its_fingerprint(tmp_path: Path) -> None:
    markers = Markers(tmp_path / "done")
    assert markers.result("segment", "0003", "abc") is None
    row = markers.finish("segment", "0003", "abc", {"label": np.int64(3), "z": np.nan})
    assert row == {"label": 3, "z": None} == markers.result("segment", "0003", "abc")
    assert markers.result("segment", "0003", "abd") is None
    assert [path.name for path in (tmp_path / "done").iterdir()] == ["segment-0003.json"]


def test_a_broken_marker_is_no_marker(tmp_path: Path) -> None:
    markers = Markers(tmp_path)
    markers.path("segment", "1").write_text('{"fingerprint": "abc", "res')
    assert markers.result("segment", "1", "abc") is None


def test_forgetting_a_stage_leaves_the_others(tmp_path: Path) -> None:
    markers = Markers(tmp_path)
    for stage, unit in (("segment", "1"), ("segment", "2"), ("assemble", "1")):
        markers.finish(stage, unit, "f", {})
    markers.forget("segment")
    assert markers.result("segment", "2", "f") is None
    assert markers.result("assemble", "1", "f") == {}


def test_a_folder_is_held_by_one_run(tmp_path: Path) -> None:
    with hold(tmp_path) as lock:
        lock.check()
        with pytest.raises(ExistsError, match=f"process {os.getpid()}"), hold(tmp_path):
            pytest.fail("held twice")
        lock.check()
    assert list(tmp_path.iterdir()) == []


def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    script = "import os; from hela_dask.running.lock import hold; from pathlib import Path\n"
    script += f"lock = hold(Path({str(tmp_path)!r})); lock.__enter__(); os._exit(9)"
    subprocess.run([sys.executable, "-c", script], check=False)
    assert (tmp_path / "lock").exists()
    with hold(tmp_path) as lock:
        lock.check()


def test_a_process_id_used_again_holds_nothing(tmp_path: Path) -> None:
    holder = {"token": "t", "pid": os.getpid(), "host": socket.gethostname(), "started": 1.0}
    (tmp_path / "lock").write_text(json.dumps(holder))
    with hold(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["token"] != "t"


def test_another_machine_is_believed(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(json.dumps({"token": "t", "pid": 1, "host": "elsewhere"}))
    with pytest.raises(ExistsError, match="on elsewhere"), hold(tmp_path):
        pytest.fail("held twice")


def test_a_task_that_outlived_its_run_may_not_write(tmp_path: Path) -> None:
    with hold(tmp_path) as lock:
        late = Lock(lock.path, lock.token)
    with pytest.raises(StorageError, match="no longer"):
        late.check()
    with hold(tmp_path), pytest.raises(StorageError, match="no longer"):
        late.check()


def test_a_holder_that_may_not_be_looked_at_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    real = psutil.Process

    def process(pid: int | None = None) -> psutil.Process:
        if pid == 123456:
            raise psutil.AccessDenied(pid)
        return real(pid)

    holder = {"token": "t", "pid": 123456, "host": socket.gethostname(), "started": 1.0}
    (tmp_path / "lock").write_text(json.dumps(holder))
    monkeypatch.setattr(psutil, "Process", process)
    with pytest.raises(ExistsError, match="in use by process 123456"), hold(tmp_path):
        pass
