"""The faults, as data: what is done to a finished run, what is said of it, what is made again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.site import Site

__all__ = ["FILE_FAULTS", "Fault", "delete", "edit", "empty", "flip", "into_folder", "truncate"]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Parameters
    ----------
    name : str
        What happens, for a table.
    make : callable
        Does it to a site.
    message : str
        Pattern (a regular expression) of the warning; empty: none is expected.
    again : tuple of str
        Stages of which at least one unit is computed again; of no others is any.
    """

    name: str
    make: Callable[[Site], None]
    message: str = ""
    again: tuple[str, ...] = ()


def delete(path: Path) -> None:
    """Remove a file or a folder."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def empty(path: Path) -> None:
    """Leave nothing in a file: a crash before its pages reached the disk."""
    path.write_bytes(b"")


def truncate(path: Path) -> None:
    """Cut a file in the middle."""
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file; size and time of change stay."""
    facts, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def edit(path: Path, found: str, value: str) -> None:
    """Other valid JSON: the last digit of `found`, or what follows it, is another."""
    text = path.read_text(encoding="utf-8")
    assert found in text
    path.write_text(text.replace(found, found.rstrip("0") + value, 1), encoding="utf-8")


def replace_content(path: Path) -> None:
    """Other bytes of the same length, written later: the time of change differs."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def into_folder(path: Path) -> None:
    """A folder takes a file's name."""
    path.unlink()
    path.mkdir()


_DAMAGES: dict[str, Callable[[Path], None]] = {
    "deleted": delete,
    "empty": empty,
    "cut": truncate,
    "overwritten": replace_content,
    "replaced by a folder": into_folder,
}
_PLACES = {
    # place: (pattern, damages, said, stages that are done again)
    "shard of labels/cells": (
        "p.ome.zarr/labels/cells/0/c/**/*",
        tuple(_DAMAGES),
        "files of the labels are missing or changed .*their slabs are written again",
        ("assemble",),
    ),
    "file of a cell's masks": (
        "p.run/coarse/0*/c/**/*",
        ("deleted", "empty", "overwritten"),
        "files of the cells' masks are missing or changed .*these cells are segmented again",
        ("segment",),
    ),
    "file of the background": (
        "p.run/coarse/background/c/**/*",
        ("deleted", "cut"),
        "files of the background are missing or changed .*their slabs are written again",
        ("background",),
    ),
    "cells.parquet": (
        "p.run/cells.parquet",
        ("deleted", "cut", "replaced by a folder"),
        "files of the results are missing or changed .*they are written again",
        (),
    ),
    "contacts.parquet": (
        "p.run/contacts.parquet",
        ("deleted", "cut"),
        "files of the results are missing or changed .*they are written again",
        (),
    ),
    "run.json": (
        "p.run/run.json",
        ("deleted", "cut", "replaced by a folder"),
        "files of the results are missing or changed .*they are written again",
        (),
    ),
}


def _damaged(damage: Callable[[Path], None], pattern: str) -> Callable[[Site], None]:
    return lambda site: damage(site.one(pattern))


FILE_FAULTS = (
    [
        Fault(f"{place}: {damage}", _damaged(_DAMAGES[damage], pattern), message, again)
        for place, (pattern, damages, message, again) in _PLACES.items()
        for damage in damages
    ]
    + [
        Fault(f"{name}: deleted", _damaged(delete, pattern), message, again)
        for name, pattern, message, again in (
            (
                "shard of labels/nuclei",
                "p.ome.zarr/labels/nuclei/0/c/**/*",
                "labels are",
                ("assemble",),
            ),
            ("shard of labels/envelope", "p.ome.zarr/labels/envelope/0/c/**/*", "", ("assemble",)),
            (
                "shard of labels/background",
                "p.ome.zarr/labels/background/0/c/**/*",
                "",
                ("assemble",),
            ),
            ("metadata of a cell's masks", "p.run/coarse/0*/zarr.json", "masks are", ("segment",)),
            (
                "metadata of the background",
                "p.run/coarse/background/zarr.json",
                "",
                ("background",),
            ),
            ("cells.csv", "p.run/cells.csv", "cells.csv is missing", ()),
            ("columns.csv", "p.run/columns.csv", "columns.csv is missing", ()),
            ("detections.parquet", "p.run/detections.parquet", "first table are missing", ()),
            ("centres.csv", "p.run/centres.csv", "centres.csv is missing", ()),
            ("report.html", "p.run/report.html", "report.html is missing", ()),
            ("run.toml", "p.run/run.toml", "run.toml is missing", ()),
            ("a marker of a slab", "p.run/done/assemble-*", "", ("assemble",)),
            ("a marker of a cell", "p.run/done/segment-*", "", ("segment",)),
            ("a marker of a shape", "p.run/done/measure-0*", "", ("measure",)),
            ("a mark of a slab of labels", "p.ome.zarr/labels/cells/0/.slabs/*", "", ("assemble",)),
        )
    ]
    + [
        Fault(
            "the list of label groups: deleted",
            _damaged(delete, "p.ome.zarr/labels/zarr.json"),
            "labels/zarr.json is missing: it is written again",
        ),
        Fault(
            "metadata of labels/cells: cut",
            _damaged(truncate, "p.ome.zarr/labels/cells/zarr.json"),
            "files of the labels are missing",
            ("assemble",),
        ),
        Fault(
            "fill value of labels/cells: changed",
            lambda site: edit(site.store / "labels/cells/0/zarr.json", '"fill_value": 0', "7"),
            "files of the labels are missing",
            ("assemble",),
        ),
        Fault(
            "a number in a marker: changed",
            lambda site: edit(site.run / "done/segment-00001.json", '"first": ', "3"),
            "",
            ("segment",),
        ),
        Fault("a marker: empty", _damaged(empty, "p.run/done/segment-*"), "", ("segment",)),
        Fault("a marker: cut", _damaged(truncate, "p.run/done/assemble-*"), "", ("assemble",)),
        Fault(
            "a marker: replaced by a folder",
            _damaged(into_folder, "p.run/done/background-*"),
            "",
            ("background",),
        ),
        Fault(
            "the label group cells: deleted",
            lambda site: delete(site.store / "labels" / "cells"),
            "files of the labels are missing",
            ("assemble",),
        ),
        Fault(
            "all masks: deleted",
            lambda site: delete(site.run / "coarse"),
            "files of the background are missing",
            ("background", "segment", "measure"),
        ),
        Fault(
            "all markers: deleted",
            lambda site: delete(site.run / "done"),
            "",
            ("background", "detect", "segment", "assemble", "measure"),
        ),
    ]
)
"""Damage to files of a finished run; each is mended by the same command again."""
