"""The stages in their order: each a function that returns its value; finished units are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hela_dask.errors import InputError, WorkerError
from hela_dask.geometry import Geometry
from hela_dask.kernels.packed_labels import INSTANCES, LABEL_DTYPE
from hela_dask.operators.background import background_with_statistics
from hela_dask.operators.classify import sampled_outputs, sampling
from hela_dask.operators.slabs import lazy_slabs, with_own_keys
from hela_dask.running.broken import mend_listing, remove_broken
from hela_dask.running.centres import points_table
from hela_dask.running.context import Context
from hela_dask.running.edit_files import keep_edits
from hela_dask.running.editing import (
    PlannedEdits,
    lost_points,
    plan_edits,
    split_of_painted,
    split_task,
)
from hela_dask.running.finding import (
    detect_task,
    detect_units,
    level_units,
    levels_task,
    read_detections,
    read_levels,
)
from hela_dask.running.identity import owns_labels
from hela_dask.running.joining import cell_parts, contact_units, contacts_task, join_parts
from hela_dask.running.needs import BACKGROUND_SLAB, shape_need, split_need, window_need
from hela_dask.running.portraits import drop_pictures
from hela_dask.running.predicted import predicted_path
from hela_dask.running.shapes import (
    Assembled,
    CellBox,
    Measures,
    measure_task,
    measure_units,
    read_contacts,
    read_shapes,
)
from hela_dask.running.stages import (
    background_task,
    classify_task,
    failed_row,
    labels_path,
    segment_task,
    slab_task,
)
from hela_dask.running.units import (
    Background,
    DetectedCells,
    background_units,
    cell_masks,
    cell_unit,
    classify_units,
    locate_cells,
    read_background,
    resolve_masks,
    slab_unit,
    unedited_slabs,
)
from hela_dask.steps.assemble import CellMasks, find_ceded, plan_slabs
from hela_dask.steps.detect import slice_tasks
from hela_dask.steps.join import find_joined
from hela_dask.steps.measure import combine_counts, measurements
from hela_dask.storage import store
from hela_dask.storage.files import write_text
from hela_dask.storage.metadata import Image, read_image
from hela_dask.tasks.damaged import count_changed, is_scratch
from hela_dask.tasks.units import Row, Unit

__all__ = [
    "Segmented",
    "assemble",
    "classify",
    "detect",
    "find_background",
    "measure",
    "segment",
]

_SQUARE = (512, 512)  # a chunk of the background, in the plane: a window reads some
_CHANGED = "their places, the parameters, the image or the code have changed"
_FIRST_TABLES = ("detections.parquet", "detections.csv", "centres.csv")


def find_background(context: Context) -> Background:
    """Grey levels and resin of the whole volume on its working level, for all later stages."""
    volume, p = context.job.working(), context.setup.parameters.background
    votes = level_units(context.keys.levels(), volume.sizes["z"])
    grey_levels = read_levels(context.compute(levels_task, votes, "slices"), p.polarity)
    if grey_levels.inverted:
        context.progress.info("resin is darker than cells: the image is read as its negative")
    units = background_units(context.keys, grey_levels, volume.sizes["z"])
    context.forget_damaged(units, "files of the background", "their slabs are written again")
    if any(context.result(unit) is None for unit in units):
        _make_room(context, "background", context.job.resin, volume.shape)
    own = with_own_keys(volume, context.job.lock.token)
    found, facts = background_with_statistics(own, p, grey_levels=grey_levels)
    rows = context.compute(
        background_task,
        units,
        "slabs",
        inputs=lambda unit: [lazy_slabs(found.data, *unit.what), lazy_slabs(facts, *unit.what)],
    )
    blank = sorted(z for row in rows.values() for z in row["blank_slices"])
    if blank:
        context.warn(
            f"{len(blank)} slices hold one grey value only and are passed over:"
            f" {', '.join(map(str, blank[:20]))}{' …' if len(blank) > 20 else ''}"
        )
    if not any(row["resin"] for row in rows.values()):
        context.warn(
            "no resin is visible anywhere in the volume: nuclei are delivered, cells are not"
        )
    return read_background(units, grey_levels, rows)


def _make_room(context: Context, stage: str, path: Path, shape: tuple[int, ...]) -> None:
    """An array for the results of a stage, kept where it is there already."""
    if not is_scratch(path, shape):
        context.markers.forget(stage)
        store.create_scratch(path, shape, np.uint8, (BACKGROUND_SLAB, *_SQUARE))


def classify(context: Context, background: Background) -> None:
    """Outputs of the method's network for the whole volume, if it asks for any."""
    asked = context.setup.outputs
    if asked is None:
        return
    volume = context.job.working()
    sampled = (len(sampling(Geometry.of(volume), asked.spacing).slices), *volume.shape[1:])
    units = classify_units(context.keys, background.grey_levels, sampled[0])
    context.forget_damaged(units, "files of the network's outputs", "they are predicted again")
    if any(context.result(unit) is None for unit in units):
        for name in asked.names:
            _make_room(context, "classify", predicted_path(context.job.run, name), sampled)
    own = with_own_keys(volume, context.job.lock.token)
    found = sampled_outputs(own, asked.model, background.grey_levels, asked.names, asked.spacing)
    context.compute(
        classify_task, units, "slabs", inputs=lambda unit: [lazy_slabs(found, *unit.what)]
    )


