"""run.json and run.toml: input, versions, parameters and progress of a run."""

from __future__ import annotations

import contextlib
import datetime
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from hela_dask.documents.reading import read_text
from hela_dask.errors import HelaDaskError, StorageError
from hela_dask.kernels.packed_labels import INSTANCES
from hela_dask.running.edit_files import edit_facts
from hela_dask.running.replacing import table_digest
from hela_dask.running.run_files import RunDocument, read_facts
from hela_dask.storage.files import write_json, write_text
from hela_dask.storage.metadata import Image
from hela_dask.storage.places import place_text, relative_path, resolved
from hela_dask.tasks.markers import Markers
from hela_dask.tasks.versions import versions

if TYPE_CHECKING:
    from hela_dask.running.setup import Setup

__all__ = ["Record", "image_facts", "now", "read_grey_range", "read_run"]


def now() -> str:
    """The time as UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def image_facts(image: Image) -> dict[str, Any]:
    """Properties of the input for a reader of the run."""
    level = image.levels[0]
    return {
        "path": str(image.path.absolute()),
        "version": image.version,
        "dtype": str(image.dtype),
        "shape": list(level.shape),
        "voxel_size": list(level.voxel_size),
        "extent": list(level.geometry.extent),
        "levels": len(image.levels),
    }


def read_run(folder: Path) -> dict[str, Any]:
    """``run.json`` of a run folder; empty where there is none that can be read."""
    try:
        return read_facts(folder / "run.json", RunDocument)
    except HelaDaskError:
        return {}


def read_grey_range(folder: Path) -> tuple[float, float] | None:
    """The grey values that the run of a folder takes as 0 and 1; None where it has none."""
    levels = read_run(folder).get("grey_levels") or {}
    low, high = levels.get("low"), levels.get("high")
    return None if low is None or high is None or not low < high else (float(low), float(high))


def _rows(corrections: pd.DataFrame | None) -> list[dict[str, Any]] | None:
    """The corrections, row by row; None stands for an empty field."""
    if corrections is None:
        return None
    return [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in corrections.to_dict("records")
    ]


def _replaced(setup: Setup) -> dict[str, str] | None:
    """The result that this run replaced, or that an earlier call of it did."""
    earlier = read_run(setup.run)
    if not setup.replaced:
        return earlier.get("replaced")
    return {"what": setup.replaced, "finished": str(earlier.get("finished", "")), "when": now()}


class Record:
    """``run.json``, from the first unit of work to the end; :meth:`begin` writes it first.

    `guard` is called before each write; it raises if another run has taken the run folder.
    """

    def __init__(self, setup: Setup) -> None:
        self._folder, self._begun = setup.run, False
        self.guard: Callable[[], None] = lambda: None
        self._parameters = setup.parameters.to_toml()
        self._network = bool(setup.network)
        facts: dict[str, Any] = {
            "state": "running",
            "exit_code": None,
            "error": "",
            "id": "",
            "store": relative_path(setup.image.path, setup.run),
            "places": {
                "run": resolved(setup.run).as_posix(),
                "store": place_text(setup.image.path),
                "labels": resolved(setup.labels).as_posix(),
            },
            "image": image_facts(setup.image),
            "fingerprint": setup.source,
            "method": setup.method,
            "network": setup.network,
            "parameters": setup.parameters.to_dict(),
            "cells": None if setup.cells is None else list(setup.cells),
            "box": None if setup.box is None else [list(pair) for pair in setup.box],
            "centres": table_digest(setup.centres) or False,
            "corrections": _rows(setup.corrections),
            "edits": edit_facts(setup.edits),
            "grey_levels": None,
            "labels": {
                name: relative_path(setup.labels / name, setup.run)
                for name in ((*INSTANCES, "background") if setup.options.segmenting else ())
            },
            "replaced": _replaced(setup),
            "result": "",
            "started": now(),
            "finished": "",
            "timings": {},
            "statuses": {},
            "warnings": [],
            "dask": {},
        }
        self.facts = facts

    def begin(self) -> None:
        """The work begins.

        From now on the run folder records this, until the work is finished.
        """
        self.guard()
        self._begun = True
        Markers(self._folder / "done").forget("report")
        self._write()
        path = self._folder / "run.toml"
        written = ""
        with contextlib.suppress(HelaDaskError):
            written = read_text(path)
        if written != self._parameters:
            write_text(path, self._parameters)

    def finish(self, state: str, exit_code: int, more: Mapping[str, Any]) -> None:
        """The work is finished."""
        if not self._begun:
            self.begin()
        self.guard()
        self.facts.update(more, state=state, exit_code=exit_code, finished=now())
        self._write()

    def stop(self, state: str, exit_code: int, error: str) -> None:
        """The work ended before it was finished; writes nothing where it had not begun."""
        try:
            self.guard()
        except StorageError:
            return
        if self._begun:
            self.finish(state, exit_code, {"error": error})

    def _write(self) -> None:
        machine = {
            "platform": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        }
        content = {**self.facts, "versions": versions(network=self._network), "machine": machine}
        write_json(self._folder / "run.json", content)
