"""The request for a run, as the user gave it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.methods.registry import MethodLike
from hela_dask.parameters import Parameters
from hela_dask.storage.urls import StorePath

__all__ = ["ParametersLike", "RunOptions", "Table"]

ParametersLike = Parameters | Mapping[str, Any] | str | Path
Table = str | Path | pd.DataFrame


@dataclass(frozen=True)
class RunOptions:
    """The arguments of :func:`hela_dask.run` that determine the result, as they were given.

    Two more: with ``segmenting=False`` only cells are found; with ``asking=False`` nothing is
    written, so that results which a run would replace are no reason to refuse.
    """

    store: str | StorePath
    out: str | Path | None = None
    method: MethodLike = DEFAULT_METHOD
    model: str | Path | None = None
    parameters: ParametersLike | None = None
    cells: Sequence[int] | None = None
    box: Sequence[Sequence[float]] | None = None
    centres: Table | None = None
    corrections: Table | None = None
    edits: str | Path | None = None
    labels: str | Path | None = None
    truth: str | StorePath | None = None
    overwrite: bool = False
    recompute: bool = False
    segmenting: bool = True
    asking: bool = True

    def command(self) -> dict[str, str | Path]:
        """The options of the command line that ask for the same."""
        given = {
            "--method": None if self.method == DEFAULT_METHOD else self.method,
            "--model": self.model,
            "--centres": self.centres,
            "--corrections": self.corrections,
            "--edits": self.edits,
            "--params": self.parameters,
        }
        texts = {name: item for name, item in given.items() if isinstance(item, str | Path)}
        return {name: item for name, item in texts.items() if item != ""}
