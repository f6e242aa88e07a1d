"""The end of a run.

The final table, the metadata of labels for viewers, scores, report, run.json.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from hela_dask.columns import COLUMNS, CONTACT_COLUMNS, Column, columns_table
from hela_dask.documents.reading import read_json
from hela_dask.errors import HelaDaskError, InputError, StorageError
from hela_dask.formatting import listed
from hela_dask.kernels.packed_labels import INSTANCES
from hela_dask.running.context import Context
from hela_dask.running.edit_cells import add_edits, relabelled_cells
from hela_dask.running.edit_files import edit_facts
from hela_dask.running.identity import label_notes
from hela_dask.running.made import find_earlier
from hela_dask.running.provenance import Record, read_run
from hela_dask.running.result import RunResult
from hela_dask.running.scoring import Truth, score_run
from hela_dask.running.setup import Setup
from hela_dask.running.shapes import Assembled, Measures
from hela_dask.running.source import identify_image
from hela_dask.running.tables import add_measurements, add_quality, add_segments, add_shapes
from hela_dask.running.units import Background, DetectedCells
from hela_dask.statuses import CHAIN_TOO_SHORT, FAILED, NOT_SELECTED
from hela_dask.steps.assemble import label_colors, label_properties
from hela_dask.storage import store
from hela_dask.storage.groups import note
from hela_dask.storage.metadata import read_image
from hela_dask.storage.urls import StoreUrl
from hela_dask.tasks.markers import fingerprint, fingerprint_files
from hela_dask.tasks.units import Unit
from hela_dask.version import __version__

__all__ = ["finish_run"]

_CONTACTS = ("contacts.parquet", "contacts.csv")
_RESULTS = (
    *("cells.parquet", "cells.csv", *_CONTACTS, "columns.csv", "run.json", "run.toml"),
    *("scores.json", "report.html"),
)

_NAMED = 5  # files of an earlier result that are shown

log = logging.getLogger(__name__)

_SHOWN = (
    *("status", "flags", "confidence", "complete"),
    *("z", "y", "x", "nucleus_volume", "cell_volume"),
    *("envelope_volume", "doubtful_slices"),
)


def finish_run(
    context: Context,
    record: Record,
    background: Background,
    found: DetectedCells,
    rows: Mapping[int, Mapping[str, Any]],
    *,
    chosen: Collection[int],
    assembled: Assembled,
    measures: Measures,
    write_report: Callable[[Path], None],
) -> RunResult:
    """Write the results for users; leave it untouched where nothing it depends on has changed.

    Parameters
    ----------
    context, record
        Of the run.
    background, found, rows, assembled, measures
        The values of the stages.
    chosen : collection of int
        Labels that were asked for.
    write_report : callable
        Writes the report into a run folder.

    Returns
    -------
    RunResult
    """
    setup, job = context.setup, context.job
    _check_unchanged(setup)
    cells = add_shapes(_table(context, found, rows, chosen, assembled.measured), measures)
    labels, contacts = assembled.key, measures.contacts
    exit_code = 3 if (cells["status"] == FAILED).any() else 0
    context.warn_of_versions()
    truth = _kept_truth(context, labels) if setup.truth is None else _truth_facts(setup.truth)
    described = _described(cells, contacts, found.detections)
    key = fingerprint(
        __version__,
        columns_table(described).to_dict("list"),
        setup.method,
        setup.parameters,
        labels,
        cells.to_dict("list"),
        None if contacts is None else contacts.to_dict("list"),
        truth,
        context.warnings,
        *([setup.edits.fingerprint] if setup.edits and setup.edits.edits else ()),
        [record.facts[name] for name in ("id", "store", "places", "labels")],
    )
    unit = Unit("report", "all", key)
    context.forget_damaged([unit], "files of the results", "they are written again")
    done = context.result(unit)
    if done is None or context.session.started:
        job.may_label()
        store.write_table(setup.run / "cells", cells)
        _write_contacts(setup.run, contacts)
        store.write_columns(setup.run / "columns.csv", described)
        _describe_labels(context, cells, labels)
        scores = _score(context, labels, truth)
        context.progress.stage("report", 1)
        facts = _facts(context, cells, background, labels)
        record.facts.update(_selection(setup, cells, chosen), **facts)
        record.finish("finished", exit_code, {"error": ""})
        _report(context, write_report)
        _end_stage(context)
        record.finish("finished", exit_code, {"timings": dict(context.progress.timings)})
        files = context.markers.record(*_result_files(setup.run))
        names = [name for name in context.markers.names() if name != "report-all"]
        row = {"scores": scores, "units": names}
        done = context.markers.finish("report", "all", key, row, files)
    else:
        context.progress.info(_nothing_left(setup, chosen))
    earlier = _warn_of_earlier(context, labels)
    return RunResult(
        path=setup.run,
        store=setup.image.path,
        cells=cells,
        contacts=contacts,
        label_paths=context.setup.label_paths,
        report=setup.run / "report.html",
        exit_code=exit_code,
        timings=dict(context.progress.timings),
        warnings=(*context.warnings, *context.repairs, *earlier),
        scores=done["scores"],
    )


def _end_stage(context: Context) -> None:
    """End a stage of one step."""
    context.progress.advance()
    context.progress.end_stage()


def _nothing_left(setup: Setup, chosen: Collection[int]) -> str:
    """A sentence about a call that found everything finished."""
    what = "everything"
    if setup.chooses_cells:
        what = f"cell{'s' * (len(chosen) > 1)} {listed([str(label) for label in sorted(chosen)])}"
    return (
        f"{setup.run} is finished already, and nothing is left to do: --recompute computes {what} "
        "again"
    )


def _facts(
    context: Context, cells: pd.DataFrame, background: Background, labels: str
) -> dict[str, Any]:
    """The results of a finished run in its record."""
    return {
        "result": labels,
        "grey_levels": asdict(background.grey_levels),
        "timings": dict(context.progress.timings),
        "statuses": cells["status"].value_counts().to_dict(),
        "complete": int(cells["complete"].sum()),
        "warnings": [*context.warnings, *context.repairs],
        "dask": context.session.facts or read_run(context.setup.run).get("dask", {}),
    }


def _selection(setup: Setup, cells: pd.DataFrame, chosen: Collection[int]) -> dict[str, Any]:
    """The cells that the result has, for the record: those of earlier calls stay in it.

    As this call chose them where it has no others; all (None) where none was left out.
    """
    kept = cells["label"][~cells["status"].isin((NOT_SELECTED, CHAIN_TOO_SHORT))]
    if not setup.chooses_cells or set(kept) <= set(chosen):
        return {}
    every = not (cells["status"] == NOT_SELECTED).any()
    return {"cells": None if every else sorted(kept.tolist()), "box": None}


def _warn_of_earlier(context: Context, labels: str) -> tuple[str, ...]:
    """Warnings of this call about files that were made from an earlier result of the run."""
    found = [str(item) for item in find_earlier(context.setup.run, labels)]
    for text in found[:_NAMED]:
        context.progress.warn(text)
    if more := found[_NAMED:]:
        context.progress.warn(
            f"{len(more)} more were made from an earlier result: hela-dask verify names all"
        )
    return tuple(found)


def _write_contacts(run: Path, contacts: pd.DataFrame | None) -> None:
    """Write the table of contacts; remove that of an earlier call where none were measured."""
    if contacts is not None:
        store.write_table(run / "contacts", contacts, CONTACT_COLUMNS)
        return
    for name in _CONTACTS:
        (run / name).unlink(missing_ok=True)


def _described(
    cells: pd.DataFrame, contacts: pd.DataFrame | None, detections: pd.DataFrame
) -> dict[str, tuple[pd.DataFrame, Mapping[str, Column]]]:
    """The tables of a run with the meanings of their columns, by name."""
    tables = {"cells": (cells, COLUMNS), "detections": (detections, COLUMNS)}
    if contacts is not None:
        tables["contacts"] = contacts, CONTACT_COLUMNS
    return tables


def _result_files(run: Path) -> list[Path]:
    """The existing result files of a run."""
    return [run / name for name in _RESULTS] + sorted((run / "figures").glob("*"))


def _truth_facts(truth: Truth | None) -> list[Any]:
    """The truth's files, as they are now."""
    if truth is None:
        return []
    facts: list[Any] = [truth.kind, list(truth.slices)]
    for name, path in sorted(truth.paths.items()):
        if isinstance(path, StoreUrl):
            facts.append([name, str(path), identify_image(read_image(path, unknown_scale=True))[0]])
        elif path.is_dir():
            facts.append([name, str(path), fingerprint_files(path, skip=[])])
        else:
            facts.append([name, str(path), path.stat().st_size, path.stat().st_mtime_ns])
    return facts


