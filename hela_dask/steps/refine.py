"""What was decided on the working level, on the image's own pixels: slices of labels, tile by tile.

Resin ends at its grey value, in a band around the border that was decided; a nucleus ends at the
strongest line in a band around its outline; where cells touch, the working level decides. A tile
needs no more of the image than itself and some pixels around it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hela_dask.kernels import morphology
from hela_dask.kernels.membrane import ridge_plane
from hela_dask.kernels.owned import CELL, LABEL_DTYPE, Owned
from hela_dask.kernels.painting import grown, paint_cells, paint_nucleus
from hela_dask.kernels.refining import mixed, refine_nucleus, refine_resin, resin_halo
from hela_dask.methods.registry import MethodLike, get_method
from hela_dask.parameters import Parameters
from hela_dask.types import Mask
from hela_dask.volume.greys import GreyLevels, upright_volume
from hela_dask.volume.opening import voxel_size

__all__ = ["Decided", "Grid", "Outline", "Refiner", "Tile", "volume_refiner"]

Plane = tuple[slice, slice]
Read = Callable[[slice, slice], NDArray[Any]]

_SUPPORT = 4.0  # standard deviations beyond which a line does not depend on the image


class Lines(Protocol):
    """What of a method's parameters the outline of its nuclei depends on."""

    @property
    def line_sigma(self) -> float:
        """Scale of membranes seen in the plane, nm."""

    @property
    def envelope_width(self) -> float:
        """Thickness of the envelope in the plane, nm."""

    def inset(self, pixel: tuple[float, ...]) -> float:
        """From the middle of the envelope to the nucleus, nm, for a pixel size (y, x)."""


class Outline(NamedTuple):
    """A nucleus up to the middle of its envelope, on the working level.

    Attributes
    ----------
    label : int
        Of the cell.
    origin : tuple of int
        Row and column of the working level that the planes begin at.
    planes : ndarray of bool, (slices, y, x)
        Of the slices that are refined.
    """

    label: int
    origin: tuple[int, int]
    planes: Mask


class Tile(NamedTuple):
    """Labels of a tile, each (slices, y, x); the background is 1 in the resin."""

    nuclei: NDArray[np.uint16]
    cells: NDArray[np.uint16]
    envelope: NDArray[np.uint16]
    background: NDArray[np.uint8]

    def without_nuclei(self, labels: Sequence[int]) -> Tile:
        """The same without the nuclei and envelopes of some cells, which stay as they are."""
        if not labels:
            return self
        kept = np.arange(np.iinfo(LABEL_DTYPE).max + 1, dtype=LABEL_DTYPE)
        kept[list(labels)] = 0
        return self._replace(nuclei=kept[self.nuclei], envelope=kept[self.envelope])


@dataclass(frozen=True)
class Grid:
    """The image's own pixels.

    Parameters
    ----------
    shape : tuple of int
        Height and width of a plane.
    pixel : tuple of float
        Size of a pixel (y, x), nm.
    factors : tuple of int
        How many of them (y, x) a pixel of the working level is.
    """

    shape: tuple[int, int]
    pixel: tuple[float, float]
    factors: tuple[int, int]

    @property
    def coarse(self) -> tuple[float, float]:
        """Size of a pixel of the working level, nm."""
        return self.pixel[0] * self.factors[0], self.pixel[1] * self.factors[1]


@dataclass(frozen=True)
class Decided:
    """Whole planes of the working level, as they were decided.

    Parameters
    ----------
    labels : Owned, (slices, y, x)
        Whose each voxel is, and the background.
    thresholds : sequence of float
        Grey value where resin begins in each slice; NaN where that is not known.
    outlines : sequence of Outline
        Of all nuclei in these slices.
    """

    labels: Owned
    thresholds: Sequence[float]
    outlines: Sequence[Outline]


class _Window(NamedTuple):
    """A part of the working level, and a tile in it.

    Attributes
    ----------
    labels : Owned
        The tile's, and a pixel more on each side, where the plane goes on.
    origin : tuple of int
        Row and column of the working level that `labels` begin at.
    tile : tuple of slice
        Rows and columns of the tile, the image's own pixels, from where `labels` begin.
    """

    labels: Owned
    origin: tuple[int, int]
    tile: Plane


