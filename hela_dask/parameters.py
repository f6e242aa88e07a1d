"""Every knob: one frozen dataclass a stage, lengths in nm, areas in µm²; to and from TOML."""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from hela_dask.errors import MissingInputError, ParameterError

__all__ = [
    "AssembleParameters",
    "BackgroundParameters",
    "DetectParameters",
    "LinkParameters",
    "MethodParameters",
    "Parameters",
    "PropagateParameters",
    "QualityParameters",
    "RegionParameters",
    "VolumetricParameters",
    "WorkingParameters",
]


def knob(default: float, doc: str, *, low: float = 0.0, high: float = math.inf) -> Any:
    """A dataclass field with its explanation (with unit) and its allowed range, both ends in."""
    return field(default=default, metadata={"doc": doc, "low": low, "high": high})


class _Stage:
    """Checks shared by all stages: types and ranges, one sentence an error."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):  # type: ignore[arg-type]
            name = f"{_stage_name(type(self))}.{item.name}"
            value, default = getattr(self, item.name), item.default
            whole = isinstance(default, int)
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                wanted = "a whole number" if whole else "a number"
                raise ParameterError(f"parameter {name} must be {wanted}, not {value!r}")
            if not math.isfinite(value):
                raise ParameterError(f"parameter {name} must be a finite number, not {value!r}")
            low, high = item.metadata["low"], item.metadata["high"]
            if not low <= value <= high:
                raise ParameterError(f"parameter {name} must be in [{low}, {high}], not {value!r}")
            if not whole:
                object.__setattr__(self, item.name, float(value))


@dataclass(frozen=True)
class WorkingParameters(_Stage):
    """The level that is decided on; its outlines are then refined on the image's own pixels."""

    resolution: float = knob(
        40.0,
        "resin, nuclei and cells are decided on pixels of at most this size, nm",
        low=1.0,
        high=400.0,
    )


@dataclass(frozen=True)
class BackgroundParameters(_Stage):
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
class DetectParameters(_Stage):
    """Cells in one slice: maxima of the distance to the resin (J. Imaging 2021, section 2.4)."""

    resolution: float = knob(40.0, "pixel size of the level used, nm", low=1.0)
    spacing: float = knob(1000.0, "distance between analysed slices, nm", low=1.0)
    fewest_slices: int = knob(
        8, "a thin volume is analysed in as many slices as this, if it has them", low=1
    )
    cells_per_slice: int = knob(0, "most cells taken in one slice; 0: no limit (published: 20)")
    smallest_height: float = knob(1000.0, "lower summits are debris, nm")
    beyond: float = knob(
        2000.0, "what the plane's border cuts is taken to go on so far (published: 0), nm"
    )
    suppression: float = knob(1.2, "half width of the square cleared around a cell, heights")
    smallest_resin: float = knob(3.0, "smaller pieces of background are spots in a cell, µm²")
    neck: float = knob(0.8, "same cell if the ridge between stays over this part of the height")


@dataclass(frozen=True)
class LinkParameters(_Stage):
    """Detections of adjacent analysed slices joined into cells (J. Imaging 2021, section 2.4)."""

    distance: float = knob(3000.0, "furthest step in the plane between two slices, nm")
    gap: int = knob(1, "analysed slices in a row that a chain may miss")
    shortest_chain: float = knob(
        7500.0, "height along z that makes a cell, nm; half the volume's if that is less"
    )
    lowest_height: float = knob(
        0.4, "for which summits under this part of their slice's highest do not count", high=1.0
    )
    smallest_cell: float = knob(
        0.04,
        "shorter or lower, a cell has this part of a usual one's volume, or more the shorter it is",
    )
    pinch: float = knob(
        0.8, "two cells, if between two slices a third is narrower than this part of both", high=1.0
    )


@dataclass(frozen=True)
class RegionParameters(_Stage):
    """The window around a cell (J. Imaging 2021, section 2.4)."""

    width: float = knob(20000.0, "extent in y and in x, nm", low=1.0)
    depth: float = knob(15000.0, "extent in z, nm", low=1.0)
    room: float = knob(2.2, "least distance from the centre to the window's sides, cell's heights")
    cut_room: float = knob(
        3.0, "the same for a cell that a side cuts, heights: its shape is less known"
    )
    cap: float = knob(3000.0, "a cell may go on so far beyond its first and last detection, nm")
    margin: float = knob(
        5000.0, "nearer to a side, centres are too close (or 1.1 heights if less), nm"
    )