def _describe_labels(context: Context, cells: pd.DataFrame, result: str) -> None:
    """Colours and one row of properties a cell, for napari and other viewers."""
    labelled = cells[cells["cell_volume"].notna() | cells["nucleus_volume"].notna()]
    job, run = context.job, context.setup.run
    for name, path in context.setup.label_paths.items():
        job.may_label()
        notes: dict[str, Any] = label_notes(run, job.id, path, result)
        edits = edit_facts(context.setup.edits)
        if edits or "edits" in read_image(path).attributes:
            notes["edits"] = edits
        if name not in INSTANCES:
            note(path, notes)
            continue
        store.write_label_metadata(
            path,
            colors=label_colors(labelled["label"].tolist(), pale=name != "cells"),
            properties=label_properties(labelled, _SHOWN),
            extra=notes,
        )


def _table(
    context: Context,
    found: DetectedCells,
    rows: Mapping[int, Mapping[str, Any]],
    chosen: Collection[int],
    measured: pd.DataFrame,
) -> pd.DataFrame:
    """The cells table; failed cells are logged as warnings."""
    segmented = add_segments(found.cells, rows, chosen)
    segmented = add_edits(segmented, context.setup.edits, measured)
    limits, edits = context.setup.parameters.quality, context.setup.edits
    scored = add_quality(segmented, rows, limits, measured, relabelled_cells(edits))
    cells = add_measurements(scored, measured)
    for cell in cells[cells["status"] == FAILED].itertuples(index=False):
        context.warn(f"cell {cell.label} failed: {cell.reason}")
    return cells


