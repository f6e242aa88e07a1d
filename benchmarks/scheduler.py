"""How many tasks the dask scheduler handles: ``python -m benchmarks.scheduler``.

Measures the cost per task of the real scheduler, with many real workers that sleep, through the
run's own ``run_units`` and beside the plain way of submitting (a task at a time, two per thread);
the end of a stage, where tasks wait behind the largest; and stages of recorded task times. These
are those of a finished run: ``--run RUN``, else those kept in docs/performance.json.
"""

from __future__ import annotations

import heapq
import random
import statistics
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
from distributed import as_completed

from benchmarks import results
from benchmarks.farm import Farm, farm, nap
from benchmarks.measuring import timed
from benchmarks.throughput import describe, seconds_of
from hela_dask.tasks.dispatch import run_units
from hela_dask.tasks.lock import Lock
from hela_dask.tasks.markers import Markers
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.units import Unit

__all__ = ["list_schedule", "scaled_times"]

LIMITS = (10, 64, 250, 500)
# Workers, units for each of them, mean seconds of a unit: sizes that this machine can run for real.
CHECKS = ((10, 10, 1.0), (32, 6, 1.0), (64, 4, 1.0), (64, 10, 0.25), (250, 4, 3.0))

Submission = Callable[[Farm, Sequence[Unit], Lock], object]


def own_units(on: Farm, units: Sequence[Unit], lock: Lock) -> None:
    """Submit as a run does."""
    with RunProgress(False) as progress:
        run_units(
            lambda: on.client,
            nap,
            SimpleNamespace(lock=lock),
            units,
            markers=Markers(lock.path.parent),
            progress=progress,
            kind="naps",
        )


def plain_units(on: Farm, units: Sequence[Unit], lock: Lock) -> None:
    """Submit the obvious way: two per thread, a new one for each that ends, results one by one."""
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
                key = f"nap-{unit.name}-{lock.token[:8]}"
                pool.add(on.client.submit(nap, lock, unit, key=key, pure=False))
                flying += 1

        fill()
        for future in pool:
            future.result()
            flying -= 1
            fill()


def measure(on: Farm, seconds: Sequence[float], submit: Submission = own_units) -> dict[str, float]:
    """One real run: wall seconds, and processor seconds per unit of scheduler and client."""
    me, count = psutil.Process(), len(seconds)
    units = [Unit("nap", f"{i:06d}", "", item, item) for i, item in enumerate(seconds)]
    with tempfile.TemporaryDirectory() as folder:
        lock = Lock(Path(folder, "lock"), uuid.uuid4().hex)
        before, mine = on.scheduler_seconds(), sum(me.cpu_times()[:2])
        wall, _ = timed(lambda: submit(on, units, lock))
        spent = (on.scheduler_seconds() - before, sum(me.cpu_times()[:2]) - mine)
    return {
        "wall": wall,
        "rate": count / wall,
        "scheduler": spent[0] / count,
        "client": spent[1] / count,
    }


def limits(on: Farm, count: int) -> dict[str, Any]:
    """Costs of units without work; medians of three for ours, the plain way once."""
    measure(on, [0.0] * 200)  # connections, first imports
    own = [measure(on, [0.0] * count) for _ in range(3)]
    return {
        "workers": on.workers,
        "own": {key: statistics.median(row[key] for row in own) for key in own[0]},
        "plain": measure(on, [0.0] * min(count, 600), plain_units),
    }


def list_schedule(seconds: Sequence[float], workers: int) -> float:
    """Wall time without a scheduler: the largest first, each to the first free worker."""
    free = [0.0] * workers
    for item in sorted(seconds, reverse=True):
        heapq.heapreplace(free, free[0] + item)
    return max(free)


def scaled_times(recorded: Sequence[float], count: int, mean: float, seed: int = 0) -> list[float]:
    """So many recorded times, drawn with replacement and scaled to a mean of the recorded."""
    scale = mean / statistics.mean(recorded)
    return [scale * item for item in random.Random(seed).choices(recorded, k=count)]


