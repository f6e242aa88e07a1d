"""The command ``assign``: organelles to the cells of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hela_dask as hd
from hela_dask.cli.options import (
    ClusterName,
    Memory,
    Overwrite,
    Quiet,
    Verbose,
    Workers,
    path_argument,
)
from hela_dask.cli.screen import echo, log_to_stderr

__all__ = ["assign"]


def assign(
    run: Annotated[Path, path_argument("RUN", "Folder of a finished run.")],
    organelles: Annotated[
        Path,
        path_argument(
            "ORGANELLES",
            "Instance labels of organelles from any program: a label group of an OME-Zarr, also "
            "zipped, a TIFF, MRC or .npy file, or a folder of slices; with the extra formats also "
            "HDF5, Imaris, N5, dm3 and dm4. They have the shape of the image or are a whole number "
            "of times coarser.",
        ),
    ],
    *,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Name of the tables; default: that of the organelles' file."
        ),
    ] = None,
    cluster: ClusterName = "local",
    workers: Workers = None,
    memory: Memory = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Assign organelles to cells and compartments.

    Writes two tables into the run folder: organelles_NAME, a row per organelle with its cell, its
    compartment and its distances, and organelles_NAME_cells, a row per cell. The same command again
    continues an interrupted one.

    Example:

    hela-dask assign hela.run mitochondria.tif
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    found = hd.assign(
        run,
        organelles,
        name=name,
        cluster=cluster,
        workers=workers,
        memory=memory,
        overwrite=overwrite,
        progress=not quiet,
    )
    if not quiet:
        echo(str(found))
