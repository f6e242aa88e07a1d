"""The command ``scene``: all cells of a run in space, as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hela_dask as hd
from hela_dask.cli.options import (
    ClusterName,
    Memory,
    Quiet,
    Verbose,
    Workers,
    path_argument,
    path_option,
)
from hela_dask.cli.screen import echo, log_to_stderr

__all__ = ["scene"]


def scene(
    run: Annotated[Path, path_argument("RUN", "Folder of a finished run.")],
    *,
    out: Annotated[
        Path | None,
        path_option("FILE.html", "The page; default: hela.scene.html beside hela.run.", "--out"),
    ] = None,
    size: Annotated[
        float,
        typer.Option(
            metavar="MB", help="Largest size of the page, above 0; meshes are made to fit."
        ),
    ] = 30.0,
    cluster: ClusterName = "local",
    workers: Workers = None,
    memory: Memory = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write one page that shows all cells of a run in space.

    It turns in any browser, without a network: nuclei inside transparent membranes, each cell with
    its numbers and a switch, one slice of the image, and a scale bar.

    Example:

    hela-dask scene hela.run --out scene.html
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    page = hd.scene(
        run,
        out,
        size=size,
        cluster=cluster,
        workers=workers,
        memory=memory,
        progress=not quiet,
    )
    if not quiet:
        echo(f"{page} ({page.stat().st_size / 1e6:.1f} MB)")
