"""The command ``train``: a network from an image and its labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hela_dask as hd
from hela_dask.cli.options import (
    AsJson,
    Overwrite,
    Quiet,
    Verbose,
    local_path,
    path_argument,
    path_option,
)
from hela_dask.cli.screen import echo, echo_json, echo_table, log_to_stderr

__all__ = ["train"]

_RECIPE = "; default: the recipe of the architecture."


def train(
    store: Annotated[
        Path,
        path_argument("STORE", "The image: an OME-Zarr or a TIFF stack."),
    ],
    labels: Annotated[
        Path,
        path_argument(
            "LABELS",
            "OME-Zarr labels, a TIFF or a .npy, with the image's pixels or a whole number of times "
            "smaller ones; 0 is not labelled.",
        ),
    ],
    *,
    out: Annotated[Path, path_option("MODEL", "Folder of the model.")],
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Architecture: residual (of hela_dask), unet, vgg16, resnet18, "
            "inception-resnet-v2 or hybrid (of the papers).",
        ),
    ] = "residual",
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAME=VALUES",
            help="Label values of a class, as nucleus=2; once per class. Default: the published "
            "values, envelope=1, nucleus=2, cell=3,5 (3: other cells, 5: the rest of the cell), "
            "resin=4.",
        ),
    ] = None,
    slices: Annotated[
        str | None,
        typer.Option(
            metavar="A:B",
            help="First and last slice of the training; the first slice of a stack is 1.",
        ),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(
            metavar="A:B|SHARE",
            help="Validation slices, held out of the training, or their share; default: the last "
            "tenth of the slices.",
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            metavar="blocks|random",
            help="blocks: the validation slices are adjacent; random: single slices between "
            "training slices, as in the papers (the scores are then too good).",
        ),
    ] = "blocks",
    mask: Annotated[
        Path | None,
        path_option(
            "MASK", "Image that is not 0 where labels have the weight --mask-weight instead of 1."
        ),
    ] = None,
    mask_weight: Annotated[
        float,
        typer.Option(metavar="W", help="Weight of the labels in the mask, 0 to 1; 0: not used."),
    ] = 0.0,
    instances: Annotated[
        Path | None,
        path_option(
            "LABELS",
            "Labels with one value per cell, for the contacts of cells that the network learns; "
            "default: LABELS, if it has the published values.",
        ),
    ] = None,
    instance_classes: Annotated[
        list[str] | None,
        typer.Option(
            "--instance-class",
            metavar="one=VALUES|others=VALUES",
            help="Values in the labels of --instances: one=1,2,5 are together one cell, others=3 "
            "are cells without separate values. Default: each value is a cell.",
        ),
    ] = None,
    phantom: Annotated[
        Path | None,
        path_option("STORE", "Phantom (hela-dask phantom) with further training patches."),
    ] = None,
    phantom_share: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the patches from the phantom, 0 to 1.")
    ] = 0.15,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Number of epochs, 1 or more" + _RECIPE)
    ] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="Steps per epoch, 1 or more" + _RECIPE)
    ] = None,
    batch: Annotated[
        int | None, typer.Option(metavar="N", help="Patches per step, 1 or more" + _RECIPE)
    ] = None,
    rate: Annotated[
        float | None, typer.Option(metavar="R", help="Learning rate, above 0" + _RECIPE)
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the random numbers.")] = 0,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.onnx|FILE.keras|FILE.h5|imagenet",
            help="Initial weights: a file, or imagenet, which downloads them.",
        ),
    ] = None,
    voxel_size: Annotated[
        tuple[float, float, float] | None,
        typer.Option(
            metavar="Z Y X", help="Voxel size, nm; needed if the image file does not contain it."
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Processes that make patches; 0: threads. Default: 0 where the network learns on "
            "the CPU, else one per core but one, 16 at most.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a network on labelled slices.

    Writes a folder with the network, its card (training data and scores), history and learning
    curves. The same command again continues an interrupted training.

    Example:

    hela-dask train hela.ome.zarr labels.tif --slices 1:180 --out my-model
    """
    from hela_dask.evaluation.evaluate import parse_classes, parse_slices

    log_to_stderr(quiet=quiet, verbose=verbose)
    trained = hd.train(
        store,
        labels,
        out,
        model=model,
        classes=parse_classes(classes) if classes else None,
        slices=None if slices is None else parse_slices(slices),
        validation=_validation(validation),
        split=split,
        mask=mask,
        mask_weight=mask_weight,
        instances=instances,
        instance_classes=parse_classes(instance_classes) if instance_classes else None,
        phantom=phantom,
        phantom_share=phantom_share,
        epochs=epochs,
        steps=steps,
        batch=batch,
        rate=rate,
        seed=seed,
        weights=_weights(weights),
        voxel_size=voxel_size,
        overwrite=overwrite,
        processes=processes,
        progress=not quiet,
    )
    scores = trained.card.scores
    if as_json:
        echo_json({"model": str(trained.folder), "scores": scores})
    elif not quiet:
        echo(f"{trained.folder}")
        echo_table(
            {
                name.replace("_", " "): "nowhere" if value is None else f"{value:.4f}"
                for name, value in scores.items()
            }
        )


def _weights(text: str | None) -> str | Path | None:
    """A file, or a name for weights that Keras downloads."""
    return text if text is None or text == "imagenet" else local_path(text)


def _validation(text: str | None) -> tuple[int, int] | float | None:
    """Slices, or a share of them."""
    from hela_dask.evaluation.evaluate import parse_slices

    if text is None:
        return None
    if ":" in text:
        return parse_slices(text)
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"--validation {text!r} should look like 141:150 or 0.1") from None
