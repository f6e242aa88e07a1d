"""Which run a folder and its labels are: by an id that both carry, wherever they were moved.

A run folder has its id in ``run.id`` and in ``run.json``; each label group that the run writes has
it among its attributes, with the way from the group to the run folder. Ways are relative where
they can be, so that a store and its run stay together when both are moved, renamed or copied. The
absolute places of the last writing are kept beside them.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hela_dask.documents.reading import read_text
from hela_dask.errors import ExistsError, HelaDaskError, InputError, ParameterError
from hela_dask.running.provenance import read_run
from hela_dask.running.source import identify_image
from hela_dask.storage.files import write_text
from hela_dask.storage.metadata import Image, read_image
from hela_dask.storage.places import relative_path, resolved, same_place
from hela_dask.storage.urls import StorePath, StoreUrl, store_path

__all__ = [
    "ID_FILE",
    "Maker",
    "RunPlaces",
    "check_outside_runs",
    "check_run_folder",
    "find_places",
    "is_result",
    "is_run_folder",
    "label_notes",
    "make_id",
    "maker_of",
    "owns_labels",
    "read_id",
    "recorded_store",
]

ID_FILE = "run.id"
_ID = re.compile(r"hela_dask (run|predict) ([0-9a-f]{32})\s*")
_HEX = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Maker:
    """Who made a label group."""

    id: str = ""  # of its run; empty where the group names none
    run: Path | None = None  # the run folder that it names, which may not be there any more
    ours: bool = False  # whether this package made it

    def __str__(self) -> str:
        if self.run is not None:
            return str(self.run)
        return "another call of hela_dask" if self.ours else "something else than hela_dask"


@dataclass(frozen=True)
class RunPlaces:
    """Where a run's image and labels are now."""

    store: StorePath | None  # the image; None where it is not found
    labels: Mapping[str, Path]  # the label groups that are this run's
    replaced_by: Maker | None = None  # who made the labels that lie where this run's were


def read_id(folder: Path) -> str:
    """The id of a run folder; empty where it has none."""
    if found := _ID.fullmatch(_id_text(folder)):
        return found[2]
    noted = read_run(folder).get("id") or ""
    return noted if _HEX.fullmatch(noted) else ""


def _id_text(folder: Path) -> str:
    """The content of the file that holds a run folder's id; empty where it cannot be read."""
    try:
        return read_text(folder / ID_FILE, 200)
    except HelaDaskError:
        return ""


def make_id(folder: Path, *, kind: str = "run", anew: bool = False) -> str:
    """The id of a run folder, made where there is none, or where it is to have another."""
    found = "" if anew else read_id(folder)
    found = found or uuid.uuid4().hex
    content = f"hela_dask {kind} {found}\n"
    if _id_text(folder) != content:
        write_text(folder / ID_FILE, content)
    return found


def is_run_folder(folder: Path, kind: str = "run") -> bool:
    """Whether this package made a folder: by its id, or by a ``run.json`` of a run."""
    if found := _ID.fullmatch(_id_text(folder)):
        return found[1] == kind
    facts = read_run(folder) if kind == "run" else {}
    known = all(facts.get(name) is not None for name in ("state", "store", "method"))
    return known and "hela_dask" in (facts.get("versions") or {})


def check_outside_runs(path: Path, option: str = "--out") -> None:
    """Refuse an output inside a run folder: a ParameterError names the option."""
    place = resolved(path)
    for folder in (place, *place.parents):
        if is_run_folder(folder):
            raise ParameterError(
                f"{option} {path} lies in the run folder {folder}, which holds the run's own files "
                "only: choose another"
            )


def check_run_folder(folder: Path, *, kind: str = "run", option: str = "--out") -> bool:
    """Whether a folder holds a run; else it is new or empty, and a run may be made there.

    ExistsError where it is, or holds, something that this package did not make.
    """
    if folder.is_symlink() and not folder.exists():
        raise ExistsError(f"{folder} is a link to nowhere: choose another {option}")
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise ExistsError(f"{folder} is a file, not a run folder: choose another {option}")
    if (folder / "zarr.json").exists() or (folder / ".zattrs").exists():
        raise ExistsError(f"{folder} is an OME-Zarr, not a run folder: choose another {option}")
    if is_run_folder(folder, kind):
        return True
    others = [path.name for path in folder.iterdir() if not re.match(r"\.?lock(\.|$)", path.name)]
    if others:
        raise ExistsError(
            f"{folder} is not a run folder: it holds {min(others)} and no run.json of hela_dask; "
            f"nothing in it is replaced: choose another {option}"
        )
    return False


def label_notes(run: Path, run_id: str, target: Path, result: str) -> dict[str, str]:
    """The metadata of a label group about its run; `result` names the labels' content."""
    way = relative_path(run, target)
    return {"run_id": run_id, "run": way, "run_json": f"{way}/run.json", "result": result}


def maker_of(target: Path) -> Maker:
    """The run that made a label group, if its metadata name it."""
    try:
        noted = read_image(target, unknown_scale=True).attributes
    except HelaDaskError:
        return Maker()
    way, run_id = noted.get("run"), noted.get("run_id")
    run = resolved(target / way) if isinstance(way, str) and way else None
    return Maker(run_id if isinstance(run_id, str) else "", run, bool(noted))


