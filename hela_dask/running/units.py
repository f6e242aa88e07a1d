"""The units of each stage and the values that their rows stand for: pure, nothing is computed.

A run has a client compute the rows of unfinished units; a plan reads those of finished ones. Both
make the same values of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import xarray as xr

from hela_dask.box import Box
from hela_dask.errors import NothingToDoError
from hela_dask.geometry import Geometry
from hela_dask.parameters import QualityParameters
from hela_dask.running.centres import correct_cells
from hela_dask.running.edit_cells import edit_centres
from hela_dask.running.keys import Keys
from hela_dask.running.needs import BACKGROUND_SLAB
from hela_dask.running.setup import Setup
from hela_dask.running.stages import masks_path
from hela_dask.statuses import CHAIN_TOO_SHORT
from hela_dask.steps.assemble import CellMasks, Slab, check_labels
from hela_dask.steps.confidence import nucleus_withheld
from hela_dask.steps.detect import DETECTION_COLUMNS
from hela_dask.steps.link import label_detections, link_cells
from hela_dask.steps.regions import Region, cell_regions, with_regions
from hela_dask.tasks.units import Row, Unit
from hela_dask.volume.greys import GreyLevels

__all__ = [
    "Background",
    "DetectedCells",
    "background_units",
    "cell_masks",
    "cell_unit",
    "classify_units",
    "locate_cells",
    "read_background",
    "resolve_masks",
    "slab_ranges",
    "slab_unit",
    "unedited_slabs",
]


@dataclass(frozen=True)
class Background:
    """The background of the working level."""

    key: str  # fingerprint, which all later stages depend on
    grey_levels: GreyLevels  # of the volume
    thresholds: tuple[float, ...]  # grey value where resin begins in each slice; NaN: not known


@dataclass(frozen=True)
class DetectedCells:
    """Tables of detections and cells, and the windows around the cells."""

    detections: pd.DataFrame
    cells: pd.DataFrame
    regions: list[Region]

    def segmentable(self) -> list[Region]:
        """Those that are segmented: all but chains too short to be a cell."""
        return [region for region in self.regions if region.status != CHAIN_TOO_SHORT]


def background_units(keys: Keys, grey_levels: GreyLevels, depth: int) -> list[Unit]:
    """A unit per slab of the working level."""
    return _slab_units("background", keys.background(grey_levels), depth)


def classify_units(keys: Keys, grey_levels: GreyLevels, depth: int) -> list[Unit]:
    """A unit per slab of the slices that a network predicts; none where the method has none."""
    key = keys.classify(grey_levels)
    return _slab_units("classify", key, depth) if key else []


def _slab_units(stage: str, key: str, depth: int) -> list[Unit]:
    """A unit per slab of so many slices."""
    return [
        Unit(stage, f"z{z0:05d}", key, (z0, z1), float(z1 - z0)) for z0, z1 in slab_ranges(depth)
    ]


def slab_ranges(depth: int) -> list[tuple[int, int]]:
    """The slices of each slab of the working level, half open."""
    return [(z0, min(z0 + BACKGROUND_SLAB, depth)) for z0 in range(0, depth, BACKGROUND_SLAB)]


def read_background(
    units: Sequence[Unit], grey_levels: GreyLevels, rows: Mapping[str, Row]
) -> Background:
    """The background that the rows of all slabs stand for."""
    found = [at for row in rows.values() for at in row["thresholds"]]
    thresholds = tuple(math.nan if at is None else at for at in found)
    return Background(units[0].fingerprint, grey_levels, thresholds)


def locate_cells(
    setup: Setup, volume: xr.DataArray, detections: pd.DataFrame | None
) -> DetectedCells:
    """Detections linked into cells, or the centres that were given; corrected; with windows.

    `volume` is the working level; `detections` is None where centres were given.

    Raises
    ------
    NothingToDoError
        When there is no detection.
    """
    p = setup.parameters
    if detections is None:
        assert setup.centres is not None
        detections, cells = pd.DataFrame({name: [] for name in DETECTION_COLUMNS}), setup.centres
    elif detections.empty:
        raise NothingToDoError(
            f"no cell was found in {setup.image.path}: cells are found by the resin "
            "around them, and none is visible in the slices looked at; give the cells' "
            "centres with --centres FILE.csv (columns z, y, x in nm)"
        )
    else:
        cells = link_cells(detections, volume, p.link)
        detections = label_detections(detections, cells, p.link)
    if setup.corrections is not None:
        given = setup.options.corrections
        name = str(given) if isinstance(given, str | Path) else "the table of corrections"
        cells = correct_cells(cells, setup.corrections, setup.image, name)
    cells = edit_centres(cells, setup.edits, setup.image, setup.edits_file)
    check_labels(cells["label"].tolist())
    regions = cell_regions(cells, volume, p.region)
    return DetectedCells(detections, with_regions(cells, regions), regions)


def cell_unit(keys: Keys, background: Background, region: Region) -> Unit:
    """The unit of a cell."""
    cost = math.prod(high - low for low, high in region.box)
    key = keys.segment(background.key, keys.classify(background.grey_levels), region)
    return Unit("segment", f"{region.label:05d}", key, region, cost)


def cell_masks(
    run: Path, volume: xr.DataArray, units: Sequence[Unit], rows: Mapping[int, Row]
) -> list[CellMasks]:
    """Where the masks of finished cells are; `rows` by label."""
    geometry = Geometry.of(volume)
    return [
        CellMasks(
            unit.what.label,
            masks_path(run.absolute(), unit.what.label),
            Box.of(rows[unit.what.label]["extent"]),
            unit.fingerprint,
            geometry.index(unit.what.centre),
        )
        for unit in units
        if rows[unit.what.label]["extent"]
    ]


def resolve_masks(
    rows: Mapping[int, Row],
    masks: Sequence[CellMasks],
    cedes_to: Mapping[str, Sequence[int]],
    limits: QualityParameters,
) -> tuple[dict[int, Row], list[CellMasks]]:
    """Flag cells that cede to others as ``ceded``, and withhold nuclei of low confidence.

    `cedes_to` is the row of the unit that finds, by label, the labels that a cell cedes to.
    """
    ceded = {int(label): tuple(to) for label, to in cedes_to.items()}
    flagged = dict(rows)
    for label in ceded.keys() & rows.keys():
        flags = ",".join(filter(None, (str(rows[label]["flags"]), "ceded")))
        flagged[label] = {**rows[label], "flags": flags}
    return flagged, [
        replace(
            item,
            cedes_to=ceded.get(item.label, ()),
            withheld=nucleus_withheld(flagged[item.label], limits),
        )
        for item in masks
    ]


def slab_unit(keys: Keys, background: Background, labels: Sequence[str], slab: Slab) -> Unit:
    """The unit of a slab of the label groups with these names."""
    key = keys.assemble(labels, background.key, slab.masks, slab.edits)
    return Unit("assemble", f"z{slab.z0:05d}", key, slab, float(slab.z1 - slab.z0))


def unedited_slabs(
    keys: Keys, background: Background, labels: Sequence[str], slabs: Sequence[Slab]
) -> dict[tuple[int, int], str]:
    """The fingerprints of slabs as they are without edits, by their slices."""
    units = (slab_unit(keys, background, labels, replace(slab, edits=())) for slab in slabs)
    return {(unit.what.z0, unit.what.z1): unit.fingerprint for unit in units}