def detect(context: Context, background: Background) -> DetectedCells:
    """Detections linked into cells, or the centres that were given; corrected; with windows.

    Raises
    ------
    NothingToDoError
        When there is no cell.
    """
    job, setup, detections = context.job, context.setup, None
    volume, p = job.working(), setup.parameters.detect
    if setup.centres is None:
        units = detect_units(context.keys.detect(background.key), volume, p)
        resin = with_own_keys(job.background(), job.lock.token)
        rows = context.compute(
            detect_task,
            units,
            "slices",
            inputs=lambda unit: slice_tasks(resin, [unit.what], p),
        )
        detections = read_detections(units, rows, volume, p)
    found = locate_cells(setup, volume, detections)
    if text := keep_edits(setup.edits, setup.run):
        context.warn(text)
    _keep_first_table(context, found)
    return found


def _keep_first_table(context: Context, found: DetectedCells) -> None:
    """Write the tables before segmentation, which takes long: the user can look at them."""
    run, markers = context.setup.run, context.markers
    unit = Unit("cells", "found", context.keys.cells(found.cells, found.detections))
    context.forget_damaged([unit], "files of the first table", "it is written again")
    if context.result(unit) is None:
        markers.forget("report")  # its table is the one that is replaced here
        markers.forget("cells")
        store.write_table(run / "detections", found.detections)
        store.write_table(run / "cells", found.cells)
        write_text(run / "centres.csv", points_table(found.cells).to_csv(index=False))
        files = markers.record(*(run / name for name in _FIRST_TABLES))
        markers.finish("cells", "found", unit.fingerprint, {"cells": len(found.cells)}, files)


@dataclass(frozen=True)
class Segmented:
    """Cells on the working level."""

    rows: dict[int, Row]  # by label
    masks: list[CellMasks]
    kept: Mapping[tuple[int, int], Path] = field(default_factory=dict)  # labels by slices of a slab


