"""The memory that is planned against the memory that tasks take, each kind in a fresh process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dask.delayed import delayed

from hela_dask._run import run
from hela_dask.box import Box
from hela_dask.geometry import Geometry
from hela_dask.kernels.packed_labels import CELL
from hela_dask.parameters import Parameters
from hela_dask.planning.plan import plan
from hela_dask.planning.show import Plan
from hela_dask.running import context
from hela_dask.running.joining import contacts_task
from hela_dask.running.options import RunOptions
from hela_dask.running.predicted import predicted_path
from hela_dask.running.prepare import prepare
from hela_dask.running.stages import Job
from hela_dask.steps.assemble import CellMasks, plan_slabs
from hela_dask.storage import store
from hela_dask.tasks.cluster import Cluster, connect
from hela_dask.tasks.dispatch import run_units
from hela_dask.tasks.lock import hold
from hela_dask.tasks.memory import Need, check_memory, worker_memory
from hela_dask.tasks.units import Unit
from tests.drawn import draw_cell
from tests.methods.models import model_for
from tests.scenes import without_pages

SHAPE, VOXEL = (16, 2880, 2880), (50.0, 10.0, 10.0)


@dataclass
class Finished:
    """A run by one worker that had what the plan asks for."""

    plan: Plan
    run: Path
    needs: dict[str, Need]
    units: dict[str, tuple[Callable[..., Any], Any, list[Any], Callable[[Any], list[Any]]]]
    events: list[dict[str, Any]]
    metrics: dict[str, Any]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    folder = tmp_path_factory.mktemp("peaks")
    with pytest.MonkeyPatch.context() as patch:
        without_pages(patch)
        yield go(_tiled(folder / "tiles.ome.zarr"), folder / "centres.csv", patch)


def _tiled(path: Path) -> Path:
    """Sixteen cells with a nucleus each, in resin."""
    grey = np.tile(draw_cell(VOXEL, slices=(18, 18 + SHAPE[0])).image, (1, 4, 4))
    image = store.create_image(path, SHAPE, "uint8", VOXEL, name="tiles")
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, grey[z0:z1])
    return path


def go(volume: Path, centres: Path, patch: pytest.MonkeyPatch) -> Finished:
    """Plan it, then run it with a worker of the memory that was planned; note its units."""
    units: dict[str, Any] = {}

    def noted(client: Any, task: Any, job: Any, wanted: list[Any], **more: Any) -> Any:
        units[wanted[0].stage] = task, job, wanted, more.get("inputs") or (lambda _: [])
        return run_units(client, task, job, wanted, **more)

    patch.setattr(context, "run_units", noted)
    centres.write_text("z,y,x\n400,10800,10800\n")
    planned = plan(volume, centres=centres, calibrate=False, workers=1)
    with connect(Cluster("local", 1, planned.memory_needed)) as client:
        result = run(volume, centres=centres, client=client, progress=False)
        (address,) = client.scheduler_info()["workers"]
        metrics = client.scheduler_info()["workers"][address]["metrics"]
        events = [event for _, event in client.get_events(address)]
    needs = {need.stage: need for need in prepare(RunOptions(volume, asking=False)).needs()}
    return Finished(planned, result.path, needs, units, events, metrics)


def _peak(task: Callable[..., Any], job: Any, unit: Any, *inputs: Any) -> float:
    """The most memory that the process had, MiB; the system's own count where it has one."""
    row = task(job, unit, *inputs)
    status = Path("/proc/self/status")
    if status.exists():
        lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return float(lines[0].split()[1]) / 1024
    return float(row["peak_memory"])


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["background", "segment", "assemble"])
def test_a_task_takes_what_is_planned(finished: Finished, stage: str) -> None:
    task, job, units, inputs = finished.units[stage]
    need = finished.needs[stage]
    with (
        hold(finished.run) as lock,
        connect(Cluster("local", 1, worker_memory([need]))) as client,
    ):
        job = replace(job, lock=lock, labels_lock=None)
        job.markers.forget(units[0].stage, units[0].name)  # so that it writes, too
        lazy = delayed(_peak, pure=False)(task, job, units[0], *inputs(units[0]))
        peak = client.compute(lazy, optimize_graph=False).result()
    assert need.bytes / 2**20 / 1.3 <= peak <= need.bytes / 2**20 * 1.3


