"""``edits.json`` of a run folder: found, checked against the image, and kept for later runs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hela_dask.editing.edits import EDITS_FILE, Edits, ImageGrid
from hela_dask.errors import HelaDaskError
from hela_dask.storage.files import plain
from hela_dask.storage.metadata import Image

__all__ = ["edit_facts", "find_edits", "keep_edits", "lost_edits"]


def find_edits(
    given: str | Path | None, folder: Path, image: Image
) -> tuple[Edits | None, Path | None]:
    """The edits that a run applies, and their file: that which is given, or the run folder's.

    None where there is neither. InputError where the file is damaged or of another image;
    MissingInputError where the given file is not there.
    """
    path = folder / EDITS_FILE if given is None else Path(given)
    if given is None and not path.exists():
        return None, None
    return Edits.read(path, ImageGrid.of(image.levels[0].geometry)), path


def keep_edits(edits: Edits | None, folder: Path) -> str:
    """Write the edits of a run into its folder.

    Different ones there are kept under another name: gives a sentence about them, else nothing.
    """
    path = folder / EDITS_FILE
    if edits is None or _same(path, edits):
        return ""
    text = ""
    if path.exists():
        kept = _free(path)
        path.rename(kept)
        text = f"{path} held other edits: they are kept as {kept.name}, and replaced"
    edits.write(path)
    return text


def _same(path: Path, edits: Edits) -> bool:
    """Whether a file holds these edits."""
    try:
        return Edits.read(path) == edits
    except HelaDaskError:
        return False


def _free(path: Path) -> Path:
    """An unused name beside a file."""
    names = itertools.chain(["earlier"], (f"earlier-{number}" for number in itertools.count(2)))
    places = (path.with_name(f"{path.stem}.{name}{path.suffix}") for name in names)
    return next(place for place in places if not place.exists())


def lost_edits(folder: Path, facts: Mapping[str, Any], edits: Edits | None) -> list[str]:
    """A sentence where a result has edits and this run has no file of them.

    `facts` is the ``run.json`` of the result.
    """
    had = facts.get("edits")
    if edits is not None or not isinstance(had, list) or not had:
        return []
    return [
        f"the result in {folder} was made with {len(had)} edits, and {folder / EDITS_FILE} is gone:"
        " the cells they concern go back to what was found without; give the file with --edits to "
        "keep them"
    ]


def edit_facts(edits: Edits | None) -> list[dict[str, Any]]:
    """The kind, cells, author, time and note of each edit, for ``run.json`` and viewers."""
    return [
        plain(
            {
                "kind": edit.kind,
                "cells": sorted({*edit.changed, *edit.made}),
                "by": edit.by,
                "on": edit.on,
                "note": edit.note,
            }
        )
        for edit in (edits.edits if edits else ())
    ]