def owns_labels(run: Path, run_id: str, target: Path) -> bool:
    """Whether a label group is this run's.

    A copy of a run folder has the same id. The group is the copy's only where the folder that the
    group names is gone, is another run, or has its labels elsewhere.
    """
    maker = maker_of(target)
    if not maker.id:  # of a version before ids
        return maker.run is not None and same_place(maker.run, run)
    if maker.id != run_id:
        return False
    other = maker.run
    if other is None or same_place(other, run) or read_id(other) != run_id:
        return True
    return not any(same_place(path, target) for path in _recorded(other, read_run(other)))


def is_result(run: Path, facts: Mapping[str, Any], run_id: str, target: Path) -> bool:
    """Whether a label group holds the result that a run folder, or a copy of it, describes.

    Both carry a name of the labels' content from the moment that the run is finished.
    """
    if not maker_of(target).id or facts.get("state") != "finished":
        return owns_labels(run, run_id, target)
    noted = read_image(target, unknown_scale=True).attributes
    same = noted.get("result", "") == facts.get("result", "")
    return noted.get("run_id") == run_id and same


def recorded_store(folder: Path, facts: Mapping[str, Any]) -> StorePath | None:
    """The image that a run records, if it exists: as seen from it, else where it was."""
    if (address := _address(facts.get("store"))) is not None:
        return address
    for path in _ways(folder, facts.get("store"), _noted(facts, "store")):
        if path.exists():
            return path
    return None


def _address(text: Any) -> StoreUrl | None:
    """The address of a remote store that a file names; None for a path. Not looked at."""
    if not isinstance(text, str) or "://" not in text:
        return None
    try:
        place = store_path(text)
    except InputError:
        return None
    return place if isinstance(place, StoreUrl) else None


def find_places(folder: Path, facts: Mapping[str, Any], run_id: str) -> RunPlaces:
    """Where image and labels of a run are now, also where they were moved together.

    `facts` is its ``run.json``.
    """
    labels: dict[str, Path] = {}
    replaced = None
    for name in facts.get("labels") or ():
        for path in _label_candidates(folder, facts, name):
            if is_result(folder, facts, run_id, path):
                labels[name] = path
                break
            replaced = replaced or maker_of(path)
    return RunPlaces(_store(folder, facts, labels), labels, None if labels else replaced)


def _label_candidates(folder: Path, facts: Mapping[str, Any], name: str) -> Iterator[Path]:
    """Label groups of a name that may be a run's, the nearest first.

    As seen from the run folder, then in stores beside it, then where they were: a copy has its own.
    """
    own = facts.get("labels", {}).get(name)
    noted = _noted(facts, "labels")
    beside = (path / "labels" / name for path in _stores_beside(folder))
    before = _ways(folder, None, None if noted is None else f"{noted}/{name}")
    for path in (*_ways(folder, own, None), *beside, *before):
        if path.is_dir():
            yield path


def _store(folder: Path, facts: Mapping[str, Any], labels: Mapping[str, Path]) -> StorePath | None:
    """The image of a run; an address is taken as it is, so that no server is needed here."""
    if (address := _address(facts.get("store"))) is not None:
        return address
    candidates = list(_ways(folder, facts.get("store"), None))
    for target in labels.values():
        candidates += [target.parent.parent, *_source(target)]
    candidates += _ways(folder, None, _noted(facts, "store"))
    for path in candidates:
        if _is_like(path, facts):
            return path
    wanted = facts.get("fingerprint")
    for path in _stores_beside(folder):
        if _is_like(path, facts) and identify_image(read_image(path))[0] == wanted:
            return path
    return None


def _is_like(path: Path, facts: Mapping[str, Any]) -> bool:
    """Whether there is an image of the shape that a run was made of."""
    if not path.exists():
        return False
    known = facts.get("image")
    try:
        image: Image = read_image(path, unknown_scale=True)
    except HelaDaskError:
        return False
    return known is None or list(image.levels[0].shape) == known["shape"]


def _source(target: Path) -> list[Path]:
    """The image that a label group names as its own."""
    from hela_dask.storage.nodes import read_node

    try:
        node = read_node(target)
        ome = {} if node is None else node.attributes.get("ome", {})
        way = ome["image-label"]["source"]["image"]
    except (HelaDaskError, KeyError, TypeError, AttributeError):
        return []
    if not isinstance(way, str) or _address(way) is not None:
        return []
    return [resolved(target / way)]


def _stores_beside(folder: Path) -> list[Path]:
    """Zarr folders in the folder that a run folder lies in."""
    return sorted(path for path in resolved(folder).parent.glob("*.zarr") if path.is_dir())


def _recorded(folder: Path, facts: Mapping[str, Any]) -> Iterator[Path]:
    """The label groups that a run records as its own, if they exist."""
    noted = _noted(facts, "labels")
    for name, way in (facts.get("labels") or {}).items():
        found = _ways(folder, way, None if noted is None else f"{noted}/{name}")
        yield from [path for path in found if path.is_dir()][:1]


def _ways(folder: Path, way: str | None, noted: str | None) -> Iterator[Path]:
    """A place as it is seen from a run folder, then where it was when the run was written."""
    if way:
        yield resolved(folder / way)
    if noted:
        yield resolved(noted)


def _noted(facts: Mapping[str, Any], name: str) -> str | None:
    """An absolute place of the last writing."""
    return (facts.get("places") or {}).get(name) or None
