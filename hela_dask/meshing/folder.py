"""A folder of meshes: its files, and its replacement without loss."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from hela_dask.columns import COLUMNS
from hela_dask.documents.reading import Document, read_document
from hela_dask.errors import ExistsError, HelaDaskError, MissingDependencyError
from hela_dask.kernels.mesh import Mesh
from hela_dask.meshing.precomputed import INFO, manifest_file, save_levels
from hela_dask.storage.contents import foreign_names
from hela_dask.storage.files import storage_errors, write_columns, write_json, write_table
from hela_dask.storage.places import same_place
from hela_dask.storage.records import Records, compare_files, parse_records

__all__ = [
    "FORMATS",
    "LISTING",
    "PRECOMPUTED",
    "MeshRequest",
    "check_folder",
    "check_packages",
    "mesh_file",
    "move_into",
    "object_files",
    "save",
    "unchanged_meshes",
]

FORMATS = ("glb", "ply", "stl", "obj", "precomputed")
LISTING = "meshes.json"
_TABLES = ("meshes.csv", "meshes.parquet", "columns.csv")
PRECOMPUTED = "precomputed"
"""The format of Neuroglancer."""

_MESH = re.compile(r"(?:cell|nucleus)_\d+\.(?:glb|ply|stl|obj)|(\d+)")
_PACKAGES = {PRECOMPUTED: "DracoPy"}  # others need trimesh


class _Listing(Document):
    """The list of meshes in a folder."""

    unit: str
    labels: dict[str, str] = Field(default_factory=dict)
    meshes: list[dict[str, Any]]


@dataclass(frozen=True)
class MeshRequest:
    """The meshes that a call writes, to compare with those of an earlier call.

    Attributes
    ----------
    labels : mapping of str to Path
        The labels of each kind of object.
    cells : frozenset of int or None
        The labels of the objects; None for all.
    file_format : str
        Of :data:`FORMATS`.
    """

    labels: Mapping[str, Path]
    cells: frozenset[int] | None
    file_format: str

    def lost(self, listing: _Listing) -> str:
        """The meshes of a folder that this call would remove and not write again; else empty."""
        rows = [row for row in listing.meshes if row.get("what") and row.get("file")]
        for row in rows:
            kind, label = str(row["what"]), row.get("label")
            stored = listing.labels.get(kind)
            if kind not in self.labels:
                return f"meshes of the kind {kind}"
            if stored is not None and not same_place(stored, self.labels[kind]):
                return f"meshes of {stored}"
            if not _in_format(str(row["file"]), self.file_format):
                return f"meshes in another format, such as {row['file']}"
            if self.cells is not None and label not in self.cells:
                return f"meshes of other cells, such as {label}"
        return ""


def check_packages(file_format: str) -> None:
    """MissingDependencyError where a package that a format needs is not installed."""
    try:
        import_module(_PACKAGES.get(file_format, "trimesh"))
    except ImportError as error:
        raise MissingDependencyError(
            f"--format {file_format} needs {error.name}, which is not installed: "
            "pip install 'hela_dask[meshes]'"
        ) from error


def mesh_file(kind: str, label: int, file_format: str) -> str:
    """The name of the file of an object."""
    if file_format == PRECOMPUTED:
        return str(label)
    return f"{kind}_{label:05d}.{file_format}"


def save(levels: Sequence[Mesh], path: Path, label: int) -> None:
    """Write the mesh of a label in the format of the path's ending; none is Neuroglancer's.

    `levels` are its levels of detail, the finest first; only Neuroglancer has more than one.
    Coordinates are x, y, z: in µm in GLB, as its metadata state, and in nm in the others.
    """
    with storage_errors(path):
        if not path.suffix:
            save_levels(levels, path, label)
            return
        import trimesh

        (mesh,) = levels
        places, glb = mesh.vertices[:, ::-1], path.suffix == ".glb"
        shown = trimesh.Trimesh(places / 1000 if glb else places, mesh.faces, process=False)
        if glb:
            shown.metadata = {"name": path.stem, "unit": "micrometer", "axes": "xyz"}
        shown.export(path)


def object_files(file: str) -> list[str]:
    """The file of a mesh, and another that belongs to it alone."""
    return [file] if Path(file).suffix else [file, manifest_file(int(file))]


def _with_companions(files: Iterable[str]) -> list[str]:
    """Files of meshes, and the files that belong to them."""
    found: list[str] = []
    for name in files:
        if match := _MESH.fullmatch(name):
            found += [*object_files(name), *([INFO] if match[1] else [])]
    return list(dict.fromkeys(found))


def unchanged_meshes(folder: Path, file_format: str) -> dict[str, dict[str, Any]]:
    """The rows of the meshes in a folder that are as an earlier call wrote them, by their keys."""
    if file_format == PRECOMPUTED and not (folder / INFO).is_file():
        return {}  # each mesh that is written writes it
    listing = _read_listing(folder)
    rows = {str(row["key"]): row for row in listing.meshes if row.get("key")} if listing else {}
    records: dict[str, Records] = {}
    for key, row in rows.items():
        found = parse_records(row.get("files") or {})
        if found is not None:
            records[key] = found
    every = {name: record for found in records.values() for name, record in found.items()}
    changed = {Path(item.path).name for item in compare_files(folder, every)}
    return {key: rows[key] for key, found in records.items() if not changed.intersection(found)}


def _in_format(file: str, file_format: str) -> bool:
    """Whether the name of a file is one of a format."""
    suffix = Path(file).suffix.removeprefix(".")
    return (suffix or PRECOMPUTED) == file_format


def check_folder(folder: Path, request: MeshRequest, *, overwrite: bool) -> list[str]:
    """The files in a folder that an earlier call wrote and this one may replace.

    Raises
    ------
    ExistsError
        When the folder holds anything else; and without `overwrite`, when it holds meshes that
        this call does not write again.
    """
    if not folder.exists():
        return []
    listing = _read_listing(folder)
    ours = [] if listing is None else _written(listing)
    others = foreign_names(folder, ours)
    if not folder.is_dir() or others:
        raise ExistsError(
            f"{folder} {f'holds {others[0]}' if others else 'is a file'}, which hela-dask meshes "
            "did not write: choose another --out"
        )
    if listing is not None and not overwrite and (lost := request.lost(listing)):
        raise ExistsError(
            f"{folder} holds {lost}, which this call would remove: choose another --out, or "
            "replace all meshes of the folder with --overwrite"
        )
    return ours


def _read_listing(folder: Path) -> _Listing | None:
    try:
        return read_document(folder / LISTING, _Listing)
    except HelaDaskError:
        return None


def _written(listing: _Listing) -> list[str]:
    """The files of an earlier call."""
    files = [str(row.get("file")) for row in listing.meshes]
    return [LISTING, *_TABLES, *_with_companions(files)]


def move_into(
    folder: Path,
    made: Path,
    rows: Sequence[dict[str, Any]],
    unchanged: Collection[str],
    request: MeshRequest,
    *,
    overwrite: bool,
) -> pd.DataFrame:
    """Replace the meshes of a folder by new ones, which lie in the folder `made` beside it.

    `rows` are one per mesh: its row of the table, which is returned, and for the list in the folder
    its ``key`` and ``files``. Meshes with a key in `unchanged` stay as they are. The tables are
    written there first. The list of files is the first to be new, and names the old files as well
    until they are gone: an interruption leaves nothing that a next call refuses.
    """
    table = pd.DataFrame(rows).drop(columns=["key", "files"])
    write_table(made / "meshes", table)
    write_columns(made / "columns.csv", {"meshes": (table, COLUMNS)})
    old = check_folder(folder, request, overwrite=overwrite)
    labels = {kind: str(path.absolute()) for kind, path in request.labels.items()}
    kept = {name for row in rows if row["key"] in unchanged for name in row["files"]}
    new = _with_companions(str(row["file"]) for row in rows if row["file"])
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        gone = [name for name in old if name not in (LISTING, *_TABLES, *new)]
        leaving = [{"file": name} for name in gone if _MESH.fullmatch(name)]
        _list(folder, labels, [*rows, *leaving])
        for name in (*new, *_TABLES):
            if name not in kept and (made / name).exists():
                (made / name).replace(folder / name)
        for name in gone:
            (folder / name).unlink(missing_ok=True)
        _list(folder, labels, rows)
    return table


def _list(folder: Path, labels: Mapping[str, str], rows: Sequence[dict[str, Any]]) -> None:
    unit = "nanometer; micrometer in .glb"
    facts = {"unit": unit, "axes": "xyz", "labels": labels, "meshes": rows}
    write_json(folder / LISTING, facts)
