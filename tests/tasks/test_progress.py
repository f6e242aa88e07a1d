"""What a run shows of itself: ticks, a steady estimate of the time left, no long silence."""

from __future__ import annotations

import io
import logging
import time

import pytest
import rich.console

from hela_dask.tasks import progress
from hela_dask.tasks.progress import RunProgress, left_text


@pytest.mark.parametrize(
    ("seconds", "done", "to_do", "text"),
    [
        (10.0, 0, 5, "?"),
        (10.0, 5, 0, ""),
        (10.0, 10, 3, "5 s"),
        (10.0, 10, 41, "40 s"),
        (60.0, 4, 6, "1 min 30 s"),
        (100.0, 10, 23, "3 min 50 s"),
        (100.0, 1, 4, "7 min"),
        (3600.0, 1, 3, "3 h 00 min"),
    ],
)
def test_the_time_left_is_rounded(seconds: float, done: int, to_do: int, text: str) -> None:
    assert left_text(seconds, done, to_do) == text


def test_the_time_left_is_steady_where_units_differ() -> None:
    # Units of 2 to 20 s in turn: after the first, the estimate never grows.
    took = [20.0, 2.0, 12.0, 5.0, 20.0, 2.0, 12.0, 5.0]
    left = [sum(took[:k]) / k * (len(took) - k) for k in range(2, len(took))]
    assert left == sorted(left, reverse=True)


def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal whose text is kept."""
    shown = io.StringIO()
    whole = rich.console.Console

    def console(**_: object) -> rich.console.Console:
        return whole(file=shown, force_terminal=True, width=120, color_system=None)

    monkeypatch.setattr(rich.console, "Console", console)
    return shown


def test_a_stage_that_was_done_before_has_a_tick_and_no_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = screen(monkeypatch)
    with RunProgress() as display:
        display.stage("background", 4, 4, "slabs")
        display.stage("segment", 3, 1, "cells")
        display.advance()
        assert display._bar is not None
        before, now = display._bar.tasks
        assert before.finished and before.finished_time == pytest.approx(0, abs=0.2)
        assert not now.finished
        time.sleep(0.3)
        assert before.finished_time == pytest.approx(0, abs=0.2)
    last = [line for line in shown.getvalue().splitlines() if "background" in line][-1]
    assert ("✓" in last or "+" in last) and "0:00:00" in last and "left" not in last


def test_without_a_terminal_there_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "SILENCE", 0.08)
    with caplog.at_level(logging.INFO, "hela_dask"), RunProgress(live=False) as display:
        display.stage("segment", 100)
        display.advance(2)
        time.sleep(0.5)
        display.end_stage()
        count = len(caplog.messages)
        time.sleep(0.2)
        assert len(caplog.messages) == count  # nothing goes on
    lines = [text for text in caplog.messages if "segment: 2 of 100 after" in text]
    assert 2 <= len(lines) <= 6
    assert "left" in lines[0]
