"""The protocol of a method: a window of a volume in, the masks of its nucleus and cell out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from hela_dask.methods.masks import NO_RESIN_SEEN, Masks, Window
from hela_dask.parameters import Parameters
from hela_dask.parameters.fields import ParameterGroup
from hela_dask.trace import NO_TRACE, Trace

if TYPE_CHECKING:
    from hela_dask.unet.card import Card

__all__ = [
    "NO_RESIN_SEEN",
    "BaseMethod",
    "Edge",
    "FunctionMethod",
    "Masks",
    "Method",
    "Network",
    "Outputs",
    "Window",
]

Network = tuple[Path, "Card", str]
"""Where a network is, its card, and its fingerprint."""


@dataclass(frozen=True)
class Outputs:
    """Outputs of a network that are predicted for a whole volume.

    Attributes
    ----------
    model : Path
        Of the network.
    names : tuple of str
        Of the outputs.
    spacing : float
        Maximum distance of the slices that are predicted, nm; those between are interpolated.
    boundary : str
        The one of them that is the probability of a boundary between cells, which distinguishes
        parts of one cell from neighbours; empty where the network has none.
    """

    model: Path
    names: tuple[str, ...]
    spacing: float
    boundary: str = ""


@runtime_checkable
class Edge(Protocol):
    """Where a nucleus ends beside its envelope, for the refinement on finer pixels."""

    @property
    def line_sigma(self) -> float:
        """Scale of the envelope's line in the plane, nm."""

    @property
    def envelope_width(self) -> float:
        """Thickness of the envelope in the plane, nm."""

    @property
    def envelope(self) -> float:
        """From the edge of ``Masks.outline`` to the nucleus, nm; on finer pixels at most twice."""


class Method(Protocol):
    """A segmentation method.

    A package registers an instance, or a function of a window and parameters, as an entry point of
    the group ``hela_dask.methods``; see ``examples/plugin``. :class:`BaseMethod` has defaults for
    all but the call.

    Examples
    --------
    >>> import hela_dask as hd
    >>> def everything(window, parameters):
    ...     cell = ~window.background
    ...     return hd.Masks(nucleus=cell & False, cell=cell, envelope=cell & False)
    >>> volume = hd.open_volume("hela.ome.zarr")
    >>> cells = hd.link_cells(hd.detect_cells(volume), volume)
    >>> region = hd.cell_regions(cells, volume)[1]
    >>> masks = hd.segment_cell(volume, region, everything)
    >>> masks.attrs["status"]
    'segmented'
    """

    @property
    def parameters(self) -> type[ParameterGroup] | None:
        """The class of the method's parameters; None where it has none."""

    @property
    def reads(self) -> tuple[type[ParameterGroup], ...]:
        """Classes of the parameters of other methods that it reads."""

    def memory(self, shape: tuple[int, int, int], itemsize: int) -> int:
        """Peak bytes for a window of this shape, with its grey values."""

    def edge(self, parameters: Parameters) -> Edge:
        """Where its nuclei end."""

    def check(self, parameters: Parameters) -> Network | None:
        """Its network; None where it has none.

        Raises
        ------
        HelaDaskError
            When something that it needs is not there.
        """

    def asks(self, parameters: Parameters) -> Outputs | None:
        """The outputs of a network that each window has to hold; None where it needs none.

        They are predicted once for the whole volume.

        Raises
        ------
        HelaDaskError
            As :meth:`check`.
        """

    def __call__(self, window: Window, parameters: Parameters, *, trace: Trace = NO_TRACE) -> Masks:
        """Segment the cell at the centre of a window.

        Parameters
        ----------
        window : Window
        parameters : Parameters
            All groups.
        trace : Trace, optional
            Keeps the results of each step in some slices, for pictures.
        """


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
