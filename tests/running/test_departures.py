"""Units that every worker leaves unfinished."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hela_dask.tasks.departures import Departures


class Log:
    """A client whose scheduler remembers the last events only."""

    status, scheduler = "running", SimpleNamespace(address="tcp://h:1")

    def __init__(self, length: int) -> None:
        self.length, self.events, self.time = length, [], 0.0  # type: ignore[var-annotated]

    def leave(self, *keys: str) -> None:
        self.time += 1
        self.events.append((self.time, {"action": "remove-worker", "processing-tasks": {*keys}}))
        self.events.append((self.time, "of another program"))
        self.events = self.events[-self.length :]

    def get_events(self, topic: str) -> Any:
        assert topic == "all"
        return tuple(self.events)


@pytest.mark.parametrize("length", [100, 2])
def test_a_unit_is_given_up_after_five_workers(length: int) -> None:
    client: Any = Log(length)
    now = [0.0]
    departures = Departures(client, lambda: now[0])
    found = []
    for _ in range(6):
        client.leave("long", "ended")
        now[0] += 11
        found.append(departures.has_given_up(["long", "waiting"]))
    assert found == [{}, {}, {}, {}, {"long": 5}, {"long": 6}]


def test_nothing_is_given_up_while_units_end() -> None:
    client: Any = Log(100)
    now = [0.0]
    departures = Departures(client, lambda: now[0])
    for _ in range(9):
        client.leave("long")
        now[0] += 8
        departures.progress()
        now[0] += 8
        assert not departures.has_given_up(["long"])
