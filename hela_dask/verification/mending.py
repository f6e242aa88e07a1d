"""The command that writes the damaged files of a run again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from hela_dask.running.provenance import read_run
from hela_dask.storage.places import same_place

__all__ = ["mend_run"]


def mend_run(store: Path, run: Path) -> str:
    """The command that made a run, or one like it: it writes missing or changed files again."""
    facts = read_run(run)
    command = (facts.get("machine") or {}).get("command") or []
    if command[1:2] == ["run"]:
        noted = facts.get("places") or {}
        now = {"store": store, "run": run}
        words = [_from_here(word, noted, now) for word in command[2:] if word != "--recompute"]
        return shlex.join(["hela-dask", "run", *words])
    more = ["--method", facts["method"]] if facts.get("method") is not None else []
    return shlex.join(["hela-dask", "run", str(store), "--out", str(run), *more])


def _from_here(word: str, noted: Mapping[str, str | None], now: Mapping[str, Path]) -> str:
    """A word of a command from another folder, or from before store and run were moved."""
    parts = Path(word).parts
    for name, path in now.items():
        before = noted.get(name)
        same = parts and before is not None and Path(before).parts[-len(parts) :] == parts
        if same and not same_place(Path(word), path):
            return str(path)
    return word
