"""Defaults of methods, and functions as methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hela_dask.methods.method import Edge, Masks, Network, Outputs, Window
from hela_dask.parameters import Parameters
from hela_dask.parameters.fields import ParameterGroup
from hela_dask.trace import NO_TRACE, Trace

__all__ = ["BaseMethod", "FunctionMethod"]


@dataclass(frozen=True)
class _Edge:
    """The nucleus ends at its own mask."""

    line_sigma: float = 50.0
    envelope_width: float = 80.0
    envelope: float = 0.0


class BaseMethod:
    """Defaults of a method: no parameters, no network, memory as a few float images take.

    Examples
    --------
    >>> import hela_dask as hd
    >>> class Resin(hd.BaseMethod):
    ...     def __call__(self, window, parameters, *, trace=hd.NO_TRACE):
    ...         cell = ~window.background
    ...         nothing = cell & False
    ...         return hd.Masks(nothing, cell, nothing)
    >>> Resin().memory((10, 100, 100), itemsize=1)
    2500000
    """

    parameters: type[ParameterGroup] | None = None
    reads: tuple[type[ParameterGroup], ...] = ()

    def memory(self, shape: tuple[int, int, int], itemsize: int) -> int:
        """As the window's grey values, four float32 images of its size, and masks.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.BaseMethod().memory((10, 100, 100), itemsize=1)
        2500000
        """
        return shape[0] * shape[1] * shape[2] * (itemsize + 24)

    def edge(self, parameters: Parameters) -> Edge:
        """The method's parameters, if they define where nuclei end; else the nucleus' mask.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.BaseMethod().edge(hd.Parameters()).envelope
        0.0
        """
        if self.parameters is not None:
            own = parameters.group(self.parameters)
            if isinstance(own, Edge):
                return own
        return _Edge()

    def check(self, parameters: Parameters) -> Network | None:
        """No network.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.BaseMethod().check(hd.Parameters()) is None
        True
        """
        return None

    def asks(self, parameters: Parameters) -> Outputs | None:
        """Nothing.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.BaseMethod().asks(hd.Parameters()) is None
        True
        """
        return None


class FunctionMethod(BaseMethod):
    """A function of a window and parameters as a method."""

    def __init__(self, function: Callable[[Window, Parameters], Masks]) -> None:
        self.function = function

    def __call__(self, window: Window, parameters: Parameters, *, trace: Trace = NO_TRACE) -> Masks:
        """Call the function."""
        return self.function(window, parameters)
