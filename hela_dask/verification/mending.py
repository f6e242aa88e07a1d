"""The command that writes the damaged files of a run again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hela_dask.running.provenance import read_run
from hela_dask.storage.places import same_place

__all__ = ["mend_run"]


def mend_run(store: Path, run: Path) -> str:
    """The command that made a run, or one like it: it writes again what is missing or changed."""
    facts = read_run(run)
    machine = facts.get("machine")
    command = machine.get("command") if isinstance(machine, dict) else None
    if isinstance(command, list) and len(command) > 1 and command[1] == "run":
        places = facts.get("places")
        noted = places if isinstance(places, dict) else {}
        now = {"store": store, "run": run}
        words = [str(word) for word in command[2:] if word != "--recompute"]
        words = [_from_here(word, noted, now) for word in words]
        return shlex.join(["hela-dask", "run", *words])
    method = facts.get("method")
    more = ["--method", method] if isinstance(method, str) else []
    return shlex.join(["hela-dask", "run", str(store), "--out", str(run), *more])


def _from_here(word: str, noted: Mapping[str, Any], now: Mapping[str, Path]) -> str:
    """A word of a command that was given in another folder, or before store and run were moved."""
    parts = Path(word).parts
    for name, path in now.items():
        before = noted.get(name)
        same = parts and isinstance(before, str) and Path(before).parts[-len(parts) :] == parts
        if same and not same_place(Path(word), path):
            return str(path)
    return word
