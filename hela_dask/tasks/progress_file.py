"""``progress.json`` in a run folder: the state of a run, for another shell or machine.

A thread writes it every few seconds and at the start and end of each stage, whole (a temporary file
that is renamed). An error of writing never ends the run.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hela_dask.storage.files import plain
from hela_dask.tasks.process import this_process
from hela_dask.tasks.progress_format import FILE, FORMAT
from hela_dask.version import __version__

__all__ = ["Facts", "ProgressFile", "StageFacts", "is_finished"]

log = logging.getLogger(__name__)

_INTERVAL = 5.0  # seconds between writes
_SHORTEST = 0.5  # seconds between writes where stages begin and end
_PATIENCE = 10.0  # seconds for the last write of a file system that hangs
_MOST = 50  # failures and warnings that are kept
_MOST_SERVED = 1000  # addresses of metrics
_LONGEST = 2000  # characters of an error


@dataclass
class StageFacts:
    """A stage that has begun; times are of :func:`time.perf_counter`."""

    name: str
    unit: str = ""
    total: int = 0
    done: int = 0
    done_before: int = 0
    failed: int = 0
    in_flight: int = 0
    begun: float = field(default_factory=time.perf_counter)
    ended: float | None = None

    @property
    def seconds(self) -> float:
        """Since its start, to its end."""
        return (time.perf_counter() if self.ended is None else self.ended) - self.begun

    @property
    def left(self) -> float | None:
        """Seconds that are left, from the mean over the units of this call; None: not known."""
        if self.ended is not None or self.done >= self.total:
            return 0.0
        done = self.done - self.done_before
        return self.seconds / done * (self.total - self.done) if done > 0 else None

    def to_dict(self) -> dict[str, Any]:
        """As :class:`~hela_dask.tasks.progress_format.StageDocument` has it."""
        left = self.left
        return {
            **{name: getattr(self, name) for name in ("name", "unit", "total", "done")},
            **{name: getattr(self, name) for name in ("done_before", "failed", "in_flight")},
            "seconds": round(self.seconds, 1),
            "left_seconds": None if left is None else round(left),
            "ended": self.ended is not None,
        }


class Facts:
    """The state of a run, kept by its main thread and read by the one that writes the file."""

    def __init__(self) -> None:
        self.stages: list[StageFacts] = []
        self.expected: tuple[str, ...] = ()
        self.waiting_for = ""
        self.dashboard: dict[str, str] | None = None
        self._workers: dict[str, int] | None = None
        self._addresses: frozenset[str] = frozenset()
        self._served: tuple[tuple[str, int], ...] = ()
        self._lost = self._failures = 0
        self._failed: list[dict[str, str]] = []
        self._warnings: list[str] = []
        self.messages: list[str] = []

    def fail(self, stage: str, unit: str, error: str) -> None:
        """A unit has failed."""
        self._failures += 1
        if self.stages and self.stages[-1].name == stage:
            self.stages[-1].failed += 1
        self._failed.append({"stage": stage, "unit": unit, "error": error[:_LONGEST]})
        del self._failed[:-_MOST]

    def warn(self, text: str) -> None:
        """A warning that the user was shown."""
        self._warnings.append(text[:_LONGEST])
        del self._warnings[:-_MOST]

    def note(self, text: str) -> None:
        """A message for the user, which is not in the file."""
        self.messages.append(text[:_LONGEST])
        del self.messages[:-_MOST]

    def see_workers(self, workers: Mapping[str, Mapping[str, Any]]) -> None:
        """The workers, by address, as ``Client.scheduler_info`` has them."""
        here = frozenset(workers)
        self._lost += len(self._addresses - here)
        self._addresses = here
        served = map(_served, workers, workers.values())
        self._served = tuple(found for found in served if found is not None)[:_MOST_SERVED]
        metrics = [worker.get("metrics") or {} for worker in workers.values()]
        self._workers = {
            "alive": len(here),
            "lost": self._lost,
            "threads": sum(int(worker.get("nthreads") or 0) for worker in workers.values()),
            "executing": sum(
                int((found.get("task_counts") or {}).get("executing") or 0) for found in metrics
            ),
            "memory_bytes": sum(int(found.get("memory") or 0) for found in metrics),
            "memory_limit_bytes": _sum(worker.get("memory_limit") for worker in workers.values()),
            "spilled_bytes": sum(
                int((found.get("spilled_bytes") or {}).get("disk") or 0) for found in metrics
            ),
        }

    def to_dict(self) -> dict[str, Any]:
        """As :class:`~hela_dask.tasks.progress_format.ProgressDocument` has it."""
        begun = {stage.name for stage in self.stages}
        # A stage without units is passed over.
        last = max((k for k, name in enumerate(self.expected) if name in begun), default=-1)
        return {
            "stages": [stage.to_dict() for stage in list(self.stages)],
            "stages_to_come": list(self.expected[last + 1 :]),
            "waiting_for": self.waiting_for,
            "workers": self._workers,
            "metrics": self._metrics(),
            "failures": list(self._failed),
            "n_failures": self._failures,
            "warnings": list(self._warnings),
            "dashboard": self.dashboard,
        }

    def _metrics(self) -> list[str]:
        """Host and port of each dashboard that this machine reaches: they serve metrics.

        Where the scheduler's listens on loopback, those of the workers do: the ones of other
        machines are left out.
        """
        shown = self.dashboard or {}
        link = urlsplit(shown.get("link", ""))
        if shown.get("link") == shown.get("address"):
            scheduler = [link.netloc] if link.netloc else []
            return [*scheduler, *(_netloc(*place) for place in self._served)]
        ports = [link.port, *(port for host, port in self._served if host == link.hostname)]
        return [f"127.0.0.1:{port}" for port in ports]


def _served(address: str, worker: Mapping[str, Any]) -> tuple[str, int] | None:
    """Host and port of a worker's dashboard; None without one."""
    port, host = (worker.get("services") or {}).get("dashboard"), urlsplit(address).hostname
    return (host, int(port)) if host and port else None


