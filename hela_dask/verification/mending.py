"""What to do about damaged files of a store or a run: the command that writes them again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hela_dask.running.provenance import read_run
from hela_dask.storage.metadata import Image
from hela_dask.storage.places import same_place
from hela_dask.storage.pyramid import plan_levels

__all__ = ["mend_image", "mend_run"]


def mend_image(image: Image) -> str:
    """How files of an image are restored."""
    source = image.attributes.get("source")
    made_from = source.get("path") if isinstance(source, dict) else None
    if not isinstance(made_from, str):
        return "restore it from a copy, or make the store again"
    finest = image.levels[0]
    command = ["hela-dask", "convert", made_from, str(image.path), "--voxel-size"]
    command += [f"{size:g}" for size in finest.voxel_size]
    usual = plan_levels(finest.shape, image.dtype.itemsize, finest.voxel_size)[0]
    if (usual.chunks, usual.shards) != (finest.chunks, finest.shards):
        command += ["--chunks", *map(str, finest.chunks), "--shards", *map(str, finest.file)]
    return shlex.join(command)


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
