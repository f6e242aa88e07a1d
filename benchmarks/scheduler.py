"""How many workers a run can keep busy: ``python -m benchmarks.scheduler``.

Measures what the real dask scheduler costs a task, with many real workers that sleep, through the
run's own ``run_units`` and beside the plain way of submitting (a task at a time, two a thread);
checks a queueing model (:mod:`benchmarks.queueing`) against real runs with shortened sleeps; and
asks the model for what this machine cannot run: 1,000 and 10,000 cells on 10 to 500 workers.
Task times are those of a finished run: ``--run RUN``, else those kept in docs/performance.json.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from distributed import as_completed

from benchmarks import results
from benchmarks.farm import Farm, NapJob, farm, nap
from benchmarks.queueing import Costs, list_schedule, simulate
from benchmarks.recorded import describe, seconds_of
from hela_dask.tasks.dispatch import run_units
from hela_dask.tasks.lock import Lock
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.units import Unit

__all__ = ["measure", "plain_units", "project", "stages_of"]

LIMITS = (10, 64, 250, 500)
WORKERS = (10, 50, 100, 250, 500)
CELLS = (1_000, 10_000)
# Workers, units for each of them, mean seconds of a unit: what this machine can run for real.
CHECKS = ((10, 10, 1.0), (32, 6, 1.0), (64, 4, 1.0), (64, 10, 0.25), (250, 4, 3.0))
LENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)

Run = Callable[[Farm, Sequence[Unit], NapJob], object]


def _units(seconds: Sequence[float]) -> list[Unit]:
    return [Unit("nap", f"{i:06d}", "", item, item) for i, item in enumerate(seconds)]


def own_units(on: Farm, units: Sequence[Unit], job: NapJob) -> None:
    """As a run submits them."""
    with RunProgress(False) as progress:
        run_units(
            lambda: on.client,
            nap,
            job,
            units,
            markers=job.markers,
            progress=progress,
            kind="naps",
        )


def plain_units(on: Farm, units: Sequence[Unit], job: NapJob) -> None:
    """The obvious way: two a thread, a new one for each that ends, results one by one."""
    waiting = iter(sorted(units, key=lambda unit: -unit.cost))
    with on.client.as_current():
        pool = as_completed([])
        flying = 0

        def fill() -> None:
            nonlocal flying
            while flying < 2 * sum(on.client.nthreads().values()):
                unit = next(waiting, None)
                if unit is None:
                    return
                key = f"nap-{unit.name}-{job.lock.token[:8]}"
                pool.add(on.client.submit(nap, job, unit, key=key, pure=False))
                flying += 1

        fill()
        for future in pool:
            future.result()
            flying -= 1
            fill()


@contextmanager
def _job() -> Iterator[NapJob]:
    with tempfile.TemporaryDirectory() as folder:
        yield NapJob(Path(folder), Lock(Path(folder, "lock"), uuid.uuid4().hex))


def measure(on: Farm, seconds: Sequence[float], how: Run = own_units) -> dict[str, float]:
    """One real run: wall seconds, and processor seconds a unit of scheduler and client."""
    me = psutil.Process()
    with _job() as job:
        units = _units(seconds)
        before, mine = on.scheduler_seconds(), sum(me.cpu_times()[:2])
        start = time.perf_counter()
        how(on, units, job)
        wall = time.perf_counter() - start
        spent = (on.scheduler_seconds() - before, sum(me.cpu_times()[:2]) - mine)
    return {
        "wall": wall,
        "rate": len(seconds) / wall,
        "scheduler": spent[0] / len(seconds),
        "client": spent[1] / len(seconds),
    }


def limits(on: Farm, count: int) -> dict[str, Any]:
    """What units without work cost; medians of three for ours, the plain way once."""
    measure(on, [0.0] * 200)  # connections, first imports
    own = [measure(on, [0.0] * count) for _ in range(3)]
    before = on.scheduler_seconds()
    time.sleep(3)
    idle = (on.scheduler_seconds() - before) / 3
    single = statistics.median(measure(on, [0.0])["wall"] for _ in range(5))
    return {
        "workers": on.workers,
        "own": {key: statistics.median(row[key] for row in own) for key in own[0]},
        "plain": measure(on, [0.0] * min(count, 600), plain_units),
        "heartbeats": idle,
        "single": single,
    }


def stages_of(
    tasks: dict[str, list[float]], cells: int, seed: int = 0, mean: float | None = None
) -> dict[str, list[float]]:
    """Task times of a volume of so many cells: as many of each stage as there were for a cell.

    Parameters
    ----------
    tasks : dict of stage to seconds of each task
        Recorded; ``segment`` has a task a cell.
    cells : int
    seed : int
        Of the draw, with replacement.
    mean : float, optional
        Scale every stage's times to this mean.
    """
    draw = random.Random(seed)
    found = {}
    for stage, seconds in tasks.items():
        count = max(1, round(len(seconds) * cells / len(tasks["segment"])))
        scale = 1.0 if mean is None else mean / statistics.mean(seconds)
        found[stage] = [scale * draw.choice(seconds) for _ in range(count)]
    return found


def checks(on: Farm, tasks: dict[str, list[float]], limit: dict[str, Any]) -> list[dict[str, Any]]:
    """Real runs with shortened sleeps beside the model; here all processes share the machine."""
    rows = []
    for workers, each, mean in CHECKS:
        if workers != on.workers:
            continue
        seconds = stages_of(tasks, workers * each, mean=mean)["segment"]
        here = Costs(1 / limit["own"]["rate"], latency=limit["single"] / 8)
        row = {
            "workers": workers,
            "units": len(seconds),
            "mean": mean,
            "model": simulate(seconds, workers, here).wall,
            "list": list_schedule(seconds, workers),
            "own": measure(on, seconds)["wall"],
        }
        rows.append(row)
        _tell(row)
    return rows


def tails(on: Farm) -> list[dict[str, Any]]:
    """Few units a thread, of half a second to two and a half: some wait behind the largest."""
    rows = []
    for each in (1.0, 1.5, 2.0, 3.0):
        seconds = np.linspace(0.5, 2.5, int(on.workers * each)).tolist()
        row = {
            "workers": on.workers,
            "units": len(seconds),
            "list": list_schedule(seconds, on.workers),
            "own": measure(on, seconds)["wall"],
            "plain": measure(on, seconds, plain_units)["wall"],
        }
        rows.append(row)
        _tell(row)
    return rows


def project(tasks: dict[str, list[float]], measured: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the model says of clusters, where the scheduler has a core of its own."""
    whole, lengths = [], []
    for workers in WORKERS:
        costs = cluster_costs(measured, workers)
        for cells in CELLS:
            stages = stages_of(tasks, cells)
            done = {stage: simulate(units, workers, costs) for stage, units in stages.items()}
            wall = sum(outcome.wall for outcome in done.values())
            spent = sum(map(sum, stages.values()))
            whole.append(
                {
                    "cells": cells,
                    "workers": workers,
                    "units": sum(map(len, stages.values())),
                    "wall": wall,
                    "ideal": sum(list_schedule(units, workers) for units in stages.values()),
                    "efficiency": spent / (workers * wall),
                    "load": max(outcome.load for outcome in done.values()),
                }
            )
        for length in LENGTHS:
            outcome = simulate([length] * (20 * workers), workers, costs)
            lengths.append(
                {
                    "workers": workers,
                    "seconds": length,
                    "efficiency": outcome.efficiency,
                    "load": outcome.load,
                }
            )
    return {"whole": whole, "lengths": lengths}


