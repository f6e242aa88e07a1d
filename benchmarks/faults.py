"""Damage a finished run again and again, start the same command, and compare every voxel.

``python -m benchmarks.faults --repeat 20`` writes ``docs/reliability.json`` and
``docs/reliability.md`` again after each fault, so that a stop keeps the figures so far. With
``--only WORD`` the faults with the word in their name are measured again. The faults are those of
``tests/faults/catalogue.py`` and ``tests/faults/processes.py``, which the tests make once each.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import pages, results
from benchmarks.measuring import timed
from tests.faults.catalogue import FILE_FAULTS, Fault
from tests.faults.processes import PROCESS_FAULTS, ProcessFault
from tests.faults.site import Site, make_site

__all__ = ["measure"]

RESULTS = results.DOCS / "reliability.json"
STAGES = ("background", "detect", "segment", "assemble", "measure")


def measure(
    site: Site, fault: Fault | ProcessFault, repeat: int, deadline: float
) -> dict[str, Any] | None:
    """One fault, several times.

    Parameters
    ----------
    site : Site
        With an undisturbed run.
    fault : Fault or ProcessFault
        Made on it, or while it runs.
    repeat : int
        Largest number of repetitions.
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
        seconds.append(timed(site.start)[0])
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


def main() -> None:
    """Measure, and write both files."""
    parser = results.parser(__doc__)
    parser.add_argument("--repeat", type=int, default=20, help="of each fault, at most")
    parser.add_argument(
        "--only", default="", metavar="WORD", help="faults that have it in their name"
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="no repetition begins later")
    options = parser.parse_args()
    from distributed import Client

    deadline = time.monotonic() + 60 * options.minutes
    every: list[Fault | ProcessFault] = [*FILE_FAULTS, *PROCESS_FAULTS]
    faults = [fault for fault in every if options.only in fault.name]
    with (
        tempfile.TemporaryDirectory() as folder,
        Client(
            processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0"
        ) as client,
    ):
        site = make_site(Path(folder), client)
        (site.run / "done").rename(site.folder / "done")
        undisturbed, _ = timed(lambda: site.start(overwrite=True))
        site.keep()
        nothing, _ = timed(site.start)
        for number, fault in enumerate(faults):
            share = (deadline - time.monotonic()) / (len(faults) - number)
            found = measure(site, fault, options.repeat, time.monotonic() + share)
            if found is None:
                continue
            print(f"{found['name']}: {found['repetitions']} in {found['seconds']} s each")
            # Read again: another process may measure other faults.
            kept = results.read(RESULTS).get("faults", {}) if options.only or number else {}
            rows = {row["name"]: row for row in kept.get("rows", [])}
            rows[fault.name] = {**found, "commit": results.commit()}
            figures = {
                "undisturbed": kept.get("undisturbed", round(undisturbed, 2)),
                "nothing": kept.get("nothing", round(nothing, 2)),
                "rows": [rows[fault.name] for fault in every if fault.name in rows],
            }
            # With --only: the command of the whole table; each row has its own repetitions.
            command = f"python -m benchmarks.faults --repeat {options.repeat}"
            results.keep("faults", figures, kept.get("command", command), RESULTS)
            pages.write("reliability")


if __name__ == "__main__":
    main()
