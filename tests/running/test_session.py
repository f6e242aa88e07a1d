"""What a session keeps from the screen."""

from __future__ import annotations

import logging
import sys

import pytest

from hela_dask.running.dashboard import is_worth_a_traceback


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (NameError("cannot access free variable 'future' where it is not associated"), False),
        (NameError("name 'volume' is not defined"), True),
        (ValueError("'future'"), True),
    ],
)
def test_only_the_clean_up_of_an_interrupted_call_is_silent(error: Exception, shown: bool) -> None:
    try:
        raise error
    except (NameError, ValueError):
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "callback", None, sys.exc_info())
    assert is_worth_a_traceback(record) is shown
