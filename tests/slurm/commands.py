"""Commands of hela-dask that a test starts, alone or as jobs of SLURM."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

__all__ = [
    "HELA_DASK",
    "MODULE",
    "WITHOUT_PAGES",
    "Started",
    "markers",
    "submit",
    "wait",
    "worker_processes",
    "write_cluster",
]

# A process that a shell started in the background ignores Ctrl-C.
_CODE = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from hela_dask.cli import main; sys.exit(main())"
)
_EMPTY = "import pytest; from tests.scenes import empty_pages; empty_pages(pytest.MonkeyPatch()); "
HELA_DASK = (sys.executable, "-c", _CODE)
# For runs that come to their end: the two pages of a run take longer than that of a small volume.
WITHOUT_PAGES = (sys.executable, "-c", _EMPTY + _CODE)
MODULE = (sys.executable, "-m", "hela_dask")  # its run folder has the command as a person types it
_FORKED = "from multiprocessing.forkserver import main"  # in the command line of workers


def wait(met: Callable[[], Any], what: str, seconds: float = 90) -> float:
    """Until something is the case; how many seconds that took."""
    start = time.monotonic()
    while not met():
        assert time.monotonic() < start + seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - start


class Started:
    """A command of this machine; its stderr goes to a file."""

    def __init__(
        self,
        arguments: Sequence[object],
        log: Path,
        folder: Path,
        program: Sequence[str] = HELA_DASK,
    ) -> None:
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [*program, *map(str, arguments)],
                stdout=file,
                stderr=file,
                cwd=folder,
                start_new_session=True,
            )

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def text(self) -> str:
        """What it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def shows(self, words: str, seconds: float = 90) -> float:
        """Wait until it has written these words."""

        def written() -> bool:
            assert self.process.poll() is None or words in self.text(), self.text()
            return words in self.text()

        return wait(written, f"{words!r} in {self.log}", seconds)

    def interrupt(self) -> None:
        """Send Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self, seconds: float = 120) -> int:
        """Its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(self.text()) from error


def submit(line: str, log: Path, *options: str) -> str:
    """Submit a script of one line with sbatch; the number of the job."""
    script = log.with_suffix(".sh")
    script.write_text(f"#!/bin/sh\n{line}\n")
    done = subprocess.run(
        ["sbatch", "--parsable", f"--output={log}", *options, str(script)],
        cwd=log.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def markers(run: Path) -> set[str]:
    """The finished units of a run."""
    return {path.name for path in (run / "done").glob("*.json")}


def worker_processes(job: str) -> list[psutil.Process]:
    """The processes of a job of SLURM in which workers compute."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("SLURM_JOB_ID") != job:
                continue
            parent = process.parent()
            if parent is not None and _FORKED in " ".join(parent.cmdline()):
                found.append(process)
    return found


def write_cluster(path: Path, *, workers: Any = 1, **options: object) -> Path:
    """The file of a cluster of this SLURM, in JSON, which is YAML, too."""
    given = {
        "queue": "cpu",
        "memory": "2GiB",
        "interface": "lo",
        "python": sys.executable,
        "log_directory": f"{path.parent}/logs",
        **options,
    }
    path.write_text(json.dumps({"scheduler": "slurm", "workers": workers, "options": given}))
    return path
