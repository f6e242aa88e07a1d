"""A folder of meshes: its files, and its replacement without loss."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from hela_dask.columns import COLUMNS
from hela_dask.documents.reading import Document, read_document
from hela_dask.errors import ExistsError, HelaDaskError, MissingDependencyError
from hela_dask.kernels.mesh import Mesh
from hela_dask.meshing.precomputed import INFO, manifest_file, save_levels
from hela_dask.storage.contents import foreign_names
from hela_dask.storage.files import storage_errors, write_columns, write_json, write_table

__all__ = [
    "FORMATS",
    "LISTING",
    "PRECOMPUTED",
    "check_folder",
    "check_packages",
    "mesh_file",
    "move_into",
    "save",
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
    meshes: list[dict[str, Any]]


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


def _with_companions(files: Iterable[str]) -> list[str]:
    """Files of meshes, and the files that belong to them."""
    found: list[str] = []
    for name in files:
        if match := _MESH.fullmatch(name):
            found.append(name)
            if match[1]:
                found += [manifest_file(int(match[1])), INFO]
    return list(dict.fromkeys(found))


def check_folder(folder: Path) -> list[str]:
    """The files in a folder that an earlier call wrote and this one may replace.

    Raises
    ------
    ExistsError
        When the folder holds anything else.
    """
    if not folder.exists():
        return []
    ours = _written(folder)
    others = foreign_names(folder, ours)
    if not folder.is_dir() or others:
        raise ExistsError(
            f"{folder} {f'holds {others[0]}' if others else 'is a file'}, which hela-dask meshes "
            "did not write: choose another --out"
        )
    return ours


def _written(folder: Path) -> list[str]:
    try:
        listing = read_document(folder / LISTING, _Listing)
    except HelaDaskError:
        return []
    files = [str(row.get("file")) for row in listing.meshes]
    return [LISTING, *_TABLES, *_with_companions(files)]


def move_into(folder: Path, made: Path, table: pd.DataFrame) -> None:
    """Replace the meshes of a folder by new ones, which lie in the folder `made` beside it.

    The tables are written there first. The list of files is the first to be new, and names the old
    files as well until they are gone: an interruption leaves nothing that a next call refuses.
    """
    write_table(made / "meshes", table)
    write_columns(made / "columns.csv", {"meshes": (table, COLUMNS)})
    old = check_folder(folder)
    found = table.astype(object).where(table.notna(), None).to_dict("records")
    rows: list[dict[str, Any]] = [{str(name): item for name, item in row.items()} for row in found]
    new = _with_companions(str(row["file"]) for row in rows if row["file"])
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        gone = [name for name in old if name not in (LISTING, *_TABLES, *new)]
        _list(folder, [*rows, *({"file": name} for name in gone if _MESH.fullmatch(name))])
        for name in (*new, *_TABLES):
            (made / name).replace(folder / name)
        for name in gone:
            (folder / name).unlink(missing_ok=True)
        _list(folder, rows)


def _list(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    unit = "nanometer; micrometer in .glb"
    write_json(folder / LISTING, {"unit": unit, "axes": "xyz", "meshes": rows})
