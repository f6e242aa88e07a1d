"""The command ``predict``: a network's classes for a whole volume."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import hela_dask as hd
from hela_dask.cli.options import (
    ClusterName,
    LabelStore,
    Memory,
    ModelFolder,
    Overwrite,
    Quiet,
    Store,
    Verbose,
    Workers,
    path_option,
)
from hela_dask.cli.screen import answer, log_to_stderr

__all__ = ["predict"]


def predict(
    store: Store,
    *,
    model: ModelFolder = None,
    out: Annotated[
        Path | None,
        path_option(
            "DIR",
            "Remembers what is finished, until all is; default: the store's name with .predict.",
        ),
    ] = None,
    labels: LabelStore = None,
    cluster: ClusterName = "local",
    workers: Workers = None,
    memory: Memory = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Say what a network takes each voxel for.

    Writes the labels classes: 1 envelope, 2 nucleus, 3 cells, 4 resin. The same command again
    continues an interrupted one.

    Example:

    hela-dask predict hela.ome.zarr --model my-model
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    found = hd.predict(
        store,
        model or "",
        out,
        labels=labels,
        cluster=cluster,
        workers=workers,
        memory=memory,
        overwrite=overwrite,
        progress=not quiet,
    )
    if not quiet:
        answer(str(found))
