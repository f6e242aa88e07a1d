"""The command ``evaluate``: labels against a truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hela_dask.cli.options import AsJson, Quiet, StorePath, Verbose, path_option, store_argument
from hela_dask.cli.screen import echo, echo_json, log_to_stderr

__all__ = ["evaluate"]


def evaluate(
    prediction: Annotated[
        StorePath,
        store_argument(
            "PREDICTION",
            "OME-Zarr labels (also at an address), a TIFF, a .npy, or (with --class) a store with "
            "a run's labels.",
        ),
    ],
    truth: Annotated[
        StorePath,
        store_argument(
            "TRUTH",
            "OME-Zarr labels (also at an address), a TIFF or a .npy; its pixels may be a whole "
            "number of times smaller or larger.",
        ),
    ],
    *,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAME=VALUES",
            help="Values of a class in the truth, as cell=1,2,5; may be repeated. Without it, both "
            "sides are instances, and are matched one to one.",
        ),
    ] = None,
    predicted: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUES",
            help="Values of a class in the prediction, as nucleus=4, if it has classes instead of "
            "instances; may be repeated.",
        ),
    ] = None,
    slices: Annotated[
        str | None,
        typer.Option(
            metavar="A:B", help="First and last slice to compare; the first slice of a stack is 1."
        ),
    ] = None,
    all_instances: Annotated[
        bool,
        typer.Option(
            "--all-instances",
            help="With --class: score the union of all predicted instances as one mask, not only "
            "the instance with the largest overlap.",
        ),
    ] = False,
    voxel_size: Annotated[
        tuple[float, float, float] | None,
        typer.Option(metavar="Z Y X", help="nm; default: from the files."),
    ] = None,
    plot: Annotated[
        Path | None,
        path_option("FILE.png", "Plot of the scores per slice."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Score labels against a truth.

    With --class: masks, by their overlap and the distance of their surfaces. Without: instances,
    matched one to one.

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
        echo_json(result.to_dict())
    else:
        table = result.table()
        shown = table.T if classes else table  # many scores of few classes: one row per score
        echo(shown.to_string(float_format="{:.4f}".format))
