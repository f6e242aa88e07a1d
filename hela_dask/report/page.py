"""The HTML page: what a run found, put in order for a reader; no arithmetic on images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

import pandas as pd

from hela_dask.report.folder import RunFolder
from hela_dask.report.pictures import Picture
from hela_dask.report.style import document, figure
from hela_dask.report.tables import (
    cells_table,
    facts_table,
    flags_legend,
    instances_table,
    quality_table,
    scores_table,
    timings_table,
)
from hela_dask.running.scoring import CLASSES

__all__ = ["render"]


def render(folder: RunFolder, pictures: Sequence[Picture], notes: Sequence[str]) -> str:
    """The page as one text, pictures and all.

    Parameters
    ----------
    folder : RunFolder
    pictures : sequence of Picture
        Their files are read.
    notes : sequence of str
        What could not be drawn.
    """
    name = str(folder.facts.get("store") or folder.path).replace("\\", "/").rstrip("/")
    title = f"Cells of {name.rsplit('/', 1)[-1]}"
    parts = [
        ("", "", _tiles(folder)),
        ("", "", _warnings(folder, notes)),
        ("slices", "Slices", _gallery(pictures, "overlays", "gallery wide")),
        ("cells", "Cells", _cells(folder)),
        ("planes", "Three planes", _gallery(pictures, "orthogonal", "one")),
        ("scores", "Agreement with the truth", _scores(folder, pictures)),
        ("detection", "Detection", _gallery(pictures, "detection", "gallery wide")),
        ("volume", "Volume and run", _facts(folder)),
        ("parameters", "Parameters", _parameters(folder)),
    ]
    links = "".join(
        f'<a href="#{key}">{escape(heading)}</a>' for key, heading, body in parts if key and body
    )
    sections = "".join(
        f'<section id="{key}"><h2>{escape(heading)}</h2>{body}</section>' if key else body
        for key, heading, body in parts
        if body
    )
    return document(title, _subtitle(folder), sections, nav=links)


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
    return escape(" · ".join(parts))


def _when(text: str) -> str:
    try:
        return datetime.fromisoformat(text).strftime("%d %B %Y, %H:%M %Z").strip()
    except ValueError:
        return text


def _tiles(folder: RunFolder) -> str:
    """The figures one looks for first."""
    cells, done = folder.cells, folder.segmented()
    tiles: list[tuple[str, str]] = []
    if "status" in cells:
        good = int((cells["status"] == "ok").sum())
        tiles.append((str(good), f"cells segmented of {len(cells)} found"))
    if "complete" in done and len(done):
        whole = done[done["complete"].astype(bool) & (done["status"] == "ok")]
        tiles.append((str(len(whole)), "of them complete: not cut by the volume"))
        fine = done[done["status"] == "ok"]
        basis, rows = ("of complete cells", whole) if len(whole) else ("of cut cells", fine)
        for part in ("nucleus", "cell"):
            volume = rows.get(f"{part}_volume", pd.Series(dtype=float)).dropna()
            if len(volume):
                form = ".0f" if volume.mean() >= 10 else ".2f"
                spread = f" ± {volume.std():{form}}" if len(volume) > 1 else ""
                tiles.append((f"{volume.mean():{form}}{spread} µm³", f"{part} volume {basis}"))
    for name in ("nucleus", "cell"):
        score = folder.score(name)
        inner = score.get("instances")
        if isinstance(inner, dict):
            levels = {row["iou"]: row["f1"] for row in inner.get("thresholds", [])}
            value, what = levels.get(0.5), f"F1 of {name} instances at IoU 0.5"
        else:
            value, what = score.get("ji"), f"Jaccard index of the {name}"
        if value is not None:
            tiles.append((f"{value:.3f}", what))
    if seconds := sum((folder.facts.get("timings") or {}).values()):
        tiles.append((duration(seconds), "computing in the last call"))
    return (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile"><b>{escape(a)}</b><span>{escape(b)}</span></div>' for a, b in tiles
        )
        + "</div>"
        if tiles
        else ""
    )


def duration(seconds: float) -> str:
    """A time for people: 3.2 s, 4 min 10 s, 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = math.floor(seconds / 60)
    if minutes < 60:
        return f"{minutes} min {seconds - 60 * minutes:02.0f} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _warnings(folder: RunFolder, notes: Iterable[str]) -> str:
    body = ""
    if folder.facts.get("error"):
        state = escape(str(folder.facts.get("state", "")))
        body += (
            f'<section class="error"><h2>The run {state or "stopped"}</h2>'
            f"{escape(str(folder.facts['error']))}</section>"
        )
    texts = [str(text) for text in (*(folder.facts.get("warnings") or ()), *notes)]
    if texts:
        items = "".join(f"<li>{escape(text)}</li>" for text in texts)
        heading = "Warnings" if len(texts) > 1 else "Warning"
        body += f'<section class="warnings"><h2>{heading}</h2><ul>{items}</ul></section>'
    return body


