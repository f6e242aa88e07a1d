"""What a task costs is counted: time, processor, memory, bytes, and who did it."""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hela_dask.running.stages import measured


def test_time_that_is_waited_is_no_processor_time() -> None:
    with measured() as cost:
        time.sleep(0.2)
    assert 0.2 <= cost["seconds"] < 2
    assert cost["cpu_seconds"] < 0.15
    assert cost["worker"].endswith(f"-{os.getpid()}")


def test_the_peak_is_seen_though_the_memory_is_given_back() -> None:
    gc.collect()  # what others left must not be given back meanwhile
    with measured(0.01) as before:
        pass
    with measured(0.01) as cost:
        block = np.ones(64 * 2**17)  # 64 MiB
        time.sleep(1.0)  # on a busy machine the watcher comes late
        del block
    assert cost["peak_memory"] > before["peak_memory"] + 50


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not count a process' bytes")
def test_bytes_read_and_written_are_counted(tmp_path: Path) -> None:
    with measured() as cost:
        (tmp_path / "file").write_bytes(bytes(3_000_000))
        (tmp_path / "file").read_bytes()
    assert 3_000_000 <= cost["written"] < 3_500_000
    assert 3_000_000 <= cost["read"] < 3_500_000


def test_a_task_that_fails_is_measured_too() -> None:
    with pytest.raises(ZeroDivisionError), measured() as cost:
        1 / 0  # noqa: B018
    assert cost["seconds"] >= 0
