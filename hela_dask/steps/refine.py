"""Refinement of the labels of the working level on the image's own pixels.

Slices of labels, tile by tile.

Resin ends at its grey value, in a band around the border of the working level; a nucleus ends at
the strongest line in a band around its outline; where cells touch, the border of the working level
stays. A tile needs only its own part of the image and some pixels around it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
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
from hela_dask.kernels.refining import (
    BLOCK,
    border_pixels,
    refine_nucleus,
    refine_resin,
    resin_halo,
    squares_with_border,
)
from hela_dask.kernels.subpixel import outset
from hela_dask.methods.registry import MethodLike, get_method
from hela_dask.parameters import Parameters
from hela_dask.steps.coarse_labels import CoarseLabels, Outline
from hela_dask.types import Factors, Mask, Plane
from hela_dask.volume.greys import GreyLevels, normalise_polarity
from hela_dask.volume.planned_reads import (
    PlannedReads,
    Read,
    Wanted,
    chunk_part,
    chunks_around,
    whole_box,
)

__all__ = ["Refiner", "TileLabels", "volume_refiner"]

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


class TileLabels(NamedTuple):
    """Labels of a tile, each (slices, y, x); the background is 1 in the resin."""

    nuclei: NDArray[np.uint16]
    cells: NDArray[np.uint16]
    envelope: NDArray[np.uint16]
    background: NDArray[np.uint8]


class _Surroundings(NamedTuple):
    """The part of the working level around a tile.

    Attributes
    ----------
    part : Box
        Rows and columns of the working level.
    labels : PackedLabels
        The tile's, with a margin of one pixel on each side, except at the sides of the plane.
    corner : tuple of int
        Row and column of the image's pixels that `labels` begin at.
    tile : Box
        Rows and columns of the tile, the image's own pixels, from where `labels` begin.
    """

    part: Box
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
    chunk : tuple of int, optional
        Rows and columns of a chunk of the image: each is read once for all tiles. Default: planes.
    """

    def __init__(
        self,
        coarse_labels: CoarseLabels,
        geometry: Geometry,
        factors: Factors,
        read: Read,
        blur: float,
        method: Lines,
        *,
        chunk: tuple[int, ...] | None = None,
    ) -> None:
        self._coarse_labels, self._read, self._blur, self._p = coarse_labels, read, blur, method
        self._factors, self._pixel, self._shape = factors, geometry.pixel, geometry.shape[1:]
        self._coarse = geometry.coarser(factors).pixel
        self._chunk = chunk or self._shape
        self._halo = resin_halo(blur, geometry.pixel)
        self._fine = factors != (1, 1)
        self._room: TileLabels | None = None
        # By outline, then by slice.
        self._nuclei: list[dict[int, _Nucleus]] = [{} for _ in coarse_labels.outlines]

    def tile(self, box: Box) -> TileLabels:
        """The labels of a tile (y, x); it begins and ends where pixels of the working level do."""
        (found,) = self.tiles([box])
        self._room = None
        return found

    def tiles(self, boxes: Sequence[Box]) -> Iterator[TileLabels]:
        """The labels of tiles (y, x), one after the other, as of :meth:`tile`.

        Of all that they need of the image, each chunk is read once. The arrays of a tile are used
        again for the next one.
        """
        if not self._fine:
            for box in boxes:
                part = self._coarse_labels.labels.cut(*box)
                yield TileLabels(part.nuclei, part.cells, part.envelope, part.resin.view("u1"))
            return
        near = [border_pixels(resin) for resin in self._coarse_labels.labels.resin]
        nuclei = self._nuclei_by_tile(boxes)
        resin = self._resin_wanted(boxes, near)
        plan = [
            item
            for numbers, tile in zip(nuclei, resin, strict=True)
            for item in (*(whole_box(self._box_of(n), self._chunk) for n in numbers), tile)
            if item.places
        ]
        reads = PlannedReads(self._read, plan, self._chunk, self._shape)
        for box, numbers, wanted in zip(boxes, nuclei, resin, strict=True):
            for number in numbers:
                self._nuclei[number] = self._refine_nucleus(number, reads.take(), near)
            none = np.zeros((len(near), 0, 0), np.uint8)
            yield self._tile(box, near, (wanted.box, reads.take() if wanted.places else none))

    def _tile(self, box: Box, near: Sequence[Mask], seen: tuple[Box, Plane]) -> TileLabels:
        """The labels of a tile, by the grey values seen in a part of the planes."""
        around = self._surroundings(box)
        tile = self._empty((len(near), *box.shape))
        outer, grey = seen
        for z in range(len(near)):
            tile.background[z] = self._resin(z, around, near[z], (outer, grey[z]))
            if around.labels.owner[z].any():
                self._fill(tile, z, box, around)
            else:
                tile.cells[z] = 0
        return tile

    def _empty(self, shape: tuple[int, ...]) -> TileLabels:
        """Labels for a tile, in the arrays of the last one if it had this shape.

        Nuclei and envelopes are 0; all cells and the background are to be written.
        """
        if self._room is None or self._room.cells.shape != shape:
            nuclei, cells, envelope = (np.zeros(shape, LABEL_DTYPE) for _ in range(3))
            self._room = TileLabels(nuclei, cells, envelope, np.zeros(shape, np.uint8))
        else:  # new pages would take longer
            self._room.nuclei.fill(0)
            self._room.envelope.fill(0)
        return self._room

    def _nuclei_by_tile(self, boxes: Iterable[Box]) -> list[list[int]]:
        """Numbers of the nuclei that are refined for each tile: the first one that they lie in."""
        left = {
            number: self._box_of(number)
            for number, outline in enumerate(self._coarse_labels.outlines)
            if not self._nuclei[number] and outline.planes.any()
        }
        found = []
        for tile in boxes:
            found.append([number for number, box in left.items() if not (box & tile).empty])
            left = {number: box for number, box in left.items() if number not in found[-1]}
        return found

    def _surroundings(self, tile: Box) -> _Surroundings:
        """The working level of a tile, with a margin of one pixel for the labels of its rim."""
        part = tile.coarsen(self._factors).grow(1).clip(self._coarse_labels.labels.shape[1:])
        corner = part.scale(self._factors).low
        return _Surroundings(
            part, self._coarse_labels.labels.cut(*part), corner, tile.relative_to(corner)
        )

    def _resin_wanted(self, boxes: Iterable[Box], near: Sequence[Mask]) -> list[Wanted]:
        """The part of the image that each tile needs for its resin, with the halo."""
        known = zip(near, self._coarse_labels.thresholds, strict=True)
        border = [plane for plane, at in known if not math.isnan(at)]
        seen = np.any(border, axis=0) if border else np.zeros(near[0].shape, np.bool_)
        side = [BLOCK * by for by in self._factors]
        found = []
        for tile in boxes:
            part = seen[tile.coarsen(self._factors).clip(seen.shape)]
            places = chunks_around(
                squares_with_border(part), side, tile, self._halo, self._chunk, self._shape
            )
            found.append(Wanted(tile.grow(self._halo).clip(self._shape), places))
        return found

    def _resin(self, z: int, around: _Surroundings, near: Mask, seen: tuple[Box, Plane]) -> Mask:
        """Resin of one slice of a tile, by the grey values seen in a part of the plane."""
        outer, grey = seen
        return refine_resin(
            grey,
            outer.relative_to(around.corner).low,
            around.tile,
            around.labels.plane(z).resin,
            near[around.part],
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
        for nucleus in (slices[z] for slices in self._nuclei if z in slices):
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

    def _refine_nucleus(
        self, number: int, grey: Plane, near: Sequence[Mask]
    ) -> dict[int, _Nucleus]:
        """A nucleus in its slices, by the grey values of a box around it."""
        outline = self._coarse_labels.outlines[number]
        whole = self._box_of(number)
        found = {}
        for z in map(int, np.flatnonzero(outline.planes.any(axis=(1, 2)))):
            coarse = self._box(outline, outline.planes[z])
            fine = self._own_pixels(coarse)
            here = grey[z][fine.relative_to(whole)]
            around = self._surroundings(fine)
            inside = refine_nucleus(
                functools.partial(ridge_plane, here, self._p.line_sigma, self._pixel),
                _in_box(outline, outline.planes[z], coarse),
                _in_box(outline, outline.nuclei[z], coarse),
                self._resin(z, around, near[z], (fine, here)),
                (self._factors, self._pixel),
                self._p.envelope,
            )
            outer = outset(inside, self._p.envelope_width, self._pixel)
            bits = np.packbits(inside, axis=1), np.packbits(outer, axis=1)
            found[z] = _Nucleus(outline.label, fine, *bits)
        return found

    def _box_of(self, number: int) -> Box:
        """The image's own pixels around all slices of a nucleus."""
        outline = self._coarse_labels.outlines[number]
        return self._own_pixels(self._box(outline, np.asarray(outline.planes.any(axis=0))))

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
    chunk: tuple[int, ...] | None = None,
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
    chunk : tuple of int, optional
        Rows and columns of a chunk of the image: each is read once for all tiles, unless it is
        large (see :func:`~hela_dask.volume.planned_reads.chunk_part`). Default: planes.
    """

    def read(rows: slice, columns: slice) -> NDArray[Any]:
        # Sliced in one step: for a slice of a slice, dask would read whole shards.
        part = normalise_polarity(image[slices, rows, columns], grey_levels)
        grey: NDArray[Any] = part.compute(scheduler="synchronous").values
        return grey

    if chunk is not None:
        chunk = chunk_part(chunk, image[slices].shape[0] * image.dtype.itemsize)
    edge = get_method(method).edge(parameters)
    blur = parameters.background.blur
    return Refiner(coarse_labels, Geometry.of(image), factors, read, blur, edge, chunk=chunk)
