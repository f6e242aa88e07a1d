"""docs/performance.md from what benchmarks kept: ``python -m benchmarks.performance``."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.charts import scaling_chart, scheduler_chart
from benchmarks.markdown import number, page, table
from benchmarks.recorded import count_outlined
from hela_dask.formatting import by_axis

__all__ = ["render"]

NOTES = Path(__file__).parent / "performance.toml"
THROUGHPUT = "throughput-"
FULL = THROUGHPUT + "full"

Found = dict[str, Any]


def render(found: Found) -> str:
    """The page as Markdown; what was not measured is left out."""
    notes = tomllib.loads(NOTES.read_text(encoding="utf-8"))
    return page(
        [
            ["# Performance", "", notes["intro"].strip()],
            _headline(found),
            ["## Design", "", notes["differently"].strip()],
            _runs(found, notes),
            _kernels(found, notes),
            _scaling(found, notes),
            _scheduler(found, notes),
            ["## Reproduce it", "", notes["reproduce"].strip()],
        ]
    )


def _headline(found: Found) -> list[str]:
    """The full-size volume, in three sentences."""
    if FULL not in found:
        return []
    run = found[FULL]
    shape = by_axis(run["shape"])
    peak = max(row["peak"] for row in run["workers"]) / 1024
    tasks = sum(row["tasks"] for row in run["stages"].values())
    read, written = (_total(run, name) for name in ("read", "written"))
    cells = sum(count for status, count in run["statuses"].items() if status != "chain_too_short")
    moved = (
        f" {read / 1e9:.0f} GB were read and {written / 1e9:.0f} GB written."
        if read is not None and written is not None
        else ""
    )
    return [
        f"**{shape} voxels on {run['dask']['workers']} workers of one thread: "
        f"{run['wall'] / 60:.0f} minutes, {peak:.1f} GiB at most in any of them.** "
        f"{cells} cells were found, in {tasks} tasks.{moved}{_scored(run)}"
    ]


def _scored(run: Found) -> str:
    told = [
        f"{score['ji']:.3f} of {name} (F1 at 0.5: {score['f1']:.3f})"
        for name, score in run.get("scores", {}).items()
    ]
    return f" Mean Jaccard index against the truth: {', '.join(told)}." if told else ""


def _total(run: Found, name: str) -> float | None:
    values = [row.get(name) for row in run["stages"].values() if row["tasks"]]
    return None if None in values else float(sum(values))


def _runs(found: Found, notes: Found) -> list[str]:
    """A table of stages and one of workers for each run that was looked at."""
    lines: list[str] = []
    names = sorted((name for name in found if name.startswith(THROUGHPUT)), key=lambda n: n != FULL)
    for name in names:
        lines += ["", *_run(found[name])]
    return ["## Where the time goes", "", notes["throughput"].strip(), *lines] if lines else []


def _run(run: Found) -> list[str]:
    rows = []
    for stage, row in run["stages"].items():
        share = row.get("of", {})
        rows.append(
            [
                stage,
                number(row["wall"], 0),
                str(row["tasks"] or ""),
                number(row.get("longest"), 1),
                number(row.get("peak"), 0),
                _scaled(row.get("read"), 1e-6, 0),
                _scaled(row.get("written"), 1e-6, 0),
                number(row.get("speed"), 2),
                _percent(share.get("memory")),
                _percent(share.get("disk")),
            ]
        )
    head = [
        "stage", "wall, s", "tasks", "longest, s", "peak, MiB", "read, MB", "written, MB",
        "Mvoxel/s/core", "of memory", "of disk",
    ]  # fmt: skip
    limits = run["limits"]
    told = " ".join(run.get("run_command", []))
    command = f"Run by `{told}`. " if told else ""
    peaks = ", ".join(f"{row['peak']:.0f} MiB in {row['tasks']} tasks" for row in run["workers"])
    return [
        f"### {run['source']}",
        "",
        *table(head, rows),
        "",
        f"{command}Peak of each worker: {peaks}. Limits of this machine: "
        f"{limits['memory'] / 1e9:.1f} GB/s copied by one core (read and written), "
        f"{limits['write'] / 1e6:.0f} MB/s written to disk, "
        f"{limits['read'] / 1e6:.0f} MB/s read from it.",
        "",
        results.measured(run),
    ]


def _kernels(found: Found, notes: Found) -> list[str]:
    if "kernels" not in found:
        return []
    kernels = found["kernels"]
    rows = [
        [
            row["step"],
            number(row["own"], 3),
            number(row["plain"], 2),
            number(row["ratio"], 1),
            number(row["agreement"], 3),
        ]
        for row in kernels["rows"]
    ]
    text = f"Measured on {kernels['what']}; ours on {kernels['slices']} of them, a slice's share."
    head = ["step", "ours, s", "plain, s", "ratio", "JI of the two"]
    return [
        "## Kernels", "", notes["kernels"].strip(), "", text, "", *table(head, rows), "",
        results.measured(kernels),
    ]  # fmt: skip


def _scaling(found: Found, notes: Found) -> list[str]:
    if "scaling" not in found:
        return []
    scaling = found["scaling"]
    rows = []
    for row in sorted(scaling["rows"], key=lambda row: (row["workers"], row["multiple"])):
        seconds = sum(value for stage, value in row["seconds"].items() if stage != "all")
        rows.append(
            [
                str(row["workers"]),
                f"{row['multiple']} x",
                by_axis(row["shape"]),
                str(count_outlined(row["statuses"])),
                str(sum(row["tasks"].values())),
                number(seconds, 0),
                number(seconds * row["workers"] / row["voxels"] * 1e6, 3),
                number(max(row["peak"].values()), 0),
            ]
        )
    head = [
        "workers", "volume", "voxels", "cells", "tasks", "seconds", "worker-s/Mvoxel", "peak, MiB",
    ]  # fmt: skip
    picture = "![Peak memory and time per voxel over the size of the volume]"
    verdicts = [f"- {line}" for line in scaling["verdict"]]
    return [
        "## As the volume grows", "", notes["scaling"].strip(), "",
        f"{picture}(performance/scaling.png)", "", *table(head, rows), "", *verdicts, "",
        results.measured(scaling),
    ]  # fmt: skip


def _scheduler(found: Found, notes: Found) -> list[str]:
    if "scheduler" not in found:
        return []
    what = found["scheduler"]
    lines = ["## Many workers", "", notes["scheduler"].strip()]
    lines += [f"Task times are those of a run on {what['recorded']['source']}."]
    lines += ["", notes["limits"].strip(), "", *_limits(what)]
    lines += ["", notes["tails"].strip(), "", *_tails(what)]
    lines += ["", notes["checks"].strip(), "", *_checks(what)]
    lines += ["", notes["projected"].strip(), "", *_projected(what), "", _bound(what)]
    picture = "![Share of the time that workers are busy, and hours of a run]"
    return [*lines, "", f"{picture}(performance/scheduler.png)", "", results.measured(what)]


def _limits(what: Found) -> list[str]:
    rows = []
    for row in what["limits"]:
        own, plain = row["own"], row["plain"]
        rows.append(
            [
                str(row["workers"]),
                number(plain["rate"], 0),
                number(own["rate"], 0),
                number(own["rate"] / plain["rate"], 1),
                number(plain["scheduler"] * 1e3, 2),
                number(own["scheduler"] * 1e3, 2),
                number(1 / own["scheduler"], 0),
            ]
        )
    head = [
        "workers", "tasks a second, plain", "a run", "ratio", "ms of the scheduler a task, plain",
        "a run", "tasks a second it could do alone",
    ]  # fmt: skip
    return table(head, rows)


def _tails(what: Found) -> list[str]:
    rows = [
        [
            str(row["workers"]),
            str(row["units"]),
            *(number(row[key], 2) for key in ("list", "plain", "own")),
        ]
        for row in what["tails"]
    ]
    return table(["workers", "tasks", "least possible, s", "plain, s", "a run, s"], rows)


def _checks(what: Found) -> list[str]:
    rows = [
        [
            str(row["workers"]),
            str(row["units"]),
            number(row["mean"], 2),
            number(row["list"], 2),
            number(row["model"], 2),
            number(row["own"], 2),
            f"{row['model'] / row['own'] - 1:+.0%}",
        ]
        for row in what["checks"]
    ]
    head = ["workers", "tasks", "mean, s", "least possible, s", "model, s", "real, s", "model off"]
    return table(head, rows)


def _projected(what: Found) -> list[str]:
    rows = [
        [
            f"{row['cells']:,}",
            str(row["workers"]),
            f"{row['units']:,}",
            number(row["wall"] / 3600, 2),
            number(row["ideal"] / 3600, 2),
            f"{row['efficiency']:.0%}",
            f"{row['load']:.1%}",
        ]
        for row in sorted(what["whole"], key=lambda row: (row["cells"], row["workers"]))
    ]
    head = [
        "cells", "workers", "tasks", "hours", "least possible", "busy", "scheduler's load at most",
    ]  # fmt: skip
    return table(head, rows)


def _bound(what: Found) -> str:
    shortest = ", ".join(
        f"{float(seconds):.2g} s with {workers}" for workers, seconds in what["shortest"].items()
    )
    return (
        "The scheduler becomes the limit where tasks are short. For workers to be busy 90 % of\n"
        f"the time, a task must take {shortest}.\nThat is why a stage has few large tasks."
    )


def _scaled(value: float | None, scale: float, digits: int) -> str:
    return number(None if value is None else value * scale, digits)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2g} %"


def main() -> None:
    """Write the page and its figures from what was kept."""
    found = results.read()
    if "scaling" in found:
        scaling_chart(found["scaling"]["rows"], results.FIGURES / "scaling.png")
    if "scheduler" in found:
        scheduler_chart(found["scheduler"], results.FIGURES / "scheduler.png")
    (results.DOCS / "performance.md").write_text(render(found), encoding="utf-8")


if __name__ == "__main__":
    main()
