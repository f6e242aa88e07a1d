"""The command that applies the edits of a run: ``hela-dask run`` as the run was made."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from hela_dask.storage.urls import StorePath, StoreUrl

__all__ = ["command_text", "kept_options", "run_command"]

_ALWAYS = ("--out", "--edits")
_CORRECTIONS = "corrections.csv"


def run_command(run: Path) -> list[str]:
    """The arguments of ``hela-dask`` that apply the edits to this run, beginning with ``run``.

    They state the method, the parameters, the selection of cells, the centres and the store of the
    labels that the run was made with; the truth of its scores, where that is found; and the
    cluster, workers and memory of its command. Corrections that it was made with are written to
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
    given = {
        "--out": path,
        "--edits": path / EDITS_FILE,
        **dict(_options(facts, store, path)),
        **_kept(_Command(facts, _bases(path, store)), folder.scores),
    }
    words = ["run", str(store.absolute())]
    for option, value in given.items():
        words += [option, str(value)]
    return words


def _bases(run: Path, store: StorePath) -> tuple[Path, ...]:
    """Folders that the paths of a command may begin in."""
    beside = () if isinstance(store, StoreUrl) else (store.parent,)
    return (Path(), run.parent, *beside)


def kept_options(words: Sequence[str]) -> str:
    """The options of a run that applying the edits keeps, beside its store and folder; for people.

    Empty where there are none.
    """
    pairs = zip(words[2::2], words[3::2], strict=True)
    return " ".join(
        f"{option} {Path(value).name}" for option, value in pairs if option not in _ALWAYS
    )


def command_text(run: Path) -> str:
    """The same as a line for a shell."""
    return shlex.join(["hela-dask", *run_command(run)])


def _options(facts: Mapping[str, Any], store: StorePath, run: Path) -> Iterator[tuple[str, object]]:
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


@dataclass(frozen=True)
class _Command:
    """The command that made a run, as ``run.json`` states it."""

    facts: Mapping[str, Any]
    bases: tuple[Path, ...]  # folders that its paths may begin in

    def values(self, option: str) -> list[str]:
        """The values of an option; none where it was not given."""
        words = (self.facts.get("machine") or {}).get("command") or []
        if words[1:2] != ["run"]:
            return []
        found = [after for word, after in itertools.pairwise(words) if word == option]
        return found + [word.partition("=")[2] for word in words if word.startswith(f"{option}=")]

    def paths(self, option: str) -> list[Path]:
        """The existing paths that an option may name."""
        found = [(base / name).absolute() for name in self.values(option) for base in self.bases]
        return [path for path in found if path.exists()]


def _kept(command: _Command, scores: Mapping[str, Any]) -> dict[str, object]:
    """The truth of the scores, and where the run was computed."""
    kept: dict[str, object] = {}
    if truth := [*_truth(scores), *command.paths("--truth")]:
        kept["--truth"] = truth[0]
    if files := command.paths("--cluster"):
        kept["--cluster"] = files[0]
    else:
        kept["--cluster"] = next((item for item in command.values("--cluster") if ":" in item), "")
    for option in ("--workers", "--memory"):
        kept[option] = next(iter(command.values(option)), "")
    return {option: value for option, value in kept.items() if value}


def _truth(scores: Mapping[str, Any]) -> list[Path]:
    """The existing truth of the scores, as the option takes it: a pair has one folder."""
    paths = [Path(path) for path in (scores.get("truth") or {}).values()]
    if not paths or not all(path.exists() for path in paths):
        return []
    return [paths[0].parent if len(paths) > 1 else paths[0]]


def _centres(facts: Mapping[str, Any], store: StorePath, run: Path, digest: object) -> Path:
    """The file with the centres that the run was made with, as the command of the run names it."""
    image = read_image(store)
    for path in _Command(facts, _bases(run, store)).paths("--centres"):
        try:
            if path.is_file() and table_digest(read_centres(path, image)) == digest:
                return path
        except HelaDaskError:
            continue
    raise InputError(
        f"{run} was made with a table of centres that is not found: start hela-dask run with "
        f"--centres FILE and --edits {run / EDITS_FILE}"
    )