def segment(
    context: Context, background: Background, found: DetectedCells, chosen: Collection[int]
) -> Segmented:
    """The cells that were asked for, and others that are finished."""
    units = [cell_unit(context.keys, background, region) for region in found.segmentable()]
    if context.setup.options.recompute:
        for unit in units:
            if unit.what.label in chosen:
                context.markers.forget(unit.stage, unit.name)
    context.forget_damaged(units, "files of the cells' masks", "these cells are segmented again")
    done = {unit.name for unit in units if context.result(unit) is not None}
    wanted = [unit for unit in units if unit.what.label in chosen or unit.name in done]
    _check_windows(context, [unit for unit in wanted if unit.name not in done])
    if again := count_changed(context.markers, wanted):
        context.progress.info(f"{again} of {len(wanted)} cells are computed again, as {_CHANGED}")
    by_name = context.compute(
        segment_task,
        wanted,
        "cells",
        background.grey_levels,
        on_failure=lambda unit, text: failed_row(unit.what.label, text),
    )
    rows = {unit.what.label: by_name[unit.name] for unit in wanted}
    masks = cell_masks(context.setup.run, context.job.working(), wanted, rows)
    limits = context.setup.parameters.quality
    rows, masks = resolve_masks(rows, masks, _find_ceded(context, masks), limits)
    return _join(context, background, rows, masks)


def _join(
    context: Context, background: Background, rows: dict[int, Row], masks: list[CellMasks]
) -> Segmented:
    """Give parts of a cell that were detected as several one label."""
    parts, setup = cell_parts(rows, masks), context.setup
    units = contact_units(context.keys, background, setup.working, masks, parts)
    if not units:
        return Segmented(rows, masks)
    context.forget_damaged(units, "files of a slab's labels", "these slabs are assembled again")
    measured = context.compute(contacts_task, units, "slabs")
    contacts = [contact for row in measured.values() for contact in row["contacts"]]
    joined = find_joined(parts, contacts, setup.parameters.assemble)
    slabs = [unit.what[0] for unit in units]
    kept = {(slab.z0, slab.z1): labels_path(setup.run.absolute(), slab.z0) for slab in slabs}
    return Segmented(*join_parts(rows, masks, joined), kept)


def _find_ceded(context: Context, masks: Sequence[CellMasks]) -> Row:
    """The cells that each cell cedes to, by label; masks are read again only if any has changed."""
    unit = Unit("ceded", "cells", context.keys.cedes_to(masks))
    finished = context.result(unit)
    if finished is None:
        found = {str(label): to for label, to in find_ceded(masks).items()}
        finished = context.markers.finish("ceded", "cells", unit.fingerprint, found)
    return finished


def _check_windows(context: Context, units: Sequence[Unit]) -> None:
    """A cell's window may be larger than the usual one; refused before any is segmented."""
    if units:
        largest = max(units, key=lambda unit: unit.cost).what
        window = largest.window(context.setup.working).shape
        need = window_need(context.setup.image, window, context.setup.method)
        context.session.check([need])


def assemble(context: Context, background: Background, found: Segmented) -> Assembled:
    """All labels, on the image's own pixels, with the volumes and extents of the cells."""
    setup, planned = context.setup, _split(context, found)
    images = [_label_image(context, name, LABEL_DTYPE) for name in INSTANCES]
    images.append(_label_image(context, "background", "uint8"))
    if not images[-1].complete:
        store.write_label_metadata(
            images[-1].folder,
            colors={1: (255, 220, 120, 90)},
            properties=[{"label-value": 1, "name": "resin"}],
        )
    names = [image.name for image in images]
    if problem := mend_listing(setup.owner, names):
        context.repair(f"{problem}: it is written again")
    slabs = plan_slabs(store.slabs(images[0]), setup.working, found.masks, background.thresholds)
    slabs = [replace(slab, kept=found.kept.get((slab.z0, slab.z1))) for slab in slabs]
    slabs = [planned.of_slab(slab) for slab in slabs]
    units = [slab_unit(context.keys, background, names, slab) for slab in slabs]
    context.forget_damaged(units, "files of the labels", "their slabs are written again")
    _reopen(context, images, units)
    rows = context.compute(slab_task, units, "slabs", background.grey_levels)
    counts = combine_counts(pd.DataFrame(row["counts"]) for row in rows.values())
    level = setup.image.levels[0]
    return Assembled(
        measurements(counts, level.voxel_size, level.shape),
        counts,
        {(unit.what.z0, unit.what.z1): unit.fingerprint for unit in units},
        unedited_slabs(context.keys, background, names, slabs),
        {(slab.z0, slab.z1): slab.edits for slab in slabs},
    )


