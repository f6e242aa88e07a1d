"""The command ``predict``: the class of each voxel of a volume by a network."""

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
from hela_dask.cli.screen import echo, log_to_stderr

__all__ = ["predict"]


def predict(
    store: Store,
    *,
    model: ModelFolder = None,
    out: Annotated[
        Path | None,
        path_option(
            "DIR",
            "Folder of the state of an unfinished prediction, removed at the end; default: "
            "the name of the store with .predict.",
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
    """Predict the class of each voxel with a network.

    Writes the labels classes: 1 envelope, 2 nucleus, 3 cell, 4 resin. The same command again
    continues an interrupted prediction.

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
        echo(str(found))