def _check_unchanged(setup: Setup) -> None:
    """Raise where the image is another than when the run began."""
    try:
        same = identify_image(setup.image)[0] == setup.source
    except InputError:
        same = False
    if not same:
        raise StorageError(
            f"{setup.image.path} was changed during the run, so its labels are of no "
            "one image: start the same command again"
        )


def _kept_truth(context: Context, labels: str) -> list[Any]:
    """The truth of the scores of an earlier call, if they are of these labels."""
    kept = context.markers.result("scores", "all", labels)
    if kept is None or not _read_scores(context.setup.run / "scores.json"):
        return []
    return list(kept.get("truth", ()))


def _read_scores(path: Path) -> dict[str, Any]:
    """Scores of an earlier call; empty where there are none that can be read."""
    try:
        found = read_json(path)
    except HelaDaskError:
        return {}
    return found if isinstance(found, dict) else {}


def _score(context: Context, labels: str, truth: list[Any]) -> dict[str, Any]:
    """Scores against the truth that is given, or those of an earlier call on the same labels."""
    setup, markers = context.setup, context.markers
    path = setup.run / "scores.json"
    if setup.truth is None and truth:
        return _read_scores(path)
    markers.forget("scores")
    if setup.truth is None:
        if path.is_file():
            context.warn(
                "the scores of an earlier call are of other labels, so they are removed: give "
                "--truth again"
            )
            path.unlink()
        return {}
    context.progress.stage("score", 1)
    scores = score_run(setup.truth, context.setup.label_paths)
    store.write_json(path, scores)
    markers.finish("scores", "all", labels, {"truth": truth}, markers.record(path))
    _end_stage(context)
    return scores


def _report(context: Context, write: Callable[[Path], None]) -> None:
    """Write the report of the run; if that fails, the results remain."""
    try:
        write(context.setup.run)
    except Exception as error:
        log.debug("the report failed", exc_info=True)
        context.warn(f"the report could not be written: {type(error).__name__}: {error}")
