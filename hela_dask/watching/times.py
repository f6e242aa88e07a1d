"""Times of files as a person reads them."""

from __future__ import annotations

import datetime

__all__ = ["local_time"]


def local_time(stated: str) -> str:
    """A time of a file as local time; it is of the clock of the machine that wrote it."""
    try:
        moment = datetime.datetime.fromisoformat(stated)
    except ValueError:
        return stated
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
