"""Patches made ahead by processes: the same ones in the same order, and no process stays."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
import tifffile
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.errors import InputError, ParameterError, WorkerError
from hela_dask.unet import ahead
from hela_dask.unet.ahead import PatchesAhead, default_processes
from hela_dask.unet.patch_worker import CACHE, load_patches, save_patches
from hela_dask.unet.patches import Patches
from hela_dask.unet.training import train
from hela_dask.unet.training_data import DataRequest, open_training_data
from tests.unet.scene import labelled, tiny, volume

STEPS = 3


def _patches(name: str = "residual", **request: Any) -> Patches:
    architecture = tiny(name, batch=2)
    request = {"store": volume(), "labels": labelled()[1], **request}
    training_data = open_training_data(architecture, DataRequest(**request))
    return Patches(architecture, training_data.labelled_volumes, batch=2, seed=5)


def _children() -> list[psutil.Process]:
    """The processes of this one that make patches."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # another one that has just ended
            if any("patch_worker" in part for part in child.cmdline()):
                found.append(child)
    return found


def _runs(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("processes", [0, 2])
def test_batches_are_the_same_for_any_number_of_processes(processes: int) -> None:
    patches = _patches()
    with PatchesAhead(patches, range(1, 3), STEPS, processes=processes) as made:
        found = [batch for _ in (1, 2) for batch in made.epoch()]
        assert len(_children()) == processes
    assert not _children()
    wanted = [patches.one(epoch, number) for epoch in (1, 2) for number in range(STEPS)]
    for one, two in zip(found, wanted, strict=True):
        for part, other in zip(one, two, strict=True):
            np.testing.assert_array_equal(part, other)


@pytest.mark.parametrize("source", ["arrays", "tiff", "packed"])
def test_patches_come_back_from_a_folder(source: str, tmp_path: Path) -> None:
    grey, labels = labelled()
    request: dict[str, Any] = {}
    if source != "arrays":
        packing = "zlib" if source == "packed" else None
        tifffile.imwrite(tmp_path / "grey.tif", grey, compression=packing)
        tifffile.imwrite(tmp_path / "labels.tif", labels, compression=packing)
        request = {"store": tmp_path / "grey.tif", "labels": tmp_path / "labels.tif"}
        request |= {"voxel_size": (50.0, 40.0, 40.0)}
    patches = _patches(mask=(labels == 3).astype(np.uint8), mask_weight=0.5, **request)
    folder = tmp_path / "folder"
    folder.mkdir()
    save_patches(patches, folder)
    again = load_patches(folder)
    assert {cache.budget for cache in again.caches} == {CACHE}
    for one, two in zip(patches.one(1, 2), again.one(1, 2), strict=True):
        np.testing.assert_array_equal(one, two)
    if source == "tiff":  # mapped files are opened, and not copied
        assert sum(file.stat().st_size for file in folder.iterdir()) < 2 * labels.nbytes


def test_a_process_that_dies_is_an_error_at_once() -> None:
    with (
        pytest.raises(WorkerError, match=r"has ended \(exit code -\d+\).* fewer --processes"),
        PatchesAhead(_patches(), range(1), 1000, processes=2) as made,
    ):
        batches = made.epoch()
        next(batches)
        _children()[0].kill()
        for _ in batches:
            pass
    assert not _children()


def _no_label(box: Box) -> NDArray[np.uint8]:
    raise InputError(f"no labels in {box[0].start}")


def test_an_error_is_that_of_the_process() -> None:
    patches = _patches()
    own = patches.labelled_volumes[0]
    broken = dataclasses.replace(own, labels=dataclasses.replace(own.labels, read=_no_label))
    patches.labelled_volumes = (broken,)
    with (
        pytest.raises(InputError, match=r"^no labels in \d+$"),
        PatchesAhead(patches, range(1), STEPS, processes=1) as made,
    ):
        next(iter(made.epoch()))
    assert not _children()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_one_that_trains(end: signal.Signals) -> None:
    code = """
import sys
from hela_dask.unet.ahead import PatchesAhead
from tests.unet.test_ahead import _children, _patches
with PatchesAhead(_patches(), range(1), 10**6, processes=1) as made:
    for number, _ in enumerate(made.epoch()):
        if number == 1:
            print(_children()[0].pid, flush=True)
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as training:
        assert training.stdout is not None
        worker = psutil.Process(int(training.stdout.readline()))
        if end == signal.SIGINT:
            os.killpg(training.pid, end)  # as a terminal does
        else:
            training.send_signal(end)
        _, errors = training.communicate(timeout=120)
    started = time.monotonic()
    while _runs(worker) and time.monotonic() < started + 60:
        time.sleep(0.1)
    assert not _runs(worker)
    assert errors.count("KeyboardInterrupt") == (end == signal.SIGINT)  # of one process


def test_processes_are_for_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_processes(accelerator=False) == 0
    free = SimpleNamespace(available=100 * 2**30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    for cores, memory, processes in ((64, 200, 16), (64, 10, 10), (3, 200, 2), (1, 200, 1)):
        monkeypatch.setattr(ahead, "CPU_COUNT", cores)
        monkeypatch.setattr(ahead, "MEMORY_LIMIT", memory * 2**30)
        assert default_processes(accelerator=True) == processes
    free.available = 5 * 2**30
    monkeypatch.setattr(ahead, "CPU_COUNT", 64)
    assert default_processes(accelerator=True) == 5
    with pytest.raises(ParameterError, match="processes must be 0 or more, not -1"):
        train(volume(), labelled()[1], "never", processes=-1)
    with pytest.raises(ParameterError, match=r"900 processes need about 900 GiB .* are 200: give"):
        train(volume(), labelled()[1], "never", processes=900)
