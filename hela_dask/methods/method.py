"""The protocol of a method: a window of a volume in, the masks of its nucleus and cell out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hela_dask.errors import InputError, ParameterError
from hela_dask.formatting import by_axis
from hela_dask.kernels.grey_levels import GreyLevels
from hela_dask.pages import Shown, as_figure, make_card
from hela_dask.parameters import Parameters
from hela_dask.parameters.fields import ParameterGroup
from hela_dask.statuses import NO_RESIN, SEGMENTED
from hela_dask.trace import NO_TRACE, Trace
from hela_dask.types import Mask

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hela_dask import pages
    from hela_dask.unet.card import Card

__all__ = [
    "NO_RESIN_SEEN",
    "Edge",
    "Masks",
    "Method",
    "Network",
    "Outputs",
    "Window",
]

NO_RESIN_SEEN = "no resin is visible in the region, so the cell's outline cannot be found"
"""Why a cell has the status ``no_resin``."""

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


@dataclass(frozen=True)
class Window(Shown):
    """The part of a volume around one cell, on the working level.

    Attributes
    ----------
    image : ndarray, (z, y, x)
        Grey values; resin is bright.
    background : ndarray of bool, (z, y, x)
        True in the resin.
    voxel : tuple of float
        Voxel size (z, y, x) in nm.
    centre : tuple of int
        z, y, x of the cell's centre, voxels of the window.
    grey_levels : GreyLevels or None
        Of the whole volume, which scale the input of networks; None: those of the window.
    predicted : mapping of str to ndarray of uint8, (z, y, x)
        The outputs of its network that the method asks for (:meth:`Method.asks`), predicted for the
        whole volume; 255 is 1.
    grows : callable or None
        Function of a cell, (z, y, x): true if the cell reaches a side of the window, which is then
        enlarged. The method may then return the cell without its nucleus, because it is called
        again. None: the window stays as it is.

    Examples
    --------
    >>> import hela_dask as hd
    >>> import numpy as np
    >>> image = np.full((3, 8, 8), 200, np.uint8)
    >>> hd.Window(image, background=image > 150, voxel=(50.0, 40.0, 40.0), centre=(1, 4, 4))
    Window of 3 x 8 x 8 voxels (z, y, x)
      voxel   50 x 40 x 40 nm
      centre  1, 4, 4 (z, y, x in voxels)
      type    uint8
    """

    image: NDArray[Any]
    background: NDArray[np.bool_]
    voxel: tuple[float, float, float]
    centre: tuple[int, int, int]
    grey_levels: GreyLevels | None = None
    predicted: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    grows: Callable[[Mask], bool] | None = None

    def _card(self) -> pages.Card:
        from hela_dask.figures.thumbnails import masks_picture

        z = min(max(self.centre[0], 0), len(self.image) - 1)
        picture = None
        if self.image.size:
            caption = f"slice {z} of the window, from 0"
            picture = as_figure(masks_picture(self.image[z], []), caption)
        return make_card(
            f"Window of {by_axis(self.image.shape)} voxels (z, y, x)",
            {
                "voxel": f"{by_axis(self.voxel)} nm",
                "centre": f"{', '.join(map(str, self.centre))} (z, y, x in voxels)",
                "type": self.image.dtype,
                "network": ", ".join(self.predicted),
            },
            picture=picture,
        )


@dataclass(frozen=True)
class Masks(Shown):
    """The result of a method in a window.

    Attributes
    ----------
    nucleus, cell : ndarray of bool, (z, y, x)
        Of the window's shape; the cell includes its nucleus.
    envelope : ndarray of bool, (z, y, x)
        The nuclear envelope: in the cell, outside the nucleus.
    status, reason : str
        As in the cells table: ``segmented`` or ``no_resin``. The reason explains why something is
        missing: the cell, its nucleus (flag ``no_nucleus``) or a second nucleus.
    flags : tuple of str
        Keys of :data:`hela_dask.steps.confidence.EXPLANATIONS`.
    outline : ndarray of bool, (z, y, x), or None
        The nucleus up to the middle of its envelope, which is refined where the image's own pixels
        are smaller; None: the nucleus itself.

    Examples
    --------
    >>> import hela_dask as hd
    >>> import numpy as np
    >>> cell = np.zeros((3, 8, 8), bool)
    >>> cell[:, 2:6, 2:6] = True
    >>> masks = hd.Masks(nucleus=cell & False, cell=cell, envelope=cell & False)
    >>> masks
    Masks of 3 x 8 x 8 voxels (z, y, x)
      status  segmented
    """

    nucleus: NDArray[np.bool_]
    cell: NDArray[np.bool_]
    envelope: NDArray[np.bool_]
    status: str = SEGMENTED
    reason: str = ""
    flags: tuple[str, ...] = ()
    outline: NDArray[np.bool_] | None = None

    def plot(
        self, window: Window | None = None, z: int | None = None, *, ax: Axes | None = None
    ) -> Axes:
        """Plot the outlines of the masks in a slice.

        Parameters
        ----------
        window : Window, optional
            That of the masks: its grey values are drawn, and its voxel size is that of the axes,
            in µm from its corner. Without it the axes are in voxels, as masks have no size.
        z : int, optional
            Slice of the window, from 0; default: the one with the largest part of the cell.
        ax : matplotlib.axes.Axes, optional
            Default: axes of a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        InputError
            When the shape of the window is not that of the masks.
        ParameterError
            When there is no such slice.

        Examples
        --------
        >>> import hela_dask as hd
        >>> import numpy as np
        >>> cell = np.zeros((3, 8, 8), bool)
        >>> cell[:, 2:6, 2:6] = True
        >>> masks = hd.Masks(nucleus=cell & False, cell=cell, envelope=cell & False)
        >>> masks.plot(z=1).get_xlabel()
        'x (voxels)'
        """
        from hela_dask.figures.axes import plot_plane

        depth = len(self.cell)
        if window is not None and window.image.shape != self.cell.shape:
            raise InputError(
                f"the window is {by_axis(window.image.shape)} and the masks are "
                f"{by_axis(self.cell.shape)} voxels (z, y, x)"
            )
        if z is not None and not 0 <= z < depth:
            raise ParameterError(
                f"there is no slice {z}: the masks have the slices 0 to {depth - 1}"
            )
        at = int(self.cell.sum(axis=(1, 2)).argmax()) if z is None else z
        masks = {"cell": self.cell, "envelope": self.envelope, "nucleus": self.nucleus}
        return plot_plane(
            None if window is None else window.image[at],
            {name: mask[at] for name, mask in masks.items()},
            None if window is None else window.voxel[1:],
            ax=ax,
            title=f"slice {at} of the window, from 0",
        )

    def _shown_slice(self) -> int:
        """The slice with the largest part of the cell, on every eighth pixel."""
        return int(self.cell[:, ::8, ::8].sum(axis=(1, 2)).argmax())

    def _card(self) -> pages.Card:
        from hela_dask.figures.canvas import CELL, ENVELOPE, NUCLEUS
        from hela_dask.figures.thumbnails import masks_picture

        picture = None
        if self.cell.size:
            z = self._shown_slice()
            tints = [(self.cell[z], CELL), (self.envelope[z], ENVELOPE), (self.nucleus[z], NUCLEUS)]
            picture = as_figure(masks_picture(None, tints), f"slice {z} of the window, from 0")
        return make_card(
            f"Masks of {by_axis(self.cell.shape)} voxels (z, y, x)",
            {
                "status": self.status,
                "reason": self.reason,
                "flags": ", ".join(self.flags),
            },
            picture=picture,
        )

    @classmethod
    def without_resin(cls, nucleus: Mask, envelope: Mask, outline: Mask | None) -> Masks:
        """The result where no resin is visible: the nucleus, which stands for the cell too.

        Examples
        --------
        >>> import hela_dask as hd
        >>> import numpy as np
        >>> nucleus = np.ones((3, 8, 8), bool)
        >>> hd.Masks.without_resin(nucleus, nucleus & False, None).status
        'no_resin'
        """
        return cls(nucleus, nucleus.copy(), envelope, NO_RESIN, NO_RESIN_SEEN, outline=outline)


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
    >>> import numpy as np
    >>> image = np.full((3, 8, 8), 200, np.uint8)
    >>> image[:, 2:6, 2:6] = 120
    >>> window = hd.Window(image, image > 150, voxel=(50.0, 40.0, 40.0), centre=(1, 4, 4))
    >>> int(everything(window, hd.Parameters()).cell.sum())
    48
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