def _split(context: Context, found: Segmented) -> PlannedEdits:
    """The edits of labels, with the parts of cells that are split.

    InputError where a point of a split does not lie in its cell.
    """
    setup, grid = context.setup, context.setup.image.levels[0].geometry
    if problem := split_of_painted(setup.edits, (mask.owner or mask.label for mask in found.masks)):
        raise InputError(f"{setup.edits_file}: {problem}")
    planned = plan_edits(context.keys, setup.edits, setup.run, found.masks, (grid, setup.working))
    for units in planned.splits:
        context.forget_damaged(units, "files of split cells", "they are split again")
        left = [unit for unit in units if context.result(unit) is None]
        context.session.check([split_need(int(unit.cost)) for unit in left])
        if problem := lost_points(units, context.compute(split_task, units, "cells")):
            raise InputError(f"{setup.edits_file}: {problem}")
    return planned


def measure(context: Context, found: Assembled) -> Measures:
    """Shapes and contacts of all labelled cells; empty where ``[measure] in_runs`` is 0."""
    if not context.setup.parameters.measure.in_runs:
        return Measures()
    image = read_image(context.setup.label_paths["cells"])
    units = measure_units(context.keys, image, found)
    context.forget_damaged(units, "pictures of cells", "they are drawn again")
    units = _fitting(context, image, units)

    def failed(unit: Unit, text: str) -> Row:
        if not isinstance(unit.what, CellBox):
            raise WorkerError(f"contacts could not be measured: {text}")
        context.warn(f"the shape of cell {unit.what.label} could not be measured: {text}")
        return {}

    rows = context.compute(measure_task, units, "cells and slabs", on_failure=failed)
    drop_pictures(context.setup.run, context.markers, {name for name, row in rows.items() if row})
    return Measures(read_shapes(rows), read_contacts(rows))


def _fitting(context: Context, image: Image, units: Sequence[Unit]) -> list[Unit]:
    """The units that are finished or fit a worker's memory; the user is warned of others."""
    p, kept = context.setup.parameters.measure, list(units)
    cells = [unit for unit in units if isinstance(unit.what, CellBox)]
    for unit in sorted(cells, key=lambda unit: -unit.cost):
        if context.result(unit) is not None:
            continue
        voxel = image.levels[unit.what.level].voxel_size
        problem = context.session.refusal(shape_need(unit.what.box.shape, voxel, p))
        if not problem:
            break  # the others are smaller
        context.warn(f"the shape of cell {unit.what.label} is not measured: {problem}")
        kept.remove(unit)
    return kept


def _label_image(context: Context, name: str, dtype: Any) -> Image:
    """The label group, made where this run has not made it yet."""
    context.job.may_label()
    setup, level, run_id = context.setup, context.setup.image.levels[0], context.job.id
    target = setup.labels / name
    remove_broken(setup.run, target)
    mine = target.exists() and owns_labels(setup.run, run_id, target)
    return store.create_labels(
        setup.owner,
        name,
        level.shape,
        dtype,
        level.voxel_size,
        translation=level.translation,
        source_image=setup.image.path,
        run=setup.run,
        run_id=run_id,
        overwrite=setup.options.overwrite and not mine,
    )


def _reopen(context: Context, images: Sequence[Image], units: Sequence[Unit]) -> None:
    """Slabs that will be written again are declared unfinished first."""
    there = set.intersection(*(set(store.finished_slabs(image)) for image in images))
    again = []
    for unit in units:
        z0, z1 = unit.what.z0, unit.what.z1
        if (z0, z1) not in there:
            context.markers.forget(unit.stage, unit.name)
        if context.result(unit) is None:
            again.append((z0, z1))
    for image in images if again else ():
        context.job.may_label()
        store.reopen(image, again)
