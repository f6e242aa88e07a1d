"""The lock: one writer at a time, on slow file systems, after clock steps, without hard links."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hela_dask.errors import ExistsError, StorageError
from hela_dask.tasks import process
from hela_dask.tasks.lock import Lock, hold, hold_labels, hold_target
from hela_dask.tasks.process import ProcessName, is_alive, this_process

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")


def leave(folder: Path, **changed: Any) -> None:
    """A lock file of this process, but for what is changed."""
    facts = {"token": "t", **this_process().to_dict(), **changed}
    (folder / "lock").write_text(json.dumps(facts))


def test_a_folder_is_held_by_one_run(tmp_path: Path) -> None:
    with hold(tmp_path, by="hela.run") as lock:
        lock.check()
        found = rf"process {os.getpid()} on .* \(hela\.run\): wait until"
        with pytest.raises(ExistsError, match=found), hold(tmp_path):
            pytest.fail("held twice")
        lock.check()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_a_relative_path_holds_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with hold(Path()) as one, hold_labels(Path("a.ome.zarr")) as two, hold_target(Path("b")) as new:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        for lock in (one, two, new):
            lock.check()
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]


@pytest.mark.parametrize("links", [True, False])
def test_a_dead_process_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    script = "import os; from hela_dask.tasks.lock import hold; from pathlib import Path\n"
    script += f"lock = hold(Path({str(tmp_path)!r})); lock.__enter__(); os._exit(9)"
    subprocess.run([sys.executable, "-c", script], check=False)
    assert (tmp_path / "lock").exists()
    if not links:
        monkeypatch.setattr(os, "link", no_link(errno.EOPNOTSUPP))
    with hold(tmp_path) as lock:
        lock.check()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"started": "1"},  # the process id was used again
        {"pid": 2**22 + 5},  # no such process
        {"boot": "another", "started": "1"},  # the machine was started again
    ],
    ids=["pid used again", "no process", "rebooted"],
)
def test_what_is_known_to_be_dead_is_taken_over(tmp_path: Path, changed: dict[str, Any]) -> None:
    if "boot" in changed and not (this_process().boot and this_process().machine):
        pytest.skip("this machine says neither boot nor id")
    leave(tmp_path, **changed)
    with hold(tmp_path) as lock:
        lock.check()


@pytest.mark.parametrize(
    "changed",
    [
        {"host": "elsewhere", "boot": "another"},
        {"boot": "another", "machine": "another"},
        {"space": "pid:[1]"},
        {"host": "elsewhere", "boot": "", "machine": ""},
    ],
    ids=["another host", "another machine of that name", "another container", "no boot known"],
)
def test_what_cannot_be_seen_from_here_is_believed(tmp_path: Path, changed: dict[str, Any]) -> None:
    if ("boot" in changed or "space" in changed) and not this_process().boot:
        pytest.skip("this machine says no boot")
    leave(tmp_path, **changed)
    with (
        pytest.raises(ExistsError, match=r"cannot be looked at from here.*remove .*lock if"),
        hold(tmp_path),
    ):
        pytest.fail("held twice")


def test_the_clock_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    with hold(tmp_path):
        boot = psutil.boot_time()
        monkeypatch.setattr(psutil, "boot_time", lambda: boot + 3600)
        monkeypatch.setattr(time, "time", lambda: 0.0)
        assert is_alive(this_process(), this_process())
        with pytest.raises(ExistsError, match="in use"), hold(tmp_path):
            pytest.fail("held twice")


def test_without_proc_psutil_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_PROC", tmp_path / "no-proc")
    me = this_process()
    assert me.started and not me.boot and is_alive(me, me) is True
    assert is_alive(replace(me, started="1.0"), me) is False
    assert is_alive(replace(me, pid=2**22 + 5), me) is False
    assert is_alive(replace(me, host="elsewhere"), me) is None
    import psutil

    def denied(pid: int | None = None) -> None:
        raise psutil.AccessDenied(pid)

    monkeypatch.setattr(psutil, "Process", denied)
    assert is_alive(me, me) is True


def test_a_process_that_is_hidden_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    me = this_process()
    monkeypatch.setattr(process, "_started", lambda _: None)
    monkeypatch.setattr(process, "_PROC", Path("/nowhere"))
    assert is_alive(replace(me, boot=""), replace(me, boot="")) is None


@posix
def test_a_paused_process_lives_and_a_zombie_does_not() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    me = this_process()
    name = ProcessName(child.pid, me.host, me.machine, me.boot, me.space)
    name = replace(name, started=process._started(child.pid) or "")
    try:
        child.send_signal(signal.SIGSTOP)
        assert is_alive(name, me) is True
    finally:
        child.kill()
    until = time.monotonic() + 10
    while is_alive(name, me) and time.monotonic() < until:
        time.sleep(0.01)
    assert is_alive(name, me) is False  # killed, and not waited for yet
    child.wait()


def no_link(code: int) -> Callable[..., None]:
    def link(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    return link


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EXDEV])
def test_file_systems_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(os, "link", no_link(code))
    with hold(tmp_path) as lock:
        lock.check()
        with pytest.raises(ExistsError, match="in use"), hold(tmp_path):
            pytest.fail("held twice")
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_held_after_a_lost_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def link(source: Any, target: Any) -> None:
        real(source, target)
        raise FileExistsError(errno.EEXIST, "sent twice")

    monkeypatch.setattr(os, "link", link)
    with hold(tmp_path) as lock:
        lock.check()


@pytest.mark.parametrize("content", [b"", b"\0" * 200, b"\n"])
def test_an_empty_lock_of_a_crash_is_taken_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lock").write_bytes(content)
    with hold(tmp_path) as lock:
        lock.check()


@pytest.mark.parametrize(
    "content",
    [
        b"poetry lock of a user",
        b'{"token": 5, "pid": 1, "host": "h"}',
        b'{"token": "t", "pid": "1", "host": "h"}',
        b'{"token": "t", "pid": 1, "host": ["h"]}',
        b"[" * 60_000,
        None,
    ],
    ids=["text", "token", "pid", "host", "nested", "folder"],
)
def test_what_is_no_lock_of_ours_stays(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "lock"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ExistsError, match="not a lock of hela_dask; move it away"), hold(tmp_path):
        pytest.fail("taken")
    assert path.is_dir() if content is None else path.read_bytes() == content


def test_a_link_to_nothing_is_no_lock_of_ours(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "nothing")
    with pytest.raises(ExistsError, match="not a lock of hela_dask; move it away"), hold(tmp_path):
        pytest.fail("taken")
    assert (tmp_path / "lock").is_symlink()


def test_a_task_that_outlived_its_run_may_not_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hela_dask.tasks.lock._TRIES", 3)
    with hold(tmp_path) as lock:
        late = Lock(lock.path, lock.token)
    with pytest.raises(StorageError, match="no longer"):
        late.check()
    with hold(tmp_path), pytest.raises(StorageError, match="no longer"):
        late.check()


def test_a_lock_that_another_took_is_left_to_it(tmp_path: Path) -> None:
    with hold(tmp_path) as first:
        first.path.unlink()  # by hand
        with hold(tmp_path) as second:
            with pytest.raises(StorageError, match="no longer"):
                first.check()
            second.check()
            taken = first.path.read_bytes()
            leave(tmp_path)
    assert first.path.exists() and first.path.read_bytes() != taken


@pytest.mark.parametrize("links", [True, False])
def test_several_starts_at_once_over_a_slow_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """A lock of a dead process, three starts, and every change of a file takes its time."""

    def slow(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            time.sleep(0.002 * (threading.get_ident() % 3))
            result = real(*args, **more)
            time.sleep(0.004)
            return result

        return call

    monkeypatch.setattr(Path, "unlink", slow(Path.unlink))
    monkeypatch.setattr(os, "link", slow(os.link) if links else no_link(errno.ENOSYS))
    inside, most, held = [0], [0], [0]

    def start(gate: threading.Barrier) -> None:
        gate.wait()
        try:
            with hold(tmp_path) as lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                held[0] += 1
                time.sleep(0.03)
                lock.check()
                inside[0] -= 1
        except ExistsError:
            return

    for number in range(30):
        leave(tmp_path, started=f"{number} of a dead process")
        gate = threading.Barrier(3)
        threads = [threading.Thread(target=start, args=(gate,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == [1] and inside == [0] and held[0] >= 30
    assert list(tmp_path.iterdir()) == []


def test_a_start_that_died_while_it_removed_a_dead_lock(tmp_path: Path) -> None:
    leave(tmp_path, started="of a dead process")
    dead = (tmp_path / "lock").read_bytes()
    claim = tmp_path / f".lock.{hashlib.sha256(dead).hexdigest()[:16]}"
    claim.write_bytes(dead.replace(b'"t"', b'"u"'))
    with hold(tmp_path) as lock:
        lock.check()
    assert list(tmp_path.iterdir()) == []


def test_labels_are_held_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    owner = tmp_path / "own.ome.zarr"
    with hold_labels(owner, by="a.run"):
        with (
            pytest.raises(ExistsError, match=r"own.ome.zarr.labels is in use by .*\(a\.run\)"),
            hold_labels(owner),
        ):
            pytest.fail("held twice")
        # Neither is a store replaced whose labels are being written.
        with pytest.raises(ExistsError, match="labels is in use"), hold_target(owner):
            pytest.fail("held")
    assert list(tmp_path.iterdir()) == []
    with hold_target(owner), pytest.raises(ExistsError, match="in use"), hold_target(owner):
        pytest.fail("held twice")
    assert list(tmp_path.iterdir()) == []
