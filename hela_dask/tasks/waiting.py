"""Messages while a run waits: reason, duration, and advice."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hela_dask.errors import ClusterError
from hela_dask.formatting import time_text

if TYPE_CHECKING:
    from distributed import Client

    from hela_dask.tasks.progress import RunProgress

__all__ = ["Waiting"]

_FIRST, _LONGEST = 10.0, 300.0  # seconds to the first message, and between messages
_LONG = 120.0  # after it, a hint about the cause


class Waiting:
    """Warns that there is no worker, at increasing intervals; `clock` gives seconds."""

    def __init__(
        self,
        client: Client,
        progress: RunProgress,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._progress, self._clock = client, progress, clock
        self._since: float | None = None
        self._next = _FIRST

    def look(self, workers: int) -> None:
        """Call repeatedly with the number of workers.

        ClusterError when the cluster reports that none can start.
        """
        now = self._clock()
        if workers:
            if self._since is not None and self._next > _FIRST:
                self._progress.info(f"a worker has joined after {time_text(now - self._since)}")
            self._since, self._next = None, _FIRST
            self._progress.wait_for("")
            return
        if self._since is None:
            self._since = now
            self._progress.wait_for("a worker")
        problem = str(getattr(_keeper(self._client), "problem", ""))
        if problem:
            raise ClusterError(
                f"no worker can be started: {problem}; what is finished is kept: mend it, and "
                "the same command again continues"
            )
        waited = now - self._since
        if waited >= self._next:
            hint, state = (
                f" ({_hint(self._client)})" if waited >= _LONG else "",
                _state(self._client),
            )
            self._progress.wait_for(f"a worker: {state}")
            self._progress.info(f"waiting for a worker since {time_text(waited)}: {state}{hint}")
            self._next = waited + min(max(waited, _FIRST), _LONGEST)


def _keeper(client: Client) -> Any:
    """The object that replaces the workers of a cluster of this process."""
    return getattr(client.cluster, "keeper", None)


def _state(client: Client) -> str:
    """The state of the expected workers."""
    cluster: Any = client.cluster
    if hasattr(cluster, "waiting_text"):
        return str(cluster.waiting_text())
    if cluster is not None and _keeper(client) is not None:
        trouble = _keeper(client).trouble
        return "it is started again" + (
            f"; the last one did not start: {trouble}" if trouble else ""
        )
    address = client.scheduler.address if client.scheduler else "there"
    return f"the scheduler at {address} has none; start one with dask worker {address}"


def _hint(client: Client) -> str:
    """Advice for a long wait."""
    if hasattr(client.cluster, "waiting_text"):
        return (
            "workers that ask for less memory or time start sooner; Ctrl-C ends the run, and the "
            "same command again continues"
        )
    return "Ctrl-C ends the run, and the same command again continues"