def _netloc(host: str, port: int) -> str:
    """Host and port as an address has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _sum(limits: Iterable[Any]) -> int:
    """The memory of all workers; 0 where one has no limit."""
    found = list(limits)
    return sum(int(limit) for limit in found) if all(found) else 0


class ProgressFile:
    """``progress.json`` of a run folder, from :meth:`start` to :meth:`close`.

    `content` returns the changing part. The file is written as long as no other call writes it and
    `holds` is true, which returns whether the folder is still this process's: one that was
    suspended and taken over leaves it alone.
    """

    def __init__(
        self,
        folder: Path,
        content: Callable[[], dict[str, Any]],
        holds: Callable[[], bool] = lambda: True,
    ) -> None:
        self._path, self._content, self._holds = folder.absolute() / FILE, content, holds
        self._id, self._beat, self._begun = uuid.uuid4().hex, 0, time.perf_counter()
        self._end: tuple[str, str] | None = None
        self._over, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name="progress file", daemon=True)
        self._fixed = {
            "format": FORMAT,
            "id": self._id,
            "interval_seconds": _INTERVAL,
            "started": _now(),
            "command": _command(sys.argv),
            "directory": str(Path.cwd()),
            "version": __version__,
            "process": this_process().to_dict(),
        }

    def start(self) -> None:
        """Write it now, and every few seconds."""
        self._write()
        self._thread.start()

    def wake(self) -> None:
        """Write it soon."""
        self._wake.set()

    def close(self, state: str, error: str = "") -> None:
        """Write it a last time."""
        self._end = state, error[:_LONGEST]
        self._over.set()
        self._wake.set()
        self._thread.join(_PATIENCE)

    def _keep(self) -> None:
        while not self._over.is_set():
            self._wake.wait(_INTERVAL)
            self._wake.clear()
            if not self._write():
                return
            self._over.wait(_SHORTEST)
        self._write()

    def _write(self) -> bool:
        """Write it; False where another call does."""
        try:
            if self._beat and not self.is_mine():
                return False
            self._beat += 1
            state, error = self._end or ("running", "")
            content = {
                **self._fixed,
                "beat": self._beat,
                "state": state,
                "error": error,
                "written": _now(),
                "seconds": round(time.perf_counter() - self._begun, 1),
                **self._content(),
            }
            text = json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False)
            temporary = self._path.with_name(f".{FILE}.{self._id[:8]}.tmp")
            try:
                temporary.write_text(text + "\n", encoding="utf-8")
                temporary.replace(self._path)
            finally:  # as on a full disk
                temporary.unlink(missing_ok=True)
        except Exception:  # a report of the work must not end it
            log.debug("%s", self._path, exc_info=True)
        return True

    def is_mine(self) -> bool:
        """Whether the folder is still this process's, and no other call has written the file."""
        return self._holds() and bool(_read(self._path).get("id", self._id) == self._id)


def is_finished(folder: Path) -> bool:
    """Whether the file of a folder reports a finished run."""
    return _read(folder / FILE).get("state") == "finished"


def _read(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_bytes())
        if isinstance(found, dict):
            return found
    return {}


def _command(arguments: Sequence[str]) -> list[str]:
    """The command line, as a person would type it."""
    name = Path(arguments[0]).name if arguments else ""
    if name == "__main__.py" and "hela_dask" in Path(arguments[0]).parts:
        name = "hela-dask"
    return [os.fspath(item) for item in (name, *arguments[1:])]


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
