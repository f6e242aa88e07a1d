"""meshes: a closed triangle mesh of every cell and nucleus, a task per cell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from hela_dask.errors import ParameterError
from hela_dask.evaluation.instances import single_label_text
from hela_dask.geometry import Geometry
from hela_dask.meshing.finding import Objects, choose_cells, find_objects, mesh_need
from hela_dask.meshing.folder import (
    FORMATS,
    LISTING,
    PRECOMPUTED,
    MeshRequest,
    check_folder,
    check_packages,
    move_into,
    unchanged_meshes,
)
from hela_dask.meshing.labels import check_cells, find_labels
from hela_dask.meshing.scratch import scratch_session
from hela_dask.meshing.tasks import MeshJob, mesh_task
from hela_dask.running.identity import check_outside_runs, is_run_folder
from hela_dask.running.made import LABELS, MADE, RUN, MadeFrom
from hela_dask.storage.metadata import local_path
from hela_dask.storage.places import check_apart
from hela_dask.tasks.cluster import check_client, read_cluster
from hela_dask.tasks.code import code_fingerprint
from hela_dask.tasks.damaged import forget_damaged
from hela_dask.tasks.dispatch import run_units
from hela_dask.tasks.markers import fingerprint
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.session import Session
from hela_dask.tasks.units import Row, Unit

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["meshes"]


def meshes(
    labels: str | Path,
    out: str | Path,
    *,
    cells: Sequence[int] | None = None,
    what: Sequence[str] | None = None,
    voxel_size: Sequence[float] | None = None,
    error: float = 40.0,
    file_format: str = "glb",
    overwrite: bool = False,
    client: Client | None = None,
    cluster: str | Path = "local",
    workers: int | None = None,
    memory: str | int | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Write a closed triangle mesh of every cell and nucleus.

    Parameters
    ----------
    labels : path
        A run folder; an image with the labels ``cells`` and ``nuclei``; or instance labels of any
        program: an OME-Zarr label group, or any other format that ``convert`` reads.
    out : path
        Folder for the meshes. Those of an earlier call for the same objects are replaced, once all
        new ones are there; those of unchanged labels stay. The same call again continues where an
        earlier one stopped.
    cells : sequence of int, optional
        Labels of the cells; default: all.
    what : sequence of str, optional
        ``"cell"``, ``"nucleus"`` or both; default: all that there are.
    voxel_size : (z, y, x) in nm, optional
        Default: that of the labels.
    error : float
        The largest distance of a mesh from the surface of its labels in nm, at least a pixel.
        Labels are averaged over blocks with sides of at most this length.
    file_format : str
        ``"glb"`` (coordinates in µm), ``"ply"``, ``"stl"``, ``"obj"`` or ``"precomputed"``, the
        meshes of Neuroglancer with several levels of detail (in nm); x, y, z.
    overwrite : bool
        Replace all meshes of the folder, also those of other cells, kinds, labels or formats.
    client, cluster, workers, memory, progress
        As in :func:`hela_dask.run`.

    Returns
    -------
    pandas.DataFrame
        One row per mesh, as in ``meshes.csv``: ``label``, ``what``, ``status`` (``written``,
        ``too_small`` where no block is half full, ``failed``), ``file``, ``reason``,
        ``triangles``, ``mesh_volume`` and ``labels_volume`` (µm³), ``volume_difference``
        (relative, at most 0.01), ``mesh_area`` (µm²), ``mesh_distance`` (the largest of a point of
        the mesh from the labels' surface, nm, at most `error`), ``labels_distance`` (the largest of
        a point of the labels' surface from the mesh, nm: more than `error` only for an object with
        details thinner than a block, within `error` of these and in at most 0.1 % of its surface
        elsewhere), ``labels_beyond`` (share of that surface farther than `error`),
        ``closed``, ``euler_number``, ``flat_sides`` (sides of the volume that cut the object: the
        mesh is flat there) and ``levels`` (of detail, each with about a quarter of the triangles of
        the one before; the measures are of the finest). A mesh that is not closed, or that misses
        the volume or the distance, is not written; its status is ``failed``.

    Raises
    ------
    HelaDaskError
        For input that cannot be used, before anything is written: see :mod:`hela_dask.errors`.

    Examples
    --------
    >>> import hela_dask as hd
    >>> table = hd.meshes("hela.run", "hela-meshes", cells=[2], error=200)
    >>> sorted(table["what"]), table["status"].unique().tolist()
    (['cell', 'nucleus'], ['written'])
    """
    where = read_cluster(cluster, workers=workers, memory=memory)
    check_client(client, cluster, workers, memory)
    if file_format not in FORMATS:
        raise ParameterError(
            f"--format {file_format!r} is unknown; choose among {', '.join(FORMATS)}"
        )
    check_packages(file_format)
    source, folder = local_path(labels), local_path(out)
    check_cells(source, cells)
    volumes = find_labels(source, what, voxel_size)
    if file_format == PRECOMPUTED and len(volumes) > 1:
        raise ParameterError(
            "--format precomputed takes one kind of object per folder: add --what cell or "
            "--what nucleus"
        )
    geometry = next(iter(volumes.values())).geometry
    of_run = is_run_folder(source)
    check_outside_runs(folder)
    check_apart(source, {"--out": folder}, "run folder" if of_run else "label image")
    _check_error(error, geometry)
    request = MeshRequest(
        {kind: volume.labels.path for kind, volume in volumes.items()},
        None if cells is None else frozenset(map(int, cells)),
        file_format,
    )
    check_folder(folder, request, overwrite=overwrite)
    made = MadeFrom.of(source, LABELS) if of_run else None
    with scratch_session(source, folder, client, where, progress=progress) as scratch:
        session, display = scratch.session, scratch.display
        job = MeshJob(volumes, scratch.lock, float(error), file_format)
        objects = find_objects(session, job, geometry, display)
        if cells is None and len(objects) == 1 and not of_run:
            display.warn(single_label_text(source, *objects))
        objects = choose_cells(objects, cells, source)
        session.check([mesh_need(objects, geometry, error)])
        unchanged = unchanged_meshes(folder, file_format)
        rows = _build(session, job, objects, display, unchanged)
        table = move_into(folder, scratch.folder, rows, unchanged, request, overwrite=overwrite)
    if made is not None:
        made.note(folder, _command(cells, what, voxel_size, error, file_format), LISTING)
    return table