def checks(on: Farm, recorded: Sequence[float]) -> list[dict[str, Any]]:
    """Real runs with recorded times beside the least possible; all processes share the machine."""
    rows = []
    for workers, each, mean in CHECKS:
        if workers == on.workers:
            seconds = scaled_times(recorded, workers * each, mean)
            rows.append({"mean": mean, **_beside_least(on, seconds)})
            _show(rows[-1])
    return rows


def tails(on: Farm) -> list[dict[str, Any]]:
    """Few units per thread, of half a second to two and a half: some wait behind the largest."""
    rows = []
    for each in (1.0, 1.5, 2.0, 3.0):
        seconds = np.linspace(0.5, 2.5, int(on.workers * each)).tolist()
        plain = measure(on, seconds, plain_units)["wall"]
        rows.append({**_beside_least(on, seconds), "plain": plain})
        _show(rows[-1])
    return rows


def _beside_least(on: Farm, seconds: Sequence[float]) -> dict[str, Any]:
    return {
        "workers": on.workers,
        "units": len(seconds),
        "list": list_schedule(seconds, on.workers),
        "own": measure(on, seconds)["wall"],
    }


def _show(row: Mapping[str, Any]) -> None:
    values = (
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in row.items()
    )
    print("  ".join(values), flush=True)


def small(workers: int) -> None:
    """Print the limit of the real scheduler with some workers, ours over the plain way."""
    with farm(workers) as on:
        limit = limits(on, 1000)
    own, plain = limit["own"], limit["plain"]
    print(f"{workers} workers, units without work: as a run does it, one at a time, ratio")
    for name, key, scale, better in (
        ("units a second", "rate", 1.0, own["rate"] / plain["rate"]),
        ("ms of scheduler", "scheduler", 1e3, plain["scheduler"] / own["scheduler"]),
    ):
        print(f"  {name:<16}{own[key] * scale:>9.2f}{plain[key] * scale:>9.2f}{better:>8.1f}")


def everything(recorded: Sequence[float]) -> dict[str, Any]:
    """Costs per unit, recorded times, and the end of a stage, for several numbers of workers."""
    found: dict[str, Any] = {"limits": [], "checks": [], "tails": []}
    for workers in sorted({*LIMITS, *(check[0] for check in CHECKS)}):
        with farm(workers) as on:
            if workers in LIMITS:
                limit = limits(on, 2000)
                for way in ("own", "plain"):
                    _show({"workers": workers, "way": way, **limit[way]})
                found["limits"].append(limit)
            else:
                measure(on, [0.0] * 200)  # connections, first imports
            found["checks"] += checks(on, recorded)
            if workers == 64:
                found["tails"] += tails(on)
    return found


def main() -> None:
    """Measure, print, and with ``--write`` keep."""
    parser = results.parser(__doc__, write="keep it in docs/performance.json")
    parser.add_argument("--run", type=Path, help="a finished run whose task times are taken")
    parser.add_argument("--quick", action="store_true", help="the real scheduler's limit only")
    parser.add_argument("--workers", type=int, default=64, help="with --quick")
    options = parser.parse_args()
    if options.quick:
        small(options.workers)
        return
    recorded: dict[str, Any]
    if options.run is not None:
        recorded = {"source": describe(options.run), "seconds": seconds_of(options.run)}
    else:
        recorded = results.read().get("scheduler", {}).get("recorded", {})
        if not recorded:
            raise SystemExit("no task times are kept yet: give a finished run with --run RUN")
    found = everything(recorded["seconds"]["segment"])
    if options.write:
        command = "python -m benchmarks.scheduler --run RUN --write"
        results.keep("scheduler", {"recorded": recorded, **found}, command)


if __name__ == "__main__":
    main()
