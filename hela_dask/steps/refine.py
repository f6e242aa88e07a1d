"""Refinement of the labels of the working level on the image's own pixels.

Slices of labels, tile by tile.

Resin ends at its grey value, in a band around the border of the working level; a nucleus ends at
the strongest line in a band around its outline; where cells touch, the border of the working level
stays. A tile needs only its own part of the image and some pixels around it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.geometry import Geometry
from hela_dask.kernels import morphology
from hela_dask.kernels.membrane import ridge_plane
from hela_dask.kernels.packed_labels import CELL, LABEL_DTYPE, PackedLabels
from hela_dask.kernels.painting import expand_labels, paint_cells, paint_nucleus
from hela_dask.kernels.refining import border_pixels, refine_nucleus, refine_resin, resin_halo
from hela_dask.kernels.subpixel import outset
from hela_dask.methods.registry import MethodLike, get_method
from hela_dask.parameters import Parameters
from hela_dask.types import Factors, Mask, Plane
from hela_dask.volume.greys import GreyLevels, normalise_polarity

__all__ = ["CoarseLabels", "Outline", "Refiner", "TileLabels", "volume_refiner"]

Read = Callable[[slice, slice], NDArray[Any]]

_SUPPORT = 4.0  # standard deviations beyond which a line does not depend on the image


class Lines(Protocol):
    """The parameters of a method that the outline of its nuclei depends on."""

    @property
    def line_sigma(self) -> float:
        """Scale of membranes seen in the plane, nm."""

    @property
    def envelope_width(self) -> float:
        """Thickness of the envelope in the plane, nm."""

    @property
    def envelope(self) -> float:
        """From the middle of the envelope to the nucleus, nm; on finer pixels up to twice this."""


class Outline(NamedTuple):
    """A nucleus up to the middle of its envelope, on the working level.

    Attributes
    ----------
    label : int
        Of the cell.
    origin : tuple of int
        Row and column of the working level that the planes begin at.
    planes, nuclei : ndarray of bool, (slices, y, x)
        Of the slices that are refined: up to the middle of the envelope, and the nucleus itself.
    """

    label: int
    origin: tuple[int, ...]
    planes: Mask
    nuclei: Mask


class TileLabels(NamedTuple):
    """Labels of a tile, each (slices, y, x); the background is 1 in the resin."""

    nuclei: NDArray[np.uint16]
    cells: NDArray[np.uint16]
    envelope: NDArray[np.uint16]
    background: NDArray[np.uint8]


@dataclass(frozen=True)
class CoarseLabels:
    """The labels of whole planes of the working level.

    Parameters
    ----------
    labels : PackedLabels, (slices, y, x)
        Labels and background.
    thresholds : sequence of float
        Grey value where resin begins in each slice; NaN where that is not known.
    outlines : sequence of Outline
        Of all nuclei in these slices.
    """

    labels: PackedLabels
    thresholds: Sequence[float]
    outlines: Sequence[Outline]


class _Surroundings(NamedTuple):
    """The part of the working level around a tile.

    Attributes
    ----------
    labels : PackedLabels
        The tile's, with a margin of one pixel on each side, except at the sides of the plane.
    corner : tuple of int
        Row and column of the image's pixels that `labels` begin at.
    tile : Box
        Rows and columns of the tile, the image's own pixels, from where `labels` begin.
    """

    labels: PackedLabels
    corner: tuple[int, ...]
    tile: Box


class _Nucleus(NamedTuple):
    """A refined nucleus of one slice, and its surroundings, in a box of the plane."""

    label: int
    box: Box
    inside: NDArray[np.uint8]  # packed bits along rows
    near: NDArray[np.uint8]

    def cut(self, tile: Box) -> tuple[Box, Mask, Mask] | None:
        """Its position in a tile, and the part inside the tile. None where it does not."""
        shared = self.box & tile
        if shared.empty:
            return None
        rows, columns = shared.relative_to(self.box)
        width = self.box.shape[1]
        inside, near = (
            np.unpackbits(bits[rows], axis=1, count=width)[:, columns].view(np.bool_)
            for bits in (self.inside, self.near)
        )
        return shared.relative_to(tile), inside, near


class Refiner:
    """Refines some slices, a tile at a time.

    Parameters
    ----------
    coarse_labels : CoarseLabels
        Of whole planes.
    geometry : Geometry
        Of the image; only its planes count.
    factors : tuple of int
        How many of the image's pixels (y, x) a pixel of the working level is.
    read : callable (rows, columns) -> ndarray, (slices, y, x)
        Grey values of a part of the slices, with bright resin.
    blur : float
        Low-pass before grey values are compared, nm.
    method : Lines
        Of the method of the coarse labels.
    """

    def __init__(
        self,
        coarse_labels: CoarseLabels,
        geometry: Geometry,
        factors: Factors,
        read: Read,
        blur: float,
        method: Lines,
    ) -> None:
        self._coarse_labels, self._read, self._blur, self._p = coarse_labels, read, blur, method
        self._factors, self._pixel, self._shape = factors, geometry.pixel, geometry.shape[1:]
        self._coarse = geometry.coarser(factors).pixel
        self._fine = factors != (1, 1)
        self._nuclei = self._refine_nuclei() if self._fine else []

    def tile(self, box: Box) -> TileLabels:
        """The labels of a tile (y, x); it begins and ends where pixels of the working level do."""
        if not self._fine:
            part = self._coarse_labels.labels.cut(*box)
            return TileLabels(part.nuclei, part.cells, part.envelope, part.resin.view("u1"))
        around = self._surroundings(box)
        shape = (around.labels.shape[0], *box.shape)
        nuclei, cells, envelope = (np.zeros(shape, LABEL_DTYPE) for _ in range(3))
        tile = TileLabels(nuclei, cells, envelope, np.zeros(shape, np.uint8))
        near = [border_pixels(resin) for resin in around.labels.resin]
        outer, grey = self._grey(box, near)
        for z in range(shape[0]):
            tile.background[z] = self._resin(z, around, near[z], (outer, grey[z]))
            if around.labels.owner[z].any():
                self._fill(tile, z, box, around)
        return tile

    def _surroundings(self, tile: Box) -> _Surroundings:
        """The working level of a tile, with a margin of one pixel for the labels of its rim."""
        part = tile.coarsen(self._factors).grow(1).clip(self._coarse_labels.labels.shape[1:])
        corner = part.scale(self._factors).low
        return _Surroundings(
            self._coarse_labels.labels.cut(*part), corner, tile.relative_to(corner)
        )

    def _grey(self, tile: Box, near: Sequence[Mask]) -> tuple[Box, Plane]:
        """Grey values of a tile and the halo of its low-pass; none if there is no border."""
        # One task reads the tiles of its shard one by one, and only those with a border in them:
        # a graph of overlapping tiles would read them all.
        outer = tile.grow(resin_halo(self._blur, self._pixel)).clip(self._shape)
        known = zip(near, self._coarse_labels.thresholds, strict=True)
        if any(not math.isnan(at) and border.any() for border, at in known):
            return outer, self._read(*outer)
        return outer, np.zeros((len(near), 0, 0), np.uint8)

    def _resin(self, z: int, around: _Surroundings, near: Mask, seen: tuple[Box, Plane]) -> Mask:
        """Resin of one slice of a tile, by the grey values seen in a part of the plane."""
        outer, grey = seen
        return refine_resin(
            grey,
            outer.relative_to(around.corner).low,
            around.tile,
            around.labels.plane(z).resin,
            near,
            self._coarse_labels.thresholds[z],
            factors=self._factors,
            pixel=self._pixel,
            blur=self._blur,
        )

    def _fill(self, labels: TileLabels, z: int, tile: Box, around: _Surroundings) -> None:
        """Cells, nuclei and envelopes of one slice of a tile."""
        here, resin, factors = around.labels.plane(z), labels.background[z] > 0, self._factors
        claimed = expand_labels(here.cells, here.resin)
        alone = np.where(here.kind & CELL, 0, here.owner)
        top, left = around.tile.low
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
        found: list[list[_Nucleus]] = [[] for _ in self._coarse_labels.thresholds]
        for outline in self._coarse_labels.outlines:
            if not outline.planes.any():
                continue
            box = self._box(outline, np.asarray(outline.planes.any(axis=0)))
            grey = self._read(*self._own_pixels(box))
            for z in map(int, np.flatnonzero(outline.planes.any(axis=(1, 2)))):
                found[z].append(self._nucleus(outline, z, grey[z], box))
        return found

    def _nucleus(self, outline: Outline, z: int, grey: Plane, whole: Box) -> _Nucleus:
        coarse = self._box(outline, outline.planes[z])
        fine = self._own_pixels(coarse)
        here = grey[fine.relative_to(self._own_pixels(whole))]
        around = self._surroundings(fine)
        inside = refine_nucleus(
            ridge_plane(here, self._p.line_sigma, self._pixel),
            _in_box(outline, outline.planes[z], coarse),
            _in_box(outline, outline.nuclei[z], coarse),
            self._resin(z, around, border_pixels(around.labels.plane(z).resin), (fine, here)),
            (self._factors, self._pixel),
            self._p.envelope,
        )
        near = outset(inside, self._p.envelope_width, self._pixel)
        return _Nucleus(outline.label, fine, np.packbits(inside, axis=1), np.packbits(near, axis=1))

    def _box(self, outline: Outline, plane: Mask) -> Box:
        """The box around a nucleus that its lines and its envelope lie in, working level."""
        coarse = self._coarse
        room = 1.5 * max(coarse) + max(_SUPPORT * self._p.line_sigma, self._p.envelope_width)
        inner = morphology.box_around(plane, 0.0, (1.0, 1.0)).shift(outline.origin)
        more = [int(room / size) + 2 for size in coarse]
        return inner.grow(more).clip(self._coarse_labels.labels.shape[1:])

    def _own_pixels(self, coarse: Box) -> Box:
        """The image's own pixels of a part of the working level."""
        return coarse.scale(self._factors).clip(self._shape)


