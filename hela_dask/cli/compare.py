"""The command ``compare``: groups of runs by the measures of their cells."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hela_dask as hd
from hela_dask.cli.options import AsJson, Quiet, Verbose, local_path, path_option
from hela_dask.cli.screen import echo, echo_json, log_to_stderr
from hela_dask.errors import ParameterError

__all__ = ["compare"]


def compare(
    *,
    group: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=RUN,RUN",
            help="A group and its run folders; once per group. Each group is compared with the "
            "first one.",
        ),
    ],
    out: Annotated[
        Path,
        path_option(
            "DIR", "Folder of the results; an earlier comparison in it is replaced.", "--out"
        ),
    ],
    seed: Annotated[
        int, typer.Option(help="Of the random numbers, 0 or more; the same gives the same result.")
    ] = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Compare groups of runs by the measures of their complete cells.

    Writes tables of the cells, the volumes and the differences, plots (PNG and SVG), methods for a
    paper, and a page that explains the result and what can be concluded from so many volumes. Cells
    that the volume cuts are left out.

    Example:

    hela-dask compare --group control=a.run,b.run --group treated=c.run,d.run --out comparison
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    found = hd.compare(_parse(group), out, seed=seed)
    if as_json:
        echo_json(found.to_dict())
    elif not quiet:
        echo(str(found))


def _parse(texts: list[str]) -> dict[str, list[Path]]:
    """The groups of the options ``NAME=RUN,RUN``."""
    groups: dict[str, list[Path]] = {}
    for text in texts:
        name, equals, listed = text.partition("=")
        name, runs = name.strip(), [part.strip() for part in listed.split(",")]
        if not equals or not name or not all(runs):
            raise ParameterError(f"--group {text!r} should look like control=a.run,b.run")
        if name in groups:
            raise ParameterError(
                f"the group {name!r} is given twice: list all its runs in one --group, separated "
                "by commas"
            )
        groups[name] = [local_path(run) for run in runs]
    return groups
