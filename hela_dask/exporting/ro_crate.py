"""A description of a run folder for archives and their machines, as an RO-Crate.

Specification: https://w3id.org/ro/crate/1.1, with the action as of its section on provenance.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hela_dask.columns import COLUMNS
from hela_dask.errors import InputError
from hela_dask.running.provenance import now, read_run
from hela_dask.running.result import RunResult
from hela_dask.storage.files import write_json
from hela_dask.storage.places import relative_path

__all__ = ["CRATE", "write_ro_crate"]

CRATE = "ro-crate-metadata.json"

_VERSION = "https://w3id.org/ro/crate/1.1"
_FILES = {
    "run.json": "Input, parameters, versions, machine and timings of the run",
    "run.toml": "All parameters of the run",
    "cells.parquet": "A row per cell: place, status, confidence and measures",
    "cells.csv": "The same as text",
    "contacts.parquet": "A row per pair of cells that touch",
    "contacts.csv": "The same as text",
    "detections.parquet": "A row per detection in an analysed slice",
    "detections.csv": "The same as text",
    "columns.csv": "Units and meanings of the columns of the tables",
    "centres.csv": "Centres of the cells, nm",
    "edits.json": "Edits of the cells by people, in their order",
    "review.csv": "Cells that people have accepted or rejected",
    "scores.json": "Agreement with a truth",
    "report.html": "Report with pictures",
    "performance.html": "Tasks and memory of the run",
}
"""Files of a run folder that are described, where they are there."""

_ORGANELLES = {
    ".parquet": "Organelles assigned to cells, or their numbers and volumes per cell",
    ".csv": "The same as text, or units and meanings of the columns",
}


def write_ro_crate(result: RunResult) -> Path:
    """Write ``ro-crate-metadata.json`` into the run folder, from its ``run.json``.

    Raises
    ------
    InputError
        When ``run.json`` cannot be read.
    """
    facts = read_run(result.path)
    if not facts:
        raise InputError(f"{result.path / 'run.json'} cannot be read: start the run again")
    path = result.path / CRATE
    write_json(path, {"@context": f"{_VERSION}/context", "@graph": _graph(result, facts)})
    return path


def _graph(result: RunResult, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    files = [_file(result.path / name, text) for name, text in _files(result.path).items()]
    folders = [
        {"@id": f"{name}/", "@type": "Dataset", "name": text}
        for name, text in (("figures", "Pictures of the report"),)
        if (result.path / name).is_dir()
    ]
    parts = [{"@id": entity["@id"]} for entity in (*files, *folders)]
    software = _software(facts)
    image = _image(result, facts)
    labels = [_labels(result, name) for name in result.label_paths]
    numbers = _parameters(facts.get("parameters") or {})
    finished = str(facts.get("finished") or now())
    action = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Segmentation of {result.store.name} by method {facts.get('method')}",
        "startTime": facts.get("started"),
        "endTime": finished,
        "instrument": {"@id": software[0]["@id"]},
        "object": [{"@id": entity["@id"]} for entity in (image, *numbers)],
        "result": [*parts, *({"@id": entity["@id"]} for entity in labels)],
    }
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Cells and nuclei of {result.store.name}",
        "description": f"{result.summary()}. Segmented by hela_dask, method "
        f"{facts.get('method')}; columns and units are in the metadata of cells.parquet.",
        "datePublished": finished[:10],
        "hasPart": parts,
        "mentions": [{"@id": "#run"}],
        "variableMeasured": [{"@id": entity["@id"]} for entity in _measures(result.cells)],
    }
    descriptor = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": _VERSION},
    }
    measures = _measures(result.cells)
    entities = (*files, *folders, action, *software, image, *labels, *numbers, *measures)
    return [descriptor, root, *entities]


def _files(folder: Path) -> dict[str, str]:
    found = {name: text for name, text in _FILES.items() if (folder / name).is_file()}
    for path in sorted((*folder.glob("organelles_*.parquet"), *folder.glob("organelles_*.csv"))):
        found[path.name] = _ORGANELLES[path.suffix]
    return found


def _file(path: Path, text: str) -> dict[str, Any]:
    kinds = {".parquet": "application/vnd.apache.parquet", ".toml": "application/toml"}
    kind = kinds.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return {
        "@id": path.name,
        "@type": "File",
        "name": path.name,
        "description": text,
        "encodingFormat": kind,
        "contentSize": str(path.stat().st_size),
    }


def _software(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The package that made the run, then those that its numbers depend on."""
    versions = dict(facts.get("versions") or {})
    names = ["hela_dask", *(name for name in versions if name != "hela_dask")]
    found = [
        {
            "@id": f"#software-{name}",
            "@type": "SoftwareApplication",
            "name": name,
            "softwareVersion": versions.get(name),
        }
        for name in names
    ]
    found[0]["softwareRequirements"] = [{"@id": entity["@id"]} for entity in found[1:]]
    return found


def _image(result: RunResult, facts: Mapping[str, Any]) -> dict[str, Any]:
    known = facts.get("image") or {}
    shape, voxel = known.get("shape"), known.get("voxel_size")
    return {
        "@id": "#image",
        "@type": "Dataset",
        "name": result.store.name,
        "description": f"OME-Zarr image, z, y, x of {shape} voxels of {voxel} nm, at "
        f"{relative_path(result.store, result.path)} as seen from here",
        "identifier": facts.get("fingerprint"),
        "encodingFormat": "application/vnd.zarr",
    }


def _labels(result: RunResult, name: str) -> dict[str, Any]:
    place = relative_path(result.label_paths[name], result.path)
    return {
        "@id": f"#labels-{name}",
        "@type": "Dataset",
        "name": name,
        "description": f"OME-Zarr labels, at {place} as seen from here",
        "encodingFormat": "application/vnd.zarr",
    }


def _parameters(groups: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "@id": f"#parameter-{group}.{name}",
            "@type": "PropertyValue",
            "name": f"{group}.{name}",
            "value": value,
        }
        for group, values in groups.items()
        for name, value in values.items()
    ]


def _measures(cells: pd.DataFrame) -> list[dict[str, Any]]:
    """The columns that measure a cell, with unit and meaning."""
    return [
        {
            "@id": f"#measure-{name}",
            "@type": "PropertyValue",
            "name": name,
            "description": column.meaning,
            "unitText": column.unit,
        }
        for name, column in COLUMNS.items()
        if column.measure and name in cells
    ]
