"""What workers leave to the run that started them."""

from __future__ import annotations

import inspect
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from distributed import nanny, profile
from distributed.comm.core import CommClosedError
from distributed.sizeof import safe_sizeof

from hela_dask.tasks.worker_preload import dask_setup, is_news

_LOGGERS = [logging.getLogger(f"distributed.worker{name}") for name in ("", ".state_machine")]


@pytest.fixture
def set_up() -> Iterator[None]:
    """As in a worker, but for Ctrl-C, which only a main thread can leave alone."""
    limit, levels = sys.getrecursionlimit(), [logger.level for logger in _LOGGERS]
    thread = threading.Thread(target=dask_setup, args=(None,))
    thread.start()
    thread.join()
    yield
    sys.setrecursionlimit(limit)
    for name in ("core", "nanny", "utils", "worker"):
        logging.getLogger(f"distributed.{name}").removeFilter(is_news)
    for logger, level in zip(_LOGGERS, levels, strict=True):
        logger.setLevel(level)


def _profile(calls: int, state: dict[str, Any]) -> None:
    """The profile of so many calls within each other."""
    if calls:
        _profile(calls - 1, state)
    else:
        profile.process(sys._getframe(), None, state)


@pytest.mark.usefixtures("set_up")
def test_the_profile_of_deep_calls_has_a_size() -> None:
    state = profile.create()
    _profile(200, state)
    assert safe_sizeof(state, default_size=-1) > 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("StorageError('chunk (1, 0, 0) in a.ome.zarr/0/c/0/0/0 is damaged')", False),
        ("ResourceError('too little')", False),
        ("ZeroDivisionError('division by zero')", True),
        ("OSError('StorageError(')", True),
    ],
)
def test_bad_input_is_reported_by_the_run_alone(text: str, shown: bool) -> None:
    what = "Compute Failed\nKey: %s\nException: %r\nTraceback: %r\n"
    record = logging.LogRecord("worker", logging.ERROR, "", 0, what, ("a-1", text, "..."), None)
    assert is_news(record) == shown
    other = logging.LogRecord("worker", logging.ERROR, "", 0, "Lost %s", (text,), None)
    assert is_news(other)


@pytest.mark.usefixtures("set_up")
def test_the_end_of_a_process_is_no_news_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    text = inspect.getsource(nanny.WorkerProcess._run)
    assert '"Worker process died unexpectedly"' in text, "dask has another sentence now"
    logger = logging.getLogger("distributed.nanny")
    logger.error("Worker process died unexpectedly")
    logger.error("Failed to start worker")
    assert [record.getMessage() for record in caplog.records] == ["Failed to start worker"]


@pytest.mark.parametrize(
    ("error", "shown"),
    [(CommClosedError("in <TCP>: reset"), False), (OSError(5, "input/output error"), True)],
)
def test_a_connection_that_another_process_closed_is_no_error(error: OSError, shown: bool) -> None:
    try:
        raise error
    except OSError:
        record = logging.LogRecord(
            "worker", logging.ERROR, "", 0, "failed during get data", (), sys.exc_info()
        )
    assert is_news(record) is shown
