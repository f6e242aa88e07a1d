"""The knobs of all stages but the methods': lengths in nm, areas in µm²."""

from __future__ import annotations

from dataclasses import dataclass

from hela_dask.parameters.knobs import Stage, knob

__all__ = [
    "AssembleParameters",
    "BackgroundParameters",
    "DetectParameters",
    "LinkParameters",
    "QualityParameters",
    "RegionParameters",
    "WorkingParameters",
]


@dataclass(frozen=True)
class WorkingParameters(Stage):
    """The level that is decided on; its outlines are then refined on the image's own pixels."""

    resolution: float = knob(
        40.0,
        "resin, nuclei and cells are decided on pixels of at most this size, nm",
        low=1.0,
        high=400.0,
    )


@dataclass(frozen=True)
class BackgroundParameters(Stage):
    """Resin against cells: by grey value, without smears of charge, consistent along z."""

    polarity: int = knob(
        0, "1: resin is brighter than cells, -1: darker, 0: the volume decides", low=-1, high=1
    )
    blur: float = knob(30.0, "low-pass before grey values are compared, nm")
    contrast: float = knob(
        0.33, "resin begins this far up from the cells' grey value to the resin's", high=1.0
    )
    levels: float = knob(250.0, "height of the slices whose grey levels are compared, nm")
    rim: float = knob(
        325.0, "where climbing from cell to resin takes longer there is no membrane, nm", low=1.0
    )
    contact: float = knob(0.3, "a smear has at least this part of its rim in resin", high=1.0)
    neck: float = knob(
        120.0, "smears part from cells where the dark narrows by this, radius in nm", low=1.0
    )
    smallest_fragment: float = knob(0.25, "smaller pieces of cell in the resin are resin, µm²")
    smallest_gap: float = knob(0.12, "smaller pieces of resin are cell, µm²")
    smoothing: float = knob(150.0, "height of the majority along z, nm")


@dataclass(frozen=True)
class DetectParameters(Stage):
    """Cells in one slice: maxima of the distance to the resin (J. Imaging 2021, section 2.4)."""

    resolution: float = knob(40.0, "pixel size of the level used, nm", low=1.0)
    spacing: float = knob(1000.0, "distance between analysed slices, nm", low=1.0)
    fewest_slices: int = knob(
        8, "a thin volume is analysed in as many slices as this, if it has them", low=1
    )
    cells_per_slice: int = knob(0, "most cells taken in one slice; 0: no limit (published: 20)")
    smallest_height: float = knob(
        1000.0, "maxima of a smaller distance to the resin are debris, nm"
    )
    beyond: float = knob(
        2000.0, "what the plane's border cuts is taken to go on so far (published: 0), nm"
    )
    suppression: float = knob(1.2, "half width of the square cleared around a cell, heights")
    smallest_resin: float = knob(3.0, "smaller pieces of background are spots in a cell, µm²")
    neck: float = knob(0.8, "same cell if the ridge between stays over this part of the height")


@dataclass(frozen=True)
class LinkParameters(Stage):
    """Detections of adjacent analysed slices joined into cells (J. Imaging 2021, section 2.4)."""

    distance: float = knob(3000.0, "furthest step in the plane between two slices, nm")
    gap: int = knob(1, "analysed slices in a row that a chain may miss")
    shortest_chain: float = knob(
        7500.0, "height along z that makes a cell, nm; half the volume's if that is less"
    )
    lowest_height: float = knob(
        0.4, "for which detections under this part of their slice's highest do not count", high=1.0
    )
    smallest_cell: float = knob(
        0.04,
        "shorter or lower, a cell has this part of a usual one's volume, or more the shorter it is",
    )
    pinch: float = knob(
        0.8, "two cells, if between two slices a third is narrower than this part of both", high=1.0
    )


@dataclass(frozen=True)
class RegionParameters(Stage):
    """The window around a cell (J. Imaging 2021, section 2.4)."""

    width: float = knob(20000.0, "extent in y and in x, nm", low=1.0)
    depth: float = knob(15000.0, "extent in z, nm", low=1.0)
    room: float = knob(2.2, "least distance from the centre to the window's sides, cell's heights")
    cut_room: float = knob(
        3.0, "the same for a cell that a side cuts, heights: its shape is less known"
    )
    cap: float = knob(3000.0, "a cell may go on so far beyond its first and last detection, nm")
    margin: float = knob(
        5000.0,
        "nearer to a side (or 1.1 heights if less), a centre is of a cut cell, nm",
    )


@dataclass(frozen=True)
class AssembleParameters(Stage):
    """Tissue between the cells that no region claimed, all cells seen together."""

    reach: float = knob(
        300.0, "a cell goes on where it was so far along z, a protrusion's thickness, nm"
    )
    cover: float = knob(
        0.9, "a piece is the cell's if that was over this part of it there", low=0.01, high=1.0
    )
    largest_piece: float = knob(
        3.0, "larger, about 2 µm across, it may be a neighbour without a label, µm²"
    )


@dataclass(frozen=True)
class QualityParameters(Stage):
    """How far a cell can be trusted, without a truth: its masks are measured, doubts flagged."""

    resolution: float = knob(40.0, "masks are measured at pixels about this large, nm", low=1.0)
    span: float = knob(
        500.0, "what an outline does for less than half of this along z does not last, nm", low=1.0
    )
    drift: float = knob(50.0, "a surface may well be this far off along z, about a slice, nm")
    beside: float = knob(150.0, "this near is beside the outline (a ruffle is 100 nm wide), nm")
    nucleus_jitter: float = knob(
        50.0, "doubtful if the outline varies by an envelope's thickness, nm", low=1.0
    )
    cell_jitter: float = knob(
        100.0, "doubtful if the membrane varies by the width of its ruffles, nm", low=1.0
    )
    jump: float = knob(
        0.3, "doubtful if so much of a usual slice comes or goes at one step", low=0.01
    )
    contact: float = knob(
        0.3, "doubtful if so much of the membrane has no resin beside it", low=0.01, high=1.0
    )
    exposed: float = knob(
        0.1, "doubtful if so much of the nucleus has no cytoplasm beside it", low=0.01, high=1.0
    )
    window: float = knob(
        0.3, "doubtful if so much of a usual slice lies on sides of the window", low=0.001
    )
    doubt: float = knob(
        0.2, "slices in which more of a mask varies or slopes away are doubtful", low=0.01
    )

    withhold: float = knob(
        0.125,
        "a nucleus over its own limits is left out where confidence is under this; 0: none is",
        high=1.0,
    )

    @property
    def measuring(self) -> tuple[float, ...]:
        """The knobs that measurements depend on; the others only judge them."""
        return self.resolution, self.span, self.drift, self.beside
