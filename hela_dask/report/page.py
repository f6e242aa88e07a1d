"""The content of the page of a run, in order for a reader.

The template ``report.html`` draws it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from hela_dask import pages
from hela_dask.report.methods_text import run_text
from hela_dask.report.pictures import Picture
from hela_dask.report.space import cell_pictures
from hela_dask.report.tables import (
    CELLS,
    MEANINGS,
    QUALITY,
    cells_rows,
    changed_rows,
    facts_rows,
    flags_rows,
    instances_note,
    instances_rows,
    quality_rows,
    scores_rows,
)
from hela_dask.running.reading import RunFolder
from hela_dask.running.scoring import CLASSES
from hela_dask.statuses import OUTLINED, count_text

__all__ = ["render"]

_HEADINGS = {
    "slices": "Slices",
    "cells": "Cells",
    "space": "Cells in space",
    "planes": "Three planes",
    "scores": "Agreement with the truth",
    "detection": "Detection",
    "volume": "Volume and run",
    "methods": "For a methods section",
    "parameters": "Parameters",
}
_SECTIONS = ("overlays", "orthogonal", "detection", "curves", "errors", "space")


def render(folder: RunFolder, pictures: Sequence[Picture], notes: Sequence[str]) -> str:
    """The page as one text, pictures and all; `notes` name pictures that could not be drawn."""
    name = str(folder.facts.get("store") or folder.path).replace("\\", "/").rstrip("/")
    figures = _figures(pictures)
    shown: dict[str, Any] = {
        "slices": figures["overlays"],
        "cells": True,
        "space": (space := _space(folder)),
        "planes": figures["orthogonal"],
        "scores": (scores := _scores(folder)),
        "detection": figures["detection"],
        "volume": True,
        "methods": (methods := run_text(folder)),
        "parameters": (parameters := _parameters(folder)),
    }
    return pages.render(
        "report.html",
        title=f"Cells of {name.rsplit('/', 1)[-1]}",
        subtitle=_subtitle(folder),
        headings={key: heading for key, heading in _HEADINGS.items() if shown[key]},
        tiles=_tiles(folder),
        error=folder.facts.get("error"),
        state=folder.facts.get("state"),
        warnings=[*(folder.facts.get("warnings") or ()), *notes],
        pictures=figures,
        cells=_cells(folder.cells, bool(space.get("pictures"))),
        edits=_edits(folder.facts.get("edits") or ()),
        space=space,
        scores=scores,
        facts=_facts(folder),
        timings=_timings(folder.facts.get("timings") or {}),
        methods=methods,
        versions=facts_rows(folder.facts.get("versions") or {}),
        parameters=parameters,
    )


def _figures(pictures: Sequence[Picture]) -> dict[str, list[pages.Figure]]:
    """The existing pictures of each section."""
    figures: dict[str, list[pages.Figure]] = {name: [] for name in _SECTIONS}
    for picture in pictures:
        if picture.path.exists():
            figures[picture.section].append(
                pages.as_figure(picture.path.read_bytes(), picture.caption)
            )
    return figures


def _subtitle(folder: RunFolder) -> str:
    image = folder.facts.get("image") or {}
    parts = []
    if image.get("shape") and image.get("voxel_size"):
        parts.append(" × ".join(map(str, image["shape"])) + " voxels (z, y, x)")
        parts.append(" × ".join(f"{step:g}" for step in image["voxel_size"]) + " nm")
    if folder.facts.get("method"):
        parts.append(f"method {folder.facts['method']}")
    if when := (folder.facts.get("finished") or folder.facts.get("started")):
        parts.append(_when(str(when)))
    return " · ".join(parts)


def _when(text: str) -> str:
    try:
        return datetime.fromisoformat(text).strftime("%d %B %Y, %H:%M %Z").strip()
    except ValueError:
        return text


def _tiles(folder: RunFolder) -> list[tuple[str, str]]:
    """The key figures."""
    cells = folder.cells
    tiles: list[tuple[str, str]] = []
    if "status" in cells:
        outlined = cells[cells["status"].isin(OUTLINED)]
        whole, cut = (outlined[outlined["status"] == name] for name in OUTLINED)
        tiles.append((str(len(outlined)), f"cells outlined of {len(cells)} detected"))
        tiles.append((f"{len(whole)} + {len(cut)}", "whole + cut by the volume"))
        tiles += _volumes(whole, "whole cell")
    for name in ("nucleus", "cell"):
        score = folder.score(name)
        inner = score.get("instances")
        if isinstance(inner, dict):
            levels = {row["iou"]: row.get("f1") for row in inner.get("thresholds", [])}
            value, what = levels.get(0.5), f"F1 of {name} instances at IoU 0.5"
        else:
            value, what = score.get("ji"), f"Jaccard index of the {name}"
        if value is not None:
            tiles.append((f"{value:.3f}", what))
    if seconds := sum((folder.facts.get("timings") or {}).values()):
        tiles.append((duration(seconds), "computing in the last call"))
    return tiles


def _volumes(cells: pd.DataFrame, what: str) -> list[tuple[str, str]]:
    """Mean volumes; none where there is no such cell."""
    tiles = []
    for part in ("nucleus", "cell"):
        volume = cells.get(f"{part}_volume", pd.Series(dtype=float)).dropna()
        if len(volume):
            form = ".0f" if volume.mean() >= 10 else ".2f"
            spread = f" ± {volume.std():{form}}" if len(volume) > 1 else ""
            number = f"{len(volume)} {what}s (mean ± SD)" if len(volume) > 1 else f"1 {what}"
            tiles.append((f"{volume.mean():{form}}{spread} µm³", f"{part} volume of {number}"))
    return tiles


def duration(seconds: float) -> str:
    """A time for people: 3.2 s, 4 min 10 s, 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = math.floor(seconds / 60)
    if minutes < 60:
        return f"{minutes} min {seconds - 60 * minutes:02.0f} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _scores(folder: RunFolder) -> dict[str, Any]:
    """Tables of the scores, and their source; empty without scores."""
    scores = {name: folder.score(name) for name in CLASSES if folder.score(name)}
    if not scores:
        return {}
    classes = {name: score for name, score in scores.items() if "ji" in score}
    matched = {
        name: score["instances"]
        for name, score in scores.items()
        if isinstance(score.get("instances"), dict)
    }
    truth = ", ".join(str(path) for path in (folder.scores.get("truth") or {}).values())
    span = folder.scores.get("slices")
    where = f"Truth: {truth}" if truth else ""
    if span:
        where += f"{'; s' if where else 'S'}lices {span[0]} to {span[1]}"
    return {
        "where": where,
        "classes": scores_rows(classes),
        "instances": instances_rows(matched),
        "matched": instances_note(matched),
    }


