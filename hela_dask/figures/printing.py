"""Figures for print: resolution, vector formats, and facts in the metadata of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from matplotlib import rc_context
from matplotlib.figure import Figure

__all__ = ["ENDINGS", "INCH", "Print", "interpolation", "write"]

INCH = 25.4  # mm

ENDINGS = {".png": "png", ".pdf": "pdf", ".svg": "svg", ".tif": "tiff", ".tiff": "tiff"}
"""Of the files of figures for print, and their formats."""

_VECTORS = ("pdf", "svg")
# Text stays text: fonts inside a PDF, and text elements in an SVG, with the same names each time.
_FONTS: Any = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "hela_dask"}


@dataclass(frozen=True)
class Print:
    """How a figure is printed.

    Attributes
    ----------
    dpi : int
        Pixels per inch of a PNG or TIFF, 25.4 mm.
    text : float
        Size of text, points.
    line : float
        Width of outlines, points.
    height : float
        Of the figure at most, mm; one that would be higher is drawn narrower.
    title : str
        In the metadata of the file.
    facts : mapping of str to str
        In the metadata of the file: the image, the slice, …
    """

    dpi: int = 300
    text: float = 7.0
    line: float = 0.8
    height: float = 240.0
    title: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def tallest(self) -> float:
        """The height at most, hundredths of an inch."""
        return 100 * self.height / INCH

    @property
    def description(self) -> str:
        """The facts as one text."""
        return "; ".join(f"{name}: {text}" for name, text in self.facts.items())


def interpolation(path: str | Path) -> str:
    """How images are drawn: with all their pixels in vector formats, else without aliasing."""
    kind = ENDINGS[Path(path).suffix.lower()]
    return "none" if kind in _VECTORS else "antialiased"


def write(figure: Figure, target: Path, path: Path, printed: Print) -> None:
    """Write a figure to `target`, in the format of the ending of `path`.

    A PDF or SVG holds lines and text as vectors, and images with all their pixels. The same figure
    gives the same bytes on any day.
    """
    kind = ENDINGS[path.suffix.lower()]
    if kind == "tiff":
        _write_tiff(figure, target, printed)
        return
    metadata: dict[str, Any]
    if kind == "png":
        metadata = {"Software": None, "Title": printed.title, "Description": printed.description}
    elif kind == "pdf":
        metadata = {
            "Title": printed.title,
            "Subject": printed.description,
            "CreationDate": None,
            "Creator": None,
            "Producer": None,
        }
    else:
        metadata = {
            "Title": printed.title,
            "Description": printed.description,
            "Date": None,
            "Creator": None,
        }
    # Images in vector formats keep their pixels whatever the dpi.
    dpi = figure.dpi if kind in _VECTORS else printed.dpi
    with rc_context(_FONTS):
        figure.savefig(target, format=kind, dpi=dpi, metadata=metadata)


def _write_tiff(figure: Figure, target: Path, printed: Print) -> None:
    """An RGB TIFF without transparency, as journals ask for."""
    usual = figure.dpi
    figure.set_dpi(printed.dpi)
    try:
        figure.canvas.draw()
        pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
    finally:
        figure.set_dpi(usual)
    tifffile.imwrite(
        target,
        pixels,
        photometric="rgb",
        compression="zlib",
        resolution=(printed.dpi, printed.dpi),
        resolutionunit="INCH",
        description=f"{printed.title}; {printed.description}".encode("ascii", "replace").decode(),
        metadata=None,
        software=False,
    )
