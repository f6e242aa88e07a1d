"""A process that is paused in the middle of writing labels: a real one, stopped by a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hela_dask.errors import ExistsError
from hela_dask.storage import store
from hela_dask.storage.metadata import Image
from hela_dask.tasks.lock import hold_labels, label_lock
from hela_dask.volume.opening import open_volume

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

SHAPE, SIZE = (48, 8, 8), (50.0, 40.0, 40.0)
WRITER = """
import sys
from pathlib import Path
from hela_dask.tasks.lock import hold_labels
from hela_dask.storage.store import slabs
from tests.running.test_paused import fill, labels

place = Path(sys.argv[1])
with hold_labels(place, by="a.run") as lock:
    target = labels(place, "a")
    for z0, z1 in slabs(target):
        fill(target, z0, z1, 1, lock.check)
        print(z0, flush=True)
        sys.stdin.readline()
"""


def labels(place: Path, name: str) -> Image:
    run = place.with_name(f"{name}.run")
    return store.create_labels(
        place, "nuclei", SHAPE, "uint8", SIZE, run=run, run_id=name * 32, overwrite=True
    )


def fill(target: Image, z0: int, z1: int, value: int, check: object) -> None:
    block = np.full((z1 - z0, *SHAPE[1:]), value, np.uint8)
    store.write_slab(target, z0, block, downsample="nearest", check=check)  # type: ignore[arg-type]


@pytest.mark.parametrize("lock", ["removed by hand", "of a process that was killed"])
def test_who_was_paused_while_another_took_over_writes_nothing_more(
    tmp_path: Path, lock: str
) -> None:
    place = tmp_path / "a.ome.zarr"
    image = store.create_image(place, SHAPE, "uint8", SIZE, name="a")
    assert len(store.slabs(image)) > 1
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(place)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    ) as paused:  # fmt: skip
        assert paused.stdin is not None and paused.stdout is not None
        try:
            assert paused.stdout.readline() == "0\n"
            paused.send_signal(signal.SIGSTOP)
            with (
                pytest.raises(ExistsError, match=f"in use by process {paused.pid} .*a.run"),
                hold_labels(place, by="b.run"),
            ):
                pass
            if lock == "removed by hand":
                label_lock(place).unlink()
            else:
                paused.kill()
                paused.wait()
            with hold_labels(place, by="b.run") as mine:
                target = labels(place, "b")
                for z0, z1 in store.slabs(target):
                    fill(target, z0, z1, 2, mine.check)
                if lock == "removed by hand":
                    paused.send_signal(signal.SIGCONT)
                    _, message = paused.communicate("\n", timeout=60)
                    assert paused.returncode == 1
                    assert (
                        "no longer this run's" in message and "nothing more is written" in message
                    )
        finally:
            paused.kill()
    assert np.unique(open_volume(target.path).values).tolist() == [2]
    names = {path.name for path in (place / "labels").rglob("*")}
    assert not [name for name in names if name.endswith((".tmp", ".removed"))]
    assert not label_lock(place).exists()
