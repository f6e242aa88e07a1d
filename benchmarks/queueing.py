"""A model of a run on many workers: one scheduler and one client, each a queue of its own.

It is a discrete-event simulation. The client submits a batch that fills its window (the rule of
:mod:`hela_dask.tasks.dispatch`: three units a thread, one at the end, largest first) and takes
``client`` seconds a unit for it. The scheduler does one thing at a time: half of ``scheduler``
seconds a unit to take it in and hand it out, half when it ends; units that no thread is free for
wait with it. A message takes ``latency`` seconds. Heartbeats take a share of the scheduler's
time. All figures are measured on the real scheduler by :mod:`benchmarks.scheduler`.

Left out: sizes of messages, stealing, and workers that fail.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

__all__ = ["Costs", "Outcome", "list_schedule", "simulate"]


@dataclass(frozen=True)
class Costs:
    """Of the machinery, in seconds.

    Attributes
    ----------
    scheduler, client : float
        For each unit.
    latency : float
        Of one message.
    heartbeats : float
        Share of the scheduler's time that is not for units.
    """

    scheduler: float
    client: float = 0.0
    latency: float = 0.0
    heartbeats: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """Of a run, or of a stage.

    Attributes
    ----------
    wall : float
        Seconds from the first submission to the last result.
    efficiency : float
        Share of the workers' time that went into units.
    load : float
        Share of the time that the scheduler was busy.
    """

    wall: float
    efficiency: float
    load: float


def list_schedule(seconds: Sequence[float], workers: int) -> float:
    """Wall time without any machinery: the largest first, each to the first free worker."""
    free = [0.0] * workers
    for item in sorted(seconds, reverse=True):
        heapq.heapreplace(free, free[0] + item)
    return max(free)


@dataclass
class _Server:
    """Does one thing after another."""

    free: float = 0.0
    busy: float = 0.0

    def serve(self, now: float, seconds: float) -> float:
        self.free = max(self.free, now) + seconds
        self.busy += seconds
        return self.free


@dataclass
class _Run:
    """Events of one stage."""

    waiting: deque[float]
    workers: int
    costs: Costs
    window: Callable[[int], int]
    flying: int = 0
    idle: int = 0
    asleep: bool = True
    events: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)
    queued: deque[float] = field(default_factory=deque)
    ended: int = 0
    scheduler: _Server = field(default_factory=_Server)
    client: _Server = field(default_factory=_Server)
    number: itertools.count[int] = field(default_factory=itertools.count)

    def at(self, when: float, what: Callable[[float], None]) -> None:
        heapq.heappush(self.events, (when, next(self.number), what))

    def half(self) -> float:
        return self.costs.scheduler / 2 / (1 - self.costs.heartbeats)

    def fill(self, now: float) -> None:
        """The client collects what has ended and submits what fits its window."""
        self.flying -= self.ended
        self.ended = 0
        room = self.window(len(self.waiting) + self.flying) - self.flying
        batch = [self.waiting.popleft() for _ in range(max(0, min(room, len(self.waiting))))]
        self.flying += len(batch)
        self.asleep = True
        if batch:
            done = self.client.serve(now, self.costs.client * len(batch))
            self.at(done + self.costs.latency, lambda at: self.submitted(at, batch))
            self.asleep = False
            self.at(done, self.wake)

    def wake(self, now: float) -> None:
        """The client is free again: fill, if anything has ended meanwhile."""
        if self.ended:
            self.fill(now)
        else:
            self.asleep = True

    def submitted(self, now: float, batch: list[float]) -> None:
        for item in batch:
            done = self.scheduler.serve(now, self.half())
            self.at(done, lambda at, item=item: self.take_in(at, item))  # type: ignore[misc]

    def take_in(self, now: float, item: float) -> None:
        self.queued.append(item)
        self.hand_out(now)

    def hand_out(self, now: float) -> None:
        while self.idle and self.queued:
            self.idle -= 1
            item = self.queued.popleft()
            self.at(now + item + 2 * self.costs.latency, self.came_back)

    def came_back(self, now: float) -> None:
        self.at(self.scheduler.serve(now, self.half()), self.over)

    def over(self, now: float) -> None:
        self.idle += 1
        self.hand_out(now)
        self.at(now + self.costs.latency, self.told)

    def told(self, now: float) -> None:
        self.ended += 1
        if self.asleep:
            self.fill(now)


def simulate(
    seconds: Sequence[float],
    workers: int,
    costs: Costs,
    window: Callable[[int], int] | None = None,
) -> Outcome:
    """One stage: units of so many seconds on so many workers of one thread.

    Parameters
    ----------
    seconds : sequence of float
        In any order; the largest start first.
    workers : int
    costs : Costs
    window : callable (units left) -> units, optional
        How many the scheduler is given at a time; default: as a run does.
    """
    rule = window or (lambda left: workers * (3 if left > 4 * workers else 1))
    run = _Run(deque(sorted(seconds, reverse=True)), workers, costs, rule, idle=workers)
    now = 0.0
    run.fill(now)
    while run.events:
        now, _, event = heapq.heappop(run.events)
        event(now)
    total = sum(seconds)
    return Outcome(
        now, total / (workers * now) if now else 1.0, run.scheduler.busy / max(now, 1e-9)
    )
