"""The window around each cell, and whether the cell is whole in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hela_dask.box import Box
from hela_dask.errors import InputError
from hela_dask.formatting import by_axis
from hela_dask.geometry import Geometry
from hela_dask.kernels.quality import FACES
from hela_dask.pages import Card, Shown, make_card
from hela_dask.parameters import RegionParameters
from hela_dask.statuses import DETECTED
from hela_dask.types import Bounds, Triple

__all__ = ["Region", "cell_regions", "window_ends", "with_regions"]


# A cell is cut by a side if the side is about as near as the resin: its height is the radius of the
# largest disc inside it, and a real outline extends slightly further.
_CUT = 1.1


@dataclass(frozen=True)
class Region(Shown):
    """The window of one cell.

    Attributes
    ----------
    label : int
        Number of the cell.
    centre : tuple of float
        z, y, x of the cell's centre, nm.
    box : tuple of (float, float)
        First and last edge of the window in z, in y and in x, nm, on edges of voxels.
    status, reason : str
        As in the table of cells that the regions are made of.
    touches_first_slice, touches_last_slice, touches_side : bool
        Whether the cell is, according to its detections, cut by an end or a side of the volume.
    window_clipped : bool
        Whether the window would reach beyond the volume, so that the cell is not in its middle.
    ends : tuple of str
        Which of the window's sides are sides of the volume: names of
        :data:`hela_dask.kernels.quality.FACES`.

    Examples
    --------
    >>> import hela_dask as hd
    >>> cells = hd.open_run("hela.run").cells
    >>> region = hd.Region.from_row(cells.iloc[1].to_dict())
    >>> region.label, region.status
    (2, 'segmented')
    >>> volume = hd.open_volume("hela.ome.zarr")
    >>> volume[region.slices(volume)].shape
    (64, 195, 190)
    """

    label: int
    centre: Triple
    box: Bounds
    status: str = DETECTED
    reason: str = ""
    touches_first_slice: bool = False
    touches_last_slice: bool = False
    touches_side: bool = False
    window_clipped: bool = False
    ends: tuple[str, ...] = field(default=(), kw_only=True)

    def __str__(self) -> str:
        z, y, x = (f"{place / 1000:.2f}" for place in self.centre)
        text = f"Region of cell {self.label}, {self.status}: z, y, x = {z}, {y}, {x} µm"
        return f"{text}, window {self._shown_size()} µm"

    def _shown_size(self) -> str:
        return by_axis([round((high - low) / 1000, 2) for low, high in self.box])

    def _card(self) -> Card:
        sides = {
            "the first slice": self.touches_first_slice,
            "the last slice": self.touches_last_slice,
            "a side": self.touches_side,
        }
        spans = (
            f"{axis} {low:g} to {high:g}" for axis, (low, high) in zip("zyx", self.box, strict=True)
        )
        return make_card(
            f"Region of cell {self.label}",
            {
                "centre": ", ".join(
                    f"{axis} {place:g}" for axis, place in zip("zyx", self.centre, strict=True)
                )
                + " nm",
                "window": f"{', '.join(spans)} nm",
                "size": f"{self._shown_size()} µm (z, y, x)",
                "status": self.status,
                "reason": self.reason,
                "cut by": ", ".join(name for name, cut in sides.items() if cut),
            },
        )

    @classmethod
    def from_row(cls, row: Mapping[Any, Any]) -> Region:
        """The region of a row of the table that :func:`with_regions` makes.

        Examples
        --------
        >>> import hela_dask as hd
        >>> cells = hd.open_run("hela.run").cells
        >>> hd.Region.from_row(cells.iloc[1].to_dict()).label
        2
        """
        box = [(float(row[f"box_{axis}0"]), float(row[f"box_{axis}1"])) for axis in "zyx"]
        return cls(
            label=int(row["label"]),
            centre=(float(row["z"]), float(row["y"]), float(row["x"])),
            box=(box[0], box[1], box[2]),
            status=str(row["status"]),
            reason=str(row["reason"]),
            touches_first_slice=bool(row["touches_first_slice"]),
            touches_last_slice=bool(row["touches_last_slice"]),
            touches_side=bool(row["touches_side"]),
            window_clipped=bool(row["window_clipped"]),
        )

    def window(self, geometry: Geometry) -> Box:
        """The voxels of the window in a volume, at any level: the outermost included.

        Examples
        --------
        >>> import hela_dask as hd
        >>> from hela_dask.geometry import Geometry
        >>> region = hd.Region.from_row(hd.open_run("hela.run").cells.iloc[1].to_dict())
        >>> region.window(Geometry.of(hd.open_volume("hela.ome.zarr"))).shape
        (64, 195, 190)
        """
        return geometry.box(self.box)

    def slices(self, volume: xr.DataArray) -> Box:
        """The same in `volume`, as an index of it.

        Examples
        --------
        >>> import hela_dask as hd
        >>> region = hd.Region.from_row(hd.open_run("hela.run").cells.iloc[1].to_dict())
        >>> volume = hd.open_volume("hela.ome.zarr")
        >>> volume[region.slices(volume)].shape
        (64, 195, 190)
        """
        return self.window(Geometry.of(volume))


def cell_regions(
    cells: pd.DataFrame, volume: xr.DataArray, parameters: RegionParameters | None = None
) -> list[Region]:
    """Cut a window around each cell (J. Imaging 2021, section 2.4; method A.5).

    20 x 20 x 15 µm around the centre, more where the cell itself is larger (``room`` heights on
    each side, and ``cap`` beyond the chain's ends), so that it stays in the middle; clipped at the
    volume's ends. The region of a centre closer to a side of the plane than ``margin``, or than its
    own height if that is less, is limited to ``cut_room`` and ``cap``: only a part of the cell is
    in the volume.

    Parameters
    ----------
    cells
        As from :func:`~hela_dask.link_cells`.
    volume
        The volume, at any level; the boxes end on edges of its voxels.
    parameters
        Parameters of the stage.

    Returns
    -------
    list of Region
        One per row of `cells`, in its order.

    Raises
    ------
    InputError
        When a column of `cells` is missing, or a centre lies outside the volume.

    Examples
    --------
    >>> import hela_dask as hd
    >>> volume = hd.open_volume("hela.ome.zarr")
    >>> cells = hd.link_cells(hd.detect_cells(volume), volume)
    >>> for region in hd.cell_regions(cells, volume):
    ...     print(region)
    Region of cell 1, chain_too_short: z, y, x = 2.70, 0.00, 6.96 µm, window 6.4 x 3.36 x 6.64 µm
    Region of cell 2, detected: z, y, x = 3.50, 5.52, 5.12 µm, window 6.4 x 15.6 x 15.2 µm
    Region of cell 3, detected: z, y, x = 3.50, 6.24, 10.00 µm, window 6.4 x 16 x 16 µm
    """
    parameters = parameters or RegionParameters()
    wanted = ("label", "z", "y", "x", "height", "first_slice", "last_slice", "status", "reason")
    missing = [name for name in wanted if name not in cells]
    if missing:
        raise InputError(f"the cells lack the column {missing[0]!r}; link_cells writes it")
    geometry = Geometry.of(volume)
    return [_region(row, geometry, parameters) for row in cells.itertuples(index=False)]


def _region(cell: Any, geometry: Geometry, parameters: RegionParameters) -> Region:
    size, edges = geometry.voxel_size, geometry.bounds
    centre = (float(cell.z), float(cell.y), float(cell.x))
    if not all(low <= place <= high for place, (low, high) in zip(centre, edges, strict=True)):
        raise InputError(
            f"the centre of cell {cell.label} (z, y, x = {centre} nm) lies outside the volume "
            f"({', '.join(f'{low:g} to {high:g}' for low, high in edges)} nm)"
        )
    start = edges[0][0] + (cell.first_slice - 1) * size[0]
    stop = edges[0][0] + cell.last_slice * size[0]
    distance = _side_distance(centre, edges)
    margin = min(parameters.margin, _CUT * cell.height)
    room = parameters.room * cell.height
    if distance < margin and math.isfinite(room):
        # Only a part of the cell is in the volume, and the default window is for a whole one.
        width = min(parameters.width / 2, parameters.cut_room * cell.height)
        deep = (start - parameters.cap, stop + parameters.cap)
    else:
        width = max(parameters.width / 2, room)
        reach = max(centre[0] - start, stop - centre[0]) + parameters.cap
        reach = max(parameters.depth / 2, reach)
        deep = (centre[0] - reach, centre[0] + reach)
    y, x = ((place - width, place + width) for place in centre[1:])
    box = geometry.bounds_of(geometry.box((deep, y, x)))
    return Region(
        label=int(cell.label),
        centre=centre,
        box=box,
        status=str(cell.status),
        reason=str(cell.reason),
        touches_first_slice=bool(start - edges[0][0] < parameters.cap),
        touches_last_slice=bool(edges[0][1] - stop < parameters.cap),
        touches_side=bool(distance < _CUT * cell.height),
        window_clipped=any(
            low < first or high > last
            for (low, high), (first, last) in zip((deep, y, x), edges, strict=True)
        ),
        ends=window_ends(box, geometry),
    )


def with_regions(cells: pd.DataFrame, regions: Sequence[Region]) -> pd.DataFrame:
    """The cells table with the box and the touches of each cell's region.

    Parameters
    ----------
    cells
        As from :func:`~hela_dask.link_cells`.
    regions
        One per row of `cells`, in its order, as from :func:`cell_regions`.

    Returns
    -------
    pandas.DataFrame
        A copy with ``box_z0`` to ``box_x1`` (nm), ``touches_first_slice``,
        ``touches_last_slice``, ``touches_side``, ``window_clipped`` and ``complete`` (touches
        nothing) added, as far as the detections show them.

    Raises
    ------
    InputError
        When the labels of both are not the same.
    """
    if [region.label for region in regions] != cells["label"].tolist():
        raise InputError(f"{len(regions)} regions do not belong to these {len(cells)} cells")
    table = cells.copy()
    for axis, name in enumerate("zyx"):
        for end in (0, 1):
            column = [region.box[axis][end] for region in regions]
            table[f"box_{name}{end}"] = np.array(column, dtype=float)
    touches = ["touches_first_slice", "touches_last_slice", "touches_side"]
    for name in [*touches, "window_clipped"]:
        table[name] = np.array([getattr(region, name) for region in regions], dtype=bool)
    table["complete"] = ~table[touches].any(axis=1)
    return table


def window_ends(box: Bounds, geometry: Geometry) -> tuple[str, ...]:
    """The sides of a window that are sides of the volume."""
    reached = [
        abs(at - end) < step / 2
        for part, edge, step in zip(box, geometry.bounds, geometry.voxel_size, strict=True)
        for at, end in zip(part, edge, strict=True)
    ]
    return tuple(name for name, own in zip(FACES, reached, strict=True) if own)


def _side_distance(centre: Triple, edges: Bounds) -> float:
    """Distance (nm) of a centre from the nearest side of the plane."""
    return min(
        abs(place - edge)
        for place, pair in zip(centre[1:], edges[1:], strict=True)
        for edge in pair
    )
