"""The command ``measure``: shapes and contacts of labelled objects."""

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
    path_option,
)
from hela_dask.cli.screen import echo, log_to_stderr

__all__ = ["measure"]


def measure(
    labels: Annotated[
        Path,
        path_argument(
            "LABELS",
            "Instance labels from any program: a label group of an OME-Zarr, also zipped, a TIFF, "
            "MRC or .npy file, or a folder of slices; with the extra formats also HDF5, Imaris, "
            "N5, dm3 and dm4.",
        ),
    ],
    *,
    out: Annotated[
        Path,
        path_option(
            "TABLE.parquet|TABLE.csv",
            "Table of objects to write, as Parquet and as CSV; contacts are beside it.",
            "--out",
        ),
    ],
    voxel_size: Annotated[
        tuple[float, float, float] | None,
        typer.Option(metavar="Z Y X", help="Voxel size in nm; default: as the labels state it."),
    ] = None,
    cluster: ClusterName = "local",
    workers: Workers = None,
    memory: Memory = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure the shapes and contacts of labelled objects.

    Writes a table with a row per label, and TABLE_contacts with a row per pair of labels that touch
    or are near each other, each as Parquet and CSV. The same command again continues an interrupted
    one.

    Example:

    hela-dask measure cells.tif --voxel-size 50 10 10 --out cells.parquet
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    found = hd.measure(
        labels,
        out,
        voxel_size,
        cluster=cluster,
        workers=workers,
        memory=memory,
        overwrite=overwrite,
        progress=not quiet,
    )
    if not quiet:
        echo(str(found))