@pytest.mark.slow
def test_labels_of_cells_in_overlapping_boxes_take_what_is_planned(tmp_path: Path) -> None:
    shape, voxel, wide = (64, 1536, 1536), (50.0, 40.0, 40.0), 528
    volume, run = tmp_path / "image.ome.zarr", tmp_path / "image.run"
    image = store.create_image(volume, shape, "uint8", voxel, name="image")
    for z0, z1 in store.slabs(image):
        store.write_slab(image, z0, np.zeros((z1 - z0, *shape[1:]), np.uint8))
    needs = {need.stage: need for need in prepare(RunOptions(volume, asking=False)).needs()}
    parameters = Parameters.from_dict({"unet": model_for("unet", tmp_path / "model")})
    run.mkdir()
    with (
        hold(run) as lock,
        connect(Cluster("local", 1, worker_memory([needs["assemble"]]))) as client,
    ):
        job = replace(Job(volume, run, tmp_path, lock, "unet"), parameters=parameters)
        for path in (job.resin, predicted_path(run, "boundary")):
            store.create_scratch(path, shape, np.uint8)
        y, x = np.mgrid[:wide, :wide] - wide / 2
        disc = np.uint8(CELL) * (y**2 + x**2 < (wide / 2) ** 2)
        masks = []
        for label in range(1, 17):  # their boxes cover the plane twice
            corner = (0, *(336 * at for at in divmod(label - 1, 4)))
            box = Box.at(corner, (shape[0], wide, wide))
            path = store.create_scratch(job.masks(label), box.shape, np.uint8)
            store.write_scratch(path, np.broadcast_to(disc, box.shape))
            masks.append(CellMasks(label, path, box))
        (slab,) = plan_slabs([(24, 40)], Geometry(shape, voxel), masks)
        unit = Unit("contacts", "z00024", "of no other", (slab, [(1, 2)]), 1.0)
        peak = client.submit(_peak, contacts_task, job, unit, pure=False).result()
    need = needs["assemble"].bytes / 2**20
    assert need / 1.3 <= peak <= need * 1.3


@pytest.mark.slow
def test_a_worker_with_what_is_planned_neither_spills_nor_pauses(finished: Finished) -> None:
    assert finished.metrics["spilled_bytes"]["disk"] == 0
    states = [event.get("status") for event in finished.events]
    assert "paused" not in states
    assert finished.plan.memory_needed < 2.1 * 2**30  # that is not because it had plenty


def test_a_usual_region_takes_less_than_one_and_a_half_gib(finished: Finished) -> None:
    from hela_dask.running.needs import window_need

    image = prepare(RunOptions(finished.plan.store, asking=False)).image
    assert window_need(image, (300, 500, 500)).bytes < 1.5 * 2**30


@pytest.mark.parametrize("size", [300 * 2**20, 700 * 2**20, 1500 * 2**20, 5 * 2**30])
def test_what_is_asked_for_is_enough_and_no_less_is(size: int) -> None:
    need = Need("segment", "a task", size, "make it smaller")
    check_memory([need], worker_memory([need]))
    check_memory([need], None)
    with pytest.raises(
        MemoryError, match=r"a task takes .*--memory.*or make it smaller"
    ) as refusal:
        check_memory([need], size)
    number, unit = str(refusal.value).split("at least ")[1].split()[:2]
    check_memory([need], round(float(number) * {"MiB": 2**20, "GiB": 2**30}[unit]))
