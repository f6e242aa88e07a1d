"""The command ``plan``: what a run will take, before it starts."""

from __future__ import annotations

from typing import Annotated

import typer

import hela_dask as hd
from hela_dask.cli.options import (
    AsJson,
    BoxText,
    CellLabels,
    Centres,
    ClusterName,
    Corrections,
    LabelStore,
    Memory,
    MethodName,
    ModelFolder,
    OutFolder,
    Overwrite,
    ParameterFile,
    Quiet,
    Store,
    Verbose,
    Workers,
    parse_box,
    parse_cells,
)
from hela_dask.cli.screen import answer, answer_json, log_to_stderr
from hela_dask.methods.names import DEFAULT_METHOD

__all__ = ["plan"]


def plan(
    store: Store,
    *,
    out: OutFolder = None,
    method: MethodName = DEFAULT_METHOD,
    model: ModelFolder = None,
    parameters: ParameterFile = None,
    cells: CellLabels = None,
    box: BoxText = None,
    centres: Centres = None,
    corrections: Corrections = None,
    labels: LabelStore = None,
    cluster: ClusterName = "local",
    workers: Workers = None,
    memory: Memory = None,
    overwrite: Overwrite = False,
    no_time: Annotated[
        bool, typer.Option("--no-time", help="Do not try how long tasks take: done at once.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Say what a run will take, before it starts.

    Tasks, memory, disk and time; what cannot fit is refused. Takes the options of run.

    Example:

    hela-dask plan hela.ome.zarr --workers 2 --memory 4GiB
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    found = hd.plan(
        store,
        out,
        method=method,
        model=model,
        parameters=parameters,
        cells=parse_cells(cells),
        box=parse_box(box),
        centres=centres,
        corrections=corrections,
        labels=labels,
        cluster=cluster,
        workers=workers,
        memory=memory,
        overwrite=overwrite,
        calibrate=not no_time,
    )
    if as_json:
        answer_json(found.to_dict())
    elif not quiet:
        answer(repr(found))
