"""The command ``evaluate``: labels against a truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hela_dask.cli.options import AsJson, Quiet, Verbose, path_argument, path_option
from hela_dask.cli.screen import answer, answer_json, log_to_stderr

__all__ = ["evaluate"]


def evaluate(
    prediction: Annotated[
        Path,
        path_argument("PREDICTION", "OME-Zarr labels, a TIFF or a .npy."),
    ],
    truth: Annotated[
        Path,
        path_argument(
            "TRUTH", "The same kinds; as fine, or a whole number of times finer or coarser."
        ),
    ],
    *,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAME=VALUES",
            help="Values of the truth that make a class, as cell=1,2,5; may be repeated. "
            "Without it, both sides are instances and are matched.",
        ),
    ] = None,
    predicted: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUES",
            help="Values of the prediction that make that class, if it holds classes and not "
            "instances, as nucleus=4; may be repeated.",
        ),
    ] = None,
    slices: Annotated[
        str | None,
        typer.Option(metavar="A:B", help="Slices to compare, the first is 1, both ends in."),
    ] = None,
    all_instances: Annotated[
        bool,
        typer.Option("--all-instances", help="Score the union of all predicted instances."),
    ] = False,
    voxel_size: Annotated[
        tuple[float, float, float] | None,
        typer.Option(metavar="Z Y X", help="nm; by default what the files know."),
    ] = None,
    plot: Annotated[
        Path | None,
        path_option("FILE.png", "Draw the scores per slice."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Score labels against a truth.

    With --class as masks (overlap, distance of surfaces), without as instances.

    Example:

    hela-dask evaluate hela.ome.zarr/labels/nuclei truth.tif --class nucleus=2

    hela-dask evaluate network.tif truth.tif --class nucleus=2 --predicted nucleus=4
    """
    from hela_dask.evaluation.evaluate import parse_classes, parse_slices, score

    log_to_stderr(quiet=quiet, verbose=verbose)
    result = score(
        prediction,
        truth,
        classes=parse_classes(classes) if classes else None,
        predicted=parse_classes(predicted) if predicted else None,
        slices=None if slices is None else parse_slices(slices),
        all_instances=all_instances,
        voxel_size=voxel_size,
    )
    if plot is not None:
        result.plot(plot)
    if as_json:
        answer_json(result.to_dict())
    else:
        table = result.table()
        shown = table.T if classes else table  # many scores of few classes: a row a score
        answer(shown.to_string(float_format="{:.4f}".format))
