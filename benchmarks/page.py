"""docs/accuracy.md, from what ``benchmarks.accuracy`` found and the sentences of notes.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from benchmarks import results, robustness
from benchmarks.markdown import number, page, table
from hela_dask.formatting import by_axis
from hela_dask.methods.names import METHODS

__all__ = ["render"]

NOTES = Path(__file__).parent / "notes.toml"
PUBLISHED = results.DOCS / "published.json"

NAMES = {
    "nucleus": "nucleus",
    "cell": "cell including nucleus",
    "cytoplasm": "cell excluding nucleus",
    "envelope": "nuclear envelope",
    "background": "background (resin)",
}


def render(found: dict[str, Any]) -> str:
    """The page as Markdown; what was not measured is left out."""
    notes = tomllib.loads(NOTES.read_text(encoding="utf-8"))
    parts = [
        ["# Accuracy", "", notes["intro"].strip()],
        _headline(found, notes),
        _details(found),
        _curves(found),
        _worst(found, notes),
        _full_resolution(found, notes),
        _phantoms(found),
        _ablation(found, notes),
        _robustness(found, notes),
        _contrast(found, notes),
        ["## Reproduce it", "", notes["reproduce"].strip(), "", *_measured(found)],
    ]
    return page(parts)


def _methods(found: dict[str, Any]) -> list[str]:
    return [method for method in METHODS if method in found.get("real", {})]


def _headline(found: dict[str, Any], notes: dict[str, Any]) -> list[str]:
    """Pooled JI beside that of others."""
    classes = ("nucleus", "cell", "cytoplasm", "background")
    rows = []
    for method in _methods(found):
        part = found["real"][method]["ranges"]["1-180"]
        scores = [number(part[name]["ji"]) for name in classes]
        trained = ", trained on most of these slices" if method == "unet" else ""
        rows.append([f"**`{method}`**{trained}", *scores, number(part["nucleus"]["ji_mean"])])
    if "otsu" in found:
        resin = number(found["otsu"]["1-180"]["ji"])
        rows.append(["Otsu's threshold of each slice, blurred by 40 nm", "", "", "", resin, ""])
    for row in results.read(PUBLISHED).get("cells", {}).values():
        scores = [number(row.get(name)) for name in (*classes, "nucleus_slices")]
        rows.append([row["title"], *scores])
    head = ["pooled JI", *(NAMES[name] for name in classes), "nucleus, mean of slices"]
    return ["## One real cell", "", notes["real"].strip(), "", *table(head, rows)]


def _details(found: dict[str, Any]) -> list[str]:
    """All ranges of slices, all classes."""
    lines = []
    for method in _methods(found):
        real = found["real"][method]
        rows = [
            [
                part,
                NAMES[name],
                number(row["ji"]),
                number(row["ac"]),
                " / ".join(number(row[f"ji_{kind}"]) for kind in ("mean", "median", "sd")),
                str(row["slices"]),
                number(row["hausdorff_mean"], 0),
                number(row["hausdorff_95"], 0),
            ]
            for part, classes in real["ranges"].items()
            for name, row in classes.items()
        ]
        head = [
            "slices", "class", "JI", "AC", "JI of slices: mean / median / SD", "slices counted",
            "surfaces apart, mean nm", "95 % nm",
        ]  # fmt: skip
        seconds = real["seconds"]
        stages = ", ".join(f"{stage} {value:.0f}" for stage, value in seconds.items())
        lines += [
            f"### `{method}`",
            "",
            *table(head, rows),
            "",
            f"Seconds of the run ({real['workers']} workers, all 300 slices): {stages}.",
            "",
        ]
    return lines


def _curves(found: dict[str, Any]) -> list[str]:
    if not _methods(found):
        return []
    return [
        "### Slice by slice",
        "",
        "![JI of the nucleus over the slice number, by method](accuracy/curves_nucleus.png)",
        "",
        "![JI of the cell over the slice number, by method](accuracy/curves_cell.png)",
    ]


def _worst(found: dict[str, Any], notes: dict[str, Any]) -> list[str]:
    if not found.get("worst"):
        return []
    lines = ["## The worst slices", "", notes["worst"].strip()]
    for row in found["worst"]:
        name, z = row["class"], row["slice"]
        why = notes.get(name, {}).get(str(z), "")
        lines += [
            "",
            f"**{NAMES[name].capitalize()}, slice {z}** (JI {number(row['ji'])}). {why}".rstrip(),
            "",
            f"![{NAMES[name]} in slice {z}: right, spurious and missed](accuracy/{row['picture']})",
        ]
    return lines


def _full_resolution(found: dict[str, Any], notes: dict[str, Any]) -> list[str]:
    if not found.get("worst"):
        return []
    return [
        "## A second cell at full resolution",
        "",
        notes["full_resolution"].strip(),
        "",
        "![Outlines of nucleus and cell in ten slices](accuracy/full_resolution.jpg)",
    ]


def _phantoms(found: dict[str, Any]) -> list[str]:
    names = {
        "instance_f1": "F1 of complete cells",
        "mean_cell_iou": "mean IoU of cells",
        "mean_nucleus_iou": "mean IoU of nuclei",
        "seconds": "seconds",
    }
    rows = [
        [f"`{method}`", seed, *(number(row[key], 0 if key == "seconds" else 3) for key in names)]
        for method, seeds in found.get("phantoms", {}).items()
        for seed, row in seeds.items()
    ]
    if not rows:
        return []
    text = "The demo's phantom (200 x 768 x 768 voxels, six cells) with two seeds; IoU of 0.5."
    return ["## Phantoms", "", text, "", *table(["method", "seed", *names.values()], rows)]


def _ablation(found: dict[str, Any], notes: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for name, rows in found.get("ablation", {}).items():
        classes = [key for key in NAMES if key in rows[0]]
        scored = []
        for row in rows:
            scores = [
                number(row[key]) + ("" if row is rows[0] else f" ({row[key] - rows[0][key]:+.3f})")
                for key in (*classes, "nucleus_slices")
            ]
            scored.append([row["step"], *scores])
        head = ["", *(NAMES[key] for key in classes), "nucleus, mean of slices"]
        lines += ["", f"### {name.capitalize()}", "", *table(head, scored)]
    return ["## What each step adds", "", notes["ablation"].strip(), *lines] if lines else []


def _robustness(found: dict[str, Any], notes: dict[str, Any]) -> list[str]:
    if "robustness" not in found:
        return []
    text = notes["robustness"].strip()
    return ["## Damaged stacks", "", text, "", *robustness.table(found["robustness"])]


def _contrast(found: dict[str, Any], notes: dict[str, Any]) -> list[str]:
    rows = [
        [
            name,
            by_axis(row["shape"]),
            number(row["nucleus"]),
            "yes" if row["resin found"] else "no",
            f"`{row['status']}`",
            f"{row['seconds']:.0f}",
        ]
        for name, row in found.get("contrast", {}).items()
    ]
    if not rows:
        return []
    head = ["made from", "voxels", "nucleus JI", "resin found", "status", "seconds"]
    return ["## Low contrast, no resin", "", notes["contrast"].strip(), "", *table(head, rows)]


def _measured(found: dict[str, Any]) -> list[str]:
    """Where each part of the page comes from."""
    rows = [
        [name, f"`{stamp['command']}`", stamp["date"], f"`{stamp['commit']}`"]
        for name, stamp in found.get("measured", {}).items()
    ]
    return table(["figures", "command", "day", "commit of the code"], rows) if rows else []
