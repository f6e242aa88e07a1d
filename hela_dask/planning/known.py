"""The cells of a run that is still to come, as far as they are known: given, or found before."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from hela_dask.errors import InputError, MissingInputError
from hela_dask.geometry import Geometry
from hela_dask.running.editing import plan_edits
from hela_dask.running.finding import detect_units, level_units, read_detections, read_levels
from hela_dask.running.joining import cell_parts, contact_units, join_parts
from hela_dask.running.keys import Keys
from hela_dask.running.shapes import Assembled, measure_units
from hela_dask.running.tables import select_cells
from hela_dask.running.units import (
    Background,
    DetectedCells,
    background_units,
    cell_masks,
    cell_unit,
    locate_cells,
    read_background,
    resolve_masks,
    slab_unit,
    unedited_slabs,
)
from hela_dask.steps.assemble import plan_slabs
from hela_dask.steps.join import find_joined
from hela_dask.steps.measure import combine_counts
from hela_dask.storage import store
from hela_dask.storage.metadata import Image, read_image
from hela_dask.tasks.damaged import read_finished
from hela_dask.tasks.markers import Markers
from hela_dask.tasks.units import Row, Unit
from hela_dask.volume.opening import working_volume

if TYPE_CHECKING:
    import xarray as xr

    from hela_dask.running.setup import Setup

__all__ = ["Known", "known_cells"]


@dataclass(frozen=True)
class Known:
    """Cells with known windows."""

    # Voxels of the working level, of each cell that is asked for and not segmented yet.
    windows: tuple[tuple[int, ...], ...]
    done: int  # cells that are segmented already
    found: bool  # whether an earlier run found background and cells; if not, they were given
    labels: int = 0  # slabs of labels that an earlier run wrote, and that would not change
    # Finished tasks that measure these labels, and all of them; 0 where labels are missing
    measures: tuple[int, int] = (0, 0)

    @property
    def number(self) -> int:
        """All cells that are asked for."""
        return len(self.windows) + self.done


def known_cells(setup: Setup) -> Known | None:
    """The cells of a run that may start, or None where detection has still to find them.

    NothingToDoError when an earlier run has looked, with these parameters, and found none;
    InputError for a cell or a box that was asked for and is not there.
    """
    earlier = _Earlier(setup)
    background = earlier.background()
    found = earlier.cells(background)
    if found is None:
        return None
    rows: dict[int, Row] = {}
    units: list[Unit] = []
    if background is not None:
        for unit in (cell_unit(earlier.keys, background, item) for item in found.segmentable()):
            if (row := earlier.rows([unit])) is not None:
                rows[unit.what.label] = row[unit.name]
                units.append(unit)
    chosen = select_cells(found.cells, setup.cells, setup.box)
    windows = _windows(found, earlier.volume, chosen - rows.keys())
    labels, measures = 0, (0, 0)
    if background is not None and not windows:
        labels, measures = earlier.slabs(background, units, rows)
    done = len(chosen & rows.keys())
    return Known(windows, done, background is not None, labels, measures)


class _Earlier:
    """The finished units of an earlier run, with the fingerprints of this one."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.keys = setup, Keys.from_setup(setup)
        self.markers = Markers(setup.run / "done", setup.labels)
        self.volume = working_volume(setup.image.path, setup.parameters.working.resolution)

    def rows(self, units: Sequence[Unit]) -> dict[str, Row] | None:
        """Rows of units; None where any is unfinished or damaged."""
        return read_finished(self.markers, units)

    def background(self) -> Background | None:
        """The background, if it was found."""
        depth = self.volume.sizes["z"]
        rows = self.rows(level_units(self.keys.levels(), depth))
        if rows is None:
            return None
        grey_levels = read_levels(rows, self.setup.parameters.background.polarity)
        units = background_units(self.keys, grey_levels, depth)
        rows = self.rows(units)
        return None if rows is None else read_background(units, grey_levels, rows)

    def cells(self, background: Background | None) -> DetectedCells | None:
        """The cells that were given, or found in this background."""
        if self.setup.centres is not None:
            return locate_cells(self.setup, self.volume, None)
        if background is None:
            return None
        p = self.setup.parameters.detect
        units = detect_units(self.keys.detect(background.key), self.volume, p)
        rows = self.rows(units)
        if rows is None:
            return None
        table = read_detections(units, rows, self.volume, p)
        return locate_cells(self.setup, self.volume, table)

    def slabs(
        self, background: Background, units: Sequence[Unit], rows: Mapping[int, Row]
    ) -> tuple[int, tuple[int, int]]:
        """Slabs of labels that are there and would not change, and the measures of them.

        All cells are segmented.
        """
        setup = self.setup
        masks = cell_masks(setup.run, self.volume, units, rows)
        cedes_to = self.markers.result("ceded", "cells", self.keys.cedes_to(masks))
        if cedes_to is None:
            return 0, (0, 0)
        flagged, masks = resolve_masks(rows, masks, cedes_to, setup.parameters.quality)
        parts = cell_parts(flagged, masks)
        measured = self.rows(contact_units(self.keys, background, setup.working, masks, parts))
        if measured is None:
            return 0, (0, 0)
        contacts = [contact for row in measured.values() for contact in row["contacts"]]
        joined = find_joined(parts, contacts, setup.parameters.assemble)
        _, masks = join_parts(flagged, masks, joined)
        try:
            images = [read_image(path) for path in setup.label_paths.values()]
        except (InputError, MissingInputError):
            return 0, (0, 0)
        names = [image.name for image in images]
        there = set.intersection(*(set(store.finished_slabs(image)) for image in images))
        slabs = plan_slabs(store.slabs(images[0]), setup.working, masks, background.thresholds)
        grids = setup.image.levels[0].geometry, setup.working
        planned = plan_edits(self.keys, setup.edits, setup.run, masks, grids)
        slabs = [planned.of_slab(slab) for slab in slabs]
        written: dict[tuple[int, int], tuple[str, Row]] = {}
        for slab in slabs:
            unit, place = slab_unit(self.keys, background, names, slab), (slab.z0, slab.z1)
            if place in there and (found := self.rows([unit])) is not None:
                written[place] = unit.fingerprint, found[unit.name]
        if len(written) < len(slabs):
            return len(written), (0, 0)
        labels = Assembled(
            pd.DataFrame(),
            combine_counts(pd.DataFrame(row["counts"]) for _, row in written.values()),
            {place: key for place, (key, _) in written.items()},
            unedited_slabs(self.keys, background, names, slabs),
            {(slab.z0, slab.z1): slab.edits for slab in slabs},
        )
        return len(written), self.measures(images[names.index("cells")], labels)

    def measures(self, image: Image, found: Assembled) -> tuple[int, int]:
        """Finished tasks that measure the labels, and all of these tasks."""
        if not self.setup.parameters.measure.in_runs:
            return 0, 0
        units = measure_units(self.keys, image, found)
        return sum(self.rows([unit]) is not None for unit in units), len(units)


def _windows(
    found: DetectedCells, volume: xr.DataArray, labels: Collection[int]
) -> tuple[tuple[int, ...], ...]:
    """Voxels of the windows of these cells."""
    geometry = Geometry.of(volume)
    return tuple(
        region.window(geometry).shape for region in found.segmentable() if region.label in labels
    )
