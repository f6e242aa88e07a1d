"""The commands ``cluster``: a check of a cluster before a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hela_dask as hd
from hela_dask.cli.faults import remember
from hela_dask.cli.options import (
    AsJson,
    Memory,
    Quiet,
    StorePath,
    Verbose,
    path_option,
    store_argument,
)
from hela_dask.cli.screen import echo, echo_json, echo_status, log_to_stderr
from hela_dask.errors import ParameterError

__all__ = ["app"]

app = typer.Typer(
    help="Check a cluster before a run.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _before() -> None:
    """Commands of clusters."""


@app.command()
@remember
def check(
    cluster: Annotated[
        str,
        typer.Argument(
            metavar="local|ADDRESS|FILE.yaml",
            help="The cluster, as for --cluster of run; not runner.",
        ),
    ],
    store: Annotated[
        StorePath | None,
        store_argument(
            "[STORE]", "A volume that the workers must see: its read speed is measured."
        ),
    ] = None,
    *,
    out: Annotated[
        Path | None,
        path_option(
            "RUN",
            "Run folder, or the folder for it, that the workers must be able to write; default: "
            "beside STORE, or the current folder (also for a STORE at an address).",
            "--out",
        ),
    ] = None,
    memory: Memory = None,
    timeout: Annotated[
        str,
        typer.Option(metavar="5m", help="Time to wait for the worker, as in 90s, 5m or 1h."),
    ] = "5m",
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Start one worker and check all that a run needs from the cluster.

    Prints the job script, submits one job, waits for its worker, and checks there: versions, the
    store and its read speed, the run folder, network, local disk, memory, CPUs, clock and times.
    Each failed row has the change that repairs it. The job is removed at the end. Exit code 1 if
    anything fails.

    Example:

    hela-dask cluster check slurm.yaml hela.ome.zarr
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    seconds = _seconds(timeout)
    found = hd.check_cluster(
        cluster,
        store,
        out,
        memory=memory,
        timeout=seconds,
        progress=(lambda text: None) if quiet else lambda text: echo_status(text, dim=True),
    )
    if as_json:
        echo_json(found.to_dict())
    else:
        if found.script and not quiet:
            echo(f"{found.script}\n")
        if not quiet or not found.ok:
            echo(str(found))
    return 0 if found.ok else 1


def _seconds(text: str) -> float:
    """Seconds of a time such as ``5m``; ParameterError for any other text."""
    from dask.utils import parse_timedelta

    try:
        return float(parse_timedelta(text))
    except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        raise ParameterError(f"--timeout must be a time such as 5m, not {text!r}") from error