def cluster_costs(measured: Sequence[dict[str, Any]], workers: int) -> Costs:
    """Processor time of the real scheduler and client, between the sizes that were measured."""
    sizes = [row["workers"] for row in measured]

    def at(of: Callable[[dict[str, Any]], float]) -> float:
        return float(np.interp(workers, sizes, [of(row) for row in measured]))

    return Costs(
        scheduler=at(lambda row: row["own"]["scheduler"]),
        client=at(lambda row: row["own"]["client"]),
        latency=at(lambda row: row["single"]) / 8,
        heartbeats=at(lambda row: row["heartbeats"]),
    )


def shortest(lengths: Sequence[dict[str, Any]], workers: int, wanted: float = 0.9) -> float:
    """The shortest task that still keeps so many workers busy for this share of the time."""
    rows = [row for row in lengths if row["workers"] == workers]
    for short, longer in pairwise(rows):
        if short["efficiency"] < wanted <= longer["efficiency"]:
            x = np.log([short["seconds"], longer["seconds"]])
            y = [short["efficiency"], longer["efficiency"]]
            return float(np.exp(np.interp(wanted, y, x)))
    return float(rows[0]["seconds"])


def _tell(row: dict[str, Any]) -> None:
    print(
        "  ".join(
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in row.items()
        ),
        flush=True,
    )