def _cells(cells: pd.DataFrame, anchored: bool) -> dict[str, Any]:
    """The number of segmented cells, their table, and the source of their confidence."""
    if cells.empty:
        return {}
    return {
        "counts": f"{count_text(cells)}.",
        "rows": cells_rows(cells, anchored=anchored),
        "columns": CELLS,
        "meanings": MEANINGS,
        "flags": flags_rows(cells),
        "quality": quality_rows(cells),
        "quality_columns": QUALITY,
    }


def _edits(edits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The edits by people, in their order."""
    return [
        {
            "number": number,
            "kind": edit.get("kind"),
            "cells": ", ".join(map(str, edit.get("cells") or ())),
            "by": edit.get("by"),
            "on": _when(str(edit.get("on"))),
            "note": edit.get("note"),
        }
        for number, edit in enumerate(edits, 1)
    ]


def _space(folder: RunFolder) -> dict[str, Any]:
    """The picture of each cell, or why there is none; empty without labelled cells."""
    if folder.cells.empty or folder.segmented().empty:
        return {}
    pictures = cell_pictures(folder)
    asked = ((folder.facts.get("parameters") or {}).get("measure") or {}).get("in_runs")
    if not asked:
        return {"pictures": [], "off": True}
    return {"pictures": pictures, "off": False} if pictures else {}


def _facts(folder: RunFolder) -> list[tuple[str, str]]:
    """Input, parameters and machine of the run."""
    facts = folder.facts
    image, machine, dask = (facts.get(name) or {} for name in ("image", "machine", "dask"))
    rows: dict[str, Any] = {"image": facts.get("store")}
    if image.get("extent"):
        rows["extent"] = " × ".join(f"{length / 1000:.1f}" for length in image["extent"]) + " µm"
    rows |= {"type": image.get("dtype"), "pyramid levels": image.get("levels")}
    rows |= {f"labels/{name}": path for name, path in (facts.get("labels") or {}).items()}
    rows |= {"run folder": str(folder.path.absolute()), "state": facts.get("state")}
    rows |= {"started": facts.get("started"), "finished": facts.get("finished")}
    if replaced := facts.get("replaced"):
        when = f", finished on {_when(replaced['finished'])}" if replaced.get("finished") else ""
        rows["replaced"] = f"{replaced.get('what')}{when}"
    if dask:
        rows["workers"] = f"{dask.get('workers')} with {dask.get('threads')} threads in all"
        rows["dashboard"] = dask.get("dashboard")
    command = machine.get("command")
    rows |= {"machine": machine.get("platform"), "command": " ".join(command) if command else None}
    return facts_rows(rows)


def _timings(timings: Mapping[str, float]) -> list[tuple[str, str, float]]:
    """Each stage, its time, and its share of all in percent."""
    total = sum(timings.values())
    return [
        (stage, duration(seconds), 100 * seconds / total)
        for stage, seconds in timings.items()
        if total
    ]


def _parameters(folder: RunFolder) -> dict[str, Any]:
    """Those that differ from their defaults, and all, group by group; empty without any."""
    known: Mapping[str, Mapping[str, Any]] = folder.facts.get("parameters") or {}
    if not known:
        return {}
    return {
        "changed": [row for group, values in known.items() for row in changed_rows(group, values)],
        "all": [(group, facts_rows(values)) for group, values in known.items()],
    }
