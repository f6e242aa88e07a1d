"""Kill workers at random while a run segments hundreds of cells: ``python -m benchmarks.soak``.

A phantom of one cell and its mirror image is mirror-tiled to 320 cells, each of them one task. It
is run once undisturbed. Then a command runs it from nothing, and a worker that is chosen at random
is killed every few seconds (SIGKILL); after its end another command does, until the minutes are
over. Each time every voxel and every value of the table are compared with those of the
undisturbed run. The memory of the command's process, which holds dask's scheduler and client, is
sampled every second. ``--write`` puts the figures beside the page of reliability.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from benchmarks import pages, results
from benchmarks.scaling import PARAMETERS, make_volume
from hela_dask.parameters import Parameters
from hela_dask.storage.files import write_text

__all__ = ["digest", "soak"]

CELLS = 320
VOXEL = (150.0, 120.0, 120.0)
PAUSE = (4.0, 14.0)  # seconds between kills
STATEMENTS = ("seconds", "peak_memory")  # columns that differ from run to run


def digest(labels: Path, table: Path) -> str:
    """One hash of all files of labels and of the table, without its seconds and memory."""
    found = hashlib.sha256()
    for path in sorted(labels.rglob("c/**/*")):
        if path.is_file():
            found.update(path.relative_to(labels).as_posix().encode())
            found.update(path.read_bytes())
    rows = pd.read_parquet(table)
    kept = [name for name in rows.columns if name not in STATEMENTS]
    found.update(rows[kept].to_csv(index=False).encode())
    return found.hexdigest()


class Command:
    """``hela-dask run`` from nothing; with random numbers `rng`, workers of it are killed."""

    def __init__(self, volume: Path, folder: Path, workers: int, rng: random.Random | None) -> None:
        self.run, self.labels = folder / "soak.run", folder / "soak.labels.ome.zarr"
        for path in (self.run, self.labels):
            shutil.rmtree(path, ignore_errors=True)
        parameters = folder / "soak.toml"
        write_text(parameters, Parameters.from_dict(PARAMETERS).to_toml())
        places = ["--out", self.run, "--labels", self.labels, "--params", parameters]
        given = [volume, *places, "--method", "volumetric", "--workers", workers, "--quiet"]
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hela_dask", "run", *map(str, given)]
        )
        self._main = psutil.Process(self._process.pid)
        self._rng = rng
        self._next = self._started + 10.0
        self.memory: list[float] = []  # MiB of the command's process, each second
        self.kills, self.seconds = 0, 0.0
        # Seconds from a kill to the first unit that a worker started after it has finished.
        self.recovery: list[float] = []
        self._read: set[Path] = set()
        self._known: set[str] = set()
        self._killed: float | None = None  # by the clock of files

    def finish(self) -> None:
        """Kill and sample until the command ends; RuntimeError when it fails."""
        while self._process.poll() is None:
            with contextlib.suppress(psutil.Error):
                self.memory.append(self._main.memory_info().rss / 2**20)
            self._look()
            workers = self._workers()
            if self._rng is not None and workers and time.monotonic() > self._next:
                self._rng.choice(workers).kill()
                self.kills, self._killed = self.kills + 1, time.time()
                self._next = time.monotonic() + self._rng.uniform(*PAUSE)
            time.sleep(1.0)
        self.seconds = time.monotonic() - self._started
        if self._process.returncode:
            raise RuntimeError(f"the run ended with code {self._process.returncode}")

    def _look(self) -> None:
        """Read the units that were finished since the last look, and which worker did them."""
        found = sorted(set((self.run / "done").glob("*.json")) - self._read)
        for path in found:
            with contextlib.suppress(OSError, ValueError):
                worker = json.loads(path.read_text(encoding="utf-8"))["result"].get("worker")
                if worker and worker not in self._known:
                    if self._killed is not None:
                        self.recovery.append(path.stat().st_mtime - self._killed)
                        self._killed = None
                    self._known.add(worker)
        self._read.update(found)

    def _workers(self) -> list[psutil.Process]:
        """The processes of the workers: children of the process that forks them."""
        with contextlib.suppress(psutil.Error):
            helpers = self._main.children()
            found = [child for helper in helpers for child in helper.children()]
            return [child for child in found if child.status() != psutil.STATUS_ZOMBIE]
        return []


def soak(volume: Path, folder: Path, workers: int, minutes: float, seed: int) -> dict[str, Any]:
    """Kill workers for so many minutes, over as many runs as that takes.

    Raises
    ------
    AssertionError
        When a cell is missing, a label occurs twice, or a voxel or a value differs from those of
        the undisturbed run.
    """
    undisturbed = Command(volume, folder, workers, None)
    undisturbed.finish()
    expected = digest(undisturbed.labels, undisturbed.run / "cells.parquet")
    cells = pd.read_parquet(undisturbed.run / "cells.parquet")
    rng, runs = random.Random(seed), []
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        runs.append(Command(volume, folder, workers, rng))
        runs[-1].finish()
        table = pd.read_parquet(runs[-1].run / "cells.parquet")
        twice = [label for label, count in Counter(table["label"]).items() if count > 1]
        assert not twice, f"labels twice: {twice}"
        assert set(table["label"]) == set(cells["label"]), "cells are missing"
        assert digest(runs[-1].labels, runs[-1].run / "cells.parquet") == expected, "they differ"
        print(f"{runs[-1].kills} kills in {runs[-1].seconds:.0f} s: the same", flush=True)
    half = [run.memory[len(run.memory) // 4 : len(run.memory) // 2] for run in runs]
    last = [run.memory[-len(run.memory) // 4 :] for run in runs]
    recovery = [seconds for run in runs for seconds in run.recovery]
    return {
        "cells": len(cells),
        "statuses": cells["status"].value_counts().to_dict(),
        "workers": workers,
        "runs": len(runs),
        "kills": sum(run.kills for run in runs),
        "seconds": statistics.median(run.seconds for run in runs),
        "undisturbed": undisturbed.seconds,
        "minutes": sum(run.seconds for run in runs) / 60,
        "recovery": statistics.median(recovery),
        "longest_recovery": max(recovery),
        # MiB of scheduler and client: medians of the second and of the last quarter of each run.
        "memory_early": statistics.median(value for part in half for value in part),
        "memory_late": statistics.median(value for part in last for value in part),
        "memory_undisturbed": statistics.median(
            undisturbed.memory[-len(undisturbed.memory) // 4 :]
        ),
    }


def parse() -> argparse.Namespace:
    """The options."""
    parser = results.parser(__doc__, write="JSON and page of reliability")
    parser.add_argument("--folder", type=Path, help="of the volume and runs; default: temporary")
    parser.add_argument("--cells", type=int, default=CELLS, help="a number of times 32")
    parser.add_argument("--minutes", type=float, default=10.0, help="no run begins later")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Measure, print, and write with ``--write``."""
    options = parse()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        volume = make_volume(folder, options.cells // 2, VOXEL)
        found = soak(volume, folder, options.workers, options.minutes, options.seed)
    print("\n".join(f"{name}: {value}" for name, value in found.items()))
    if options.write:
        command = f"python -m benchmarks.soak --minutes {options.minutes:g} --write"
        results.keep("soak", found, command, results.DOCS / "reliability.json")
        pages.write("reliability")


if __name__ == "__main__":
    main()
