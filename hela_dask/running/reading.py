"""The contents of a run folder, with empty values for missing files.

Keys of ``run.json`` that the report shows: ``store``, ``image`` (``shape``, ``voxel_size``,
``extent``, ``dtype``, ``levels``), ``method``, ``parameters``, ``labels`` (name to path),
``state``, ``started``, ``finished``, ``timings`` (stage to seconds), ``warnings``, ``error``,
``dask``, ``versions`` and ``machine``. ``scores.json`` has ``nucleus`` and ``cell`` as
``evaluate --json`` prints them, and ``truth`` (name to path).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from hela_dask.errors import InputError, MissingInputError
from hela_dask.running.identity import RunPlaces, find_places, is_run_folder, read_id
from hela_dask.running.run_files import (
    RunDocument,
    ScoresDocument,
    read_cells,
    read_facts,
    read_rows,
)
from hela_dask.running.tables import segmented_cells
from hela_dask.statuses import check_statuses
from hela_dask.storage.urls import StorePath

__all__ = ["RunFolder", "read_folder"]


@dataclass(frozen=True)
class RunFolder:
    """A run folder."""

    path: Path
    # ``run.json``. Its store and its labels have their current absolute places.
    facts: dict[str, Any]
    # Empty where there are none
    cells: pd.DataFrame
    detections: pd.DataFrame
    scores: dict[str, Any]  # ``scores.json``, empty where there is none
    # Empty, without columns, where there are none
    contacts: pd.DataFrame = field(default_factory=pd.DataFrame)
    # Where image and labels are
    places: RunPlaces = field(default_factory=lambda: RunPlaces(None, {}))

    @property
    def store(self) -> StorePath | None:
        """The image, if it is found: where it was, or moved together with the run."""
        return self.places.store

    def labels(self, name: str) -> Path | None:
        """A label group of this run; None if it is missing, or of another run."""
        return self.places.labels.get(name)

    def check_labels(self) -> None:
        """InputError if the labels are those of another run: names it, and the remedy."""
        other = self.places.replaced_by
        if other is None:
            return
        store = self.facts.get("store", "STORE")
        raise InputError(
            f"the labels of {self.path} were replaced by {other}: look at that run instead, or "
            f"compute these again into another store with hela-dask run {store} --out "
            f"{self.path} --labels PATH and the parameters of {self.path / 'run.toml'}"
        )

    def score(self, name: str) -> dict[str, Any]:
        """Scores of the class ``nucleus`` or ``cell``; empty where there are none."""
        return self.scores.get(name) or {}

    def segmented(self) -> pd.DataFrame:
        """The rows of cells that have a nucleus or a cell mask."""
        return segmented_cells(self.cells)


def read_folder(path: str | Path) -> RunFolder:
    """Read the small files of a run folder.

    MissingInputError where there is no run folder or no ``run.json`` in it; InputError where a file
    is damaged, or of another version.
    """
    path = Path(path)
    if not path.is_dir():
        raise MissingInputError(f"no run folder at {path}")
    if not (path / "run.json").is_file():
        raise MissingInputError(f"{path} is not a run folder: it holds no run.json")
    facts = read_facts(path / "run.json", RunDocument)
    if not is_run_folder(path):
        raise InputError(f"{path} is not a run folder: its run.json is not one of hela_dask")
    cells = read_cells(path / "cells.parquet")
    check_statuses(cells, path / "cells.parquet")
    places = find_places(path, facts, read_id(path))
    return RunFolder(
        path,
        _with_places(facts, places),
        cells,
        read_rows(path / "detections.parquet"),
        read_facts(path / "scores.json", ScoresDocument),
        read_rows(path / "contacts.parquet"),
        places,
    )


def _with_places(facts: dict[str, Any], places: RunPlaces) -> dict[str, Any]:
    """``run.json`` with the current places."""
    last = (facts.get("places") or {}).get("store")
    return {
        **facts,
        "store": str(places.store or last or facts.get("store", "")),
        "labels": {name: str(path) for name, path in places.labels.items()},
    }