@dataclass(frozen=True)
class MethodParameters(_Stage):
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
class AssembleParameters(_Stage):
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
class QualityParameters(_Stage):
    """How far a cell can be trusted, without a truth: its masks are measured, doubts flagged."""

    resolution: float = knob(40.0, "masks are measured at pixels about this large, nm", low=1.0)
    span: float = knob(
        500.0, "what an outline does for less than half of this along z does not last, nm", low=1.0
    )
    drift: float = knob(50.0, "a surface may well be this far off along z, about a slice, nm")
    beside: float = knob(150.0, "this near is beside the outline (a ruffle is 100 nm wide), nm")
    nucleus_jitter: float = knob(
        50.0, "doubtful if the outline wavers by an envelope's thickness, nm", low=1.0
    )
    cell_jitter: float = knob(
        100.0, "doubtful if the membrane wavers by the width of its ruffles, nm", low=1.0
    )
    jump: float = knob(
        0.3, "doubtful if so much of a usual slice comes or goes at one step", low=0.01
    )
    contact: float = knob(
        0.3, "doubtful if so much of the membrane has no resin beside it", low=0.01, high=1.0
    )
    bare: float = knob(
        0.1, "doubtful if so much of the nucleus has no cytoplasm beside it", low=0.01, high=1.0
    )
    window: float = knob(
        0.3, "doubtful if so much of a usual slice lies on sides of the window", low=0.001
    )
    doubt: float = knob(
        0.2, "slices in which more of a mask wavers or slopes away are doubtful", low=0.01
    )

    @property
    def measuring(self) -> tuple[float, ...]:
        """The knobs that measurements depend on; the others only judge them."""
        return self.resolution, self.span, self.drift, self.beside


_STAGES: dict[str, type[_Stage]] = {
    "working": WorkingParameters,
    "background": BackgroundParameters,
    "detect": DetectParameters,
    "link": LinkParameters,
    "region": RegionParameters,
    "volumetric": VolumetricParameters,
    "propagate": PropagateParameters,
    "assemble": AssembleParameters,
    "quality": QualityParameters,
}


def _stage_name(kind: type[_Stage]) -> str:
    return next(name for name, stage in _STAGES.items() if stage is kind)


def _unknown(kind: str, name: str, known: list[str]) -> ParameterError:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
    return ParameterError(f"unknown {kind} {name!r}; {hint}")


@dataclass(frozen=True)
class Parameters:
    """All knobs of a run, one attribute a stage.

    Examples
    --------
    >>> Parameters.from_dict({"detect": {"spacing": 500.0}}).detect.spacing
    500.0
    """

    working: WorkingParameters = field(default_factory=WorkingParameters)
    background: BackgroundParameters = field(default_factory=BackgroundParameters)
    detect: DetectParameters = field(default_factory=DetectParameters)
    link: LinkParameters = field(default_factory=LinkParameters)
    region: RegionParameters = field(default_factory=RegionParameters)
    volumetric: VolumetricParameters = field(default_factory=VolumetricParameters)
    propagate: PropagateParameters = field(default_factory=PropagateParameters)
    assemble: AssembleParameters = field(default_factory=AssembleParameters)
    quality: QualityParameters = field(default_factory=QualityParameters)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Parameters from nested dictionaries; what is not named keeps its default.

        Raises
        ------
        ParameterError
            For an unknown stage or parameter, a wrong type or a value out of range.
        """
        stages: dict[str, Any] = {}
        for stage, knobs in values.items():
            if stage not in _STAGES:
                raise _unknown("parameter group", stage, list(_STAGES))
            if not isinstance(knobs, dict):
                raise ParameterError(f"parameter group {stage!r} must be a table, not {knobs!r}")
            known = [item.name for item in dataclasses.fields(_STAGES[stage])]  # type: ignore[arg-type]
            for name in knobs:
                if name not in known:
                    raise _unknown(f"parameter in [{stage}]:", name, known)
            stages[stage] = _STAGES[stage](**knobs)
        return cls(**stages)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Parameters from a TOML file as :meth:`to_toml` writes it, whole or in part.

        Raises
        ------
        MissingInputError
            When there is no such file.
        ParameterError
            When it is not TOML, or as in :meth:`from_dict`.
        """
        try:
            return cls.from_dict(tomllib.loads(Path(path).read_text(encoding="utf-8")))
        except (FileNotFoundError, IsADirectoryError) as error:
            raise MissingInputError(f"no parameter file at {path}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ParameterError(f"{path} is not a TOML file: {error}") from error
        except ParameterError as error:
            raise ParameterError(f"{path}: {error}") from error

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Nested dictionaries, as :meth:`from_dict` takes them."""
        return dataclasses.asdict(self)

    def to_toml(self) -> str:
        """A TOML text with every parameter, its unit and its meaning as comments."""
        lines: list[str] = []
        for name, kind in _STAGES.items():
            lines += [f"# {(kind.__doc__ or '').splitlines()[0]}", f"[{name}]"]
            stage = getattr(self, name)
            lines += [
                f"{item.name} = {getattr(stage, item.name)!r}  # {item.metadata['doc']}"
                for item in dataclasses.fields(stage)
            ]
            lines.append("")
        return "\n".join(lines)
