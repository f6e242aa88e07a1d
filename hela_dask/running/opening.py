"""The result of a finished run, opened again: nothing is computed, nothing is written."""

from __future__ import annotations

from pathlib import Path

from hela_dask.errors import InputError, MissingInputError
from hela_dask.running.reading import read_folder
from hela_dask.running.result import RunResult
from hela_dask.storage.metadata import local_path
from hela_dask.storage.urls import store_path

__all__ = ["open_run"]


def open_run(path: str | Path) -> RunResult:
    """Open the result of a finished run; computes nothing and writes nothing.

    Parameters
    ----------
    path : path
        The run folder. It may have been moved, renamed or copied together with its volume, and
        may be read-only.

    Returns
    -------
    RunResult
        As :func:`hela_dask.run` returned it; ``timings`` are those of its last call.

    Raises
    ------
    MissingInputError
        When there is no run folder, its run is not finished, or its labels are gone.
    InputError
        When a file is damaged, or the labels are another run's by now.

    Examples
    --------
    >>> import hela_dask as hd
    >>> result = hd.open_run("hela.run")
    >>> sorted(result.labels)
    ['background', 'cells', 'envelope', 'nuclei']
    """
    folder = read_folder(local_path(path))
    facts, state = folder.facts, folder.facts.get("state")
    if state != "finished":
        raise MissingInputError(
            f"{folder.path} holds no finished run, its state is {state!r}: start hela-dask run "
            f"{facts['store']} --out {folder.path} again"
        )
    folder.check_labels()
    missing = [name for name in ("cells", "nuclei") if folder.labels(name) is None]
    if missing:
        raise MissingInputError(
            f"the labels {missing[0]!r} of {folder.path} are gone: start hela-dask run "
            f"{facts['store']} --out {folder.path} again"
        )
    if folder.cells.empty:
        raise InputError(
            f"{folder.path / 'cells.parquet'} is missing or empty: start hela-dask run "
            f"{facts['store']} --out {folder.path} again, which writes it"
        )
    return RunResult(
        path=folder.path,
        store=store_path(facts["store"]),
        cells=folder.cells,
        label_paths=dict(folder.places.labels),
        report=folder.path / "report.html",
        contacts=folder.contacts if len(folder.contacts.columns) else None,
        exit_code=3 if facts.get("exit_code") == 3 else 0,
        timings=dict(facts.get("timings") or {}),
        warnings=tuple(facts.get("warnings") or ()),
        scores=folder.scores,
    )
