"""Damage a finished run again and again, start the same command, and compare every voxel.

``python -m benchmarks.faults --repeat 20`` writes ``docs/reliability.json`` and
``docs/reliability.md`` again after each fault, so that a stop keeps what is measured. With ``--only
WORD`` the faults whose name has the word are measured again. The faults are those of
``tests/faults/catalogue.py`` and ``tests/faults/processes.py``, which the tests make once each.
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
from tests.faults.processes import PROCESS_FAULTS, ProcessFault
from tests.faults.site import Site, make_site

__all__ = ["PAGE", "RESULTS", "main", "measure", "render"]

RESULTS = results.DOCS / "reliability.json"
PAGE = results.DOCS / "reliability.md"
STAGES = ("background", "detect", "segment", "assemble")


def measure(
    site: Site, fault: Fault | ProcessFault, repeat: int, deadline: float
) -> dict[str, Any] | None:
    """One fault, several times.

    Parameters
    ----------
    site : Site
        With an undisturbed run.
    fault : Fault or ProcessFault
        What to do to it, or under it.
    repeat : int
        How often, at most.
    deadline : float
        Of :func:`time.monotonic`: no repetition begins after it.

    Returns
    -------
    dict or None
        ``name``, ``repetitions``, ``again`` (stage to units computed again; only for faults of
        files), ``seconds`` (median) and ``longest``; None where there was no time for one.

    Raises
    ------
    AssertionError
        When a voxel or a value differs from those of the undisturbed run.
    """
    seconds: list[float] = []
    again: dict[str, int] = {}
    while len(seconds) < repeat and time.monotonic() < deadline:
        site.restore()
        if isinstance(fault, ProcessFault):
            site.forget_run()
            with tempfile.TemporaryDirectory() as folder:
                seconds.append(fault.make(site, Path(folder)))
            site.check()
            continue
        before = site.markers()
        fault.make(site)
        start = time.perf_counter()
        site.start()
        seconds.append(time.perf_counter() - start)
        site.check()
        changed = [name for name, at in site.markers().items() if before.get(name) != at]
        again = {stage: sum(name.startswith(f"{stage}-") for name in changed) for stage in STAGES}
    if not seconds:
        return None
    counts = {stage: count for stage, count in again.items() if count}
    return {
        "name": fault.name,
        "repetitions": len(seconds),
        **({"again": counts} if isinstance(fault, Fault) else {}),
        "seconds": round(statistics.median(seconds), 2),
        "longest": round(max(seconds), 2),
    }


def render(found: dict[str, Any]) -> str:
    """The page of the figures."""
    rows = found["rows"]
    files = [
        f"| {item['name']} | {_again(item['again'])} | {_columns(item)} |"
        for item in rows
        if "again" in item
    ]
    processes = [f"| {item['name']} | {_columns(item)} |" for item in rows if "again" not in item]
    total = sum(item["repetitions"] for item in rows)
    commits = "`, `".join(dict.fromkeys(item["commit"] for item in rows if "commit" in item))
    return "\n".join(
        [
            "# The cost of faults",
            "",
            "After each fault every voxel of every level of all label groups and every value of",
            "the table are compared with those of an undisturbed run. In",
            f"{total} repetitions none differed. The phantom has 80 x 160 x 160 voxels; an",
            f"undisturbed run takes {found['undisturbed']:.1f} s there with its report, and a",
            f"command that finds nothing to do {found['nothing']:.1f} s.",
            "",
            "## Files",
            "",
            "A finished run is damaged, and the same command is started again. The first column",
            "names the damage; the second counts the units that are computed again. The seconds",
            "are those of the whole command.",
            "",
            "| fault | computed again | seconds, median | longest | repetitions |",
            "|---|---|---|---|---|",
            *files,
            "",
            "## Processes",
            "",
            "Processes end during a run. The units in progress are lost, never a finished one.",
            "If the command itself was ended, the same command is started again, and the seconds",
            "are those of the second command; otherwise they are those of the whole run. Both",
            "start their workers.",
            "",
            "| fault | seconds, median | longest | repetitions |",
            "|---|---|---|---|",
            *processes,
            "",
            f"Measured by {results.measured({**found, 'commit': commits})}",
            "",
            "The figures are in `reliability.json`. The faults are those of",
            "`tests/faults/catalogue.py` and `tests/faults/processes.py`, which the tests apply",
            "once each; `hela-dask verify` is tested there on such damage too.",
            "",
        ]
    )


def _columns(item: dict[str, Any]) -> str:
    return f"{item['seconds']:.1f} | {item['longest']:.1f} | {item['repetitions']}"


def _again(again: dict[str, int]) -> str:
    units = {"background": "slabs of background", "detect": "slices", "segment": "cells"}
    units["assemble"] = "slabs of labels"
    return ", ".join(f"{count} {units[stage]}" for stage, count in again.items()) or "results only"


def main() -> None:
    """Measure, and write both files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=20, help="of each fault, at most")
    parser.add_argument(
        "--only", default="", metavar="WORD", help="faults that have it in their name"
    )
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
        undisturbed = _seconds_of(site, overwrite=True)
        site.keep()
        nothing = _seconds_of(site)
        command = f"python -m benchmarks.faults --repeat {asked.repeat}"
        every: list[Fault | ProcessFault] = [*FILE_FAULTS, *PROCESS_FAULTS]
        faults = [fault for fault in every if asked.only in fault.name]
        for number, fault in enumerate(faults):
            share = (deadline - time.monotonic()) / (len(faults) - number)
            found = measure(site, fault, asked.repeat, time.monotonic() + share)
            if found is None:
                continue
            print(f"{found['name']}: {found['repetitions']} in {found['seconds']} s each")
            # Read anew: another process may measure other faults.
            kept = results.read(RESULTS).get("faults", {}) if asked.only or number else {}
            rows = {row["name"]: row for row in kept.get("rows", [])}
            rows[fault.name] = {**found, "commit": results.commit()}
            figures = {
                "undisturbed": kept.get("undisturbed", round(undisturbed, 2)),
                "nothing": kept.get("nothing", round(nothing, 2)),
                "rows": [rows[fault.name] for fault in every if fault.name in rows],
            }
            results.keep("faults", figures, command, RESULTS)
            PAGE.write_text(render(results.read(RESULTS)["faults"]), encoding="utf-8")


def _seconds_of(site: Site, **more: Any) -> float:
    start = time.perf_counter()
    site.start(**more)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
