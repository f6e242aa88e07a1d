"""Workers that leave are replaced: after their lifetime, a kill, a job that was cancelled."""

from __future__ import annotations

import logging
import time
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from distributed import Adaptive
from distributed.core import Status

__all__ = ["Keeper", "fill", "keep"]

log = logging.getLogger(__name__)

_INTERVAL = 1  # seconds between looks
_PATIENCE = 20  # seconds without a worker that was there: a nanny starts it again meanwhile
_FAILURES = 3  # jobs in a row without a worker, before that is an error
_PAUSES = (0, 5, 15, 60, 300)  # seconds to the next try, after so many that failed in a row


class Keeper(Adaptive):
    """Holds a cluster at a number of workers: ``adapt`` with equal bounds, and its missing parts.

    ``adapt`` itself restarts workers that had joined and left. It does not see a job that ended
    before its worker joined, nor the jobs of several workers, and shows a traceback each time that
    a job cannot be submitted.

    Parameters
    ----------
    cluster : distributed.SpecCluster
        Its method ``ended_jobs(names)``, if it has one, names the ended jobs among those without
        workers.
    **options
        Of :class:`distributed.Adaptive`.

    Attributes
    ----------
    problem : str
        Why no worker can start, as the end of a sentence; empty otherwise.
    trouble : str
        The error of the last start.
    """

    cluster: Any

    def __init__(self, cluster: Any, **options: Any) -> None:
        super().__init__(cluster, **options)
        self.problem = self.trouble = ""
        self._joined: WeakSet[Any] = WeakSet()  # jobs with workers that had joined
        self._missed: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        self._failed, self._next = 0, 0.0

    async def target(self) -> int:
        """A fixed number of workers, independent of the load."""
        return int(self.minimum)

    async def adapt(self) -> None:
        """Count the workers, and start the missing ones."""
        if self._adapting:
            return
        self._adapting = True
        try:
            await self._look()
        except Exception as error:
            self._fail(" ".join(str(error).split()))
            log.debug("a worker could not be started", exc_info=True)
        finally:
            self._adapting = False

    async def _look(self) -> None:
        cluster, now = self.cluster, time.monotonic()
        gone = self._gone(now)
        missing = {
            name: job
            for name, job in cluster.workers.items()
            if name not in gone and (job not in self._joined or job in self._missed)
        }
        if missing and hasattr(cluster, "ended_jobs"):
            for name, why in (await cluster.ended_jobs(list(missing))).items():
                gone.append(name)
                if missing[name] not in self._joined:
                    self._fail(why, _FAILURES)
        if gone:
            log.info("workers that left: %s", ", ".join(map(str, gone)))
            await cluster.scale_down(gone)
        if now >= self._next and not self.problem:
            fill(cluster, int(self.minimum))
            if len(cluster.workers) < len(cluster.worker_spec):
                await cluster

    def _gone(self, now: float) -> list[Any]:
        """Workers, or jobs, that left, and those that failed to start."""
        cluster = self.cluster
        here = {worker.name for worker in cluster.scheduler.workers.values()}
        if here:
            self.problem, self._failed = "", 0
        gone = []
        for name, job in list(cluster.workers.items()):
            if here & _members(cluster, name):
                self._joined.add(job)
                self._missed.pop(job, None)
                continue
            over = job.status in (Status.closed, Status.failed) or not _submitted(job)
            missed = now - self._missed.setdefault(job, now) if job in self._joined else 0.0
            if over or missed > _PATIENCE:
                gone.append(name)
        return gone

    def _fail(self, why: str, limit: int | None = None) -> None:
        """A start that failed; the pause before the next try increases."""
        self._failed += 1
        self._next = time.monotonic() + _PAUSES[min(self._failed, len(_PAUSES)) - 1]
        if why != self.trouble:
            log.warning("a worker could not be started: %s", why)
        self.trouble = why
        if limit is not None and self._failed >= limit and not self.cluster.scheduler.workers:
            self.problem = f"{self._failed} workers in a row ended before they joined: {why}"


def fill(cluster: Any, workers: int) -> None:
    """Request the missing ones of so many workers; awaiting the cluster then starts it.

    A failure to start is raised there. ``scale`` would log a traceback and continue.
    """
    size = len((cluster.new_spec or {}).get("group", "1"))
    while len(cluster.worker_spec) * size < workers:
        cluster.worker_spec.update(cluster.new_worker_spec())


def keep(cluster: Any, workers: int) -> Keeper:
    """Hold a cluster at so many workers from now on, until it is closed."""
    keeper: Keeper = cluster.adapt(
        Adaptive=Keeper, minimum=workers, maximum=workers, interval=_INTERVAL
    )
    return keeper


def _members(cluster: Any, name: Any) -> set[Any]:
    """Names of the workers of a job."""
    group = cluster.worker_spec.get(name, {}).get("group")
    return {f"{name}{suffix}" for suffix in group} if group else {name}


def _submitted(job: Any) -> bool:
    """Whether the queueing system has taken a job; a local worker has no number."""
    return getattr(job, "job_id", "") is not None
