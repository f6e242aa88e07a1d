"""Damage a finished run again and again, start the same command, and compare every voxel.

``python -m benchmarks.faults --repeat 20`` writes ``docs/reliability.json`` and
``docs/reliability.md``. The faults are those of ``tests/faults/catalogue.py``, which the tests make
once each.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import results
from tests.faults.catalogue import FILE_FAULTS, Fault
from tests.faults.site import Site, make_site

__all__ = ["PAGE", "RESULTS", "main", "measure", "render"]

RESULTS = results.DOCS / "reliability.json"
PAGE = results.DOCS / "reliability.md"
STAGES = ("background", "detect", "segment", "assemble")


def measure(site: Site, fault: Fault, repeat: int, deadline: float) -> dict[str, Any] | None:
    """One fault, several times.

    Parameters
    ----------
    site : Site
        With an undisturbed run.
    fault : Fault
        What to do to it.
    repeat : int
        How often, at most.
    deadline : float
        Of :func:`time.monotonic`: no repetition begins after it.

    Returns
    -------
    dict or None
        ``name``, ``repetitions``, ``again`` (stage to units computed again), ``seconds`` (median)
        and ``longest``; None where there was no time for one.

    Raises
    ------
    AssertionError
        When a voxel or a value differs from those of the undisturbed run.
    """
    seconds: list[float] = []
    again: dict[str, int] = {}
    while len(seconds) < repeat and time.monotonic() < deadline:
        site.restore()
        before = _marked(site)
        fault.make(site)
        start = time.perf_counter()
        site.start()
        seconds.append(time.perf_counter() - start)
        site.check()
        changed = [name for name, at in _marked(site).items() if before.get(name) != at]
        again = {stage: sum(name.startswith(f"{stage}-") for name in changed) for stage in STAGES}
    if not seconds:
        return None
    return {
        "name": fault.name,
        "repetitions": len(seconds),
        "again": {stage: count for stage, count in again.items() if count},
        "seconds": round(statistics.median(seconds), 2),
        "longest": round(max(seconds), 2),
    }


def _marked(site: Site) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (site.run / "done").glob("*.json")}


def render(found: dict[str, Any]) -> str:
    """The page of the figures."""
    rows = [
        f"| {item['name']} | {_again(item['again'])} | {item['seconds']:.1f} | "
        f"{item['longest']:.1f} | {item['repetitions']} |"
        for item in found["rows"]
    ]
    total = sum(item["repetitions"] for item in found["rows"])
    return "\n".join(
        [
            "# What a fault costs",
            "",
            "A finished run is damaged, the same command is started again, and every voxel of",
            "every level of all label groups and every value of the table are compared with those",
            f"of an undisturbed run. In {total} repetitions none differed. What is lost is what",
            "the first column names; the second says which units are computed again. The seconds",
            "are those of the whole command on a phantom of 80 x 160 x 160 voxels, with its",
            f"report: an undisturbed run takes {found['undisturbed']:.1f} s there, a command that",
            f"finds nothing to do {found['nothing']:.1f} s.",
            "",
            "| fault | computed again | seconds, median | longest | repetitions |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"Measured by {results.measured(found)}",
            "",
            "The figures are in `reliability.json`. The faults are those of",
            "`tests/faults/catalogue.py`, which the tests make once each; `hela-dask verify` is",
            "tested there on such damage too.",
            "",
        ]
    )


def _again(again: dict[str, int]) -> str:
    units = {"background": "slabs of background", "detect": "slices", "segment": "cells"}
    units["assemble"] = "slabs of labels"
    return ", ".join(f"{count} {units[stage]}" for stage, count in again.items()) or "results only"


def main() -> None:
    """Measure, and write both files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=20, help="of each fault, at most")
    parser.add_argument("--minutes", type=float, default=20.0, help="no repetition begins later")
    asked = parser.parse_args()
    from distributed import Client

    deadline = time.monotonic() + 60 * asked.minutes
    with (
        tempfile.TemporaryDirectory() as folder,
        Client(
            processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0"
        ) as client,
    ):
        site = make_site(Path(folder), client)
        (site.run / "done").rename(site.folder / "done")
        start = time.perf_counter()
        site.start(overwrite=True)
        undisturbed = time.perf_counter() - start
        site.keep()
        start = time.perf_counter()
        site.start()
        nothing = time.perf_counter() - start
        measured: list[dict[str, Any]] = []
        for fault in FILE_FAULTS:
            share = (deadline - time.monotonic()) / (len(FILE_FAULTS) - len(measured))
            found = measure(site, fault, asked.repeat, time.monotonic() + share)
            if found is not None:
                measured.append(found)
    figures = {
        "undisturbed": round(undisturbed, 2),
        "nothing": round(nothing, 2),
        "rows": measured,
    }
    command = f"python -m benchmarks.faults --repeat {asked.repeat} --minutes {asked.minutes:g}"
    results.keep("faults", figures, command, RESULTS)
    PAGE.write_text(render(results.read(RESULTS)["faults"]), encoding="utf-8")


if __name__ == "__main__":
    main()
