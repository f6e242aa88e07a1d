"""Locks of processes on other machines: held while their heartbeat moves."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hela_dask.errors import ExistsError, StorageError
from hela_dask.tasks import heartbeat
from hela_dask.tasks.heartbeat import beat_file, read_beat
from hela_dask.tasks.lock import Lock, hold, hold_labels, hold_target
from tests.tasks.test_lock import leave


def elsewhere(folder: Path, beats: bool = True) -> Path:
    """A lock of a process on another machine; returns its heartbeat."""
    leave(folder, host="node7", machine="another", boot="another", job="4711", beats=beats)
    beat = beat_file(folder / "lock", "t")
    beat.write_text("000000000001\n")
    return beat


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats and looks in milliseconds."""
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.01)
    monkeypatch.setattr(heartbeat, "_PAUSE", 0.02)
    monkeypatch.setattr(heartbeat, "LOOKS", 20)
    monkeypatch.setattr("hela_dask.tasks.lock._silent", set())


@pytest.mark.usefixtures("quick")
def test_a_lock_of_another_machine_without_a_heartbeat_is_taken_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    beat = elsewhere(tmp_path)
    late = Lock(tmp_path / "lock", "t")
    late.check()
    with hold(tmp_path) as lock:
        lock.check()
        with pytest.raises(StorageError, match="no longer"):
            late.check()  # tasks of the former run
        assert not beat.exists()
    assert list(tmp_path.iterdir()) == []
    assert "process" in caplog.text and "on node7 (job 4711), which cannot be looked at" in (
        caplog.text
    )
    assert "is taken over if its heartbeat does not move for another" in caplog.text
    assert "has stopped" in caplog.text


@pytest.mark.usefixtures("quick")
def test_a_lock_with_a_missing_heartbeat_is_taken_over(tmp_path: Path) -> None:
    elsewhere(tmp_path).unlink()
    with hold(tmp_path) as lock:
        lock.check()


@pytest.mark.usefixtures("quick")
def test_a_heartbeat_that_moves_is_a_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "LOOKS", 5000)  # 100 s
    beat = elsewhere(tmp_path)
    threading.Timer(0.1, beat.write_text, ["000000000002\n"]).start()
    begun = time.monotonic()
    with (
        pytest.raises(ExistsError, match=r"in use by process .* on node7 \(job 4711\): wait until"),
        hold(tmp_path),
    ):
        pytest.fail("held twice")
    assert time.monotonic() - begun < 50, "refused as soon as it moves"
    assert [path.name for path in tmp_path.iterdir() if path != beat] == ["lock"]


@pytest.mark.usefixtures("quick")
def test_two_starts_on_two_machines_take_over_once(tmp_path: Path) -> None:
    elsewhere(tmp_path)
    gate, over, held, refused = threading.Barrier(2), threading.Event(), [0], [0]

    def start() -> None:
        gate.wait()
        try:
            with hold(tmp_path) as lock:
                held[0] += 1
                over.wait(20)
                lock.check()
        except ExistsError:
            refused[0] += 1
            over.set()

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (held, refused) == ([1], [1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_claim_of_a_start_that_died_elsewhere_is_taken_over(tmp_path: Path) -> None:
    elsewhere(tmp_path)
    dead = (tmp_path / "lock").read_bytes()
    claim = tmp_path / f".lock.{hashlib.sha256(dead).hexdigest()[:16]}"
    claim.write_bytes(dead.replace(b'"t"', b'"u"'))
    with hold(tmp_path) as lock:
        lock.check()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_holder_beats_until_its_end_or_until_another_takes_over(tmp_path: Path) -> None:
    with hold(tmp_path) as lock:
        beat = beat_file(lock.path, lock.token)
        first = read_beat(beat)
        wait_for(lambda: read_beat(beat) not in (first, None))
        beat.unlink()  # by hand
        wait_for(beat.exists)
        leave(tmp_path)  # another has taken over while this one was suspended
        beat.unlink()
        time.sleep(0.1)
        assert not beat.exists()


@pytest.mark.usefixtures("quick")
def test_the_second_lock_of_a_silent_process_is_watched_shortly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Path] = []

    def look(path: Path) -> bytes | None:
        looks.append(path)
        return read_beat(path)

    monkeypatch.setattr(heartbeat, "read_beat", look)
    numbers = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        elsewhere(tmp_path / name)
        with hold(tmp_path / name) as lock:
            lock.check()
        numbers.append(len(looks))
        looks.clear()
    assert numbers == [21, 4]


@pytest.mark.usefixtures("quick")
def test_the_labels_of_a_dead_machine_are_free(tmp_path: Path) -> None:
    owner = tmp_path / "a.ome.zarr"
    (owner / "labels").mkdir(parents=True)
    elsewhere(owner / "labels")
    (owner / "labels" / "lock").rename(owner / "labels" / ".lock")
    with hold_target(owner):
        pass
    with hold_labels(owner) as lock:
        lock.check()
    assert list((owner / "labels").iterdir()) == []


def wait_for(met: Callable[[], Any], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.005)
