"""The command ``explain``: pictures of every step for one cell in one slice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hela_dask as hd
from hela_dask.cli.options import AsJson, Quiet, Store, Verbose, local_path
from hela_dask.cli.screen import answer, answer_json, log_to_stderr

__all__ = ["explain"]


def explain(
    store: Store,
    *,
    cell: Annotated[int, typer.Option(metavar="N", help="Label of the cell, as in cells.csv.")],
    slice_number: Annotated[
        int, typer.Option("--slice", metavar="Z", help="Slice of the volume; the first is 1.")
    ],
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Folder of a finished run; default: the store's name with .run.",
            parser=local_path,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the pictures; default: one in RUN/explain.",
            parser=local_path,
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show why the lines of a cell are where they are in one slice.

    Segments the cell of a finished run again and draws every step: a picture each, all of them
    on a sheet, explain.png, and with their captions on a page, explain.html.

    Example:

    hela-dask explain hela.ome.zarr --cell 7 --slice 150
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    found = hd.explain(store, cell, slice_number, run=run, out=out)
    if as_json:
        answer_json(
            {
                "cell": found.cell,
                "slice": found.slice_number,
                "page": str(found.page),
                "sheet": str(found.sheet),
                "steps": [
                    {"title": step.title, "caption": step.caption, "picture": str(step.path)}
                    for step in found.steps
                ],
            }
        )
    elif not quiet:
        answer(f"page   {found.page}\nsheet  {found.sheet}")
