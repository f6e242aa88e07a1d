"""The differences between an earlier call's result and the current call.

They are found before the call starts, and replaced only on request.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hela_dask.errors import ExistsError
from hela_dask.formatting import listed
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.methods.registry import group_names
from hela_dask.parameters import Parameters, method_groups
from hela_dask.storage.files import plain
from hela_dask.storage.urls import StorePath

__all__ = [
    "Difference",
    "ask_to_replace",
    "command",
    "describe_differences",
    "differences",
    "lost_corrections",
    "table_digest",
    "unused_names",
]

Difference = tuple[str, str]
"""The value of the earlier call, and that of this one."""

_MOST = 3  # differences that are named


def table_digest(table: pd.DataFrame | None) -> str:
    """A short name for the values of a table; empty for none."""
    if table is None:
        return ""
    return hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()[:32]


def differences(
    facts: Mapping[str, Any],
    *,
    method: str,
    parameters: Parameters,
    network: str,
    centres: pd.DataFrame | None,
    segmenting: bool = True,
) -> list[Difference]:
    """Differences between a result and the current request, from its ``run.json``, `facts`.

    Where only detection is asked for (not `segmenting`), the method does not matter.
    """
    found: list[Difference] = []
    had = facts.get("method")
    if segmenting and isinstance(had, str) and had != method:
        found.append((f"method {had}", method))
    digest, given = table_digest(centres), facts.get("centres")
    if bool(given) != bool(digest):
        words = "cells found by detection", "cells of a table of centres"
        found.append(words if digest else words[::-1])
    elif isinstance(given, str) and given != digest:
        found.append(("other centres", "those of another table"))
    if segmenting and had == method and facts.get("network", "") != network:
        found.append(("another network", "the one that is given now"))
    if isinstance(facts.get("parameters"), dict):
        found += _parameters(facts["parameters"], parameters, method if segmenting else None)
    return found


def lost_corrections(
    folder: Path, facts: Mapping[str, Any], given: pd.DataFrame | None
) -> list[str]:
    """A sentence where a result was corrected and this call leaves the corrections out.

    `facts` is the ``run.json`` of the result, `given` are the corrections of this call.
    """
    had = facts.get("corrections")
    if given is not None or not isinstance(had, list) or not had:
        return []
    return [
        f"the result in {folder} was made with {len(had)} corrections, and this call gives none: "
        "the cells they concern go back to what was found without; give --corrections again to "
        "keep them"
    ]


def _parameters(
    had: Mapping[str, Any], wanted: Parameters, method: str | None
) -> Iterator[Difference]:
    """Parameters with another value, of the groups that this method reads."""
    methods = method_groups()
    used = set(group_names(method)) if method else set()
    defaults = plain(Parameters().to_dict())
    for group, values in plain(wanted.to_dict()).items():
        if group in methods and group not in used:
            continue
        before = had.get(group)
        for name, value in values.items():
            old = (before if isinstance(before, dict) else {}).get(name, defaults[group][name])
            added = name == "in_runs" and value  # nothing of the result is replaced
            if old != value and name != "model" and not added:  # the content of a network counts
                yield f"[{group}] {name} = {old}", f"{value}"


def ask_to_replace(
    folder: Path, facts: Mapping[str, Any], found: list[Difference], command: str
) -> None:
    """Raise ExistsError: a result is replaced only on request.

    `found` are its :func:`differences`; `command` keeps both results.
    """
    done = "finished" if facts.get("state") == "finished" else "unfinished"
    same = _same_options(folder, found)
    raise ExistsError(
        f"{folder} holds the {done} result of {describe_differences(found, 0)}; this asks for "
        f"{describe_differences(found, 1)}: {f'continue it with {same}, ' if same else ''}"
        f"keep both with {command}, or replace it with --overwrite"
    )


def _same_options(folder: Path, found: list[Difference]) -> str:
    """Options that ask for the result that is there; empty where they are not method and values."""
    methods = [had.removeprefix("method ") for had, _ in found if had.startswith("method ")]
    values = [had for had, _ in found if had.startswith("[")]
    if len(methods) + len(values) < len(found):
        return ""
    words = ["--method", *methods] if methods else []
    words += ["--params", str(_short(folder) / "run.toml")] if values else []
    return shlex.join(words)


def describe_differences(found: list[Difference], side: int) -> str:
    """The differences in words, on one side."""
    return listed([item[side] for item in found], _MOST)


def unused_names(store: StorePath, folder: Path, method: str) -> tuple[Path, Path]:
    """A run folder and a store of labels that do not exist yet, named after the method."""
    folder, method = _short(folder), method.rpartition(":")[2]
    stem = folder.name.removesuffix(".run")
    base = stem if method == DEFAULT_METHOD else f"{stem}.{method}"
    number = 1 if base != stem else 2
    while True:
        name = base if number == 1 else f"{base}.{number}"
        run, labels = folder.with_name(f"{name}.run"), folder.with_name(f"{name}.ome.zarr")
        if not run.exists() and not labels.exists():
            return run, labels
        number += 1


def _short(path: Path) -> Path:
    """A path as seen from the current folder, where it lies in it."""
    try:
        return path.absolute().relative_to(Path.cwd())
    except (OSError, ValueError):
        return path


def command(store: StorePath, given: Mapping[str, Any], out: Path, labels: Path) -> str:
    """The call of the command line with another run folder and another store of labels."""
    parts = ["hela-dask", "run", str(store)]
    for option, value in given.items():
        parts += [option, str(value)]
    return shlex.join([*parts, "--out", str(out), "--labels", str(labels)])
