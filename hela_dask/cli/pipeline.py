"""The commands ``run``, ``plan``, ``detect``, ``report``, ``params`` and ``demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hela_dask as hd
from hela_dask.cli.options import (
    AsJson,
    ClusterName,
    Memory,
    OutFolder,
    Overwrite,
    ParameterFile,
    Quiet,
    RunArguments,
    Store,
    StorePath,
    Verbose,
    Workers,
    path_argument,
    path_option,
    store_option,
    with_run_arguments,
)
from hela_dask.cli.screen import echo, echo_json, log_to_stderr

__all__ = ["demo", "detect", "params", "plan", "report", "run"]

_SHOWN = ["label", "z", "y", "x", "height", "first_slice", "last_slice", "status"]


@with_run_arguments
def run(
    arguments: RunArguments,
    *,
    truth: Annotated[
        StorePath | None,
        store_option(
            "LABELS",
            "Score the result against this truth: a TIFF, a .npy, OME-Zarr labels (also at an "
            "address), or a phantom.",
        ),
    ] = None,
    recompute: Annotated[
        bool,
        typer.Option(
            "--recompute",
            help="Compute everything again, also finished parts; with --cells or --box, these "
            "cells only.",
        ),
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Segment all cells of a volume.

    Writes labels into the store, and a table, figures and a report into the run folder.
    The same command again continues an interrupted run. A run with another method or with other
    parameters is refused, unless --out names another run folder or --overwrite replaces the
    result; parts that do not depend on the change are not computed again.

    Example:

    hela-dask run hela.ome.zarr
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    result = hd.run(**arguments.given(), truth=truth, recompute=recompute, progress=not quiet)
    if not quiet:
        echo(str(result))
    return result.exit_code


@with_run_arguments
def plan(
    arguments: RunArguments,
    *,
    no_time: Annotated[
        bool,
        typer.Option(
            "--no-time",
            help="Do not time tasks: the plan is fast, without times and without an estimate of "
            "the number of cells.",
        ),
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show the tasks, memory, disk space and time of a run.

    Does not start the run. Takes the options of run. A run that does not fit in memory or on the
    disk is refused.

    Example:

    hela-dask plan hela.ome.zarr --workers 2 --memory 4GiB
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    found = hd.plan(**arguments.given(), calibrate=not no_time)
    if as_json:
        echo_json(found.to_dict())
    elif not quiet:
        echo(str(found))


def detect(
    store: Store,
    *,
    out: OutFolder = None,
    parameters: ParameterFile = None,
    save_regions: Annotated[
        Path | None,
        path_option("DIR", "Also save the window around each cell as a folder of TIFF slices."),
    ] = None,
    cluster: ClusterName = "local",
    workers: Workers = None,
    memory: Memory = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Detect the cells without segmenting them.

    Writes tables of detections and cells, and figures of both, into the run folder. A run with the
    same parameters continues from there.

    Example:

    hela-dask detect hela.ome.zarr --save-regions regions/
    """
    from hela_dask._run import detect as find

    log_to_stderr(quiet=quiet, verbose=verbose)
    cells = find(
        store,
        out,
        parameters=parameters,
        save_regions=save_regions,
        cluster=cluster,
        workers=workers,
        memory=memory,
        overwrite=overwrite,
        progress=not quiet,
    )
    if not quiet:
        echo(cells[_SHOWN].to_string(index=False, float_format="{:.0f}".format))


def report(
    run_folder: Annotated[Path, path_argument("RUN", "Run folder.")],
) -> None:
    """Write the report of a run again.

    Writes report.html and the figures from the tables and labels of a finished run.

    Example:

    hela-dask report hela.run
    """
    from hela_dask.report import write_report

    echo(str(write_report(run_folder)))


def params() -> None:
    """Print all parameters as TOML, with unit and meaning.

    Example:

    hela-dask params > run.toml
    """
    echo(hd.Parameters().to_toml().rstrip())


def demo(
    out: Annotated[Path, path_option("DIR", "Folder of all files.", "--out")] = Path("demo"),
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Segment a synthetic volume and score it.

    The last two lines are the path of the report, and the scores of the complete cells as JSON.

    Example:

    hela-dask demo --out demo
    """
    from hela_dask.demo import run_demo

    log_to_stderr(quiet=quiet, verbose=verbose)
    result = run_demo(out, progress=not quiet)
    echo(f"report: {result.report}")
    echo_json({name: round(number, 4) for name, number in result.figures.items()}, indent=None)
    return result.exit_code
