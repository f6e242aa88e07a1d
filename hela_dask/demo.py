"""The demo: a phantom is made, segmented as any volume, and compared with its own truth."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hela_dask._run import run
from hela_dask.errors import ExistsError
from hela_dask.evaluation.evaluate import score_instances
from hela_dask.evaluation.metrics import Matching
from hela_dask.phantom import make_phantom, plan_phantom
from hela_dask.storage.files import plain
from hela_dask.volume.opening import read_image

__all__ = ["DemoResult", "DemoSize", "complete_scores", "run_demo"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DemoSize:
    """The phantom of the demo; see :func:`hela_dask.make_phantom`."""

    shape: tuple[int, int, int] = (200, 768, 768)
    cells: int = 6
    diameter: float = 9.0
    seed: int = 0
    voxel_size: tuple[float, float, float] = (50.0, 40.0, 40.0)


@dataclass(frozen=True)
class DemoResult:
    """Where the demo left its report, and how well the complete cells were found.

    Attributes
    ----------
    report : Path
        The HTML page of the run.
    figures : dict
        ``complete_cells``, ``found`` (with an IoU of at least 0.5), ``instance_f1``,
        ``mean_cell_iou`` and ``mean_nucleus_iou`` (a cell that was not found counts 0).
    exit_code : int
        Of the run.
    """

    report: Path
    figures: dict[str, Any] = field(default_factory=dict)
    exit_code: int = 0


def run_demo(
    out: str | Path,
    *,
    size: DemoSize | None = None,
    client: Any = None,
    progress: bool = True,
) -> DemoResult:
    """Make a phantom in a folder, segment it with the default parameters, and score it.

    Files of an earlier demo in the folder are used again.

    Parameters
    ----------
    out : path
        Gets ``phantom.ome.zarr`` and ``phantom.run``.
    size : DemoSize, optional
        Of the phantom.
    client : distributed.Client, optional
        Default: a local cluster.
    progress : bool
        Show how far it is, on a terminal.

    Returns
    -------
    DemoResult

    Raises
    ------
    ExistsError
        When the folder holds a phantom of another size.
    """
    size = size or DemoSize()
    store = Path(out) / "phantom.ome.zarr"
    _make(store, size, progress)
    truth = store / "labels"
    run_folder = Path(out) / "phantom.run"
    result = run(store, run_folder, truth=truth, client=client, progress=progress)
    plan = plan_phantom(
        shape=size.shape,
        cells=size.cells,
        diameter=size.diameter,
        seed=size.seed,
        voxel_size=size.voxel_size,
    )
    figures = complete_scores(
        score_instances(result.labels["cells"], truth / "true_cells").matching,
        score_instances(result.labels["nuclei"], truth / "true_nuclei").matching,
        true=[cell.label for cell in plan.cells if cell.complete],
        predicted=result.cells.label[result.cells.complete].tolist(),
    )
    return DemoResult(result.report, figures, result.exit_code)


def complete_scores(
    cells: Matching, nuclei: Matching, *, true: Collection[int], predicted: Collection[int]
) -> dict[str, float]:
    """Agreement on the complete cells; those that the volume cuts count neither for nor against.

    Parameters
    ----------
    cells, nuclei : Matching
        Of all instances, at an IoU of 0.5 and more.
    true : labels
        True cells that are complete.
    predicted : labels
        Predicted cells that are complete: without a partner they are false finds.

    Returns
    -------
    dict
        As ``figures`` of :class:`DemoResult`.
    """
    cell_iou = {label: iou for _, label, iou in cells.pairs}
    nucleus_iou = {label: iou for _, label, iou in nuclei.pairs}
    found = sum(label in cell_iou for label in true)
    false = len(set(cells.spurious) & set(predicted))
    return {
        "complete_cells": len(true),
        "found": found,
        "instance_f1": 2 * found / (len(true) + found + false),
        "mean_cell_iou": sum(cell_iou.get(label, 0.0) for label in true) / len(true),
        "mean_nucleus_iou": sum(nucleus_iou.get(label, 0.0) for label in true) / len(true),
    }


def _make(store: Path, size: DemoSize, progress: bool) -> None:
    """The phantom, unless it is there already; one that was interrupted is made again."""
    unfinished = False
    if store.exists():
        image = read_image(store)
        made = image.attributes.get("phantom", {})
        if any(made.get(key) != item for key, item in plain(size).items()):
            raise ExistsError(f"{store} is not the phantom of this demo: choose another --out")
        unfinished = not image.complete
        if not unfinished:
            log.info("%s is there already: using it", store)
            return
    log.info("making a phantom of %d x %d x %d voxels", *size.shape)
    make_phantom(
        store,
        shape=size.shape,
        cells=size.cells,
        diameter=size.diameter,
        seed=size.seed,
        voxel_size=size.voxel_size,
        overwrite=unfinished,
        progress=progress,
    )
