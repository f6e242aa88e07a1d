"""verify: every file of a store and a run, read once and compared with its record."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from hela_dask.conversion.suitability import mend_image
from hela_dask.errors import HelaDaskError, InputError, MissingInputError, StorageError
from hela_dask.running.broken import (
    geometry_problems,
    is_broken,
    reading_problem,
    run_problems,
    source_problem,
)
from hela_dask.running.folders import run_folder
from hela_dask.running.identity import is_result, owns_labels, read_id
from hela_dask.running.made import find_earlier
from hela_dask.running.provenance import read_run
from hela_dask.running.reading import read_folder
from hela_dask.steps.measure import combine_counts, measurements
from hela_dask.storage.label_listing import label_folders, listing_problem
from hela_dask.storage.manifest import (
    has_manifest,
    mark_problems,
    metadata_faults,
    read_slab_mark,
    write_slab_mark,
)
from hela_dask.storage.metadata import Image, read_image, slab_marks, slab_ranges
from hela_dask.storage.reading import StoredArray
from hela_dask.storage.records import FileRecord, Records, compare_files, content_problem, distrust
from hela_dask.storage.tables import read_parquet
from hela_dask.storage.urls import StorePath
from hela_dask.tasks.markers import Markers
from hela_dask.tasks.progress import Count, counted
from hela_dask.verification.findings import Finding, Verification
from hela_dask.verification.mending import mend_run

__all__ = ["Finding", "Verification", "verify"]

_THREADS = 8
_COPY = "restore it from a copy, or make it again"


@dataclass
class _Look:
    """Files to read, and the findings."""

    wanted: dict[Path, tuple[FileRecord | None, str]] = field(default_factory=dict)
    arrays: list[tuple[Image, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    doubts: list[Callable[[set[Path]], None]] = field(default_factory=list)

    def add(self, root: Path, records: Records, mend: str) -> None:
        """Files of a unit or a slab."""
        for path, record in records.items():
            self.wanted.setdefault(root / path, (record, mend))


def verify(
    store: str | StorePath, run: str | Path | None = None, *, progress: bool | Count = True
) -> Verification:
    """Read every file of a volume, its labels and a run, and compare all with their records.

    Checksums of whole files are compared with those that were recorded when they were written, in
    the image at all levels of the pyramid, in label groups, and in the run folder. Where none were
    recorded, each chunk is decoded, which checks its own checksum. The table of the run is
    compared with the voxels that were counted in the labels.

    Damage that only the content shows is recorded beside the record of the file, so that the named
    command writes the file again.

    Parameters
    ----------
    store : path
        An OME-Zarr volume.
    run : path, optional
        A run folder; default: the store's name with ``.run``, if there is one.
    progress : bool or callable
        Show the progress, on a terminal; or a function of the MiB done and of all.

    Returns
    -------
    Verification

    Raises
    ------
    MissingInputError, InputError
        When there is no such store or run.

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.verify("hela.ome.zarr").ok
    True
    """
    start = time.perf_counter()
    image = read_image(store)
    folder = run_folder(image.folder, run)
    if run is not None and not (folder / "done").is_dir():
        raise MissingInputError(f"there is no run in {folder}: it has no folder 'done'")
    look = _Look()
    _look_at_group(look, image, mend_image(image))
    has_run = (folder / "done").is_dir()
    if has_run:
        _look_at_run(look, image, folder)
    names = label_folders(image.folder)
    if (names or image.labels) and (problem := listing_problem(image.folder, names)):
        mend = mend_run(image.folder, folder) if has_run else _COPY
        look.findings.append(Finding(str(image.folder / "labels" / "zarr.json"), problem, mend))
    for name in dict.fromkeys((*image.labels, *names)):
        _look_at_labels(look, image, image.folder / "labels" / name, folder if has_run else None)
    size = _read_all(look, progress)
    return Verification(
        store=image.folder,
        run=folder if has_run else None,
        files=len(look.wanted),
        bytes=size,
        seconds=time.perf_counter() - start,
        findings=tuple(sorted(set(look.findings), key=lambda item: item.path)),
        notes=tuple(look.notes),
    )


def _look_at_group(look: _Look, image: Image, mend: str) -> None:
    """The shards of an image or label group, as its slabs list them."""
    if not image.complete:
        look.findings.append(Finding(str(image.folder), "is not finished", mend))
    marks = slab_marks(image.folder, image.levels[0])
    problems = mark_problems(image)
    wrong = problems | metadata_faults(image)
    look.findings += [Finding(str(path), text, mend) for path, text in wrong.items()]
    if not has_manifest(image):
        if image.complete:
            look.notes.append(f"{image.path} lists no checksums of its files: chunks were decoded")
            look.arrays.append((image, mend))
        if not problems:
            return
    for start, _ in slab_ranges(image.levels[0]):
        mark = marks / str(start)
        records = read_slab_mark(mark) or {}
        look.add(image.folder, records, mend)

        def doubt(damaged: set[Path], mark: Path = mark, records: Records = records) -> None:
            names = {path for path in records if image.folder / path in damaged}
            if names:
                write_slab_mark(mark, distrust(records, names))

        look.doubts.append(doubt)


def _look_at_labels(look: _Look, image: Image, path: Path, run: Path | None) -> None:
    """A label group of the store."""
    mine = run is not None and (is_broken(run, path) or owns_labels(run, read_id(run), path))
    mend = mend_run(image.folder, run) if mine and run is not None else _COPY
    try:
        labels = read_image(path, unknown_scale=True)
    except HelaDaskError as error:
        look.findings.append(Finding(str(path), f"cannot be read ({error})", mend))
        return
    wrong = geometry_problems(labels, image) if mine else {}
    look.findings += [Finding(str(file), text, mend) for file, text in wrong.items()]
    _look_at_group(look, labels, mend)


def _look_at_run(look: _Look, image: Image, run: Path) -> None:
    """The files of all finished units, and the table."""
    mend = mend_run(image.folder, run)
    try:
        folder = read_folder(run)
        own = image.folder / "labels" / "nuclei"
        copied = own.is_dir() and is_result(run, folder.facts, read_id(run), own)
        named = own if copied else folder.labels("nuclei")
        if folder.facts.get("state") != "finished":
            look.notes.append(f"{run} is not finished: {mend} continues it")
    except HelaDaskError as error:
        look.findings.append(Finding(str(run), f"cannot be read ({error})", mend))
        named = None
    labels = image.folder / "labels" if named is None else named.parent
    markers = Markers(run / "done", labels)
    look.findings += [Finding(str(path), text, mend) for path, text in run_problems(run)]
    earlier = find_earlier(run)
    look.findings += [Finding(str(item.path), item.problem, item.command) for item in earlier]
    replaced = not reading_problem(labels / "nuclei") and not owns_labels(
        run, read_id(run), labels / "nuclei"
    )
    if replaced:
        look.findings.append(
            Finding(
                str(labels), f"holds the labels of another run than {run}", f"{mend} --overwrite"
            )
        )
    if problem := source_problem(image, read_run(run)):
        if has_manifest(image):
            look.findings.append(Finding(str(image.folder), problem, mend))
        else:  # a copy without the times of its files looks the same
            look.notes.append(f"{image.path} {problem}")
    roots = {"run": run} if replaced else {"run": run, "labels": labels}
    counts: list[pd.DataFrame] = []
    for path in sorted(markers.folder.glob("*.json")):
        stage, _, unit = path.stem.partition("-")
        marker = markers.read(stage, unit)
        if marker is None:
            look.findings.append(Finding(str(path), "cannot be read", mend))
            continue
        if stage == "assemble" and "counts" in marker.result:
            counts.append(pd.DataFrame(marker.result["counts"]))
        for name, root in roots.items():
            look.add(root, markers.files_in(marker, name), mend)

        def doubt(damaged: set[Path], stage: str = stage, unit: str = unit) -> None:
            markers.distrust(stage, unit, roots, damaged)

        look.doubts.append(doubt)
    if counts:
        _compare_table(look, image, run, combine_counts(counts), mend)


def _compare_table(look: _Look, image: Image, run: Path, counts: pd.DataFrame, mend: str) -> None:
    """The labels that were counted are the rows of the table, and their volumes agree."""
    path = run / "cells.parquet"
    try:
        table = read_parquet(path)
        level = image.levels[0]
        measured = measurements(counts, level.voxel_size, level.shape).set_index("label")
        names = [name for name in ("nucleus_volume", "cell_volume") if name in table]
        kept = table.set_index("label")[names].dropna(how="all")
    except (OSError, ValueError, KeyError, InputError) as error:
        look.findings.append(Finding(str(path), f"cannot be read ({error})", mend))
        return
    if missing := sorted(set(measured.index) ^ set(kept.index)):
        problem = f"has other cells than the labels (cell {missing[0]})"
        look.findings.append(Finding(str(path), problem, mend))
        return
    for name in names:
        same = np.isclose(kept[name], measured[name].reindex(kept.index), rtol=1e-9, equal_nan=True)
        if not same.all():
            cell = kept.index[~same][0]
            problem = f"has another {name} of cell {cell} than its labels"
            look.findings.append(Finding(str(path), problem, mend))


def _read_all(look: _Look, progress: bool | Count) -> int:
    """Read all files, several at a time; the number of bytes read."""
    sizes = {path: record.size for path, (record, _) in look.wanted.items() if record is not None}
    total, done = max(1, round(sum(sizes.values()) / 2**20)), itertools.count()
    read = [0]
    damaged: set[Path] = set()
    with (
        counted(progress, "verify", "MiB") as tell,
        ThreadPoolExecutor(_THREADS, "verify") as threads,
    ):
        tell(0, total)
        items = [(path, record) for path, (record, _) in look.wanted.items()]
        for (path, record), problem in zip(
            items, threads.map(lambda item: _problem(*item), items), strict=True
        ):
            read[0] += 0 if record is None or problem else record.size
            if problem:
                look.findings.append(Finding(str(path), problem, look.wanted[path][1]))
                if record is not None and problem.startswith("has other content"):
                    damaged.add(path)
            if next(done) % 64 == 0:
                tell(min(total, round(read[0] / 2**20)), total)
        for image, mend in look.arrays:
            read[0] += _decode(look, image, mend, threads)
        tell(total, total)
    if damaged:
        _note_damage(look, damaged)
    return read[0]


def _problem(path: Path, record: FileRecord | None) -> str:
    """The fault of a file, after reading all of it; empty if there is none."""
    found = compare_files(path.parent, {path.name: record}, read="none")
    if found:
        return found[0].problem
    if record is None:
        return ""
    return content_problem(path, record)


def _note_damage(look: _Look, damaged: set[Path]) -> None:
    """Record damage, so that the next run or conversion writes these files again."""
    try:
        for doubt in look.doubts:
            doubt(damaged)
    except (StorageError, OSError) as error:
        look.notes.append(
            f"what is damaged could not be noted ({error}): remove the files named above, so that "
            "the commands beside them write them again"
        )


def _decode(look: _Look, image: Image, mend: str, threads: ThreadPoolExecutor) -> int:
    """Read every chunk of all levels, which checks their checksums; the bytes on the disk."""
    boxes: list[tuple[StoredArray, slice]] = []
    size = 0
    for level in image.levels:
        array = StoredArray(image.folder / level.path)
        axis = next(iter(range(array.ndim - 3)), 0) if array.ndim > 3 else 0
        depth = max(1, array.depth) if axis == 0 else 1
        boxes += [
            (array, slice(start, min(start + depth, array.shape[0])))
            for start in range(0, array.shape[0], depth)
        ]
        folder = image.folder / level.path
        size += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    def check(box: tuple[StoredArray, slice]) -> str:
        array, part = box
        try:
            array[(part, ...)]
        except (HelaDaskError, OSError) as error:
            return str(error)
        return ""

    for problem in threads.map(check, boxes):
        if problem:
            look.findings.append(Finding(str(image.folder), f"is damaged ({problem})", mend))
    return size
