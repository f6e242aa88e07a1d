"""Commands that compute: ``run``, ``detect``, and what goes with them: ``params``, ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hela_dask as hd
from hela_dask.cli.options import (
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
    local_path,
    parse_box,
    parse_cells,
)
from hela_dask.cli.screen import answer, answer_json, log_to_stderr
from hela_dask.methods.names import DEFAULT_METHOD

__all__ = ["demo", "detect", "params", "report", "run"]

_SHOWN = ["label", "z", "y", "x", "height", "first_slice", "last_slice", "status"]


def run(
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
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="LABELS", help="Score the result against these labels.", parser=local_path
        ),
    ] = None,
    cluster: ClusterName = "local",
    workers: Workers = None,
    memory: Memory = None,
    overwrite: Overwrite = False,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Compute everything again, whatever is finished.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Segment all cells of a volume.

    Writes labels into the store, and a table, figures and a report into a folder.
    The same command again continues an interrupted run, and recomputes only what changed.

    Example:

    hela-dask run hela.ome.zarr
    """
    log_to_stderr(quiet=quiet, verbose=verbose)
    result = hd.run(
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
        truth=truth,
        cluster=cluster,
        workers=workers,
        memory=memory,
        overwrite=overwrite,
        recompute=recompute,
        progress=not quiet,
    )
    if not quiet:
        answer(repr(result))
    return result.exit_code


def detect(
    store: Store,
    *,
    out: OutFolder = None,
    parameters: ParameterFile = None,
    save_regions: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also save the window around each cell as a folder of TIFF slices.",
            parser=local_path,
        ),
    ] = None,
    cluster: ClusterName = "local",
    workers: Workers = None,
    memory: Memory = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Find the cells without segmenting them.

    Writes tables of detections and cells, and drawings of both.

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
        answer(cells[_SHOWN].to_string(index=False, float_format="{:.0f}".format))


def report(
    run_folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a run.", parser=local_path)
    ],
) -> None:
    """Write the report of a run again.

    Example:

    hela-dask report hela.run
    """
    from hela_dask.report import write_report

    answer(str(write_report(run_folder)))


def params() -> None:
    """Print all parameters as a TOML file.

    Example:

    hela-dask params > run.toml
    """
    answer(hd.Parameters().to_toml().rstrip())


def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where to put it all.", parser=local_path)
    ] = Path("demo"),
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Segment a synthetic volume and score it.

    Ends with one line of JSON: the scores of the complete cells.

    Example:

    hela-dask demo --out demo
    """
    from hela_dask.demo import run_demo

    log_to_stderr(quiet=quiet, verbose=verbose)
    result = run_demo(out, progress=not quiet)
    answer(f"report: {result.report}")
    answer_json({name: round(number, 4) for name, number in result.figures.items()}, indent=None)
    return result.exit_code
