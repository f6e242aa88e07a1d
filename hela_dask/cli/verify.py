"""The command ``verify``: the checksum of every file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import hela_dask as hd
from hela_dask.cli.options import AsJson, LocalStore, Quiet, Verbose, path_option
from hela_dask.cli.screen import echo, echo_json, log_to_stderr

__all__ = ["verify"]


def verify(
    store: LocalStore,
    *,
    run: Annotated[
        Path | None,
        path_option("RUN", "Run folder; default: the name of the store with .run, if it exists."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Check every file of a store and a run for damage.

    Reads each file, and compares it with the checksum of its writing. Changes nothing: names each
    file that is missing or damaged, and the command to run next, which writes it again. Exit code
    1 if a file is missing or damaged.

    Example:

    hela-dask verify hela.ome.zarr
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    found = hd.verify(store, run, progress=not quiet)
    if as_json:
        echo_json(found.to_dict())
    elif not quiet or not found.ok:
        echo(str(found))
    return 0 if found.ok else 1
