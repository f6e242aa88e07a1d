"""The command ``sample``: public data sets of HeLa cells."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

import hela_dask as hd
from hela_dask.cli.options import AsJson, Overwrite, Quiet, Verbose, path_option
from hela_dask.cli.screen import echo, echo_json, log_to_stderr
from hela_dask.errors import ParameterError

__all__ = ["sample"]


def sample(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="The data set; without it, all are listed."),
    ] = None,
    *,
    out: Annotated[
        Path | None,
        path_option("DIR", "Folder for the files; default: NAME, in the current folder.", "--out"),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Fetch a public data set of HeLa cells, or list them.

    Verifies each file by its checksum, or by its size where no checksum is known, as the list
    shows. Keeps licence and citation beside the data. The same command again continues an
    interrupted download; files that are there and intact are kept.

    Example:

    hela-dask sample slices --out hela-slices
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    if name is None:
        if out is not None or overwrite:
            raise ParameterError("--out and --overwrite need the NAME of a data set")
        rows = hd.samples().to_dict(orient="index")
        if as_json:
            echo_json(rows)
        else:
            echo(
                _table(
                    {
                        str(key): {str(k): str(v) for k, v in row.items()}
                        for key, row in rows.items()
                    }
                )
            )
        return
    found = hd.sample(name, out, overwrite=overwrite, progress=not quiet)
    if as_json:
        echo_json(found.to_dict())
    elif not quiet:
        echo(str(found))


def _table(rows: Mapping[str, Mapping[str, str]]) -> str:
    """A table as wide as the terminal; long texts are wrapped in their column."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column("name", no_wrap=True)
    for key in next(iter(rows.values())):
        table.add_column(key, ratio=3 if key == "good for" else None)
    for name, row in rows.items():
        table.add_row(name, *row.values())
    text = io.StringIO()
    width = max(100, shutil.get_terminal_size((120, 24)).columns)
    Console(file=text, width=width, highlight=False, markup=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().rstrip().splitlines())
