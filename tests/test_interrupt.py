"""Ctrl-C and a killed process, for real: what was finished stays, and the labels come out the same.

The volume is a small phantom; the centres are given, and lie so that windows and claims overlap.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from hela_dask._run import run
from hela_dask.conversion.convert import convert
from hela_dask.phantom import make_phantom
from hela_dask.volume.opening import open_volume
from tests.scenes import empty_pages

pytestmark = [
    pytest.mark.waiting,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals to process groups are POSIX's"),
]

CENTRES = ((1800, 8500, 10200), (2300, 1200, 1400), (3300, 5000, 9300), (2000, 8000, 9000))
NAMES = ("background", "nuclei", "cells", "envelope")


def start(*arguments: object) -> subprocess.Popen[str]:
    """``hela-dask run`` as the leader of a process group, as a terminal starts it."""
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from hela_dask.cli import main; sys.exit(main())"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, "run", *map(str, arguments)],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait(met: Callable[[], Any], process: subprocess.Popen[str], seconds: float = 120) -> None:
    """Until something is the case; the process must still be running then."""
    end = time.monotonic() + seconds
    while not met():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def finished(folder: Path) -> dict[str, int]:
    """The markers of units, and when each was written."""
    return {
        path.name: path.stat().st_mtime_ns
        for stage in ("background", "segment", "assemble")
        for path in sorted((folder / "done").glob(f"{stage}-*.json"))
    }


def files(store: Path, folder: Path, units: dict[str, int]) -> dict[str, int]:
    """The data that belongs to finished units, and when it was written."""
    found = []
    for unit in units:
        stage, name = unit.removesuffix(".json").split("-")
        if stage == "segment":
            found += list((folder / "scratch" / name).rglob("*"))
        elif stage == "background":
            shard = str(int(name[1:]) // 16)
            found += list((store / "labels" / "background" / "0" / "c" / shard).rglob("*"))
    return {str(path): path.stat().st_mtime_ns for path in found if path.is_file()}


def stop(
    process: subprocess.Popen[str], stage: str, more_than: int, folder: Path, how: signal.Signals
) -> tuple[int, str]:
    """Stop the process once a stage has that many markers; all its workers must go with it."""

    def reached() -> bool:
        return len([name for name in finished(folder) if name.startswith(stage)]) > more_than

    wait(reached, process)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children, "there are no workers"
    if how == signal.SIGINT:
        os.killpg(process.pid, how)
    else:
        process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive, f"workers outlived their run: {alive}"
    return process.returncode, errors


@pytest.fixture
def phantom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small phantom; runs of this process leave their pages empty, commands write theirs."""
    empty_pages(monkeypatch)
    path = tmp_path / "phantom.ome.zarr"
    make_phantom(path, shape=(48, 160, 160), cells=3, diameter=4.5, voxel_size=(100, 80, 80))
    return path


def test_an_interrupted_run_continues_to_the_same_labels(phantom: Path, client: Any) -> None:
    folder = phantom.parent / "phantom.run"
    centres = phantom.parent / "centres.csv"
    centres.write_text("\n".join(["z,y,x", *(",".join(map(str, row)) for row in CENTRES)]))
    params = phantom.parent / "params.toml"
    params.write_text("[unet]\nspacing = 400.0\n")  # fewer slices for the network
    undisturbed = run(
        phantom,
        phantom.parent / "undisturbed.run",
        labels=phantom.parent / "undisturbed.zarr",
        centres=centres,
        parameters=params,
        client=client,
        progress=False,
    )
    assert (undisturbed.labels["cells"].values > 0).any()
    command = (phantom, "--centres", centres, "--params", params, "--workers", 1)

    code, errors = stop(start(*command), "background", 0, folder, signal.SIGINT)
    assert code == 130 and "Traceback" not in errors, errors
    facts = json.loads((folder / "run.json").read_text())
    assert (facts["state"], facts["exit_code"]) == ("interrupted", 130)
    assert not (folder / "report.html").exists() and not (folder / "lock").exists()
    first = finished(folder)
    first_files = files(phantom, folder, first)

    code, _ = stop(start(*command), "segment", 0, folder, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not (folder / "report.html").exists() and (folder / "lock").exists()
    second = finished(folder)
    second_files = files(phantom, folder, second)
    assert len([name for name in second if name.startswith("segment")]) < len(CENTRES)
    assert first.items() <= second.items() and first_files.items() <= second_files.items()

    last = start(*command)
    output, errors = last.communicate(timeout=180)
    assert last.returncode == 0, errors
    assert str(folder / "report.html") in output
    third = finished(folder)
    assert second.items() <= third.items()
    assert second_files.items() <= files(phantom, folder, third).items()
    assert len(third) == 3 + len(CENTRES) + 3
    for name in NAMES:
        labels = open_volume(phantom / "labels" / name).values
        np.testing.assert_array_equal(labels, undisturbed.labels[name].values)


def test_any_cluster_and_any_chunks_give_the_same_bits(phantom: Path, client: Any) -> None:
    from distributed import Client

    parameters = {"unet": {"spacing": 400.0}}  # fewer slices for the network
    other = phantom.parent / "other.ome.zarr"
    convert(phantom, other, chunks=(7, 48, 32), shards=(7, 96, 64))
    folder = phantom.parent / "chunks.run"
    results = [run(other, folder, parameters=parameters, client=client, progress=False)]
    with Client(
        processes=False, n_workers=1, threads_per_worker=3, dashboard_address=":0"
    ) as threads:
        for number, here in enumerate((client, threads)):
            results.append(
                run(
                    phantom,
                    phantom.parent / f"{number}.run",
                    labels=phantom.parent / f"{number}.zarr",
                    parameters=parameters,
                    client=here,
                    progress=False,
                )
            )
    one = results[0]
    same = [name for name in one.cells if name not in ("seconds", "peak_memory")]
    for result in results[1:]:
        for name in NAMES:
            np.testing.assert_array_equal(one.labels[name].values, result.labels[name].values)
        assert one.cells[same].equals(result.cells[same])
