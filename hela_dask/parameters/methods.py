"""The knobs of the methods: nucleus and cell of one region; lengths in nm, areas in µm²."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hela_dask.parameters.knobs import Stage, knob, name_knob

__all__ = ["MethodParameters", "PropagateParameters", "UnetParameters", "VolumetricParameters"]


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
    nucleus_share: float = knob(0.05, "a basin with this much of the nucleus is cell", high=1.0)
    cover: float = knob(0.5, "a basin covered this much by the slice before is cell", high=1.0)
    neck: float = knob(80.0, "what hangs on by less is not the cell, radius in nm")
    smoothing: float = knob(150.0, "height of the majority along z, nm")


@dataclass(frozen=True)
class PropagateParameters(MethodParameters):
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

    def inset(self, pixel: tuple[float, ...]) -> float:
        """From the middle of the envelope to the nucleus, nm, for a pixel size (y, x)."""
        return self.envelope


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
class UnetParameters(Stage):
    """Nucleus and cell from what a network tells of each voxel (PLoS ONE 2020)."""

    model: str = name_knob("", "folder of the model; empty: the one that comes with hela_dask")
    search: float = knob(5000.0, "how far from the cell's centre its nucleus is looked for, nm")
    smallest_nucleus: float = knob(2.0, "smaller pieces are no nucleus, µm³")
    smallest_hole: float = knob(0.1, "smaller holes of a nucleus are filled, µm²")
    grid: float = knob(100.0, "spacing at which touching cells are parted, nm", low=1.0)
    side: float = knob(400.0, "so deep at a side of the window, tissue is another cell's, nm")
    neck: float = knob(80.0, "what hangs on by less is not the cell or nucleus, radius in nm")
    smoothing: float = knob(150.0, "height of the majority along z, nm")
    envelope: float = knob(40.0, "from the nucleus to the middle of its envelope, nm")
    envelope_width: float = knob(80.0, "thickness of the nuclear envelope in the plane, nm")
    line_sigma: float = knob(50.0, "scale of the envelope's line on finer pixels, nm", low=1.0)

    def inset(self, pixel: tuple[float, ...]) -> float:
        """From the middle of the envelope to the nucleus, nm, for a pixel size (y, x)."""
        return self.envelope