def _in_box(outline: Outline, plane: Mask, box: Box) -> Mask:
    """A plane of an outline in a box of the working level that holds it."""
    inside = np.zeros(box.shape, dtype=bool)
    here = Box.at(outline.origin, plane.shape)
    shared = here & box
    inside[shared.relative_to(box)] = plane[shared.relative_to(here)]
    return inside


def volume_refiner(
    image: xr.DataArray,
    slices: slice,
    grey_levels: GreyLevels,
    coarse_labels: CoarseLabels,
    *,
    factors: Factors,
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
    grey_levels : GreyLevels
        Of the volume.
    coarse_labels : CoarseLabels
        Of these slices.
    factors : tuple of int
        How many of its pixels (y, x) a pixel of the working level is.
    parameters : Parameters
        All parameters.
    method : str
        The method of the coarse labels, of :mod:`hela_dask.methods`.
    """

    def read(rows: slice, columns: slice) -> NDArray[Any]:
        # Sliced in one step: for a slice of a slice, dask would read whole shards.
        part = normalise_polarity(image[slices, rows, columns], grey_levels)
        grey: NDArray[Any] = part.compute(scheduler="synchronous").values
        return grey

    edge = get_method(method).edge(parameters)
    return Refiner(
        coarse_labels, Geometry.of(image), factors, read, parameters.background.blur, edge
    )