def _command(
    cells: Sequence[int] | None,
    what: Sequence[str] | None,
    voxel_size: Sequence[float] | None,
    error: float,
    file_format: str,
) -> list[str]:
    """The words of the command that makes the meshes of a run again."""
    words = ["meshes", RUN, "--out", MADE, "--error", f"{error:g}", "--format", file_format]
    words += [] if voxel_size is None else ["--voxel-size", *(f"{side:g}" for side in voxel_size)]
    for option, values in (("--cells", cells), ("--what", what)):
        if values is not None:
            words += [option, ",".join(map(str, values))]
    return words


def _check_error(error: float, geometry: Geometry) -> None:
    pixel = min(geometry.voxel_size)
    if not (math.isfinite(error) and error >= pixel):
        raise ParameterError(
            f"--error {error:g} nm is less than a pixel of the labels: give at least {pixel:g}"
        )


def _build(
    session: Session,
    job: MeshJob,
    objects: Objects,
    display: RunProgress,
    unchanged: Mapping[str, dict[str, Any]],
) -> list[dict[str, Any]]:
    """A row per mesh; those of unchanged objects are as they were."""
    keys = _keys(job, objects)
    units = []
    for label, kinds in objects.items():
        wanted = {kind: item for kind, item in kinds.items() if keys[label, kind] not in unchanged}
        if wanted:
            key = fingerprint([keys[label, kind] for kind in wanted])
            cost = sum(item.cost for item in wanted.values())
            units.append(Unit("mesh", f"{label:05d}", key, (label, wanted), cost))
    kept = len(keys) - sum(len(unit.what[1]) for unit in units)
    if kept:
        meshes_kept = "1 mesh is" if kept == 1 else f"{kept} meshes are"
        display.info(f"{meshes_kept} kept, as the labels have not changed")
    forget_damaged(job.markers, units, "meshes", "they are made again", display.warn)
    found = run_units(
        session.client,
        mesh_task,
        job,
        units,
        markers=job.markers,
        progress=display,
        kind="cells",
        on_failure=_failed,
    )
    made = {(row["label"], row["what"]): row for result in found.values() for row in result["rows"]}
    rows = []
    for (label, kind), key in keys.items():
        row = made.get((label, kind)) or unchanged[key]
        rows.append({**row, "key": "" if row["status"] == "failed" else key})
    return rows


def _keys(job: MeshJob, objects: Objects) -> dict[tuple[int, str], str]:
    """A fingerprint of all that a mesh depends on, by label and kind."""
    code = code_fingerprint("hela_dask.meshing.tasks:mesh_task")
    shared = fingerprint("mesh", code, job.error, job.file_format)
    grids = {kind: labels.geometry for kind, labels in job.labels.items()}
    return {
        (label, kind): fingerprint(shared, grids[kind], label, kind, item.box.pairs, item.content)
        for label, kinds in objects.items()
        for kind, item in kinds.items()
    }


def _failed(unit: Unit, reason: str) -> Row:
    """The rows of a cell without meshes."""
    label, kinds = unit.what
    rows: list[Mapping[str, Any]] = [
        {
            "label": label,
            "what": kind,
            "status": "failed",
            "file": "",
            "reason": reason,
            "files": {},
        }
        for kind in kinds
    ]
    return {"rows": rows}
