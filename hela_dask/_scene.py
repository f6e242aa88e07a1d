"""scene: one page that shows all cells of a run in space, in any browser, without a network."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hela_dask import pages
from hela_dask.errors import ExistsError, ParameterError
from hela_dask.formatting import counted
from hela_dask.geometry import Geometry
from hela_dask.meshing.finding import Objects, choose_cells, find_objects, mesh_need
from hela_dask.meshing.labels import FoundObject, find_labels
from hela_dask.meshing.reducing import BYTES_PER_TRIANGLE
from hela_dask.meshing.scratch import scratch_session
from hela_dask.meshing.tasks import MeshJob, scene_task
from hela_dask.report.reading import open_view
from hela_dask.running.identity import check_outside_runs
from hela_dask.running.made import LABELS, MADE, RUN, TABLE, MadeFrom
from hela_dask.running.opening import open_run
from hela_dask.running.result import RunResult
from hela_dask.steps.assemble import label_colors
from hela_dask.storage.files import plain, replaced
from hela_dask.storage.metadata import local_path
from hela_dask.storage.places import check_apart
from hela_dask.tasks.cluster import check_client, read_cluster
from hela_dask.tasks.code import code_fingerprint
from hela_dask.tasks.damaged import forget_damaged
from hela_dask.tasks.dispatch import run_units
from hela_dask.tasks.markers import fingerprint
from hela_dask.tasks.units import Unit

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["scene"]

_GENERATOR = "hela_dask scene"  # in the head of pages that are replaced
_FIXED = 60_000  # bytes of a page without meshes and slice: script and style
_PER_MESH = 500  # bytes of a mesh beside its triangles: numbers of its cell, places, names
_FEWEST = 60  # triangles of a mesh at least
_MOST = 60_000  # and at most
_FILL = 0.9  # share of the size that meshes are planned for
_SLICE_PIXELS = 1000
_ERROR = 80.0  # nm, of the finest meshes
_FACTS = {
    "status": "status",
    "complete": "complete",
    "cell_volume": "volume",
    "nucleus_volume": "nucleusVolume",
    "confidence": "confidence",
}  # columns of the table, and their names in the page


def scene(
    run: str | Path,
    out: str | Path | None = None,
    *,
    size: float = 30.0,
    client: Client | None = None,
    cluster: str | Path = "local",
    workers: int | None = None,
    memory: str | int | None = None,
    progress: bool = True,
) -> Path:
    """Write one page that shows all cells of a run in space and turns in any browser.

    The page needs no network and no other file. Nuclei are solid inside transparent membranes;
    each can be hidden; cells that the volume cuts are striped. One slice of the image is shown for
    context, and a scale bar.

    Parameters
    ----------
    run : path
        Folder of a finished run.
    out : path, optional
        The page; default: ``hela.scene.html`` beside ``hela.run``. An earlier page of this function
        is replaced.
    size : float
        The largest size of the page in MB (10^6 bytes): meshes have as many triangles as fit.
    client, cluster, workers, memory, progress
        As in :func:`hela_dask.run`.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    HelaDaskError
        For input that cannot be used, before anything is written: see :mod:`hela_dask.errors`.

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.scene("hela.run", "scene.html").name
    'scene.html'
    """
    where = read_cluster(cluster, workers=workers, memory=memory)
    check_client(client, cluster, workers, memory)
    if not (math.isfinite(size) and size > 0):
        raise ParameterError(f"--size {size:g} must be a number of MB above 0")
    folder = local_path(run)
    result = open_run(folder)
    page = folder.with_suffix(".scene.html") if out is None else local_path(out)
    check_outside_runs(page)
    check_apart(result.store, {"--out": page})
    _check_page(page)
    made = MadeFrom.of(result.path, LABELS, TABLE)
    volumes = find_labels(folder, None, None)
    geometry = next(iter(volumes.values())).geometry
    with scratch_session(folder, page, client, where, progress=progress) as scratch:
        session, display = scratch.session, scratch.display
        job = MeshJob(volumes, scratch.lock, _ERROR, "")
        objects = choose_cells(find_objects(session, job, geometry, display), None, folder)
        session.check([mesh_need(objects, geometry, _ERROR)])
        shown = _slice(result, geometry, objects)
        limits = _triangles(objects, size, _FIXED + len(shown["picture"]))
        units = [_unit(geometry, label, kinds, limits) for label, kinds in objects.items()]
        forget_damaged(job.markers, units, "meshes", "they are made again", display.warn)
        found = run_units(
            session.client,
            scene_task,
            job,
            units,
            markers=job.markers,
            progress=display,
            kind="cells",
        )
        cells = [
            _cell(result, label, json.loads((scratch.folder / row["file"]).read_text("utf-8")))
            for label, row in zip(objects, found.values(), strict=True)
        ]
        text = _page(result, cells, geometry, shown)
    if len(text.encode()) > size * 1e6:
        raise ParameterError(
            f"--size {size:g} is too small for {counted(len(cells), 'cell')}: the page has "
            f"{len(text.encode()) / 1e6:.1f} MB with the coarsest meshes"
        )
    with replaced(page, lambda: _check_page(page)) as temporary:
        temporary.write_text(text, encoding="utf-8")
    made.note(page, ["scene", RUN, "--out", MADE, "--size", f"{size:g}"])
    return page


def _check_page(page: Path) -> None:
    if page.is_dir() or (page.exists() and _GENERATOR not in _beginning(page)):
        raise ExistsError(
            f"{page} exists and is not a page of hela-dask scene, so it is not replaced: choose "
            "another --out"
        )


def _beginning(page: Path) -> str:
    with page.open("rb") as file:
        return file.read(1000).decode("utf-8", "replace")


def _triangles(objects: Objects, size: float, fixed: int) -> dict[tuple[int, str], int]:
    """The triangles that each object may have: as the areas of balls of their volumes.

    The page has `fixed` bytes without meshes.

    Raises
    ------
    ParameterError
        When the page cannot hold so many objects.
    """
    areas = {
        (label, kind): item.voxels ** (2 / 3)
        for label, kinds in objects.items()
        for kind, item in kinds.items()
    }
    room = _FILL * size * 1e6 - fixed - _PER_MESH * len(areas)
    total = sum(areas.values())
    share = {
        key: min(_MOST, int(room / BYTES_PER_TRIANGLE * area / total))
        for key, area in areas.items()
    }
    if room < _FEWEST * BYTES_PER_TRIANGLE * len(areas):
        least = fixed + (_PER_MESH + _FEWEST * BYTES_PER_TRIANGLE) * len(areas)
        raise ParameterError(
            f"--size {size:g} is too small for {counted(len(areas), 'object')}: give at "
            f"least {math.ceil(least / _FILL / 1e5) / 10:g}"
        )
    return {key: max(_FEWEST, count) for key, count in share.items()}


def _unit(
    geometry: Geometry,
    label: int,
    kinds: Mapping[str, FoundObject],
    limits: Mapping[tuple[int, str], int],
) -> Unit:
    """The unit of the meshes of a cell."""
    allowed = {kind: limits[label, kind] for kind in kinds}
    code = code_fingerprint("hela_dask.meshing.tasks:scene_task")
    objects = [(kind, item.box.pairs, item.content) for kind, item in kinds.items()]
    key = fingerprint("scene", code, geometry, label, objects, allowed)
    cost = sum(item.cost for item in kinds.values())
    return Unit("scene", f"{label:05d}", key, (label, kinds, allowed), cost)


def _cell(result: RunResult, label: int, meshes: dict[str, Any]) -> dict[str, Any]:
    """A cell in the page: its color, numbers of its row, and meshes."""
    rows = result.cells[result.cells["label"] == label].to_dict("records")
    row = rows[0] if rows else {}
    facts = {name: row.get(column) for column, name in _FACTS.items()}
    red, green, blue, _ = label_colors([label])[label]  # as other viewers show it
    color = [round(part / 255, 3) for part in (red, green, blue)]
    return {"label": label, "color": color, **facts, "meshes": meshes}


def _page(
    result: RunResult, cells: list[dict[str, Any]], geometry: Geometry, shown: dict[str, Any]
) -> str:
    """The page as one text."""
    starts = np.array(geometry.origin) - np.array(geometry.voxel_size) / 2
    extent = np.array(geometry.shape) * np.array(geometry.voxel_size)
    low, high = starts[::-1] / 1000, (starts + extent)[::-1] / 1000
    content = {
        "low": low.round(4).tolist(),
        "high": high.round(4).tolist(),
        "slice": shown,
        "cells": cells,
    }
    text = json.dumps(plain(content), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    cut = sum(cell["complete"] is False for cell in cells)
    return pages.render(
        "scene.html",
        title=f"Cells of {result.path.stem}",
        subtitle=f"{counted(len(cells), 'cell')}, {cut} of them cut by the volume",
        generator=_GENERATOR,
        content=text,
    )


def _slice(result: RunResult, geometry: Geometry, objects: Objects) -> dict[str, Any]:
    """The slice through the middle of the largest cell, as a JPEG and its place in µm."""
    from matplotlib.image import imsave

    largest = max(objects.values(), key=lambda kinds: max(item.cost for item in kinds.values()))
    box = next(iter(largest.values())).box
    view = open_view(result.store, None, None, pixels=_SLICE_PIXELS)
    middle = geometry.origin[0] + (box.low[0] + box.high[0] - 1) / 2 * geometry.voxel_size[0]
    at = int(np.argmin(np.abs(view.image["z"].values - middle)))
    plane = view.plane(z=at)[0].astype(np.float32)
    low, high = np.percentile(plane, (0.5, 99.5))
    jpeg = io.BytesIO()
    quality = {"quality": 80}
    imsave(jpeg, plane, vmin=low, vmax=high, cmap="gray", format="jpeg", pil_kwargs=quality)
    return {
        "z": float(view.image["z"].values[at]) / 1000,
        "number": at + 1,
        "picture": "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode("ascii"),
    }
