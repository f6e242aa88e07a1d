"""A unit of work, and the small result that it leaves in its marker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Row", "Unit"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Unit:
    """One piece of work: a slab, a slice or a cell. Small, it travels to the worker.

    Parameters
    ----------
    stage, name : str
        Together the name of its marker.
    fingerprint : str
        Of everything that its result depends on.
    what : Any
        Input of the stage's task beside the job, for example a Region.
    cost : float
        For the order only: the largest start first, so that none runs alone at the end.
    """

    stage: str
    name: str
    fingerprint: str
    what: Any = None
    cost: float = 0.0