class _Nucleus(NamedTuple):
    """A refined nucleus of one slice, and what is near it, in a box of the plane."""

    label: int
    box: Plane
    inside: NDArray[np.uint8]  # packed bits along rows
    near: NDArray[np.uint8]

    def cut(self, tile: Plane) -> tuple[Plane, Mask, Mask] | None:
        """Where it lies in a tile, and what of it does; None where it does not."""
        low = [max(a.start, b.start) for a, b in zip(self.box, tile, strict=True)]
        high = [min(a.stop, b.stop) for a, b in zip(self.box, tile, strict=True)]
        if any(end <= start for start, end in zip(low, high, strict=True)):
            return None
        here, own = (
            tuple(
                slice(start - part.start, end - part.start)
                for start, end, part in zip(low, high, of, strict=True)
            )
            for of in (tile, self.box)
        )
        width = self.box[1].stop - self.box[1].start
        inside, near = (
            np.unpackbits(bits[own[0]], axis=1, count=width)[:, own[1]].view(np.bool_)
            for bits in (self.inside, self.near)
        )
        return (here[0], here[1]), inside, near


class Refiner:
    """Refines some slices, a tile at a time.

    Parameters
    ----------
    decided : Decided
        Of whole planes.
    grid : Grid
        The image's own pixels.
    read : callable (rows, columns) -> ndarray, (slices, y, x)
        Upright grey values of a part of the slices.
    blur : float
        Low-pass before grey values are compared, nm.
    method : Lines
        Of the method that decided.
    """

    def __init__(
        self,
        decided: Decided,
        grid: Grid,
        read: Read,
        blur: float,
        method: Lines,
    ) -> None:
        self._decided, self._grid, self._read, self._blur = decided, grid, read, blur
        self._p = method
        self._fine = grid.factors != (1, 1)
        self._nuclei = self._refine_nuclei() if self._fine else []

    def tile(self, rows: slice, columns: slice) -> Tile:
        """The labels of a tile; it begins and ends where pixels of the working level do."""
        if not self._fine:
            part = self._decided.labels.cut(rows, columns)
            return Tile(part.nuclei, part.cells, part.envelope, part.resin.view("u1"))
        around = self._window((rows, columns))
        shape = (around.labels.shape[0], rows.stop - rows.start, columns.stop - columns.start)
        nuclei, cells, envelope = (np.zeros(shape, LABEL_DTYPE) for _ in range(3))
        tile = Tile(nuclei, cells, envelope, np.zeros(shape, np.uint8))
        near = [mixed(resin) for resin in around.labels.resin]
        outer, grey = self._grey((rows, columns), near)
        for z in range(shape[0]):
            tile.background[z] = self._resin(z, around, near[z], (outer, grey[z]))
            if around.labels.owner[z].any():
                self._fill(tile, z, (rows, columns), around)
        return tile

    def _window(self, tile: Plane) -> _Window:
        """The working level of a tile, and of one pixel around it that says whose its rim is."""
        lengths = self._decided.labels.shape[1:]
        y, x = (
            slice(max(0, part.start // by - 1), min(length, -(-part.stop // by) + 1))
            for part, by, length in zip(tile, self._grid.factors, lengths, strict=True)
        )
        labels = self._decided.labels.cut(y, x)
        rows, columns = (
            slice(part.start - own.start * by, part.stop - own.start * by)
            for part, own, by in zip(tile, (y, x), self._grid.factors, strict=True)
        )
        return _Window(labels, (y.start, x.start), (rows, columns))

    def _grey(self, tile: Plane, near: Sequence[Mask]) -> tuple[Plane, NDArray[Any]]:
        """Grey values of a tile and what its low-pass reaches; none where there is no border."""
        outer = self._around(tile, resin_halo(self._blur, self._grid.pixel))
        known = zip(near, self._decided.thresholds, strict=True)
        if any(not math.isnan(at) and border.any() for border, at in known):
            return outer, self._read(*outer)
        return outer, np.zeros((len(near), 0, 0), np.uint8)

    def _resin(self, z: int, around: _Window, near: Mask, seen: tuple[Plane, NDArray[Any]]) -> Mask:
        """Resin of one slice of a tile, by the grey values seen in a part of the plane."""
        (outer, grey), (height, width) = seen, self._grid.factors
        return refine_resin(
            grey,
            (outer[0].start - around.origin[0] * height, outer[1].start - around.origin[1] * width),
            around.tile,
            around.labels.plane(z).resin,
            near,
            self._decided.thresholds[z],
            factors=self._grid.factors,
            pixel=self._grid.pixel,
            blur=self._blur,
        )

    def _fill(self, labels: Tile, z: int, tile: Plane, around: _Window) -> None:
        """Cells, nuclei and envelopes of one slice of a tile."""
        here, resin, factors = around.labels.plane(z), labels.background[z] > 0, self._grid.factors
        claimed = grown(here.cells, here.resin)
        alone = np.where(here.kind & CELL, 0, here.owner)
        top, left = (part.start for part in around.tile)
        paint_cells(labels.cells[z], resin, claimed, (top, left, *factors))
        for nucleus in self._nuclei[z]:
            cut = nucleus.cut(tile)
            if cut is None:
                continue
            place, inside, near = cut
            paint_nucleus(
                (labels.nuclei[z][place], labels.cells[z][place], labels.envelope[z][place]),
                (inside, near),
                nucleus.label,
                resin[place],
                (claimed, alone),
                (top + place[0].start, left + place[1].start, *factors),
            )

    def _refine_nuclei(self) -> list[list[_Nucleus]]:
        """The nuclei of each slice."""
        found: list[list[_Nucleus]] = [[] for _ in self._decided.thresholds]
        for outline in self._decided.outlines:
            if not outline.planes.any():
                continue
            box = self._box(outline, np.asarray(outline.planes.any(axis=0)))
            grey = self._read(*self._own(box))
            for z in map(int, np.flatnonzero(outline.planes.any(axis=(1, 2)))):
                found[z].append(self._nucleus(outline, z, grey[z], box))
        return found

    def _nucleus(self, outline: Outline, z: int, grey: NDArray[Any], whole: Plane) -> _Nucleus:
        grid, p = self._grid, self._p
        coarse = self._box(outline, outline.planes[z])
        fine, begun = self._own(coarse), self._own(whole)
        here = grey[
            fine[0].start - begun[0].start : fine[0].stop - begun[0].start,
            fine[1].start - begun[1].start : fine[1].stop - begun[1].start,
        ]
        around = self._window(fine)
        inside = refine_nucleus(
            ridge_plane(here, p.line_sigma, grid.pixel),
            _in_box(outline, z, coarse),
            self._resin(z, around, mixed(around.labels.plane(z).resin), (fine, here)),
            (grid.factors, grid.pixel),
            p.inset(grid.pixel),
        )
        near = morphology.dilate(inside, p.envelope_width, grid.pixel)
        return _Nucleus(outline.label, fine, np.packbits(inside, axis=1), np.packbits(near, axis=1))

    def _box(self, outline: Outline, plane: Mask) -> Plane:
        """The box around a nucleus that its lines and its envelope lie in, working level."""
        coarse = self._grid.coarse
        room = 1.5 * max(coarse) + max(_SUPPORT * self._p.line_sigma, self._p.envelope_width)
        inner = morphology.box_around(plane, 0.0, (1.0, 1.0))
        y, x = (
            slice(
                max(0, part.start + begin - int(room / size) - 2),
                min(length, part.stop + begin + int(room / size) + 2),
            )
            for part, begin, size, length in zip(
                inner, outline.origin, coarse, self._decided.labels.shape[1:], strict=True
            )
        )
        return y, x

    def _own(self, coarse: Plane) -> Plane:
        """The image's own pixels of a part of the working level."""
        grid = self._grid
        y, x = (
            slice(part.start * by, length if part.stop == end else min(part.stop * by, length))
            for part, by, length, end in zip(
                coarse, grid.factors, grid.shape, self._decided.labels.shape[1:], strict=True
            )
        )
        return y, x

    def _around(self, tile: Plane, halo: tuple[int, int]) -> Plane:
        # One task reads the tiles of its shard one by one, and only those with a border in them:
        # a graph of overlapping tiles would read them all.
        y, x = (
            slice(max(0, part.start - more), min(length, part.stop + more))
            for part, more, length in zip(tile, halo, self._grid.shape, strict=True)
        )
        return y, x


def _in_box(outline: Outline, z: int, box: Plane) -> Mask:
    """One slice of an outline in a box of the working level that holds it."""
    inside = np.zeros([part.stop - part.start for part in box], dtype=bool)
    rows, columns = np.nonzero(outline.planes[z])
    y, x = outline.origin
    inside[rows + y - box[0].start, columns + x - box[1].start] = True
    return inside


def volume_refiner(
    image: xr.DataArray,
    slices: slice,
    levels: GreyLevels,
    decided: Decided,
    *,
    factors: tuple[int, int],
    parameters: Parameters,
    method: MethodLike,
) -> Refiner:
    """The refiner of slices of a volume, which it reads tile by tile, in this thread.

    Parameters
    ----------
    image : DataArray, (z, y, x)
        Grey values as they are stored, lazily.
    slices : slice
        Those that are refined.
    levels : GreyLevels
        Of the volume.
    decided : Decided
        Of these slices.
    factors : tuple of int
        How many of its pixels (y, x) a pixel of the working level is.
    parameters : Parameters
        All knobs.
    method : str
        That decided, of :mod:`hela_dask.methods`.
    """

    def read(rows: slice, columns: slice) -> NDArray[Any]:
        # Cut out at once: of a part of a part, dask would read whole shards.
        part = upright_volume(image[slices, rows, columns], levels)
        grey: NDArray[Any] = part.compute(scheduler="synchronous").values
        return grey

    grid = Grid((image.shape[1], image.shape[2]), voxel_size(image)[1:], factors)
    return Refiner(
        decided, grid, read, parameters.background.blur, get_method(method).edge(parameters)
    )
