"""Label groups of a run that cannot be read, since their metadata are missing or damaged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hela_dask.errors import HelaDaskError
from hela_dask.running.identity import ID_FILE
from hela_dask.running.provenance import read_run
from hela_dask.running.source import identify_image
from hela_dask.storage.contents import holds_only_levels
from hela_dask.storage.files import remove_folder
from hela_dask.storage.label_listing import list_again, listing_problem
from hela_dask.storage.metadata import Image, read_image
from hela_dask.storage.nodes import read_node
from hela_dask.storage.records import FileRecord, Records
from hela_dask.tasks.markers import Markers

__all__ = [
    "damaged_metadata",
    "geometry_problems",
    "is_broken",
    "mend_listing",
    "reading_problem",
    "remove_broken",
    "run_problems",
    "source_problem",
]


def reading_problem(target: Path) -> str:
    """Why a label group cannot be read; empty where it can."""
    try:
        read_image(target, unknown_scale=True)
    except HelaDaskError as error:
        return str(error)
    return ""


def damaged_metadata(target: Path) -> str:
    """Why a label group cannot be read; empty where it can, or is plainly something else."""
    problem = reading_problem(target)
    return "" if problem and _describes_another(target) else problem


def is_broken(run: Path, target: Path) -> bool:
    """Whether a label group cannot be read, although a run wrote all that is in it.

    A group without metadata names no run. The run's markers list the files of its slabs: a file
    that they do not list, or of another size, is of another program.
    """
    if not target.is_dir() or not damaged_metadata(target):
        return False
    markers = Markers(run / "done", target.parent)
    records: Records = {}
    for name in markers.names():
        stage, _, unit = name.partition("-")
        marker = markers.read(stage, unit) if stage == "assemble" else None
        records |= {} if marker is None else markers.files_in(marker, "labels")
    if not any(path.startswith(f"{target.name}/") for path in records):
        return False
    return holds_only_levels(target) and all(
        _is_recorded(path, records.get(path.relative_to(target.parent).as_posix()))
        for path in target.glob("*/c/**/*")
        if not path.is_dir()
    )


def _describes_another(target: Path) -> bool:
    """Whether metadata that can be read are not of a label group of this package."""
    try:
        node = read_node(target)
    except HelaDaskError:
        return False
    return node is not None and (node.is_array or "hela_dask" not in node.attributes)


def _is_recorded(path: Path, record: FileRecord | None) -> bool:
    return record is not None and path.stat().st_size == record.size


def remove_broken(run: Path, target: Path) -> None:
    """Remove a label group of this run that cannot be read, so that it is written again."""
    if is_broken(run, target):
        remove_folder(target)


def mend_listing(owner: Path, names: Sequence[str]) -> str:
    """Make viewers find the label groups; returns the fault of their list, or nothing."""
    problem = listing_problem(owner, names)
    if not problem:
        return ""
    list_again(owner, names)
    return f"{owner / 'labels' / 'zarr.json'} {problem}"


def run_problems(run: Path) -> list[tuple[Path, str]]:
    """Files of a finished run that no marker lists and that are missing: its id, its markers."""
    facts, markers = read_run(run), Markers(run / "done")
    if facts.get("state") != "finished":
        return []
    found = []
    noted = facts.get("id")
    try:
        text = (run / ID_FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    if isinstance(noted, str) and noted not in text:
        problem = "is no longer the file that was written" if text else "is missing or empty"
        found.append((run / ID_FILE, problem))
    there = set(markers.names())
    report = markers.read("report", "all")
    units = [] if report is None else report.result.get("units", [])
    wanted = ["report-all", *(units if isinstance(units, list) else [])]
    missing = [name for name in wanted if isinstance(name, str) and name not in there]
    return found + [(run / "done" / f"{name}.json", "is missing") for name in missing]


def geometry_problems(labels: Image, image: Image) -> dict[Path, str]:
    """Metadata files by which labels of a run lie elsewhere than the image's voxels."""
    mine, theirs = labels.levels[0], image.levels[0]
    if mine.shape != theirs.shape or labels.dtype.kind != "u":
        file = labels.folder / mine.path / "zarr.json"
        return {file: "has another shape or type than the run wrote"}
    pairs = [
        *zip(mine.voxel_size, theirs.voxel_size, strict=True),
        *zip(mine.translation, theirs.translation, strict=True),
    ]
    same = all(math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6) for one, other in pairs)
    if same:
        return {}
    return {labels.folder / "zarr.json": f"has another voxel size or place than {image.path}"}


def source_problem(image: Image, facts: Mapping[str, Any]) -> str:
    """Whether an image is another than when a run finished; empty where it is not, or unknown."""
    if facts.get("state") != "finished" or not isinstance(facts.get("fingerprint"), str):
        return ""
    try:
        same = identify_image(image)[0] == facts["fingerprint"]
    except HelaDaskError:
        return ""  # its damaged files are found one by one
    return "" if same else "is another image than when the run was made: it was changed since"