def _scores(folder: RunFolder, pictures: Sequence[Picture]) -> str:
    scores = {name: folder.score(name) for name in CLASSES if folder.score(name)}
    if not scores:
        return ""
    classes = {name: score for name, score in scores.items() if "ji" in score}
    matched = {
        name: score["instances"]
        for name, score in scores.items()
        if isinstance(score.get("instances"), dict)
    }
    truth = ", ".join(str(path) for path in (folder.scores.get("truth") or {}).values())
    span = folder.scores.get("slices")
    where = f"Truth: {escape(truth)}" if truth else ""
    if span:
        where += f"{'; s' if where else 'S'}lices {span[0]} to {span[1]}"
    errors = _gallery(pictures, "errors")
    legend = (
        "<h3>Right and wrong</h3><p class='note'>Blue: in both. Amber: predicted only (FP). "
        "Magenta: in the truth only (FN).</p>"
    )
    return (
        (f'<p class="note">{where}</p>' if where else "")
        + (scores_table(classes) if classes else "")
        + (instances_table(matched) if matched else "")
        + _gallery(pictures, "curves", "plain")
        + (legend + errors if errors else "")
    )


def _gallery(pictures: Sequence[Picture], section: str, kind: str = "gallery") -> str:
    figures = [
        figure(picture.path.read_bytes(), picture.caption)
        for picture in pictures
        if picture.section == section and picture.path.exists()
    ]
    return f'<div class="{kind}">{"".join(figures)}</div>' if figures else ""


def _cells(folder: RunFolder) -> str:
    if folder.cells.empty:
        return "<p>No cell was found.</p>"
    counts = folder.cells["status"].value_counts()
    badges = " ".join(
        f'<span class="badge {escape(str(status))}">{number} {escape(spoken(str(status)))}</span>'
        for status, number in counts.items()
    )
    note = (
        '<p class="note">Click a heading to sort. Volumes of cells that the volume cuts are of the '
        "part inside. Ratio: nucleus to cell. Time and memory (MiB): of the segmentation.</p>"
    )
    return f"<p>{badges}</p>{cells_table(folder.cells)}{note}{_quality(folder.cells)}"


def _quality(cells: pd.DataFrame) -> str:
    """What the flags say, and the numbers behind the confidence."""
    legend, numbers = flags_legend(cells), quality_table(cells)
    if not numbers:
        return legend
    note = (
        '<p class="note">Confidence is 1 without any doubt, and a half where the numbers together '
        "reach three of their limits ([quality] of the parameters). It is taken from the masks, "
        "without a truth: look first at the cells at the top, in the slices named here. Wavers: "
        "what of the outline does not last from slice to slice. Leaps: the largest sudden change, "
        "of a usual slice. No resin beside: share of the membrane that touches something else. "
        "Bare: share of the nucleus without cytoplasm beside it. At the window: what its sides cut "
        "off, of a usual slice.</p>"
    )
    heading = "<h3>What the flags say</h3>" if legend else ""
    details = f"<summary>Confidence in numbers</summary>{numbers}{note}"
    return f"{heading}{legend}<details>{details}</details>"


def spoken(status: str) -> str:
    """A status as words."""
    return status.replace("_", " ")


def _facts(folder: RunFolder) -> str:
    facts = folder.facts
    image, machine, dask = (facts.get(name) or {} for name in ("image", "machine", "dask"))
    rows: dict[str, Any] = {"image": facts.get("store")}
    if image.get("extent"):
        rows["extent"] = " × ".join(f"{length / 1000:.1f}" for length in image["extent"]) + " µm"
    rows |= {"type": image.get("dtype"), "pyramid levels": image.get("levels")}
    rows |= {f"labels/{name}": path for name, path in (facts.get("labels") or {}).items()}
    rows |= {"run folder": str(folder.path.absolute()), "state": facts.get("state")}
    rows |= {"started": facts.get("started"), "finished": facts.get("finished")}
    if dask:
        rows["workers"] = f"{dask.get('workers')} with {dask.get('threads')} threads in all"
        rows["dashboard"] = dask.get("dashboard")
    command = machine.get("command")
    rows |= {"machine": machine.get("platform"), "command": " ".join(command) if command else None}
    versions = facts.get("versions") or {}
    more = facts_table(versions)
    return (
        f'<div class="columns"><div>{facts_table(rows)}</div>'
        f"<div>{timings_table(facts.get('timings') or {}, duration)}</div></div>"
        + (f"<details><summary>Versions</summary>{more}</details>" if more else "")
    )


def _parameters(folder: RunFolder) -> str:
    groups: Mapping[str, Any] = folder.facts.get("parameters") or {}
    body = "".join(
        f"<div><h3>{escape(str(group))}</h3>{facts_table(knobs)}</div>"
        for group, knobs in groups.items()
        if isinstance(knobs, dict)
    )
    note = '<p class="note">Lengths in nm, areas in µm²; the same are in run.toml.</p>'
    return f'<div class="columns">{body}</div>{note}' if body else ""