def small(options: argparse.Namespace) -> dict[str, Any]:
    """What ``make bench`` shows: the real scheduler with some workers, ours over the plain way."""
    with farm(options.workers) as on:
        limit = limits(on, 1000)
    own, plain = limit["own"], limit["plain"]
    print(f"{on.workers} workers, units without work: as a run does it, one at a time, ratio")
    for name, key, scale, better in (
        ("units a second", "rate", 1.0, own["rate"] / plain["rate"]),
        ("ms of scheduler", "scheduler", 1e3, plain["scheduler"] / own["scheduler"]),
    ):
        print(f"  {name:<16}{own[key] * scale:>9.2f}{plain[key] * scale:>9.2f}{better:>8.1f}")
    return limit


def everything(tasks: dict[str, list[float]]) -> dict[str, Any]:
    """Limits, checks, tails, projection."""
    measured, checked, ends = [], [], []
    for workers in LIMITS:
        with farm(workers) as on:
            limit = limits(on, 2000)
            for how in ("own", "plain"):
                _tell({"workers": workers, "how": how, **limit[how]})
            measured.append(limit)
            checked += checks(on, tasks, limit)
            if workers == 64:
                ends += tails(on)
    for workers in sorted({check[0] for check in CHECKS} - set(LIMITS)):
        with farm(workers) as on:
            checked += checks(on, tasks, limits(on, 1000))
    projected = project(tasks, measured)
    for row in projected["whole"]:
        _tell(row)
    return {
        "limits": measured,
        "checks": sorted(checked, key=lambda row: (row["workers"], row["units"])),
        "tails": ends,
        **projected,
        "shortest": {str(workers): shortest(projected["lengths"], workers) for workers in WORKERS},
    }


def parse() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, help="a finished run whose task times are taken")
    parser.add_argument("--quick", action="store_true", help="the real scheduler's limit only")
    parser.add_argument("--workers", type=int, default=64, help="with --quick")
    parser.add_argument("--write", action="store_true", help="keep it in docs/performance.json")
    return parser.parse_args()


def main() -> None:
    """Measure, print, and with ``--write`` keep."""
    options = parse()
    if options.quick:
        small(options)
        return
    recorded: dict[str, Any]
    if options.run is not None:
        recorded = {"source": describe(options.run), "seconds": seconds_of(options.run)}
    else:
        recorded = results.read().get("scheduler", {}).get("recorded", {})
        if not recorded:
            raise SystemExit("no task times are kept yet: give a finished run with --run RUN")
    found = everything(recorded["seconds"])
    if options.write:
        command = "python -m benchmarks.scheduler --run RUN --write"
        results.keep("scheduler", {"recorded": recorded, **found}, command)


if __name__ == "__main__":
    main()
