"""The command ``view``: a run in an interactive viewer."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any

import typer

import hela_dask as hd
from hela_dask.cli.options import AsJson, Quiet, Verbose, local_path, path_argument
from hela_dask.cli.screen import echo, echo_json, log_to_stderr
from hela_dask.errors import ParameterError

__all__ = ["view"]

_URL = "http://127.0.0.1:8080"


def view(
    run: Annotated[Path, path_argument("RUN", "Folder of a finished run.")],
    *,
    review: Annotated[
        bool,
        typer.Option(
            "--review",
            help="Also open the widget that accepts, rejects and corrects cells, in napari.",
        ),
    ] = False,
    neuroglancer: Annotated[
        bool,
        typer.Option(
            "--neuroglancer", help="Serve the run on this machine and print a link for a browser."
        ),
    ] = False,
    as_json: AsJson = False,
    meshes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="cells=DIR",
            help="For neuroglancer: meshes of cells or nuclei, as meshes --format precomputed "
            "writes them; once per kind.",
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="For --neuroglancer; 0: any free port.")
    ] = 0,
    url: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="For --json: address of the folder of image, labels and meshes on another server.",
        ),
    ] = _URL,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Open a run in napari, or in neuroglancer.

    Shows image, labels and measures of the cells in napari, where it is installed; with --review,
    also a table of the cells to accept, reject and correct them. With
    --neuroglancer, serves image, labels and meshes to a viewer in the browser until it is
    interrupted; with --json, prints the state of neuroglancer for another server.

    Example:

    hela-dask view hela.run --neuroglancer
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    if review and (neuroglancer or as_json):
        raise ParameterError("--review is for napari: leave --neuroglancer and --json out")
    folders = _parse(meshes or [])
    if as_json:
        echo_json(hd.neuroglancer_state(run, url, meshes=folders))
        return
    if neuroglancer:
        served = hd.neuroglancer(run, meshes=folders, port=port)
        echo(served.link)
        if not quiet:
            echo("Open the link in a browser of this machine; Ctrl-C ends the server.")
        try:
            served.wait()
        except KeyboardInterrupt:
            served.close()
        return
    if folders:
        raise ParameterError("--meshes is for --neuroglancer and --json")
    if review:
        hd.review(run)
    else:
        hd.view(run)
    napari: Any = importlib.import_module("napari")
    napari.run()


def _parse(texts: list[str]) -> dict[str, Path]:
    """The folders of the options ``cells=DIR``."""
    found = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not equals or not folder:
            raise ParameterError(f"--meshes {text!r} should look like cells=DIR")
        found[name.strip()] = local_path(folder)
    return found
