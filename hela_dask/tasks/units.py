"""A unit of work, and the small result that it leaves in its marker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Row", "Unit"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Unit:
    """One piece of work: a slab, a slice or a cell. Small, it travels to the worker."""

    # Stage and name: together the name of its marker
    stage: str
    name: str
    fingerprint: str  # of everything that its result depends on
    what: Any = None  # input of the stage's task beside the job, for example a Region
    # For the order only: the largest start first, so that none runs alone at the end
    cost: float = 0.0
