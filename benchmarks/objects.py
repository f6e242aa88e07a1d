"""Time and memory of measures and meshes: ``python -m benchmarks.objects STORE [--write]``.

STORE has the labels ``cells`` and ``nuclei``, as a phantom does. Both are measured, and all meshes
are written, each from nothing by workers of one thread. Memory is the most that this process and
its workers hold together; pages that they share count once.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

import hela_dask as hd
from benchmarks import results
from benchmarks.measuring import timed
from hela_dask.geometry import Geometry

__all__ = ["measure_objects"]

_EVERY = 0.25  # seconds between looks at the memory


@contextlib.contextmanager
def _watched() -> Iterator[list[int]]:
    """The largest number of bytes that this process and its children hold, in a list."""
    peak, over = [0], threading.Event()
    own = psutil.Process()

    def watch() -> None:
        while not over.wait(_EVERY):
            held = 0
            for process in [own, *own.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    held += process.memory_full_info().pss
            peak[0] = max(peak[0], held)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def _row(name: str, call: Callable[[], int]) -> dict[str, Any]:
    with _watched() as peak:
        seconds, count = timed(call)
    found = {"name": name, "seconds": seconds, "peak": peak[0] / 2**20, "objects": count}
    print(found, flush=True)
    return found


def measure_objects(store: Path, folder: Path, workers: int) -> dict[str, Any]:
    """Seconds, MiB and number of objects of each command, and the size of the volume."""

    def measured(kind: str) -> int:
        labels = store / "labels" / kind
        return len(hd.measure(labels, workers=workers, progress=False).objects)

    def meshed() -> int:
        table = hd.meshes(store, folder / "meshes", workers=workers, progress=False)
        return int((table["status"] == "written").sum())

    rows = [
        _row("measure labels/cells", lambda: measured("cells")),
        _row("measure labels/nuclei", lambda: measured("nuclei")),
        _row("meshes", meshed),
    ]
    grid = Geometry.of(hd.open_volume(store / "labels" / "cells"))
    return {"workers": workers, "shape": grid.shape, "voxel": grid.voxel_size, "rows": rows}


def main() -> None:
    """Measure; with ``--write`` keep the figures in docs/performance.json."""
    parser = results.parser(__doc__, write="keep them in docs/performance.json")
    parser.add_argument("store", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure_objects(options.store, Path(folder), options.workers)
    if options.write:
        results.keep(
            "objects", figures, f"python -m benchmarks.objects {options.store.name} --write"
        )


if __name__ == "__main__":
    main()
