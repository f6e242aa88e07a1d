"""Results of the steps of a method in single slices, in the order of the steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.pages import Card, Frame, Shown, make_card

__all__ = ["NO_TRACE", "Step", "Trace"]

_MOST = 30  # steps in a card


@dataclass(frozen=True)
class Step:
    """One step's result in one slice.

    Attributes
    ----------
    title : str
        A few words, such as ``"membrane strength"``.
    caption : str
        A sentence: the result of the step, and its use in the next.
    plane : ndarray, (y, x)
        Of the region's window. Booleans are a mask, signed integers labels of pieces (0: none),
        unsigned integers and floats an image.
    unit : str
        Of floats, as a colour bar shows it: ``nm``, ``σ`` for deviations; empty for a ratio.
    """

    title: str
    caption: str
    plane: NDArray[Any]
    unit: str = ""


class Trace(Shown):
    """Keeps copies of the steps of some slices; a method computes the same with and without.

    Parameters
    ----------
    *slices : int
        Slices of the region, 0-based. Without any, nothing is kept: see :data:`NO_TRACE`.

    Attributes
    ----------
    steps : dict of int to list of Step
        Of each slice.

    Examples
    --------
    >>> import hela_dask as hd
    >>> import numpy as np
    >>> trace = hd.Trace(1)
    >>> trace.show("threshold", "Brighter than 100.", np.ones((3, 8, 8), bool))
    >>> [step.title for step in trace.steps[1]]
    ['threshold']
    """

    def __init__(self, *slices: int) -> None:
        self.steps: dict[int, list[Step]] = {z: [] for z in slices}

    def _card(self) -> Card:
        rows = tuple(
            (str(z), step.title, step.caption) for z, steps in self.steps.items() for step in steps
        )
        kept = ", ".join(map(str, self.steps)) or "none"
        table = Frame(("slice", "step", "caption"), rows[:_MOST], max(0, len(rows) - _MOST))
        return make_card("Trace", {"slices": kept, "steps": str(len(rows))}, tables=(("", table),))

    def show(
        self,
        title: str,
        caption: str | Callable[[int], str],
        data: NDArray[Any] | Callable[[int], NDArray[Any]],
        z: int | None = None,
        *,
        unit: str = "",
    ) -> None:
        """Keep a step of slice `z`, or of all slices; other slices are ignored.

        Parameters
        ----------
        title : str
        caption : str or callable
            A function gives the caption of a slice.
        data : ndarray or callable
            The plane (y, x) of slice `z`, or (z, y, x) where `z` is None. A function gives the
            plane of a slice; it is called only for slices that are kept.
        z : int, optional
            The slice, 0-based.
        unit : str
            Of floats: ``nm``, ``σ`` for deviations; empty for a ratio.

        Examples
        --------
        >>> import hela_dask as hd
        >>> import numpy as np
        >>> trace = hd.Trace(0, 2)
        >>> trace.show("smoothed", "After a low-pass.", np.zeros((8, 8)), z=2)
        >>> {z: len(steps) for z, steps in trace.steps.items()}
        {0: 0, 2: 1}
        """
        for at in self.steps if z is None else self.steps.keys() & {z}:
            text = caption if isinstance(caption, str) else caption(at)
            plane = data(at) if callable(data) else data[at] if z is None else data
            self._keep(at, Step(title, text, np.array(plane), unit))

    def _keep(self, z: int, step: Step) -> None:
        self.steps[z].append(step)

    def within(self, box: Sequence[slice], shape: tuple[int, ...]) -> Trace:
        """A trace for steps that are computed in a part of the window; they are kept in this one.

        Parameters
        ----------
        box : sequence of slice
            The part of the window, (z, y, x).
        shape : tuple of int
            Of the window. Around the part, planes are 0.

        Examples
        --------
        >>> import hela_dask as hd
        >>> import numpy as np
        >>> trace = hd.Trace(5)
        >>> part = trace.within((slice(4, 8), slice(0, 4), slice(0, 4)), (10, 8, 8))
        >>> part.show("threshold", "Brighter than 100.", np.ones((4, 4, 4), bool))
        >>> trace.steps[5][0].plane.shape
        (8, 8)
        """
        return _PartTrace(self, box, shape)


class _PartTrace(Trace):
    """A trace of a part of a window."""

    def __init__(self, whole: Trace, box: Sequence[slice], shape: tuple[int, ...]) -> None:
        low, high = box[0].start, box[0].stop
        super().__init__(*(z - low for z in whole.steps if low <= z < high))
        self._whole, self._box, self._shape = whole, box, shape

    def _keep(self, z: int, step: Step) -> None:
        plane = np.zeros(self._shape[1:], step.plane.dtype)
        plane[self._box[1], self._box[2]] = step.plane
        at = z + self._box[0].start
        self._whole.show(step.title, step.caption, plane, at, unit=step.unit)


NO_TRACE = Trace()
"""Keeps nothing."""
