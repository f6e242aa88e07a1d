"""The memory that tasks need, compared with that of workers before anything starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hela_dask.errors import ResourceError
from hela_dask.formatting import size_text
from hela_dask.tasks.allocator import KEPT

__all__ = ["Need", "check_memory", "worker_memory"]

_USABLE = 0.9  # of its memory: dask ends a worker at 0.95
_EASY = 0.7  # with more, it begins to spill, and pauses at 0.8


@dataclass(frozen=True)
class Need:
    """The memory that one task takes at most."""

    stage: str  # that it belongs to, as in ``RUN/done``
    task: str  # its task, as named in a sentence
    bytes: int  # with the process itself
    advice: str = ""  # the parameter to change, beside more memory; empty where there is none


def worker_memory(needs: Sequence[Need]) -> int:
    """Bytes of memory with which no task makes a worker spill or pause, whatever came before.

    Rounded up to tenths of a GiB, or to 32 MiB below one, so that it may be asked for as shown.
    """
    return _rounded((max(need.bytes for need in needs) + KEPT) / _EASY)


def _rounded(size: float) -> int:
    step = 2**30 / 10 if size > 2**30 else 2**25
    return math.ceil(math.ceil(size / step) * step)


def check_memory(needs: Sequence[Need], memory: int | None) -> None:
    """Refuse a plan if its largest task does not fit a worker.

    `memory` is that of one worker (of each of its threads, where it has several), bytes; None or 0
    is no limit. The ResourceError has the numbers and the parameters.
    """
    if not memory:
        return
    need = max(needs, key=lambda need: need.bytes, default=None)
    if need is not None and need.bytes > memory * _USABLE:
        other = f", or {need.advice}" if need.advice else ""
        raise ResourceError(
            f"{need.task} takes about {size_text(need.bytes)} and a worker has "
            f"{size_text(memory)}: give each at least {size_text(_rounded(need.bytes / _USABLE))} "
            f"(--memory, or fewer --workers){other}"
        )
