"""A folder of meshes: its files, and its replacement without loss."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hela_dask.documents.reading import Document, read_document
from hela_dask.errors import ExistsError, HelaDaskError, MissingDependencyError
from hela_dask.kernels.mesh import Mesh
from hela_dask.storage.contents import foreign_names
from hela_dask.storage.files import storage_errors, write_json, write_table
from hela_dask.types import Floats

__all__ = ["FORMATS", "LISTING", "check_folder", "check_packages", "mesh_file", "move_into", "save"]

FORMATS = ("glb", "ply", "stl", "obj", "precomputed")
LISTING = "meshes.json"
_TABLES = ("meshes.csv", "meshes.parquet")
_MESH = re.compile(r"(cell|nucleus)_(\d+)\.(glb|ply|stl|obj|precomputed)")
_INFO = "info"  # of a folder of Neuroglancer's meshes


class _Listing(Document):
    """The list of meshes in a folder."""

    unit: str
    meshes: list[dict[str, Any]]


def check_packages(file_format: str) -> None:
    """MissingDependencyError where a package that a format needs is not installed."""
    if file_format == "precomputed":
        return
    try:
        import trimesh  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"--format {file_format} needs {error.name}, which is not installed: "
            "pip install 'hela_dask[meshes]'"
        ) from error


def mesh_file(kind: str, label: int, file_format: str) -> str:
    """The name of the file of an object."""
    return f"{kind}_{label:05d}.{file_format}"


def save(mesh: Mesh, path: Path, label: int) -> None:
    """Write the mesh of a label in the format of the path's ending.

    Coordinates are x, y, z: in µm in GLB, as its metadata state, and in nm in the others.
    """
    places = mesh.vertices[:, ::-1]
    with storage_errors(path):
        if path.suffix == ".precomputed":
            _save_precomputed(places, mesh.faces, path, label)
            return
        import trimesh

        glb = path.suffix == ".glb"
        shown = trimesh.Trimesh(places / 1000 if glb else places, mesh.faces, process=False)
        if glb:
            shown.metadata = {"name": path.stem, "unit": "micrometer", "axes": "xyz"}
        shown.export(path)


def _save_precomputed(places: Floats, faces: NDArray[np.int32], path: Path, label: int) -> None:
    """Neuroglancer's single-resolution meshes: a fragment, its manifest, and the info file."""
    content = [
        np.array([len(places)], "<u4").tobytes(),
        np.ascontiguousarray(places, "<f4").tobytes(),
        np.ascontiguousarray(faces, "<u4").tobytes(),
    ]
    path.write_bytes(b"".join(content))
    write_json(path.with_name(f"{label}:0"), {"fragments": [path.name]}, flush=False)
    write_json(path.with_name(_INFO), {"@type": "neuroglancer_legacy_mesh"}, flush=False)


def _with_companions(files: Iterable[str]) -> list[str]:
    """Files of meshes, and the files that belong to them."""
    found: list[str] = []
    for name in files:
        if match := _MESH.fullmatch(name):
            found.append(name)
            if match[3] == "precomputed":
                found += [f"{int(match[2])}:0", _INFO]
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
