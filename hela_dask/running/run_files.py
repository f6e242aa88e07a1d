"""The shapes of a run folder's files, checked when they are read: run.json, scores.json, tables.

Readers raise InputError for files that are damaged or of another shape, StorageError for files that
may not be read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from hela_dask.documents.reading import Document, check_document, read_json
from hela_dask.errors import InputError, MissingInputError
from hela_dask.storage.tables import read_parquet

__all__ = ["RunDocument", "ScoresDocument", "read_cells", "read_facts", "read_rows"]

_Count = Annotated[int, Field(ge=0)]
_Size = Annotated[float, Field(gt=0)]
_Seconds = Annotated[float, Field(ge=0)]
_Three = Field(min_length=3, max_length=3)
_Slices = Annotated[list[_Count], Field(min_length=2, max_length=2)]


class _Image(Document):
    shape: Annotated[list[_Count], _Three]
    voxel_size: Annotated[list[_Size], _Three]
    extent: Annotated[list[_Size], _Three] | None = None
    dtype: str | None = None
    levels: int | None = None


class _Machine(Document):
    platform: str | None = None
    command: list[str] | None = None


class _Levels(Document):
    inverted: bool = False
    cell: float | None = None
    resin: float | None = None
    low: float | None = None
    high: float | None = None


class _Edit(Document):
    kind: str | None = None
    cells: list[int] | None = None
    by: str | None = None
    on: str | None = None
    note: str | None = None


class _Dask(Document):
    workers: int | None = None
    threads: int | None = None
    dashboard: str | None = None


class _Places(Document):
    run: str | None = None
    store: str | None = None
    labels: str | None = None


class _Replaced(Document):
    what: str
    finished: str | None = None
    when: str | None = None


class RunDocument(Document):
    """``run.json``; fields that a run has not reached are left out or null."""

    id: str | None = None
    store: str | None = None
    places: _Places | None = None
    result: str | None = None
    replaced: _Replaced | None = None
    centres: bool | str | None = None
    corrections: list[dict[str, Any]] | None = None
    image: _Image | None = None
    fingerprint: str | None = None
    method: str | None = None
    parameters: dict[str, dict[str, Any]] | None = None
    labels: dict[str, str] | None = None
    grey_levels: _Levels | None = None
    state: str | None = None
    error: str | None = None
    started: str | None = None
    finished: str | None = None
    timings: dict[str, _Seconds] | None = None
    warnings: list[str] | None = None
    edits: list[_Edit] | None = None
    dask: _Dask | None = None
    versions: dict[str, str] | None = None
    machine: _Machine | None = None


class _PerSlice(Document):
    ji: list[float | None] | None = None
    dice: list[float | None] | None = None


class _Mean(Document):
    ji: float | None = None


class _Level(Document):
    iou: float
    tp: float | None = None
    fp: float | None = None
    fn: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None


class _Instances(Document):
    thresholds: list[_Level] = Field(default_factory=list)
    slices: _Slices | None = None
    mean_iou: float | None = None
    mean_average_precision: float | None = None


class _Scores(Document):
    ji: float | None = None
    ac: float | None = None
    dice: float | None = None
    ari: float | None = None
    npr: float | None = None
    kappa: float | None = None
    hausdorff_mean: float | None = None
    hausdorff_95: float | None = None
    slice_mean: _Mean | None = None
    slice_sd: _Mean | None = None
    per_slice: _PerSlice | None = None
    instances: _Instances | list[int] | None = None  # of classes: the labels that are scored


class ScoresDocument(Document):
    """``scores.json``: each class as ``evaluate --json`` prints it."""

    kind: str | None = None
    truth: dict[str, str] | None = None
    slices: _Slices | None = None
    classes: dict[str, list[int]] | None = None
    nucleus: _Scores | None = None
    cell: _Scores | None = None
    cytoplasm: _Scores | None = None
    envelope: _Scores | None = None
    background: _Scores | None = None


def read_facts(path: Path, shape: type[Document]) -> dict[str, Any]:
    """The content of a run folder's JSON file once its shape was checked; empty without a file."""
    try:
        found = read_json(path)
        check_document(found, shape, str(path))
    except MissingInputError:
        return {}
    except InputError as error:
        raise InputError(f"{error}; start the run again") from error
    facts: dict[str, Any] = found
    return facts


def read_cells(path: Path) -> pd.DataFrame:
    """``cells.parquet`` with the kinds of its columns checked; empty without a file."""
    table = read_rows(path)
    if table.empty and not len(table.columns):
        return table
    for names, kind, fits in (
        (_NUMBERS, "numbers", pd.api.types.is_numeric_dtype),
        (_FLAGS, "true and false", pd.api.types.is_bool_dtype),
        (_TEXTS, "texts", _is_text),
    ):
        for name in names:
            if name in table and not fits(table[name].dtype):
                raise InputError(
                    f"{path}: the column {name} must hold {kind}, not {table[name].dtype}; start "
                    "the run again"
                )
    if missing := [name for name in ("label", "status") if name not in table]:
        raise InputError(f"{path} has no column {missing[0]!r}; start the run again")
    return table


def read_rows(path: Path) -> pd.DataFrame:
    """A table of a run folder; empty without a file."""
    try:
        return read_parquet(path)
    except MissingInputError:
        return pd.DataFrame()
    except InputError as error:
        raise InputError(f"{error}; start the run again") from error


def _is_text(dtype: Any) -> bool:
    return pd.api.types.is_string_dtype(dtype) or pd.api.types.is_object_dtype(dtype)


_NUMBERS = (
    *("label", "z", "y", "x", "height", "first_slice", "last_slice", "nucleus_volume"),
    *("cell_volume", "seconds", "peak_memory", "confidence"),
    *(f"box_{axis}{end}" for axis in "zyx" for end in (0, 1)),
)
_FLAGS = ("complete", "touches_first_slice", "touches_last_slice", "touches_side")
_TEXTS = ("status", "reason", "flags")
