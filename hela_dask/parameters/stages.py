"""The parameters of all stages except the methods': lengths in nm, areas in µm²."""

from __future__ import annotations

from dataclasses import dataclass

from hela_dask.parameters.fields import ParameterGroup, parameter

__all__ = [
    "AssembleParameters",
    "BackgroundParameters",
    "DetectParameters",
    "LinkParameters",
    "MeasureParameters",
    "QualityParameters",
    "RegionParameters",
    "WorkingParameters",
]


@dataclass(frozen=True)
class WorkingParameters(ParameterGroup):
    """Working level: the level of the pyramid on which cells are segmented (method A.0).

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.WorkingParameters(resolution=80.0).resolution
    80.0
    """

    resolution: float = parameter(
        40.0,
        "maximum pixel size, in y and x, of the level on which resin, nuclei and cells are "
        "segmented, nm",
        low=1.0,
        high=400.0,
    )


@dataclass(frozen=True)
class BackgroundParameters(ParameterGroup):
    """Background: resin by a threshold, without charging artefacts (method A.2).

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.BackgroundParameters(contrast=0.4).contrast
    0.4
    """

    polarity: int = parameter(
        0,
        "1: resin is brighter than cells; -1: it is darker; 0: computed from the volume",
        low=-1,
        high=1,
    )
    blur: float = parameter(
        30.0, "sigma of the Gaussian low-pass before the threshold of resin, nm"
    )
    contrast: float = parameter(
        0.33,
        "threshold of resin, as a fraction between the grey levels of cell and resin",
        high=1.0,
    )
    levels: float = parameter(
        250.0, "extent in z of the slices with which the grey levels of a slice are compared, nm"
    )
    rim: float = parameter(
        325.0,
        "minimum width of the rise from cell to resin at a border without a membrane, nm",
        low=1.0,
    )
    contact: float = parameter(
        0.3, "minimum share of the border of a charging artefact that touches resin", high=1.0
    )
    neck: float = parameter(
        120.0,
        "minimum depth of a neck between a charging artefact and a cell, as a difference of "
        "radii, nm",
        low=1.0,
    )
    smallest_fragment: float = parameter(
        0.25, "minimum area of a piece of cell in the resin; smaller pieces become resin, µm²"
    )
    smallest_gap: float = parameter(
        0.12, "minimum area of a piece of resin in a slice; smaller pieces become cell, µm²"
    )
    smoothing: float = parameter(150.0, "extent in z of the majority filter of the resin, nm")


@dataclass(frozen=True)
class DetectParameters(ParameterGroup):
    """Detection of cells in a slice: maxima of the distance to the resin (J. Imaging 2021, 2.4).

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.DetectParameters(spacing=500.0).spacing
    500.0
    """

    resolution: float = parameter(
        40.0, "maximum pixel size for detection, nm; smaller pixels are averaged", low=1.0
    )
    spacing: float = parameter(1000.0, "distance along z between analysed slices, nm", low=1.0)
    fewest_slices: int = parameter(
        8, "minimum number of analysed slices, if the volume has that many", low=1
    )
    cells_per_slice: int = parameter(
        0, "maximum number of detections per slice; 0: no limit (published: 20)"
    )
    smallest_height: float = parameter(
        1000.0, "minimum radius of the disc inside a detected cell, nm; smaller maxima are debris"
    )
    beyond: float = parameter(
        2000.0,
        "assumed extent beyond the border of the plane of a cell that it cuts, nm (published: 0)",
    )
    suppression: float = parameter(
        1.2,
        "half width of the square that is cleared around a detection, as a multiple of its height",
    )
    smallest_resin: float = parameter(
        3.0, "minimum area of a piece of resin for detection; smaller pieces count as cell, µm²"
    )
    neck: float = parameter(
        0.8,
        "two maxima are one cell if the ridge between them has at least this fraction of the "
        "lower maximum",
    )


@dataclass(frozen=True)
class LinkParameters(ParameterGroup):
    """Linking of detections of analysed slices into chains, one per cell (J. Imaging 2021, 2.4).

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.LinkParameters(gap=2).gap
    2
    """

    distance: float = parameter(
        3000.0, "maximum distance in the plane between linked detections, nm"
    )
    gap: int = parameter(1, "maximum number of successive analysed slices that a chain may skip")
    shortest_chain: float = parameter(
        7500.0,
        "minimum extent in z of a chain that is a cell, nm; or half of the volume's if that "
        "is less",
    )
    lowest_height: float = parameter(
        0.4,
        "minimum height of a detection that counts for shortest_chain, as a fraction of the "
        "highest in its slice",
        high=1.0,
    )
    smallest_cell: float = parameter(
        0.04,
        "minimum volume of another chain that is a cell, as a fraction of the typical volume; "
        "larger for shorter chains",
    )
    pinch: float = parameter(
        0.8,
        "a chain is split at a slice with less than this fraction of the largest height on "
        "both sides",
        high=1.0,
    )


