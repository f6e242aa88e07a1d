"""The command ``export``: results of a run for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hela_dask as hd
from hela_dask.cli.options import Quiet, Verbose, parse_cells, path_argument, path_option
from hela_dask.cli.screen import echo, log_to_stderr

__all__ = ["export"]


def export(
    run: Annotated[Path, path_argument("RUN", "Folder of a finished run.")],
    *,
    to: Annotated[
        str,
        typer.Option(metavar="FORMAT", help="tiff, roi-tiffs, mobie, ngio or ro-crate."),
    ] = "tiff",
    out: Annotated[
        Path | None,
        path_option(
            "DIR",
            "Folder for tiff, roi-tiffs and mobie; an earlier export in it is replaced.",
            "--out",
        ),
    ] = None,
    what: Annotated[
        str | None,
        typer.Option(
            metavar="cells,nuclei",
            help="For tiff and roi-tiffs: image, cells, nuclei, envelope, cytoplasm, and for tiff "
            "background.",
        ),
    ] = None,
    cells: Annotated[
        str | None,
        typer.Option(
            metavar="3,8", help="For tiff and roi-tiffs: only the cells with these labels."
        ),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write results of a run for other programs.

    tiff: stacks of labels or image with their scale, for Fiji. roi-tiffs: TIFF slices of image and
    masks per cell. mobie: a project for MoBIE. ngio: the table of cells inside the OME-Zarr.
    ro-crate: a description of the run folder for archives. The cytoplasm is the cell without
    nucleus and envelope, in which other programs look for organelles.

    Example:

    hela-dask export hela.run --what cytoplasm --out for-fiji
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    names = None if what is None else [part.strip() for part in what.split(",")]
    found = hd.export(run, out, to=to, what=names, cells=parse_cells(cells))
    if not quiet:
        echo(str(found))
