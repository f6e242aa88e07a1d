"""A folder of meshes: its files, and its replacement without loss."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hela_dask.documents.reading import Document, read_document
from hela_dask.errors import ExistsError, HelaDaskError, MissingDependencyError
from hela_dask.kernels.mesh import Mesh
from hela_dask.storage.contents import foreign_names
from hela_dask.storage.files import storage_errors, write_json, write_table

__all__ = ["FORMATS", "LISTING", "check_folder", "check_packages", "mesh_file", "move_into", "save"]

FORMATS = ("glb", "ply", "stl", "obj")
LISTING = "meshes.json"
_TABLES = ("meshes.csv", "meshes.parquet")
_MESH = re.compile(r"(cell|nucleus)_\d+\.(glb|ply|stl|obj)")


class _Listing(Document):
    """The list of meshes in a folder."""

    unit: str
    meshes: list[dict[str, Any]]


def check_packages() -> None:
    """MissingDependencyError where a package that meshes need is not installed."""
    try:
        import trimesh  # noqa: F401
        import zmesh  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"meshes need {error.name}, which is not installed: pip install 'hela_dask[meshes]'"
        ) from error


def mesh_file(kind: str, label: int, file_format: str) -> str:
    """The name of the file of an object."""
    return f"{kind}_{label:05d}.{file_format}"


def save(mesh: Mesh, path: Path) -> None:
    """Write a mesh in the format of the path's ending.

    Coordinates are x, y, z: in µm in GLB, as its metadata state, and in nm in the others.
    """
    import trimesh

    places = mesh.vertices[:, ::-1]
    glb = path.suffix == ".glb"
    shown = trimesh.Trimesh(places / 1000 if glb else places, mesh.faces, process=False)
    if glb:
        shown.metadata = {"name": path.stem, "unit": "micrometer", "axes": "xyz"}
    with storage_errors(path):
        shown.export(path)


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
    return [LISTING, *_TABLES, *filter(_MESH.fullmatch, files)]


def move_into(folder: Path, made: Path, table: pd.DataFrame) -> None:
    """Replace the meshes of a folder by new ones, which lie in the folder `made` beside it.

    The tables are written there first. The list of files is the first to be new, and names the old
    files as well until they are gone: an interruption leaves nothing that a next call refuses.
    """
    write_table(made / "meshes", table)
    old = check_folder(folder)
    found = table.astype(object).where(table.notna(), None).to_dict("records")
    rows: list[dict[str, Any]] = [{str(name): item for name, item in row.items()} for row in found]
    new = [str(row["file"]) for row in rows if row["file"]]
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        gone = [name for name in old if _MESH.fullmatch(name) and name not in new]
        _list(folder, [*rows, *({"file": name} for name in gone)])
        for name in (*new, *_TABLES):
            (made / name).replace(folder / name)
        for name in gone:
            (folder / name).unlink(missing_ok=True)
        _list(folder, rows)


def _list(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    unit = "nanometer; micrometer in .glb"
    write_json(folder / LISTING, {"unit": unit, "axes": "xyz", "meshes": rows})
