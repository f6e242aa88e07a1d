"""What each step of a method made of one slice, in the order in which the steps are taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Step", "Trace", "traces", "watching"]


@dataclass(frozen=True)
class Step:
    """One step's result in one slice.

    Attributes
    ----------
    title : str
        A few words, such as ``"membrane strength"``.
    caption : str
        A sentence: what it is, and what the next step makes of it.
    plane : ndarray, (y, x)
        Of the region's window. Booleans are a mask, signed integers labels of pieces (0: none),
        unsigned integers and floats an image.
    """

    title: str
    caption: str
    plane: NDArray[Any]


@dataclass
class Trace:
    """Keeps copies of what a method shows of one slice; a method runs the same with and without.

    Parameters
    ----------
    z : int
        The slice of the region, 0-based.
    steps : list of Step
        Filled as the method goes on.
    others : tuple of Trace
        Of other slices of the same region: one segmentation shows them all.
    """

    z: int
    steps: list[Step] = field(default_factory=list)
    others: tuple[Trace, ...] = ()

    def show(self, title: str, caption: str, data: NDArray[Any], z: int | None = None) -> None:
        """Keep a step: a whole (z, y, x) array, or the plane of slice `z`.

        Planes of other slices are passed over, so a loop over slices may show each.
        """
        if z is None:
            self.steps.append(Step(title, caption, np.array(data[self.z])))
        elif z == self.z:
            self.steps.append(Step(title, caption, np.array(data)))


def traces(trace: Trace | None) -> tuple[Trace, ...]:
    """The traces of all slices that are watched; none where nothing is."""
    return () if trace is None else (trace, *trace.others)


def watching(trace: Trace | None, z: int) -> Trace | None:
    """The trace of one slice, if it is watched."""
    return next((one for one in traces(trace) if one.z == z), None)
