"""The status of a run from its files: while it runs, after each kind of end, of damaged files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import hela_dask as hd
from hela_dask.cli import main
from hela_dask.errors import InputError, MissingInputError, ResourceError
from hela_dask.tasks.dashboard import Dashboard
from hela_dask.tasks.lock import hold
from hela_dask.tasks.process import this_process
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.progress_file import Facts
from hela_dask.watching.screen import coloured
from hela_dask.watching.status import Watcher

ELSEWHERE = {"host": "node7", "machine": "another", "boot": "another", "job": "4711"}


HERE = "http://127.0.0.1:8787/status"


def begin(run: Path) -> RunProgress:
    """A run in its second stage, with a failed cell and a warning."""
    run.mkdir(exist_ok=True)
    display = RunProgress(False)
    display.expect(["detect", "classify", "segment", "assemble"])  # nothing to classify
    display.stage("detect", 10, 10, "slices")
    display.stage("segment", 4, 1, "cells")
    display.keep(run)
    display.advance()
    display.fly(2)
    display.fail("segment", "00003", "InputError: no resin")
    display.warn("2 slices hold one grey value only")
    display.see_workers(
        {
            "tcp://a": {
                "nthreads": 1,
                "memory_limit": 2**30,
                "metrics": {
                    "memory": 2**28,
                    "task_counts": {"executing": 1},
                    "spilled_bytes": {"disk": 2**20},
                },
            },
            "tcp://b": {"nthreads": 1, "memory_limit": 2**30, "metrics": {}},
        }
    )
    services = {"dashboard": 4321}
    worker = {"nthreads": 1, "memory_limit": 2**30, "metrics": {}, "services": services}
    display.see_workers({"tcp://10.1.2.3:80": worker})
    link = "http://10.1.2.3:8787/status"
    display.show(Dashboard(link, HERE, "ssh -L 8787:127.0.0.1:8787 me@login1"))
    display.wait_for("a worker: 2 jobs pending (Resources)")
    return display


@pytest.mark.parametrize(
    ("address", "served"),
    [("tcp://10.1.2.4:80", "10.1.2.4:4321"), ("tls://[fe80::1]:80", "[fe80::1]:4321")],
)
def test_addresses_of_metrics(address: str, served: str) -> None:
    facts = Facts()
    facts.see_workers({address: {"services": {"dashboard": 4321}}})
    assert facts.to_dict()["metrics"] == [served]


def change(run: Path, **changed: Any) -> None:
    """Change values of progress.json."""
    path = run / "progress.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def left(run: Path, **process: Any) -> None:
    """The file of a run that computes, of a process of another machine or of a former one."""
    display = begin(run)
    display.close()
    change(run, state="running", process={**this_process().to_dict(), **process})


def until(run: Path, text: str, seconds: float = 5.0) -> hd.Status:
    end = time.monotonic() + seconds
    while text not in str(found := hd.status(run)):
        assert time.monotonic() < end, str(found)
        time.sleep(0.05)
    return found


def test_a_run_that_computes(tmp_path: Path) -> None:
    display = begin(tmp_path / "a.run")
    found = until(tmp_path / "a.run", "2 jobs pending")
    display.close()
    assert (found.state, found.exit_code) == ("running", 0)
    text = str(found)
    for part in (
        "a.run runs: started ",
        f"process {os.getpid()} on ",
        "10/10 slices",
        "2/4 cells",
        "1 done before, 1 failed, 2 submitted, left ",
        "to come",
        "1 worker, 0 tasks in progress, memory 0 KiB of 1.0 GiB; 2 workers lost so far",
        "waiting for a worker: 2 jobs pending (Resources)",
        "dashboard: ssh -L 8787:127.0.0.1:8787 me@login1",
        "segment 00003: InputError: no resin",
        "warning: 2 slices hold one grey value only",
    ):
        assert part in text
    assert found.summary.startswith(f"{tmp_path / 'a.run'} runs: segment 2/4 cells, 1 failed, left")
    shown = found.to_dict()
    assert shown["stages"][1]["done"] == 2 and shown["stages_to_come"] == ["assemble"]
    assert shown["metrics"] == ["127.0.0.1:8787", "127.0.0.1:4321"]
    assert shown["workers"]["lost"] == 2 and shown["n_failures"] == 1
    assert shown["stages"][1]["in_flight"] == 2


@pytest.mark.parametrize(
    ("error", "state", "text"),
    [
        (ResourceError("too little memory"), "failed", "error: too little memory"),
        (TypeError("of the program"), "failed", "error: TypeError: of the program"),
        (KeyboardInterrupt(), "interrupted", "was interrupted"),
        (None, "finished", "is finished"),
    ],
)
def test_the_end_of_a_run(
    tmp_path: Path, error: BaseException | None, state: str, text: str
) -> None:
    display = begin(tmp_path)
    display.close(error)
    found = hd.status(tmp_path)
    assert found.state == state and text in str(found)
    assert "submitted" not in str(found) and "tasks in progress" not in str(found)
    assert found.exit_code == (0 if state == "finished" else 1)
    assert ("finished work is kept" in str(found)) == (state != "finished")


def test_a_killed_process_is_noticed_and_the_command_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/x/hela-dask", "run", "a b.ome.zarr"])
    left(tmp_path / "a.run", started="of a dead process")
    found = hd.status(tmp_path / "a.run")
    assert (found.state, found.exit_code) == ("killed", 1)
    line = "this command continues:\n  hela-dask run 'a b.ome.zarr'"
    assert "has ended without an error message" in str(found) and line in str(found)
    monkeypatch.chdir(tmp_path)
    again = hd.status("a.run").command
    assert again.startswith("cd ") and again.endswith("&& hela-dask run 'a b.ome.zarr'")


def test_a_run_that_finished_without_its_last_report(tmp_path: Path) -> None:
    left(tmp_path, started="1")
    (tmp_path / "run.json").write_text(json.dumps({"labels": {"cells": "../x/labels/cells"}}))
    assert hd.status(tmp_path).state == "killed"
    (tmp_path / "run.json").write_text(
        json.dumps({"state": "finished", "labels": {"cells": "../x/labels/cells"}})
    )
    found = hd.status(tmp_path)
    assert found.state == "finished" and "labels:" not in str(found), "they are not there"


@pytest.mark.parametrize("option", [["--cluster", "runner"], ["--cluster=runner"]])
def test_the_command_in_an_allocation_needs_srun_or_mpirun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/x/hela-dask", "run", "runner", *option])
    left(tmp_path / "a.run", started="of a dead process")
    text = str(hd.status(tmp_path / "a.run"))
    assert "continues, in an allocation after srun or mpirun:\n  hela-dask run runner" in text
    monkeypatch.setattr(sys, "argv", ["/x/hela-dask", "run", "runner", "--cluster", "local"])
    left(tmp_path / "b.run", started="of a dead process")
    assert "srun" not in str(hd.status(tmp_path / "b.run"))


def test_the_heartbeat_of_another_machine_is_watched(tmp_path: Path) -> None:
    left(tmp_path, **ELSEWHERE)
    now = 0.0
    watcher = Watcher(tmp_path, lambda: now)
    found = watcher.look()
    assert found.state == "running" and not watcher.is_certain(found)
    now = 14.0
    assert watcher.look().state == "running"
    change(tmp_path, beat=99, written="1999-01-01T00:00:00+00:00")  # its clock is wrong
    found = watcher.look()
    assert found.state == "running" and watcher.is_certain(found)
    now = 30.0
    found = watcher.look()
    assert found.state == "silent" and not watcher.is_over(found)
    assert "on node7 (job 4711) cannot be looked at from here" in str(found)
    now = 90.0
    assert watcher.is_over(watcher.look())
    assert hd.status(tmp_path, patience=0).state == "running", "without a watch it is believed"


def test_a_suspended_process_is_named(tmp_path: Path) -> None:
    left(tmp_path)
    now = 0.0
    watcher = Watcher(tmp_path, lambda: now)
    assert watcher.look().notes == ()
    now = 60.0
    assert "it is suspended" in watcher.look().notes[0]


def test_a_process_that_was_taken_over_leaves_the_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hela_dask.tasks.progress_file._SHORTEST", 0.01)
    first = begin(tmp_path)
    until(tmp_path, "2 jobs pending")
    time.sleep(0.1)  # a last write may be under way
    assert first._file is not None
    thread = first._file._thread
    second = begin(tmp_path)
    owner = json.loads((tmp_path / "progress.json").read_text())["id"]
    first.wait_for("nothing")
    thread.join(10)
    assert not thread.is_alive(), "it has ended by itself"
    first.close(KeyboardInterrupt())
    found = json.loads((tmp_path / "progress.json").read_text())
    assert (found["id"], found["state"]) == (owner, "running")
    second.close()
    assert hd.status(tmp_path).state == "finished"
    assert [path.name for path in tmp_path.iterdir()] == ["progress.json"]


def test_a_folder_that_cannot_be_written_to_ends_no_run(tmp_path: Path) -> None:
    (tmp_path / "progress.json").mkdir()
    display = begin(tmp_path)
    display.close()


def test_a_full_disk_leaves_no_part_of_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def full(path: Path, text: str, **more: Any) -> int:
        write(path, text[:10], **more)
        raise OSError(28, "No space left on device")

    display = begin(tmp_path)
    display._wake()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        display.close()
    assert [path.name for path in tmp_path.iterdir()] == ["progress.json"]
    assert json.loads((tmp_path / "progress.json").read_text())["id"]


def test_runs_of_earlier_versions(tmp_path: Path) -> None:
    (tmp_path / "done").mkdir()
    for name in ("detect-z1", "detect-z2", "segment-00001"):
        (tmp_path / "done" / f"{name}.json").write_text("{}")
    machine = {"command": ["hela-dask", "run", "x.ome.zarr"]}
    facts = {"state": "running", "machine": machine}
    (tmp_path / "run.json").write_text(json.dumps(facts))
    found = hd.status(tmp_path)
    assert found.state == "killed" and found.command == "hela-dask run x.ome.zarr"
    assert "finished units by stage: detect 2, segment 1" in str(found)
    with hold(tmp_path):
        assert hd.status(tmp_path).state == "running"
    rows = "label,status,reason\n1,segmented,\n2,failed,no resin near it\n"
    (tmp_path / "cells.csv").write_text(rows, encoding="utf-8-sig")
    (tmp_path / "run.json").write_text(json.dumps({"state": "finished"}))
    found = hd.status(tmp_path)
    assert (found.state, found.exit_code) == ("finished", 3)
    assert "1 cell outlined: 1 whole; 1 not segmented: 1 failed" in str(found)
    assert "cell 2: no resin near it" in str(found)
    for state, error in (("failed", "disk full"), ("interrupted", "")):
        (tmp_path / "run.json").write_text(json.dumps({"state": state, "error": error}))
        assert hd.status(tmp_path).state == state and error in str(hd.status(tmp_path))


def test_a_long_error_leaves_the_screen_readable(tmp_path: Path) -> None:
    begin(tmp_path).close()
    failure = {"stage": "segment", "unit": "00001", "error": "no space " * 200}
    change(tmp_path, failures=[failure], n_failures=1)
    found = hd.status(tmp_path)
    assert "segment 00001: no space" in str(found)
    assert max(map(len, str(found).splitlines())) < 330
    assert found.to_dict()["failures"] == [failure]


def test_what_is_no_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no run folder"):
        hd.status(tmp_path / "missing")
    with pytest.raises(InputError, match=r"is no run folder: it has none of run\.json"):
        hd.status(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        hd.status(tmp_path / "file")
    with pytest.raises(InputError, match="is a URL"):
        hd.status("s3://bucket/a.run")
    (tmp_path / "progress.json").write_text("{")
    with pytest.raises(InputError, match=r"progress.json is not valid JSON"):
        hd.status(tmp_path)
    (tmp_path / "run.json").write_text('{"state": "finished"}')
    found = hd.status(tmp_path)
    assert found.state == "finished" and "progress.json" in found.notes[0]
    (tmp_path / "progress.json").write_text('{"format": 1, "beat": "x"}')
    assert "progress.json" in hd.status(tmp_path).notes[0]
    (tmp_path / "progress.json").write_text('{"format": 2, "version": "9.0"}')
    with pytest.raises(InputError, match=r"newer version of hela_dask \(9.0\)"):
        hd.status(tmp_path)


def test_colours_are_of_their_lines(tmp_path: Path) -> None:
    begin(tmp_path).close(ResourceError("too little memory"))
    text = coloured(hd.status(tmp_path), unicode=True)
    head = text.plain.index("\n")
    spans = {(span.start, span.end): str(span.style) for span in text.spans}
    assert text.style == "" and spans[0, head] == "bold red"
    assert any(style == "green" for style in spans.values()), "bars"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin(tmp_path).close(ResourceError("too little memory"))
    assert main(["status", str(tmp_path)]) == 1
    assert "error: too little memory" in capsys.readouterr().out
    assert main(["status", str(tmp_path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["state"], found["exit_code"]) == (1, "failed", 1)
    assert main(["status", str(tmp_path), "--watch"]) == 1
    assert "has failed" in capsys.readouterr().out
    assert main(["status", str(tmp_path), "--watch", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["state"] == "failed"
    assert main(["status", str(tmp_path / "missing")]) == 1
    assert "Error: there is no run folder" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_a_watch_ends_with_ctrl_c(tmp_path: Path) -> None:
    display = begin(tmp_path)
    watch = subprocess.Popen(
        [sys.executable, "-m", "hela_dask", "status", str(tmp_path), "--watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watch.stdout is not None
    assert "runs: segment 2/4 cells" in watch.stdout.readline()
    watch.send_signal(signal.SIGINT)
    _, errors = watch.communicate(timeout=10)
    display.close()
    assert (watch.returncode, errors) == (0, "")
