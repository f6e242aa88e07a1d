"""The shape of ``progress.json``, the file in a run folder that reports the run while it computes.

Times are seconds, sizes bytes. This module loads nothing that takes long: ``hela-dask status``
reads the file with it.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from hela_dask.documents.reading import Document

__all__ = ["FILE", "FORMAT", "ProgressDocument", "StageDocument", "WorkersDocument"]

FILE = "progress.json"
"""Name of the file in a run folder."""

FORMAT = 1
"""Version of its shape; it rises where a name is removed or changes its meaning."""

_Count = Annotated[int, Field(ge=0)]
_Seconds = Annotated[float, Field(ge=0)]


class StageDocument(Document):
    """A stage that has begun."""

    name: str
    unit: str = ""  # kind of its units: cells, slabs
    total: _Count = 0
    done: _Count = 0  # with those of earlier calls
    done_before: _Count = 0  # by earlier calls
    failed: _Count = 0
    in_flight: _Count = 0  # submitted to the scheduler, and not ended
    seconds: _Seconds = 0.0
    left_seconds: _Seconds | None = None  # None: not known
    ended: bool = False


class WorkersDocument(Document):
    """The workers at the last look."""

    alive: _Count = 0
    lost: _Count = 0  # that left or were killed since the start of the call
    threads: _Count = 0
    executing: _Count = 0  # tasks that run at this moment
    memory_bytes: _Count = 0  # that all workers hold
    memory_limit_bytes: _Count = 0  # that all workers may hold; 0: no limit
    spilled_bytes: _Count = 0  # moved to their disks


class FailureDocument(Document):
    """A unit that failed."""

    stage: str
    unit: str
    error: str


class DashboardDocument(Document):
    """dask's dashboard."""

    address: str = ""
    link: str = ""  # as dask gives it
    ssh: str = ""  # the command that forwards it to another computer; empty where none is needed


class ProgressDocument(Document):
    """``progress.json``."""

    format: int
    id: str  # of this call
    beat: _Count  # rises with each write
    interval_seconds: _Seconds
    state: str  # running, finished, failed, interrupted
    error: str = ""
    started: str = ""  # UTC, by the clock of the machine that runs
    written: str = ""
    seconds: _Seconds = 0.0
    command: list[str] = Field(default_factory=list)
    directory: str = ""
    version: str = ""
    process: dict[str, Any] = Field(default_factory=dict)
    stages: list[StageDocument] = Field(default_factory=list)
    stages_to_come: list[str] = Field(default_factory=list)
    waiting_for: str = ""
    workers: WorkersDocument | None = None
    metrics: list[str] = Field(default_factory=list)  # host:port of scheduler and workers
    failures: list[FailureDocument] = Field(default_factory=list)
    n_failures: _Count = 0
    warnings: list[str] = Field(default_factory=list)
    dashboard: DashboardDocument | None = None
