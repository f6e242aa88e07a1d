"""The cells of a run that is still to come, as far as they are known: given, or found before."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hela_dask.errors import InputError, MissingInputError
from hela_dask.running.finding import detect_units, level_units, read_detections, read_levels
from hela_dask.running.keys import Keys
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
)
from hela_dask.steps.assemble import plan_slabs
from hela_dask.storage import store
from hela_dask.storage.metadata import read_image
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
    """Cells whose windows are known.

    Parameters
    ----------
    windows : tuple of (z, y, x)
        Voxels of the working level, of each cell that is asked for and not segmented yet.
    done : int
        Cells that are segmented already.
    found : bool
        Whether resin and cells were found by an earlier run; if not, they were given.
    labels : int
        Slabs of labels that an earlier run wrote, and that would not change.
    """

    windows: tuple[tuple[int, int, int], ...]
    done: int
    found: bool
    labels: int = 0

    @property
    def number(self) -> int:
        """All cells that are asked for."""
        return len(self.windows) + self.done


def known_cells(setup: Setup) -> Known | None:
    """The cells of a run, if they are known before it starts.

    Parameters
    ----------
    setup : Setup
        A run that may start.

    Returns
    -------
    Known or None
        None where detection has still to find them.

    Raises
    ------
    NothingToDoError
        When an earlier run has looked, with these parameters, and found none.
    InputError
        For a cell or a box that was asked for and is not there.
    """
    keys, markers = Keys.of(setup), Markers(setup.run / "done", setup.labels)
    volume = working_volume(setup.image.path, setup.parameters.working.resolution)
    background = _background(keys, markers, volume.sizes["z"])
    found = _cells(setup, keys, markers, volume, background)
    if found is None:
        return None
    units: list[Unit] = []
    rows: dict[int, Row] = {}
    if background is not None:
        units = [cell_unit(keys, background, region) for region in found.segmentable()]
        rows = {
            unit.what.label: row[unit.name]
            for unit in units
            if (row := read_finished(markers, [unit])) is not None
        }
    chosen = select_cells(found.cells, setup.cells, setup.box)
    windows = _windows(found, volume, chosen - rows.keys())
    labels = 0
    if background is not None and not windows:
        done = [unit for unit in units if unit.what.label in rows]
        labels = _finished_slabs(setup, keys, markers, background, done, rows)
    return Known(windows, len(chosen & rows.keys()), found=background is not None, labels=labels)


def _background(keys: Keys, markers: Markers, depth: int) -> Background | None:
    """The background, if an earlier run found it with these parameters."""
    rows = read_finished(markers, level_units(keys.levels(), depth))
    if rows is None:
        return None
    levels = read_levels(rows, keys.parameters.background.polarity)
    units = background_units(keys, levels, depth)
    rows = read_finished(markers, units)
    return None if rows is None else read_background(units, levels, rows)


def _cells(
    setup: Setup,
    keys: Keys,
    markers: Markers,
    volume: xr.DataArray,
    background: Background | None,
) -> DetectedCells | None:
    """The cells that were given, or that an earlier run found in this background."""
    if setup.centres is not None:
        return locate_cells(setup, volume, None)
    if background is None:
        return None
    p = setup.parameters.detect
    units = detect_units(keys.detect(background.key), volume, p)
    rows = read_finished(markers, units)
    if rows is None:
        return None
    return locate_cells(setup, volume, read_detections(units, rows, volume, p))


def _finished_slabs(
    setup: Setup,
    keys: Keys,
    markers: Markers,
    background: Background,
    units: Sequence[Unit],
    rows: Mapping[int, Row],
) -> int:
    """Slabs of labels that are there and would not change; all cells are segmented."""
    volume = working_volume(setup.image.path, setup.parameters.working.resolution)
    masks = cell_masks(setup.run, volume, units, rows)
    yields = markers.result("yields", "cells", keys.yields(masks))
    if yields is None:
        return 0
    _, masks = resolve_masks(rows, masks, yields, setup.parameters.quality)
    try:
        images = [read_image(path) for path in setup.label_paths.values()]
    except (InputError, MissingInputError):
        return 0
    names = [image.name for image in images]
    there = set.intersection(*(set(store.finished_slabs(image)) for image in images))
    slabs = plan_slabs(store.slabs(images[0]), *setup.working, masks, background.thresholds)
    return sum(
        (slab.z0, slab.z1) in there
        and read_finished(markers, [slab_unit(keys, background, names, slab)]) is not None
        for slab in slabs
    )


def _windows(
    found: DetectedCells, volume: xr.DataArray, labels: Collection[int]
) -> tuple[tuple[int, int, int], ...]:
    """Voxels of the windows of these cells."""
    sizes = []
    for region in found.segmentable():
        if region.label in labels:
            z, y, x = (part.stop - part.start for part in region.slices(volume))
            sizes.append((z, y, x))
    return tuple(sizes)
