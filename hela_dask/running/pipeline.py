"""The stages in their order, each taking up where an earlier run stopped."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hela_dask.errors import NothingToDoError
from hela_dask.kernels.owned import INSTANCES, LABEL_DTYPE
from hela_dask.operators.background import background_and_facts
from hela_dask.operators.slabs import lazy_slabs
from hela_dask.running.broken import mend_listing, remove_broken
from hela_dask.running.centres import correct_cells, points_table
from hela_dask.running.finding import Found, LevelsJob, find_detections, find_levels
from hela_dask.running.identity import owns_labels
from hela_dask.running.keys import Keys
from hela_dask.running.needs import BACKGROUND_SLAB, window_need
from hela_dask.running.setup import Setup
from hela_dask.running.stages import Job, background_task, failed_row, segment_task, slab_task
from hela_dask.steps.assemble import CellMasks, check_labels, find_yields, plan_slabs
from hela_dask.steps.confidence import nucleus_withheld
from hela_dask.steps.detect import DETECTION_COLUMNS
from hela_dask.steps.link import label_detections, link_cells
from hela_dask.steps.measure import combine_counts, measurements
from hela_dask.steps.regions import Region, cell_regions, with_regions
from hela_dask.storage import store
from hela_dask.storage.files import write_text
from hela_dask.storage.metadata import Image
from hela_dask.tasks.damaged import count_changed, forget_damaged, is_scratch
from hela_dask.tasks.dispatch import run_units
from hela_dask.tasks.markers import fingerprint
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.session import Session
from hela_dask.tasks.units import Unit
from hela_dask.tasks.versions import MIXED, compare_versions, numeric_versions
from hela_dask.volume.opening import working_level

__all__ = ["Pipeline"]

_SQUARE = (512, 512)  # a chunk of the background, in the plane: a window reads some
_CHANGED = "their places, the parameters, the image or the code have changed"
_FIRST_TABLES = ("detections.parquet", "detections.csv", "centres.csv")


@dataclass
class Pipeline:
    """A run's stages; each method is one, and skips the units that are finished.

    Parameters
    ----------
    setup : Setup
        What was asked for.
    job : Job
        What tasks need to know.
    session : Session
        For a client, once there is something to compute.
    progress : RunProgress
        Told what goes on.
    warnings : list of str
        Filled as they come up.
    repairs : list of str
        Files that were missing or changed, and what is made again; of this call only.
    background : str
        Fingerprint of the background of the working level, once it is found.
    thresholds : tuple of float
        Grey value where resin begins in each slice; NaN where that is not known.
    """

    setup: Setup
    job: Job
    session: Session
    progress: RunProgress
    warnings: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    background: str = field(default="", init=False)
    _earlier: set[tuple[tuple[str, str], ...]] = field(default_factory=set, init=False)
    thresholds: tuple[float, ...] = field(default=(), init=False)

    def warn(self, text: str) -> None:
        """Keep a warning for the report, and show it."""
        self.warnings.append(text)
        self.progress.warn(text)

    def repair(self, text: str) -> None:
        """Keep what was damaged and is made again, and show it."""
        self.repairs.append(text)
        self.progress.warn(text)

    @property
    def keys(self) -> Keys:
        """Fingerprints of the units."""
        return Keys.of(self.setup)

    def find_cells(self) -> Found:
        """Detections, linked into cells, or the centres that were given; corrected; with regions.

        Raises
        ------
        NothingToDoError
            When there is no cell.
        """
        self._read_levels()
        self._find_background()
        volume = self.job.working()
        if self.setup.centres is not None:
            detections = pd.DataFrame({name: [] for name in DETECTION_COLUMNS})
            cells = self.setup.centres
        else:
            detections = self._detect()
            cells = link_cells(detections, volume, self.setup.parameters.link)
            detections = label_detections(detections, cells, self.setup.parameters.link)
        if self.setup.corrections is not None:
            cells = correct_cells(
                cells, self.setup.corrections, self.setup.image, self.setup.corrections_path
            )
        check_labels(cells["label"].tolist())
        regions = cell_regions(cells, volume, self.setup.parameters.region)
        found = Found(detections, with_regions(cells, regions), regions)
        self._keep_first_table(found)
        return found

    def _read_levels(self) -> None:
        """The volume's grey levels, which all later stages read the image by."""
        knobs, job = self.setup.parameters, self.job
        key = self.keys.levels()
        levels = find_levels(
            self.session.client,
            LevelsJob(job.store, knobs.working.resolution, job.markers.folder, job.lock),
            key,
            knobs.background.polarity,
            self.progress,
        )
        self.job = replace(self.job, levels=levels)
        if levels.inverted:
            self.progress.say("resin is darker than cells: the image is read as its negative")

    def _detect(self) -> pd.DataFrame:
        key = self.keys.detect(self.background)
        table = find_detections(self.session.client, self.job, key, self.progress)
        if table.empty:
            raise NothingToDoError(
                f"no cell was found in {self.setup.image.path}: cells are found by the resin "
                "around them, and none is visible in the slices looked at; give the cells' "
                "centres with --centres FILE.csv (columns z, y, x in nm)"
            )
        return table

    def _keep_first_table(self, found: Found) -> None:
        """The cells are known long before they are segmented: let people look."""
        of = self.keys.cells(found.cells, found.detections)
        self._forget_damaged(
            [Unit("cells", "found", of)], "files of the first table", "it is written again"
        )
        if self.job.markers.result("cells", "found", of) is None:
            self.job.markers.forget("report")  # its table is the one that is replaced here
            self.job.markers.forget("cells")
            store.write_table(self.setup.run / "detections", found.detections)
            store.write_table(self.setup.run / "cells", found.cells)
            points = points_table(found.cells).to_csv(index=False)
            write_text(self.setup.run / "centres.csv", points)
            kept = [self.setup.run / name for name in _FIRST_TABLES]
            files = self.job.markers.record(*kept)
            self.job.markers.finish("cells", "found", of, {"cells": len(found.cells)}, files)

    def label_image(self, name: str, dtype: Any) -> Image:
        """The label group, made where this run has not made it yet."""
        self.job.may_label()
        level = self.setup.image.levels[0]
        target = self.setup.labels / name
        remove_broken(self.setup.run, target)
        mine = target.exists() and owns_labels(self.setup.run, self.job.id, target)
        return store.create_labels(
            self.setup.owner,
            name,
            level.shape,
            dtype,
            level.voxel_size,
            translation=level.translation,
            source_image=self.setup.image.path,
            run=self.setup.run,
            run_id=self.job.id,
            overwrite=self.setup.overwrite and not mine,
        )

    def _slab_units(
        self, stage: str, images: Sequence[Image], of: Mapping[int, str], what: Mapping[int, Any]
    ) -> list[Unit]:
        """A unit a slab; those that will be written again are declared unfinished first."""
        named = {z0: Unit(stage, f"z{z0:05d}", of[z0]) for z0, _ in store.slabs(images[0])}
        files, consequence = "files of the labels", "their slabs are written again"
        self._forget_damaged(list(named.values()), files, consequence)
        units, again = [], []
        there = set(store.slabs(images[0]))
        for image in images:
            there &= set(store.finished_slabs(image))
        for z0, z1 in store.slabs(images[0]):
            unit = replace(named[z0], what=what[z0], cost=float(z1 - z0))
            if (z0, z1) not in there:
                self.job.markers.forget(stage, unit.name)
            if self.job.markers.result(stage, unit.name, unit.fingerprint) is None:
                again.append((z0, z1))
            units.append(unit)
        for image in images if again else ():
            self.job.may_label()
            store.reopen(image, again)
        return units

    def _find_background(self) -> None:
        """Resin of the whole volume on its working level, which all later stages look at."""
        volume = self.job.working()
        of = self.keys.background(self.job.levels)
        depth = volume.sizes["z"]
        ends = [(z0, min(z0 + BACKGROUND_SLAB, depth)) for z0 in range(0, depth, BACKGROUND_SLAB)]
        units = [Unit("background", f"z{z0:05d}", of, (z0, z1), float(z1 - z0)) for z0, z1 in ends]
        self._forget_damaged(units, "files of the background", "their slabs are written again")
        if any(self.job.markers.result(unit.stage, unit.name, of) is None for unit in units):
            self._make_room(volume.shape)
        p = self.setup.parameters.background
        found, facts = background_and_facts(volume, p, levels=self.job.levels)

        def inputs(unit: Unit) -> list[Any]:
            return [lazy_slabs(found.data, *unit.what), lazy_slabs(facts, *unit.what)]

        rows = run_units(
            self.session.client,
            background_task,
            self.job,
            units,
            markers=self.job.markers,
            progress=self.progress,
            kind="slabs",
            inputs=inputs,
        )
        self.background = of
        self.thresholds = tuple(
            math.nan if at is None else at for row in rows.values() for at in row["thresholds"]
        )
        if blank := sorted(z for row in rows.values() for z in row["blank_slices"]):
            self.warn(
                f"{len(blank)} slices hold one grey value only and are passed over:"
                f" {', '.join(map(str, blank[:20]))}{' …' if len(blank) > 20 else ''}"
            )
        if not any(row["resin"] for row in rows.values()):
            self.warn(
                "no resin is visible anywhere in the volume: nuclei are delivered, cells are not"
            )

    def _forget_damaged(self, units: Sequence[Unit], files: str, consequence: str) -> None:
        """Finished units whose files are missing or changed are declared unfinished, and named."""
        kept = forget_damaged(self.job.markers, units, files, consequence, self.repair)
        self._earlier.update(tuple(sorted(marker.versions.items())) for marker in kept)

    def warn_of_versions(self) -> None:
        """Name the packages that finished units were computed with and that have changed since."""
        for earlier in sorted(self._earlier):
            if differing := compare_versions(dict(earlier), numeric_versions(network=True)):
                self.warn(MIXED.format(versions=differing, done=self.setup.run / "done"))

    def _make_room(self, shape: tuple[int, ...]) -> None:
        """An array for the background, kept where it is there already."""
        if is_scratch(self.job.resin, shape):
            return
        self.job.markers.forget("background")
        store.create_scratch(self.job.resin, shape, np.uint8, (BACKGROUND_SLAB, *_SQUARE))

    def segment(
        self, found: Found, chosen: Collection[int]
    ) -> tuple[dict[int, dict[str, Any]], list[CellMasks]]:
        """The masks of each cell that was asked for, and those of others that are there already.

        Returns
        -------
        rows : dict of label to what segmentation said of the cell, with the flag ``ceded``
        masks : list of CellMasks, with whom they yield to
        """
        units = [self._cell_unit(region) for region in found.segmentable()]
        self._forget_damaged(units, "files of the cells' masks", "these cells are segmented again")
        done = {
            unit.name
            for unit in units
            if self.job.markers.result(unit.stage, unit.name, unit.fingerprint) is not None
        }
        wanted = [unit for unit in units if unit.what.label in chosen or unit.name in done]
        self._check_windows([unit for unit in wanted if unit.name not in done])
        if again := count_changed(self.job.markers, wanted):
            self.progress.say(f"{again} of {len(wanted)} cells are computed again, as {_CHANGED}")
        rows = run_units(
            self.session.client,
            segment_task,
            self.job,
            wanted,
            markers=self.job.markers,
            progress=self.progress,
            kind="cells",
            on_failure=lambda unit, text: failed_row(unit.what.label, text),
            gpu=bool(self.setup.network),
        )
        volume = self.job.working()
        masks = [
            CellMasks(
                unit.what.label,
                self.job.masks(unit.what.label),
                tuple((low, high) for low, high in rows[unit.name]["extent"]),  # type: ignore[arg-type]
                unit.fingerprint,
                unit.what.voxel(volume),
            )
            for unit in wanted
            if rows[unit.name]["extent"]
        ]
        yields = self._yields(masks)
        by_label = {
            unit.what.label: _flagged(rows[unit.name], "ceded")
            if unit.what.label in yields
            else rows[unit.name]
            for unit in wanted
        }
        limits = self.setup.parameters.quality
        return by_label, [
            replace(
                item,
                yields=yields.get(item.label, ()),
                withheld=nucleus_withheld(by_label[item.label], limits),
            )
            for item in masks
        ]

    def _yields(self, masks: Sequence[CellMasks]) -> dict[int, tuple[int, ...]]:
        """Which cells yield to which; masks are looked at again only if any has changed."""
        of = self.keys.yields(masks)
        finished = self.job.markers.result("yields", "cells", of)
        if finished is None:
            found = {str(label): to for label, to in find_yields(masks).items()}
            finished = self.job.markers.finish("yields", "cells", of, found)
        return {int(label): tuple(to) for label, to in finished.items()}

    def _check_windows(self, units: Sequence[Unit]) -> None:
        """A cell's window may be larger than the usual one; refused before any is segmented."""
        if units:
            _, size = self._working
            largest = max(units, key=lambda unit: unit.cost).what.box
            window = [
                round((high - low) / step) for (low, high), step in zip(largest, size, strict=True)
            ]
            self.session.check([window_need(self.setup.image, window, self.setup.method)])

    @property
    def _working(self) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
        """Shape and voxel size of the working level."""
        return working_level(self.setup.image, self.setup.parameters.working.resolution)

    def _cell_unit(self, region: Region) -> Unit:
        cost = math.prod(high - low for low, high in region.box)
        of = self.keys.segment(self.background, region)
        return Unit("segment", f"{region.label:05d}", of, region, cost)

    def assemble(self, masks: Sequence[CellMasks]) -> tuple[pd.DataFrame, str]:
        """All labels, on the image's own pixels; gives each cell's numbers, and a fingerprint."""
        level = self.setup.image.levels[0]
        images = [self.label_image(name, LABEL_DTYPE) for name in INSTANCES]
        images.append(self.label_image("background", "uint8"))
        if not images[-1].complete:
            store.write_label_metadata(
                images[-1].path,
                colors={1: (255, 220, 120, 90)},
                properties=[{"label-value": 1, "name": "resin"}],
            )
        slabs = plan_slabs(store.slabs(images[0]), *self._working, masks, self.thresholds)
        names = [image.name for image in images]
        if problem := mend_listing(self.setup.owner, names):
            self.repair(f"{problem}: it is written again")
        of = {slab.z0: self.keys.assemble(names, self.background, slab.masks) for slab in slabs}
        units = self._slab_units("assemble", images, of, {slab.z0: slab for slab in slabs})
        rows = run_units(
            self.session.client,
            slab_task,
            self.job,
            units,
            markers=self.job.markers,
            progress=self.progress,
            kind="slabs",
        )
        counts = combine_counts(pd.DataFrame(row["counts"]) for row in rows.values())
        measured = measurements(counts, level.voxel_size, level.shape)
        return measured, fingerprint(list(of.values()))

    @property
    def label_paths(self) -> dict[str, Path]:
        """The label groups."""
        return {name: self.setup.labels / name for name in (*INSTANCES, "background")}


def _flagged(row: Mapping[str, Any], flag: str) -> dict[str, Any]:
    """A cell's row with one flag more."""
    return {**row, "flags": ",".join(filter(None, (str(row["flags"]), flag)))}
