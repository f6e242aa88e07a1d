"""The tasks of meshes: voxels and boxes in a slab of labels; the meshes of one cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hela_dask.box import Box
from hela_dask.evaluation.instances import count_instances
from hela_dask.meshing.building import MeshError, build_mesh
from hela_dask.meshing.folder import PRECOMPUTED, mesh_file, object_files, save
from hela_dask.meshing.labels import LabelVolume
from hela_dask.meshing.precomputed import levels_of_detail
from hela_dask.meshing.reducing import pack_mesh, reduce_mesh
from hela_dask.storage.files import write_json
from hela_dask.storage.records import FileRecord, record_file, records_to_json
from hela_dask.tasks.cost import measured
from hela_dask.tasks.lock import Lock
from hela_dask.tasks.markers import Markers
from hela_dask.tasks.units import Unit

__all__ = ["MeshJob", "count_task", "mesh_task", "scene_file", "scene_task"]


@dataclass(frozen=True)
class MeshJob:
    """Common inputs of all tasks; small."""

    labels: Mapping[str, LabelVolume]  # by kind
    lock: Lock  # of the folder for the meshes
    error: float  # nm
    file_format: str

    @property
    def folder(self) -> Path:
        """Where the meshes are written."""
        return self.lock.path.parent

    @property
    def markers(self) -> Markers:
        """The markers of finished units."""
        return Markers(self.folder / "done")


def count_task(job: MeshJob, unit: Unit) -> dict[str, Any]:
    """The voxels and the box of each object in a slab."""
    slab: Box = unit.what
    with measured() as cost:
        found = {kind: count_instances(volume.labels, slab) for kind, volume in job.labels.items()}
    row = {
        "counts": {kind: counts.tolist() for kind, (counts, _) in found.items()},
        "hashes": {kind: hashes.tolist() for kind, (_, hashes) in found.items()},
    }
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, {**row, **cost})


def mesh_task(job: MeshJob, unit: Unit) -> dict[str, Any]:
    """Write the meshes of one cell: `unit.what` is its label, and the object of each kind."""
    label, objects = unit.what
    rows, records = [], dict[str, FileRecord | None]()
    with measured() as cost:
        for kind, item in objects.items():
            labels = job.labels[kind]
            row: dict[str, Any] = {
                "label": label,
                "what": kind,
                "status": "too_small",
                "file": "",
                "reason": "",
            }
            row["files"] = {}
            try:
                found = build_mesh(labels.object(label, item.box), labels.geometry, job.error)
            except MeshError as error:
                row |= {"status": "failed", "reason": str(error)}
                found = None
            if found is not None:
                row |= {"status": "written", "file": mesh_file(kind, label, job.file_format)}
                levels = [found.mesh]
                if job.file_format == PRECOMPUTED:
                    levels = levels_of_detail(found, job.error)
                job.lock.check()
                save(levels, job.folder / row["file"], label)
                row |= {**found.measures, "levels": len(levels)}
                written = {
                    name: record_file(job.folder / name) for name in object_files(row["file"])
                }
                row["files"] = records_to_json(written)
                records |= {f"run/{name}": record for name, record in written.items()}
            rows.append(row)
    return job.markers.finish(
        unit.stage, unit.name, unit.fingerprint, {"rows": rows, **cost}, records
    )


def scene_task(job: MeshJob, unit: Unit) -> dict[str, Any]:
    """Write small meshes of one cell, for a page.

    `unit.what` is its label, the object of each kind, and the triangles that each may have.
    """
    label, objects, triangles = unit.what
    packed, file = {}, job.folder / scene_file(label)
    with measured() as cost:
        for kind, item in objects.items():
            labels = job.labels[kind]
            mesh = reduce_mesh(labels.object(label, item.box), labels.geometry, triangles[kind])
            if mesh is not None:
                packed[kind] = pack_mesh(mesh)
        job.lock.check()
        write_json(file, packed, flush=False)
    row = {"file": file.name, "kinds": list(packed)}
    files = job.markers.record(file)
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, {**row, **cost}, files)


def scene_file(label: int) -> str:
    """The name of the file with the meshes of a cell for a page."""
    return f"{label:05d}.json"
