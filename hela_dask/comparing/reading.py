"""The runs of a comparison: their complete cells, and the checks before anything is computed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from hela_dask.columns import COLUMNS, MEASURES, SHAPE_COLUMNS
from hela_dask.comparing.words import measure_name
from hela_dask.editing.review import read_review
from hela_dask.errors import InputError, MissingInputError, NothingToDoError, ParameterError
from hela_dask.formatting import listed
from hela_dask.running.reading import read_folder
from hela_dask.running.result import RunResult
from hela_dask.statuses import CUT_BY_VOLUME, SEGMENTED
from hela_dask.storage.metadata import local_path
from hela_dask.storage.places import same_place
from hela_dask.storage.tables import read_units

__all__ = [
    "ComparedRun",
    "Groups",
    "all_runs",
    "join_cells",
    "measuring_command",
    "read_groups",
    "same_volume",
    "shared_measures",
    "without_shapes",
]

Groups: TypeAlias = Mapping[str, Sequence[str | Path | RunResult]]


_MOST = 3  # measures, or runs, that are named


@dataclass(frozen=True)
class ComparedRun:
    """A finished run of a group; `complete` are its cells that are whole, and not rejected."""

    group: str
    path: Path
    facts: Mapping[str, Any]  # run.json
    cells: pd.DataFrame
    complete: pd.DataFrame
    rejected: int = 0  # whole cells that a review rejects

    @property
    def volume(self) -> str:
        """The name of the image."""
        return Path(str(self.facts.get("store", ""))).name

    @property
    def cut(self) -> int:
        """The number of cells that the volume cuts."""
        return int((self.cells["status"] == CUT_BY_VOLUME).sum())


def all_runs(runs: Mapping[str, Sequence[ComparedRun]]) -> list[ComparedRun]:
    """The runs of all groups, in their order."""
    return [run for group in runs.values() for run in group]


def read_groups(groups: Groups) -> dict[str, list[ComparedRun]]:
    """The runs of each group, after all checks that need no statistics.

    Raises
    ------
    ParameterError
        For fewer than two groups, a group without runs, or a run that is named twice, also by a
        link or as a copy of its folder.
    MissingInputError
        When there is no run folder, or its run is not finished.
    InputError
        When a file is damaged, a measure has another unit, a run has no measures that others have,
        or two runs of a group are of one volume.
    NothingToDoError
        When a group has no complete cell.
    """
    runs = {
        name: [_read_run(name, path) for path in paths] for name, paths in _places(groups).items()
    }
    _check_copies([run for members in runs.values() for run in members])
    _check_measures([run for members in runs.values() for run in members])
    for name, members in runs.items():
        for one, other in combinations(members, 2):
            if same_volume(one, other):
                raise InputError(
                    f"{one.path} and {other.path} in the group {name!r} are runs of one volume, "
                    f"{one.volume}, so its cells would count twice: leave one out"
                )
        if not any(len(run.complete) for run in members):
            cut, rejected = (sum(getattr(run, it) for run in members) for it in ("cut", "rejected"))
            why = f"the volume cuts all {cut} that are segmented" if cut else "none is segmented"
            if rejected:
                why = f"the reviews reject {rejected}, and the volume cuts {cut}"
            raise NothingToDoError(f"the group {name!r} has no complete cell: {why}")
    return runs


def without_shapes(run: ComparedRun) -> bool:
    """Whether a run has no measure of shape, as with ``[measure] in_runs`` = 0."""
    return not any(name in run.cells for name in SHAPE_COLUMNS)


def measuring_command(run: ComparedRun) -> str:
    """The command that adds measures of shape to a run."""
    path = run.path
    store, method = run.facts.get("store", "STORE"), run.facts.get("method", "unet")
    parts = [
        *("hela-dask", "run", str(store), "--method", str(method)),
        *("--params", str(path / "run.toml")),
        *(("--centres", str(path / "centres.csv")) if run.facts.get("centres") else ()),
        *("--out", str(path)),
    ]
    asked = ((run.facts.get("parameters") or {}).get("measure") or {}).get("in_runs", 1)
    if asked:
        return shlex.join(parts)
    return f"{shlex.join([*parts, '--overwrite'])} after setting in_runs = 1 in its run.toml"


def _check_copies(runs: Sequence[ComparedRun]) -> None:
    """Refuse two folders of one run: copies have the same number."""
    for one, other in combinations(runs, 2):
        known = one.facts.get("id")
        if known and known == other.facts.get("id"):
            where = (
                f"twice in {one.group!r}"
                if one.group == other.group
                else f"in {one.group!r} and {other.group!r}"
            )
            raise ParameterError(
                f"{other.path} is a copy of {one.path}, so the run is named {where}: a run belongs "
                "to one group, once"
            )


def _check_measures(runs: Sequence[ComparedRun]) -> None:
    """Refuse runs without any measure, and runs without shapes beside others that have them."""
    bare = [run for run in runs if not any(name in run.cells for name in MEASURES)]
    lacking = [run for run in runs if without_shapes(run)]
    what = "no measures" if bare else "no measures of shape, which the other runs have"
    refused = bare or (lacking if len(lacking) < len(runs) else [])
    if refused:
        command = measuring_command(refused[0])
        raise InputError(f"{_named(refused)} {what}: add them with {command}")


def _named(runs: Sequence[ComparedRun]) -> str:
    """The paths of some runs, with the verb."""
    return f"{listed([str(run.path) for run in runs], _MOST)} {'has' if len(runs) == 1 else 'have'}"


def same_volume(one: ComparedRun, other: ComparedRun) -> bool:
    """Whether two runs are of the same image, by its fingerprint."""
    known = one.facts.get("fingerprint")
    return bool(known) and known == other.facts.get("fingerprint")


def shared_measures(runs: Mapping[str, Sequence[ComparedRun]]) -> tuple[list[str], list[str]]:
    """Measures that all groups can be compared by, and sentences on those that are left out.

    InputError when there is none.
    """
    shared: list[str] = []
    reasons: dict[str, list[str]] = {}  # with the measures that are left out
    for name in MEASURES:
        lacking = [run for members in runs.values() for run in members if name not in run.cells]
        if len(lacking) == sum(map(len, runs.values())):
            continue
        empty = [
            group
            for group, members in runs.items()
            if not any(name in run.complete and run.complete[name].notna().any() for run in members)
        ]
        if lacking:
            reasons.setdefault(f"{_named(lacking)} no such column", []).append(name)
        elif empty:
            why = f"no complete cell of the group {empty[0]!r} has one"
            reasons.setdefault(why, []).append(name)
        else:
            shared.append(name)
    left_out = [text for why, names in reasons.items() for text in _left_out(names, why)]
    if not shared:
        raise InputError(
            "the runs share no measure with values in all groups"
            f"{f': {left_out[0]}'.rstrip('.') if left_out else ''}"
        )
    return shared, left_out


def _left_out(names: Sequence[str], why: str) -> list[str]:
    """A sentence per measure, or one for many."""
    if len(names) <= _MOST:
        return [f"The {measure_name(name)} ({name}) is left out: {why}." for name in names]
    first = ", ".join(names[:_MOST])
    return [f"{len(names)} measures are left out ({first}, …): {why}."]


def join_cells(runs: Mapping[str, Sequence[ComparedRun]], measures: Sequence[str]) -> pd.DataFrame:
    """One row per complete cell: its group, run, volume and label, and the measures."""
    parts = [
        run.complete[["label", *measures]]
        .astype(dict.fromkeys(measures, float))
        .assign(group=run.group, run=str(run.path), image=run.volume)
        for members in runs.values()
        for run in members
    ]
    table = pd.concat(parts, ignore_index=True)
    table = table.astype(dict.fromkeys(measures, float))
    return table[["group", "run", "image", "label", *measures]]


def _places(groups: Any) -> dict[str, list[Path]]:
    """The run folders of each group, each of them once."""
    if not isinstance(groups, Mapping):
        raise ParameterError(
            f"groups must be a mapping of names to runs, not {type(groups).__name__}"
        )
    if len(groups) < 2:
        named = f", and only {next(iter(groups))!r} was given" if groups else ""
        raise ParameterError(f"a comparison needs at least two groups{named}")
    places: dict[str, list[Path]] = {}
    for name, runs in groups.items():
        if not isinstance(name, str) or not name.strip():
            raise ParameterError(f"a group must have a name, not {name!r}")
        if isinstance(runs, str | Path | RunResult) or not isinstance(runs, Sequence):
            raise ParameterError(
                f"the runs of the group {name!r} must be a list of run folders, not {runs!r:.200}"
            )
        if not runs:
            raise ParameterError(f"the group {name!r} has no runs")
        places[name] = [run.path if isinstance(run, RunResult) else local_path(run) for run in runs]
    named_places = [(name, path) for name, paths in places.items() for path in paths]
    for (first, one), (second, other) in combinations(named_places, 2):
        if same_place(one, other):
            where = f"twice in {first!r}" if first == second else f"in {first!r} and {second!r}"
            raise ParameterError(f"{other} is named {where}: a run belongs to one group, once")
    return places


def _read_run(group: str, path: Path) -> ComparedRun:
    folder = read_folder(path)
    state = folder.facts.get("state")
    if state != "finished":
        raise MissingInputError(
            f"{path} holds no finished run, its state is {state!r}: start hela-dask run "
            f"{folder.facts.get('store', 'STORE')} --out {path} again"
        )
    cells = folder.cells
    if "complete" not in cells:
        raise InputError(
            f"{path / 'cells.parquet'} is missing, or has no column 'complete': start the run again"
        )
    for name, unit in read_units(path / "cells.parquet").items():
        if unit and name in MEASURES and unit != COLUMNS[name].unit:
            raise InputError(
                f"{path / 'cells.parquet'} has {name} in {unit}, not in {COLUMNS[name].unit}: "
                "start the run again with this version"
            )
    for name in MEASURES:
        if name in cells and not pd.api.types.is_numeric_dtype(cells[name].dtype):
            raise InputError(
                f"{path / 'cells.parquet'}: the column {name} must hold numbers, not "
                f"{cells[name].dtype}; start the run again"
            )
    complete = cells[(cells["status"] == SEGMENTED) & cells["complete"]]
    review = read_review(path)
    refused = complete["label"].isin(review["label"][review["decision"] == "rejected"])
    return ComparedRun(
        group, path, folder.facts, cells, complete[~refused], rejected=int(refused.sum())
    )
