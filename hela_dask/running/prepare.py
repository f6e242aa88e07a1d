"""Everything that can be wrong with a run, found before a cluster starts or a file is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hela_dask.conversion.suitability import check_volume, volume_remarks
from hela_dask.errors import InputError, ParameterError
from hela_dask.methods.registry import get_method, method_name
from hela_dask.parameters import Parameters
from hela_dask.running.centres import read_centres, read_corrections
from hela_dask.running.edit_cells import first_labels
from hela_dask.running.edit_files import find_edits, lost_edits
from hela_dask.running.folders import (
    check_folder,
    check_labels_place,
    check_owner,
    label_owner,
    run_folder,
)
from hela_dask.running.identity import is_run_folder
from hela_dask.running.options import ParametersLike, RunOptions
from hela_dask.running.provenance import read_run
from hela_dask.running.replacing import (
    ask_to_replace,
    command,
    describe_differences,
    differences,
    lost_corrections,
    unused_names,
)
from hela_dask.running.scoring import find_truth
from hela_dask.running.setup import Setup
from hela_dask.running.source import identify_image
from hela_dask.steps.assemble import check_labels
from hela_dask.storage.metadata import Image, read_image
from hela_dask.storage.places import check_apart
from hela_dask.storage.remote import forget
from hela_dask.storage.urls import StoreUrl, store_path
from hela_dask.types import Bounds
from hela_dask.unet.card import USUAL_FACTOR, Card

__all__ = ["prepare"]


def prepare(options: RunOptions) -> Setup:
    """Check all that a user can get wrong.

    Raises
    ------
    HelaDaskError
        One sentence that names the culprit and the remedy.
    """
    store = store_path(options.store)
    if isinstance(store, StoreUrl):
        forget(str(store))
    image = read_image(store)
    if not image.complete:
        raise InputError(f"{image.path} is not finished: start the conversion again to continue it")
    check_volume(image)
    method = method_name(options.method)
    params = _with_model(_parameters(options.parameters), method, options.model)
    network = get_method(method).check(params) if options.segmenting else None
    folder = run_folder(image.path, options.out)
    owner, separate = label_owner(image.path, options.labels, folder)
    check_apart(image.path, {"--out": folder, "--labels": owner if separate else None})
    source, assumed = identify_image(image)
    check_folder(folder, image.path, source, options.overwrite)
    if separate:
        check_labels_place(folder, owner)
    centres = None if options.centres is None else read_centres(options.centres, image)
    if centres is not None:
        check_labels(centres["label"].tolist())
    changes = options.corrections
    corrections = None if changes is None else read_corrections(changes, image)
    edits, edits_file = find_edits(options.edits, folder, image)
    setup = Setup(
        options=replace(options, method=method),
        image=image,
        run=folder,
        owner=owner,
        method=method,
        parameters=params,
        cells=first_labels(edits, _labels(options.cells)),
        box=_box(options.box),
        centres=centres,
        corrections=corrections,
        truth=None if options.truth is None else find_truth(options.truth, image.levels[0].shape),
        source=source,
        network="" if network is None else network[2],
        remarks=(
            *volume_remarks(image),
            *assumed,
            *lost_corrections(folder, read_run(folder), corrections),
            *lost_edits(folder, read_run(folder), edits),
            *(() if network is None else _remarks(network[1], image, params)),
        ),
        edits=edits,
        edits_file=edits_file,
    )
    replaced = _replaced(setup)
    if options.segmenting:
        check_owner(image, owner, separate, folder, options.overwrite or not options.asking)
    return replace(setup, replaced=replaced)


def _replaced(setup: Setup) -> str:
    """The differences to an earlier call's result, if the user asked to replace it."""
    options = setup.options
    facts = read_run(setup.run) if is_run_folder(setup.run) else {}
    if facts.get("state") != "finished" and not _has_cells(setup.run):
        return ""
    found = differences(
        facts,
        method=setup.method,
        parameters=setup.parameters,
        network=setup.network,
        centres=setup.centres,
        segmenting=options.segmenting,
    )
    if not found:
        return ""
    if options.asking and not options.overwrite:
        given = options.command()
        names = unused_names(setup.image.path, setup.run, setup.method)
        if not options.segmenting:
            both = f"--out {names[0]}"
        elif "--params" in given or setup.parameters == Parameters():
            both = command(setup.image.path, given, *names)
        else:  # from Python, with parameters that are in no file
            both = f'out="{names[0]}", labels="{names[1]}"'
        ask_to_replace(setup.run, facts, found, both)
    return f"the {facts.get('state', 'unfinished')} result of {describe_differences(found, 0)}"


def _has_cells(run: Path) -> bool:
    """Whether cells were segmented, which take the longest."""
    return any(any((run / "done").glob(f"{stage}-*.json")) for stage in ("segment", "assemble"))


def _remarks(card: Card, image: Image, params: Parameters) -> tuple[str, ...]:
    """Remarks on a network for this volume."""
    working = image.levels[0].geometry.working(params.working.resolution)
    return tuple(filter(None, [card.resampling(working.voxel_size, USUAL_FACTOR)]))


def _parameters(given: ParametersLike | None) -> Parameters:
    if given is None:
        return Parameters()
    if isinstance(given, Parameters):
        return given
    if isinstance(given, str | Path):
        return Parameters.from_toml(given)
    return Parameters.from_dict(given)


def _with_model(params: Parameters, method: str, model: str | Path | None) -> Parameters:
    """The parameters with the folder of the model, so that workers anywhere find it."""
    kind = get_method(method).parameters
    own: Any = None if kind is None else params.group(kind)
    if not hasattr(own, "model"):
        if model is not None:
            raise ParameterError(f"--model {model}: method {method} has no network")
        return params
    folder = str(own.model if model is None else model)
    if folder:
        folder = str(Path(folder).absolute())
    return params.with_group(replace(own, model=folder))


def _labels(cells: Sequence[int] | None) -> tuple[int, ...] | None:
    if cells is None:
        return None
    if not len(cells):
        raise ParameterError("--cells names no cell: give labels such as 3,8")
    check_labels(cells)
    return tuple(sorted({int(label) for label in cells}))


def _box(box: Sequence[Sequence[float]] | None) -> Bounds | None:
    if box is None:
        return None
    if len(box) != 3 or any(len(pair) != 2 for pair in box):
        raise ParameterError(f"--box is Z0:Z1,Y0:Y1,X0:X1 in nm, not {box!r}")
    parts = [(float(low), float(high)) for low, high in box]
    for axis, (low, high) in zip("zyx", parts, strict=True):
        if not (low < high) or math.isnan(low) or math.isnan(high):
            raise ParameterError(f"--box is empty in {axis}: {low:g} to {high:g} nm")
    return parts[0], parts[1], parts[2]
