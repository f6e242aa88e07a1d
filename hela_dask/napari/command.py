"""The command that applies the edits of a run: ``hela-dask run`` as the run was made."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hela_dask.editing.edits import EDITS_FILE
from hela_dask.errors import HelaDaskError, InputError
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.parameters import Parameters
from hela_dask.running.centres import read_centres
from hela_dask.running.reading import read_folder
from hela_dask.running.replacing import table_digest
from hela_dask.storage.files import plain, write_text
from hela_dask.storage.metadata import read_image
from hela_dask.storage.places import same_place

__all__ = ["command_text", "run_command"]

_CORRECTIONS = "corrections.csv"


def run_command(run: Path) -> list[str]:
    """The arguments of ``hela-dask`` that apply the edits to this run, beginning with ``run``.

    They state the method, the parameters, the selection of cells, the centres and the store of the
    labels that the run was made with. Corrections that it was made with are written to
    ``corrections.csv`` in the run folder.

    Raises
    ------
    InputError
        When the run was made with a table of centres that is no longer found.
    """
    folder = read_folder(run)
    facts, store = folder.facts, folder.store
    if store is None:
        raise InputError(f"the image of {run} is no longer at {facts['store']}")
    path = folder.path.absolute()
    given = {"--out": path, "--edits": path / EDITS_FILE, **dict(_options(facts, store, path))}
    words = ["run", str(store.absolute())]
    for option, value in given.items():
        words += [option, str(value)]
    return words


def command_text(run: Path) -> str:
    """The same as a line for a shell."""
    return shlex.join(["hela-dask", *run_command(run)])


def _options(facts: Mapping[str, Any], store: Path, run: Path) -> Iterator[tuple[str, object]]:
    method = facts.get("method")
    if method and method != DEFAULT_METHOD:
        yield "--method", method
    if facts.get("parameters") != plain(Parameters().to_dict()):
        yield "--params", run / "run.toml"
    if cells := facts.get("cells"):
        yield "--cells", ",".join(map(str, cells))
    if box := facts.get("box"):
        yield "--box", ",".join(f"{low:g}:{high:g}" for low, high in box)
    if digest := facts.get("centres"):
        yield "--centres", _centres(facts, store, run, digest)
    if rows := facts.get("corrections"):
        path = run / _CORRECTIONS
        write_text(path, pd.DataFrame(rows).to_csv(index=False))
        yield "--corrections", path
    owner = Path(facts["labels"]["cells"]).parents[1]
    if not same_place(owner, store):
        yield "--labels", owner.absolute()


def _centres(facts: Mapping[str, Any], store: Path, run: Path, digest: object) -> Path:
    """The file with the centres that the run was made with, as the command of the run names it."""
    words = (facts.get("machine") or {}).get("command") or []
    named = [after for word, after in itertools.pairwise(words) if word == "--centres"]
    named += [word.partition("=")[2] for word in words if word.startswith("--centres=")]
    image = read_image(store)
    for name in named:
        for base in (Path(), run.parent, store.parent):
            path: Path = (base / name).absolute()
            try:
                if path.is_file() and table_digest(read_centres(path, image)) == digest:
                    return path
            except HelaDaskError:
                continue
    raise InputError(
        f"{run} was made with a table of centres that is not found: start hela-dask run with "
        f"--centres FILE and --edits {run / EDITS_FILE}"
    )
