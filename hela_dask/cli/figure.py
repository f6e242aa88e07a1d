"""The command ``figure``: a slice or cells in space as a figure for print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hela_dask as hd
from hela_dask.cli.options import (
    Quiet,
    Verbose,
    parse_cells,
    path_argument,
    path_option,
)
from hela_dask.cli.screen import echo, log_to_stderr

__all__ = ["figure"]


def figure(
    run: Annotated[Path, path_argument("RUN", "Folder of a finished run.")],
    *,
    out: Annotated[
        Path,
        path_option(
            "FIGURE.pdf",
            "The figure: .png or .tif, or .pdf or .svg with outlines and text as vectors.",
            "--out",
        ),
    ],
    slice_number: Annotated[
        int | None,
        typer.Option(
            "--slice",
            metavar="Z",
            help="Number of the slice along the axis, from 1; default: the slice with most of "
            "--cells, or the middle of the volume.",
        ),
    ] = None,
    axis: Annotated[
        str, typer.Option(metavar="z|y|x", help="Axis that the slice is perpendicular to.")
    ] = "z",
    cells: Annotated[
        str | None, typer.Option(metavar="3,8", help="Show only the cells with these labels.")
    ] = None,
    crop: Annotated[
        float | None,
        typer.Option(metavar="NM", help="Show only the part around --cells, with this margin, nm."),
    ] = None,
    fill: Annotated[bool, typer.Option("--fill", help="Tint nuclei and cells as well.")] = False,
    no_numbers: Annotated[
        bool,
        typer.Option(
            "--no-numbers",
            help="Leave out the numbers of the cells, and the title of one cell in space.",
        ),
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Also show the image without labels, on the left.")
    ] = False,
    space: Annotated[
        bool,
        typer.Option(
            "--space",
            help="Draw in space: one cell from two sides, several or all in the volume.",
        ),
    ] = False,
    width: Annotated[
        float,
        typer.Option(
            metavar="MM",
            help="Width of the figure, mm; a figure that would be higher than 240 mm is narrower.",
        ),
    ] = 170.0,
    dpi: Annotated[
        int, typer.Option("--dpi", metavar="N", help="Pixels per inch of a PNG or TIFF.")
    ] = 300,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file of the figure if it exists.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw a slice with its cells, or cells in space, as a figure for print.

    Outlines of cells are orange, those of nuclei blue. The slice has its full resolution, up to
    4000 pixels along each side. The run is not changed.

    Example:

    hela-dask figure hela.run --cells 3 --crop 1000 --out cell.pdf
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    path = hd.figure(
        run,
        out,
        slice_number=slice_number,
        axis=axis,
        cells=parse_cells(cells),
        crop=crop,
        filled=fill,
        numbers=not no_numbers,
        raw=raw,
        space=space,
        width=width,
        dpi=dpi,
        overwrite=overwrite,
    )
    if not quiet:
        echo(str(path))
