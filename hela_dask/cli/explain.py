"""The command ``explain``: pictures of every step for one cell in one slice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import hela_dask as hd
from hela_dask.cli.options import AsJson, Quiet, Store, Verbose, path_option
from hela_dask.cli.screen import echo, echo_json, log_to_stderr
from hela_dask.errors import ParameterError

__all__ = ["explain"]


def explain(
    store: Store,
    *,
    cell: Annotated[int, typer.Option(metavar="N", help="Label of the cell, as in cells.csv.")],
    slices: Annotated[
        str,
        typer.Option(
            "--slice",
            metavar="Z",
            help="Number of the slice, or several, as 150,200; the first slice of the volume is 1.",
        ),
    ],
    run: Annotated[
        Path | None,
        path_option("RUN", "Folder of a finished run; default: the name of the store with .run."),
    ] = None,
    out: Annotated[
        Path | None,
        path_option("DIR", "Folder of the pictures; default: a folder in RUN/explain."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw every step of the segmentation of a cell in a slice.

    Segments the cell of a finished run again, and shows how its borders were found: a picture per
    step, all pictures in explain.png, and with captions in explain.html. The labels do not change.

    Example:

    hela-dask explain hela.ome.zarr --cell 7 --slice 150
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    numbers = _parse(slices)
    asked = numbers[0] if len(numbers) == 1 else numbers
    found = hd.explain(store, cell, asked, run=run, out=out, progress=not quiet)
    several = found if isinstance(found, list) else [found]
    if as_json:
        records = [_record(item) for item in several]
        echo_json(records[0] if len(numbers) == 1 else records)
    elif not quiet:
        echo("\n".join(f"page   {item.page}\nsheet  {item.sheet}" for item in several))


def _parse(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) < 10 for part in parts):
        raise ParameterError(f"--slice {text!r} should look like 150 or 150,200,250")
    return [int(part) for part in parts]


def _record(found: hd.Explanation) -> dict[str, Any]:
    return {
        "cell": found.cell,
        "slice": found.slice_number,
        "page": str(found.page),
        "sheet": str(found.sheet),
        "steps": [
            {"title": step.title, "caption": step.caption, "picture": str(step.path)}
            for step in found.steps
        ],
    }
