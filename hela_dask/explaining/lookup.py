"""A cell of a finished run, found again: its window, and the inputs and results of the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.errors import InputError, MissingInputError, ParameterError
from hela_dask.geometry import Geometry
from hela_dask.methods.registry import group_names
from hela_dask.parameters import Parameters
from hela_dask.running.folders import run_folder
from hela_dask.running.predicted import read_predicted
from hela_dask.running.reading import RunFolder, read_folder
from hela_dask.running.source import identify_image
from hela_dask.running.stages import resin_path
from hela_dask.running.tables import select_cells
from hela_dask.statuses import CHAIN_TOO_SHORT, DETECTED, FAILED, NOT_SELECTED
from hela_dask.steps.regions import Region
from hela_dask.storage.places import same_place
from hela_dask.storage.scratch import read_mask
from hela_dask.storage.urls import StorePath
from hela_dask.volume.greys import GreyLevels
from hela_dask.volume.opening import open_volume, read_image, working_volume

__all__ = ["FinishedCell", "find_cell"]

_WITHOUT_MASKS = (CHAIN_TOO_SHORT, DETECTED, FAILED, NOT_SELECTED)


@dataclass(frozen=True)
class FinishedCell:
    """A cell that a run has segmented."""

    store: StorePath  # the image
    run: Path  # the run folder
    folder: RunFolder  # the image of the run
    method: str  # of :mod:`hela_dask.methods`
    parameters: Parameters  # of the run: of the background, the method and the quality
    grey_levels: GreyLevels  # of the volume, as the run found them
    region: Region  # the cell's window
    slices: tuple[int, int]  # the first and the last slice of the cell, from 1

    @property
    def resolution(self) -> float:
        """Of the working level, nm."""
        return self.parameters.working.resolution

    @property
    def _again(self) -> str:
        return f"start hela-dask run {self.store} --out {self.run} again"

    def working(self) -> xr.DataArray:
        """The working level of the image, lazily."""
        return working_volume(self.store, self.resolution)

    def background(self, window: Box) -> NDArray[np.bool_]:
        """A part of the background of the run, true in the resin, or MissingInputError."""
        path = resin_path(self.run)
        if not path.is_dir():
            raise MissingInputError(f"the background of {self.run} is gone: {self._again}")
        return read_mask(path, window)

    def predicted(self, window: Box) -> dict[str, NDArray[np.uint8]]:
        """The outputs of the run's network in a part of the volume, or MissingInputError."""
        try:
            return read_predicted(self.run, self.method, self.parameters, self.working(), window)
        except MissingInputError as error:
            raise MissingInputError(
                f"the outputs of the network of {self.run} are gone: {self._again}"
            ) from error

    def labels(self, name: str) -> xr.DataArray:
        """A label group of the run on the working level, lazily.

        MissingInputError when it is missing, or another run has replaced it.
        """
        self.folder.check_labels()
        path = self.folder.labels(name)
        if path is None:
            raise MissingInputError(f"the labels {name!r} of {self.run} are gone: {self._again}")
        labels, working = open_volume(path, self.resolution), self.working()
        # Pyramids end where planes are small; further down they continue by every second pixel.
        y, x = Geometry.of(labels).factors(Geometry.of(working))
        return labels[:, ::y, ::x]


def find_cell(store: str | StorePath, cell: int, run: str | Path | None = None) -> FinishedCell:
    """Find a cell of a finished run; by default the run folder is the store's name with ``.run``.

    MissingInputError when there is no finished run; InputError when the volume has changed since,
    the run was made by a version with other parameters, there is no such cell, or it was not
    segmented.
    """
    image = read_image(store)
    path = run_folder(image.path, run)
    folder = read_folder(path) if (path / "run.json").is_file() else None
    if folder is None or folder.facts.get("state") != "finished":
        raise MissingInputError(
            f"there is no finished run of {image.path} at {path}: start hela-dask run {image.path} "
            "first, or name the folder of its run with --run"
        )
    facts = folder.facts
    again = f"start hela-dask run {image.path} again"
    if facts.get("fingerprint") != identify_image(image)[0]:
        if folder.store is not None and not same_place(folder.store, image.path):
            raise InputError(
                f"{path} is the run of {folder.store}, not of {image.path}: name another --run"
            )
        raise InputError(f"{image.path} has changed since the run {path}: {again}")
    folder.check_labels()
    try:
        method = str(facts["method"])
        # The other groups of parameters have no effect here.
        stages = ("working", "background", *group_names(method), "quality")
        parameters = Parameters.from_dict({name: facts["parameters"][name] for name in stages})
        grey_levels = GreyLevels(**facts["grey_levels"])
    except (ParameterError, KeyError, TypeError) as error:
        raise InputError(f"{path} was made by another version ({error}): {again}") from error
    select_cells(folder.cells, [cell], None)
    (row,) = folder.cells[folder.cells["label"] == cell].to_dict("records")
    if row["status"] in _WITHOUT_MASKS:
        why = f": {row['reason']}" if row["reason"] else ""
        raise InputError(
            f"cell {cell} has no masks in {path}, its status is {row['status']}{why}; "
            f"{path / 'cells.csv'} lists the cells that have"
        )
    return FinishedCell(
        image.path,
        path,
        folder,
        method,
        parameters,
        grey_levels,
        Region.from_row(row),
        (int(row["first_slice"]), int(row["last_slice"])),
    )