@dataclass(frozen=True)
class RegionParameters(ParameterGroup):
    """Window around each cell (J. Imaging 2021, section 2.4).

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.RegionParameters(width=20000.0).width
    20000.0
    """

    width: float = parameter(
        20000.0, "extent of a window in y and in x, nm; larger for a large cell", low=1.0
    )
    depth: float = parameter(
        15000.0, "extent of a window in z, nm; larger for a cell with a large extent in z", low=1.0
    )
    room: float = parameter(
        2.2,
        "minimum distance from the centre to the sides of the window, as a multiple of the "
        "cell's height",
    )
    cut_room: float = parameter(
        3.0,
        "the same distance for a cell that a side of the volume cuts, as a multiple of its "
        "height; at most half of width",
    )
    cap: float = parameter(
        3000.0, "extent in z that a cell may have beyond its first and last detection, nm"
    )
    margin: float = parameter(
        5000.0,
        "a cell is cut if its centre is nearer than this to a side of the volume, nm; or than "
        "1.1 heights if that is less",
    )


@dataclass(frozen=True)
class AssembleParameters(ParameterGroup):
    """Assembly: unclaimed tissue goes to cells, and parts of one cell are joined (method A.8).

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.AssembleParameters(reach=1000.0).reach
    1000.0
    """

    reach: float = parameter(
        1000.0,
        "maximum distance along z to the slices in which a cell claims a piece of unclaimed "
        "tissue, nm",
    )
    cover: float = parameter(
        0.9,
        "minimum share of a piece of unclaimed tissue that a cell claims within reach on one side, "
        "if not half of it on both",
        low=0.01,
        high=1.0,
    )
    largest_piece: float = parameter(
        3.0,
        "maximum area of a piece of unclaimed tissue that a cell gets, if the cell does not claim "
        "half of it on both sides, µm²; a larger one may be a cell without a label",
    )
    boundary: float = parameter(
        0.16,
        "maximum mean probability of a boundary between two parts that are joined to one cell, by "
        "a method with a network; 0: none are joined",
        high=1.0,
    )
    least_contact: float = parameter(1.0, "minimum area in which such parts touch each other, µm²")

    @property
    def unclaimed(self) -> tuple[float, ...]:
        """The parameters of unclaimed tissue; the others only choose the parts to join."""
        return self.reach, self.cover, self.largest_piece


@dataclass(frozen=True)
class QualityParameters(ParameterGroup):
    """Confidence: scales and limits of the measurements of each cell's masks.

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.QualityParameters(resolution=40.0).resolution
    40.0
    """

    resolution: float = parameter(
        40.0, "pixel size, in y and x, at which masks are measured, nm", low=1.0
    )
    span: float = parameter(
        500.0,
        "extent in z of the slices with which a slice is compared for its jitter, nm; twice "
        "this for its jump",
        low=1.0,
    )
    drift: float = parameter(50.0, "assumed error along z of a surface, nm; about one slice")
    beside: float = parameter(
        150.0, "maximum distance from a border at which resin or cytoplasm counts as beside it, nm"
    )
    nucleus_jitter: float = parameter(
        50.0, "limit of the column nucleus_jitter, nm; about the thickness of the envelope", low=1.0
    )
    cell_jitter: float = parameter(
        100.0, "limit of the column cell_jitter, nm; about the width of membrane ruffles", low=1.0
    )
    jump: float = parameter(
        0.3,
        "limit of the columns nucleus_jump and cell_jump, as a fraction of the median area",
        low=0.01,
    )
    contact: float = parameter(
        0.3,
        "limit of the column contact, the share of the cell's border without resin beside it",
        low=0.01,
        high=1.0,
    )
    exposed: float = parameter(
        0.1,
        "limit of the column nucleus_exposed, the share of the nucleus' border without "
        "cytoplasm beside it",
        low=0.01,
        high=1.0,
    )
    window: float = parameter(
        0.3,
        "limit of the column beyond_window, as a fraction of the median area of the cell",
        low=0.001,
    )
    doubt: float = parameter(
        0.2,
        "maximum share of nucleus or cell that varies or slopes in a slice; above it the "
        "slice is doubtful",
        low=0.01,
    )

    withhold: float = parameter(
        0.125,
        "minimum confidence of a cell with a doubtful nucleus; below it the nucleus is "
        "withheld; 0: never",
        high=1.0,
    )

    @property
    def measuring(self) -> tuple[float, ...]:
        """The parameters that measurements depend on; the others are only limits."""
        return self.resolution, self.span, self.drift, self.beside


@dataclass(frozen=True)
class MeasureParameters(ParameterGroup):
    """Measures of the shape of cells and nuclei, and of contacts of cells.

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.MeasureParameters(resolution=40.0).resolution
    40.0
    """

    resolution: float = parameter(
        40.0,
        "maximum pixel size at which shapes are measured, nm; smaller ones are averaged",
        low=1.0,
    )
    smoothing: float = parameter(
        50.0,
        "sigma of the Gaussian low-pass before a surface is computed, nm; at least the largest "
        "side of a voxel",
    )
    handle: float = parameter(
        200.0, "minimum width of a hole right through a nucleus, nm; narrower holes are closed"
    )
    protrusion: float = parameter(
        500.0, "radius of the ball that does not fit into the protrusions of a cell, nm", low=1.0
    )
    reach: float = parameter(
        1000.0, "maximum distance between cells that have a row in the table of contacts, nm"
    )
    in_runs: int = parameter(
        1, "1: every run measures the shapes and the contacts of its cells; 0: no run does", high=1
    )
