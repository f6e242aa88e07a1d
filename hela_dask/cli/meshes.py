"""The command ``meshes``: a closed triangle mesh of every cell and nucleus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hela_dask as hd
from hela_dask.cli.options import (
    AsJson,
    ClusterName,
    Memory,
    Quiet,
    Verbose,
    Workers,
    parse_cells,
    path_argument,
    path_option,
)
from hela_dask.cli.screen import echo, echo_error, log_to_stderr

__all__ = ["meshes"]


def meshes(
    labels: Annotated[
        Path,
        path_argument(
            "RUN|LABELS",
            "A run folder, or labels: OME-Zarr, also zipped, TIFF, MRC or .npy; with the extra "
            "formats also HDF5, Imaris, N5, dm3 and dm4.",
        ),
    ],
    *,
    out: Annotated[Path, path_option("DIR", "Folder for the meshes.", "--out")],
    cells: Annotated[
        str | None, typer.Option(metavar="3,8", help="Only cells with these labels.")
    ] = None,
    what: Annotated[
        str | None,
        typer.Option(metavar="cell,nucleus", help="Kinds of objects; default: all there are."),
    ] = None,
    voxel_size: Annotated[
        tuple[float, float, float] | None,
        typer.Option(metavar="Z Y X", help="Voxel size in nm, where the labels state none."),
    ] = None,
    error: Annotated[
        float,
        typer.Option(
            metavar="NM",
            help="Largest distance from the surface of the labels, nm, at least a pixel.",
        ),
    ] = 40.0,
    file_format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="glb|ply|stl|obj|precomputed",
            help="Format; glb is in µm, the others in nm.",
        ),
    ] = "glb",
    cluster: ClusterName = "local",
    workers: Workers = None,
    memory: Memory = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace all meshes in DIR, also those of other cells, kinds, labels or formats.",
        ),
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Write a closed triangle mesh of every cell and nucleus.

    The table meshes.csv in the folder states the measured distance, volume and area of each. The
    same command again continues an interrupted one, and makes only meshes of changed labels again.

    Example:

    hela-dask meshes hela.run --cells 3,8 --format glb --out hela-meshes
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    table = hd.meshes(
        labels,
        out,
        cells=parse_cells(cells),
        what=None if what is None else [part.strip() for part in what.split(",")],
        voxel_size=voxel_size,
        error=error,
        file_format=file_format,
        overwrite=overwrite,
        cluster=cluster,
        workers=workers,
        memory=memory,
        progress=not quiet,
    )
    written = int((table["status"] == "written").sum())
    if as_json:
        echo(table.to_json(orient="records"))
    elif not quiet:
        echo(f"{written} of {len(table)} meshes written to {out}")
        small = int((table["status"] == "too_small").sum())
        if small:
            echo(f"{small} objects have no mesh: no block of --error {error:g} nm is half full")
    for row in table[table["status"] == "failed"].to_dict("records"):
        echo_error(f"{row['what']} {row['label']} was not written: {row['reason']}")
    return 3 if (table["status"] == "failed").any() else 0
