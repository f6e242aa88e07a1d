"""Units that every worker leaves unfinished: found in the scheduler's log of workers that left.

dask hands the units of a worker that retires, or that cannot read them, to another worker, without
an end. Where workers are replaced, a task that takes longer than they live is never finished.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import dask

from hela_dask.tasks.scheduler import scheduler_calls

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Departures"]

_MOST = 5  # workers that may leave with a unit unfinished
_QUIET = 10.0  # seconds without a result, and between looks: the log can be long


class Departures:
    """Counts, per unit, the workers that left before they had finished; `clock` gives seconds."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._last = clock()
        self._left: Counter[Any] = Counter()
        self._counted = 0.0  # the scheduler's time of the last event that was counted
        # A worker that dies counts against a unit at dask too, which gives up by itself.
        allowed = int(dask.config.get("distributed.scheduler.allowed-failures", 3))
        self._most = max(_MOST, allowed + 2)

    def progress(self) -> None:
        """Call when a unit has ended."""
        self._last = self._clock()

    def has_given_up(
        self, keys: Collection[str], inputs: Callable[[str], Collection[Any]] = lambda _: ()
    ) -> dict[str, int]:
        """Of the keys on their way, those that too many workers have left unfinished.

        Returns the number of workers per key; empty as long as units end. `inputs` returns the
        keys that one of them waits for.
        """
        now = self._clock()
        if now - self._last < _QUIET:
            return {}
        self._last = now
        with scheduler_calls(self._client):
            events = self._client.get_events("all")
        # The log holds the last hundred events or so: counted entries may be gone from it.
        for at, event in events:
            if at <= self._counted or not isinstance(event, dict):  # anybody may log there
                continue
            if event.get("action") == "remove-worker":
                self._left.update(event["processing-tasks"])
        self._counted = max((at for at, _ in events), default=self._counted)
        lost = {key: count for key, count in self._left.items() if count >= self._most}
        if not lost:
            return {}
        found = {key: max(lost.get(own, 0) for own in (key, *inputs(key))) for key in keys}
        return {key: count for key, count in found.items() if count}
