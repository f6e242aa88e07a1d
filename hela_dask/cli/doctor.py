"""The command ``doctor``: a check of this machine and its packages."""

from __future__ import annotations

import json
from typing import Annotated

import typer

import hela_dask as hd
from hela_dask.cli.options import AsJson
from hela_dask.cli.screen import echo

__all__ = ["doctor"]


def doctor(
    *,
    no_disk: Annotated[
        bool, typer.Option("--no-disk", help="Do not measure the speed of the disk.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Check this machine and the packages.

    Versions, processors, memory and its limits, disk and its speed, threads, GPU, viewers, and
    the extras with the commands that need them. Each fault has the change that repairs it. Exit
    code 1 only if run cannot work here.

    Example:

    hela-dask doctor
    """
    found = hd.doctor(disk=not no_disk)
    if as_json:
        # Not echo_json: it loads numpy, which may be the broken package.
        echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
    else:
        echo(str(found))
    return 0 if found.ok else 1
