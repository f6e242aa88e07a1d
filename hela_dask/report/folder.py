"""What a run folder holds, read with what is missing left empty.

Keys of ``run.json`` that the report shows: ``store``, ``image`` (``shape``, ``voxel_size``,
``extent``, ``dtype``, ``levels``), ``method``, ``parameters``, ``labels`` (name to path),
``state``, ``started``, ``finished``, ``timings`` (stage to seconds), ``warnings``, ``error``,
``dask``, ``versions`` and ``machine``. ``scores.json`` has ``nucleus`` and ``cell`` as
``evaluate --json`` prints them, and ``truth`` (name to path).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hela_dask.errors import MissingInputError
from hela_dask.running.run_files import (
    RunDocument,
    ScoresDocument,
    read_cells,
    read_facts,
    read_rows,
)
from hela_dask.statuses import check_statuses

__all__ = ["RunFolder", "read_folder"]


@dataclass(frozen=True)
class RunFolder:
    """A run folder.

    Attributes
    ----------
    path : Path
    facts : dict
        ``run.json``.
    cells, detections : pandas.DataFrame
        Empty where there are none.
    scores : dict
        ``scores.json``, empty where there is none.
    """

    path: Path
    facts: dict[str, Any]
    cells: pd.DataFrame
    detections: pd.DataFrame
    scores: dict[str, Any]

    @property
    def store(self) -> Path | None:
        """The image, if it is where it was."""
        path = self.facts.get("store")
        return Path(path) if path and Path(path).exists() else None

    def labels(self, name: str) -> Path | None:
        """A label group, if it is where it was."""
        path = (self.facts.get("labels") or {}).get(name)
        return Path(path) if path and Path(path).exists() else None

    def score(self, name: str) -> dict[str, Any]:
        """Scores of the class ``nucleus`` or ``cell``; empty where there are none."""
        found = self.scores.get(name)
        return found if isinstance(found, dict) else {}

    def segmented(self) -> pd.DataFrame:
        """The rows of cells that have a nucleus or a cell mask."""
        names = [name for name in ("nucleus_volume", "cell_volume") if name in self.cells]
        return self.cells[self.cells[names].notna().any(axis=1)] if names else self.cells.iloc[:0]


def read_folder(path: str | Path) -> RunFolder:
    """Read the small files of a run folder.

    Raises
    ------
    MissingInputError
        When there is no run folder or no ``run.json`` in it.
    InputError
        When a file is damaged, or of another version.
    """
    path = Path(path)
    if not path.is_dir():
        raise MissingInputError(f"no run folder at {path}")
    if not (path / "run.json").is_file():
        raise MissingInputError(f"{path} is not a run folder: it holds no run.json")
    cells = read_cells(path / "cells.parquet")
    check_statuses(cells, path / "cells.parquet")
    return RunFolder(
        path,
        read_facts(path / "run.json", RunDocument),
        cells,
        read_rows(path / "detections.parquet"),
        read_facts(path / "scores.json", ScoresDocument),
    )
