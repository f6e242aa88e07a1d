"""The knobs of the methods: nucleus and cell of one region; lengths in nm, areas in µm²."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Self

from hela_dask.parameters.knobs import Stage, knob, name_knob

__all__ = [
    "HybridParameters",
    "MethodParameters",
    "PropagateParameters",
    "UnetParameters",
    "VolumetricParameters",
]


class _Inset:
    """A nucleus ends so far inside the middle of its envelope, whatever the pixels."""

    envelope: float

    def inset(self, pixel: tuple[float, ...]) -> float:
        """From the middle of the envelope to the nucleus, nm, for a pixel size (y, x)."""
        return self.envelope


@dataclass(frozen=True)
class MethodParameters(Stage):
    """What the classical methods share: membranes, where a nucleus starts, how cells are parted."""

    line_sigma: float = knob(50.0, "scale of membranes seen in the plane, nm", low=1.0)
    sheet_sigma: float = knob(60.0, "scale of membranes seen across slices, nm; 0: none are")
    slow: float = knob(
        750.0, "brightness changes along z slower than this are left in, nm", low=1.0
    )
    search: float = knob(5000.0, "how far from the cell's centre its nucleus is looked for, nm")
    spot: float = knob(1500.0, "radius of the smooth part of the nucleus that is measured, nm")
    membrane: float = knob(3.4, "a membrane is this many deviations over the nucleus' inside")
    smallest_nucleus: float = knob(3.0, "least area of a nucleus in its largest slice, µm²")
    envelope_width: float = knob(80.0, "thickness of the nuclear envelope in the plane, nm")
    saddle: float = knob(300.0, "depth of the saddle that parts two cells, nm", low=1.0)
    grid: float = knob(80.0, "spacing at which touching cells are parted, nm", low=1.0)
    nucleus_share: float = knob(
        0.05, "a watershed basin with this much of the nucleus is cell", high=1.0
    )
    cover: float = knob(
        0.5, "a watershed basin covered this much by the slice before is cell", high=1.0
    )
    neck: float = knob(80.0, "what hangs on by less is not the cell, radius in nm")
    smoothing: float = knob(150.0, "height of the majority along z, nm")


@dataclass(frozen=True)
class PropagateParameters(_Inset, MethodParameters):
    """Nucleus and cell, slice by slice from the centre (J. Imaging 2021, sections 2.5 and 2.6)."""

    clearance: float = knob(100.0, "distance that super-pixels keep from membranes, nm")
    reach: float = knob(400.0, "furthest that a nucleus moves from slice to slice, nm")
    overlap: float = knob(0.01, "least overlap with the slice before, µm²")
    share: float = knob(0.7, "least part of a piece that lies over the slice before", high=1.0)
    memory: float = knob(150.0, "height of the slices before that a piece may carry on, nm")
    gap: float = knob(150.0, "a nucleus lost for at most this long along z is found again, nm")
    inside: float = knob(100.0, "the outline lies further out than this inside the core, nm")
    outside: float = knob(120.0, "and nearer than this outside it, nm")
    envelope: float = knob(60.0, "from the middle of the envelope to the nucleus' outline, nm")


@dataclass(frozen=True)
class VolumetricParameters(MethodParameters):
    """Nucleus and cell from evidence in three dimensions."""

    widest: float = knob(300.0, "largest clearance from membranes that is tried, nm", low=1.0)
    narrowest: float = knob(
        70.0, "smallest clearance that is tried: about a membrane's own width, nm", low=1.0
    )
    surroundings: float = knob(
        200.0, "scale at which the share of membranes in the tissue is taken, nm", low=1.0
    )
    density: float = knob(
        0.12, "tissue with a larger share of membranes is not nucleus, but a leak", high=1.0
    )
    hole: float = knob(
        2.0, "a hole whose rim is this many times stronger than a membrane must be is a real one"
    )
    inside: float = knob(60.0, "the outline lies further out than this inside the core, nm")
    outside: float = knob(150.0, "and nearer than this outside it, nm")
    envelope: float = knob(
        0.0, "further in than the pixels that the middle of the envelope runs through, nm"
    )

    def inset(self, pixel: tuple[float, ...]) -> float:
        """From the middle of the envelope to the nucleus, nm, for a pixel size (y, x).

        Pixels that touch what lies outside, if only with a corner, are on the envelope's line.
        """
        return self.envelope + 1.001 * math.hypot(*pixel)


@dataclass(frozen=True)
class UnetParameters(_Inset, Stage):
    """Nucleus and cell from what a network tells of each voxel (PLoS ONE 2020)."""

    model: str = name_knob("", "folder of the model; empty: the one that comes with hela_dask")
    search: float = knob(5000.0, "how far from the cell's centre its nucleus is looked for, nm")
    smallest_nucleus: float = knob(2.0, "smaller pieces are no nucleus, µm³")
    smallest_hole: float = knob(0.1, "smaller holes of a nucleus are filled, µm²")
    membranes: float = knob(
        1.5, "how much the outline that membranes give counts beside the network; 0: not at all"
    )
    grid: float = knob(100.0, "spacing at which touching cells are parted, nm", low=1.0)
    side: float = knob(400.0, "so deep at a side of the window, tissue is another cell's, nm")
    neck: float = knob(60.0, "what hangs on by less is not the cell or nucleus, radius in nm")
    smoothing: float = knob(150.0, "height of the majority along z, nm")
    envelope: float = knob(40.0, "from the nucleus to the middle of its envelope, nm")
    envelope_width: float = knob(80.0, "thickness of the nuclear envelope in the plane, nm")
    line_sigma: float = knob(50.0, "scale of the envelope's line on finer pixels, nm", low=1.0)


@dataclass(frozen=True)
class HybridParameters(_Inset, Stage):
    """The cell by a U-Net on what is darker than resin, its nucleus by edges (Hosangadi et al.)."""

    model: str = name_knob("", "folder of the model, as hela-dask train --model hybrid writes it")
    preset: str = name_knob(
        "default",
        "published: grey values from 94 to 130 and the paper's pixels, whatever the knobs from here"
        " to growth_large are",
        choices=("default", "published"),
    )
    blur: float = knob(20.0, "low-pass before what is darker than resin is told, nm")
    smallest_tissue: float = knob(0.3, "smaller pieces of what is darker are not shown, µm²")
    smoothing: float = knob(8.0, "low-pass before edges, nm")
    texture: float = knob(120.0, "width of the square that grey values vary in, nm", low=1.0)
    edge: float = knob(40.0, "scale of the edges of that, nm", low=1.0)
    strong: float = knob(
        0.77, "an edge begins where so much of the cell has less of a slope", high=1.0
    )
    weak: float = knob(0.4, "and goes on down to this part of that slope", high=1.0)
    gap: float = knob(80.0, "gaps in edges of twice this are closed, nm")
    smallest_piece: float = knob(0.48, "smaller pieces between edges are not filled, µm²")
    smallest: float = knob(0.64, "least area of a candidate, µm²")
    largest: float = knob(64.0, "largest area of a candidate, µm²")
    distance: float = knob(2400.0, "from its middle to the cell's, at most, nm")
    outside: float = knob(0.24, "less of it than this lies outside the cell, µm²")
    circularity: float = knob(0.1, "4 pi area / perimeter² of it is at least this", high=1.0)
    smallest_nucleus: float = knob(0.8, "least area of a nucleus in a slice, µm²")
    darkest: float = knob(
        0.1, "a nucleus' grey values lie between this quantile of the cell's", high=1.0
    )
    brightest: float = knob(0.98, "and this one", high=1.0)
    likeness: float = knob(
        0.8,
        "what has such grey values is the nucleus if the smaller of both areas is this part "
        "of the larger",
        high=1.0,
    )
    shift: float = knob(400.0, "and their middles are not further apart, nm")
    large: float = knob(32.0, "a larger nucleus grows by more, µm²")
    growth: float = knob(120.0, "how far a nucleus grows towards its envelope, nm")
    growth_large: float = knob(120.0, "and how far a large one, nm")
    envelope: float = knob(60.0, "from the nucleus to the middle of its envelope, nm")
    envelope_width: float = knob(80.0, "thickness of the nuclear envelope in the plane, nm")
    line_sigma: float = knob(50.0, "scale of the envelope's line on finer pixels, nm", low=1.0)

    @property
    def published(self) -> bool:
        """Whether grey values and slopes are those of the paper, whatever the cell's own."""
        return self.preset == "published"

    def chosen(self) -> Self:
        """These knobs, or the paper's with its preset; its pixels were 40 nm."""
        if not self.published:
            return self
        return dataclasses.replace(
            self,
            blur=20.0,
            smallest_tissue=0.3,
            smoothing=8.0,
            texture=120.0,
            edge=40.0,
            strong=0.7,
            weak=0.4,
            gap=80.0,
            smallest_piece=0.48,
            smallest=0.64,
            largest=64.0,
            distance=4400.0,
            outside=0.24,
            circularity=0.1,
            smallest_nucleus=0.8,
            darkest=0.0,
            brightest=1.0,
            likeness=0.5,
            shift=800.0,
            large=32.0,
            growth=120.0,
            growth_large=160.0,
        )
