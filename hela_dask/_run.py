"""The pipeline from a volume to labelled cells, a table and a report: resumable, on any cluster."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pandas as pd

from hela_dask.errors import NothingToDoError
from hela_dask.methods.names import DEFAULT_METHOD
from hela_dask.methods.registry import MethodLike
from hela_dask.running import pipeline
from hela_dask.running.context import Context
from hela_dask.running.edited import keep_edited
from hela_dask.running.finish import finish_run
from hela_dask.running.holding import held_job
from hela_dask.running.identity import RunPlaces
from hela_dask.running.options import ParametersLike, RunOptions, Table
from hela_dask.running.prepare import prepare
from hela_dask.running.provenance import Record, image_facts, read_run
from hela_dask.running.reading import RunFolder
from hela_dask.running.result import RunResult
from hela_dask.running.setup import Setup
from hela_dask.running.tables import select_cells
from hela_dask.running.units import DetectedCells
from hela_dask.steps.region_files import check_regions_folder
from hela_dask.steps.region_files import save_regions as write_regions
from hela_dask.storage.places import check_apart
from hela_dask.storage.urls import StorePath
from hela_dask.tasks.cluster import Cluster, check_client, read_cluster
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.session import Session
from hela_dask.volume.opening import open_volume

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["RunResult", "detect", "run"]

log = logging.getLogger(__name__)


def run(
    store: str | StorePath,
    out: str | Path | None = None,
    *,
    method: MethodLike = DEFAULT_METHOD,
    model: str | Path | None = None,
    parameters: ParametersLike | None = None,
    client: Client | None = None,
    cells: Sequence[int] | None = None,
    box: Sequence[Sequence[float]] | None = None,
    centres: Table | None = None,
    corrections: Table | None = None,
    edits: str | Path | None = None,
    labels: str | Path | None = None,
    truth: str | StorePath | None = None,
    cluster: str | Path = "local",
    workers: int | None = None,
    memory: str | int | None = None,
    overwrite: bool = False,
    recompute: bool = False,
    progress: bool = True,
) -> RunResult:
    """Segment every cell of a volume: labels into the store, a table and a report beside it.

    The same call again continues an interrupted run and leaves finished units untouched; with other
    parameters it recomputes only the units that depend on them. The result is the same for any
    number of workers, on a laptop or a cluster.

    Parameters
    ----------
    store : path or address
        An OME-Zarr volume, as :func:`hela_dask.convert` makes it. It is never modified, but for
        the labels that are added to it. A volume at an address (http, https, s3, gs) is only
        read.
    out : path, optional
        The run folder; default: the store's name with ``.run``, beside it.
    method : str or callable
        How a cell is segmented; one of :data:`hela_dask.METHODS`, or a function that workers can
        import, or its place, as ``package.module:function``.
    model : path, optional
        Folder of the network for a method that uses one; default: that of `parameters`, or the
        shipped one.
    parameters : Parameters, mapping or path of a TOML file, optional
        Parameters that differ from the defaults.
    client : distributed.Client, optional
        An existing client; it is used and stays open. Default: the cluster of `cluster`.
    cells : sequence of int, optional
        Segment only the cells with these labels; the numbers are those of the whole volume.
        The masks of others that were segmented before stay.
    box : three pairs of float, optional
        Segment only cells with their centre in this box: (low, high) in z, y, x, nm.
    centres : path or DataFrame, optional
        A table (CSV, Parquet) with ``z``, ``y``, ``x`` in nm, and perhaps ``label``: the cells,
        instead of finding them. Needed where no resin is visible; then only nuclei are delivered.
    corrections : path or DataFrame, optional
        A table that moves, adds or takes out cells of those that are found; all others keep their
        numbers and finished units. See :func:`hela_dask.running.centres.correct_cells`.
    edits : path, optional
        A file of edits of cells (moved, added, removed, merged, split, painted, erased), which is
        copied to ``edits.json`` in the run folder. Each later run applies the file there. See
        :class:`hela_dask.editing.edits.Edits`.
    labels : path, optional
        Write the labels to a separate store instead of into `store`; for a volume at an address,
        by default, to ``NAME.labels.ome.zarr`` beside the run folder ``NAME.run``.
    truth : path, optional
        Labels to score the result against; see :func:`hela_dask.running.scoring.find_truth`.
    cluster : str or path
        ``"local"``, ``"runner"`` (in each process that ``srun`` or ``mpirun`` has started), a
        scheduler's address, or a YAML file (``deploy`` has examples).
    workers, memory
        Number of workers, and the memory of each, such as ``"4GiB"``.
    overwrite : bool
        The result of another method, of other parameters, or of another run may be replaced.
        Finished units that do not depend on the change are not computed again.
    recompute : bool
        Compute everything again, whatever is finished; with `cells` or `box`, these cells only.
    progress : bool
        Show the progress on stderr, if that is a terminal. It is logged in any case.

    Returns
    -------
    RunResult
        Its ``exit_code`` is 3 when some cells failed; they are named in its table.

    Raises
    ------
    HelaDaskError
        For input that cannot be used, before anything is written: see :mod:`hela_dask.errors`.
    NothingToDoError
        When no cell is found.

    Examples
    --------
    >>> import hela_dask as hd
    >>> result = hd.run("hela.ome.zarr", method="volumetric")
    >>> result.summary()
    '2 cells outlined: 1 whole, 1 cut by the volume; 1 not segmented: 1 seen in too few slices'
    >>> result.cells[["label", "status", "complete"]]
       label           status  complete
    0      1  chain_too_short     False
    1      2        segmented      True
    2      3    cut_by_volume     False
    """
    where = read_cluster(cluster, workers=workers, memory=memory)
    check_client(client, cluster, workers, memory)
    options = RunOptions(
        store,
        out,
        method=method,
        model=model,
        parameters=parameters,
        cells=cells,
        box=box,
        centres=centres,
        corrections=corrections,
        edits=edits,
        labels=labels,
        truth=truth,
        overwrite=overwrite,
        recompute=recompute,
    )
    result: RunResult = _within(prepare(options), client, where, progress, _segment_all)
    return result


def detect(
    store: str | StorePath,
    out: str | Path | None = None,
    *,
    parameters: ParametersLike | None = None,
    client: Client | None = None,
    cluster: str | Path = "local",
    workers: int | None = None,
    memory: str | int | None = None,
    save_regions: str | Path | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> pd.DataFrame:
    """Find the cells of a volume without segmenting them.

    Writes ``detections.parquet``, ``cells.parquet`` (both also as CSV), ``figures/chains.png``
    (J. Imaging 2021, Fig. 3) and ``figures/detections.png`` (Fig. 2) into the run folder, which
    a later :func:`run` continues.

    Parameters
    ----------
    store, out, parameters, client, cluster, workers, memory, overwrite, progress
        As in :func:`run`.
    save_regions : path, optional
        Also write the window around each cell as a folder of TIFF slices.

    Returns
    -------
    pandas.DataFrame
        The cells, as in ``cells.parquet``.

    Raises
    ------
    HelaDaskError
        As :func:`run`.

    Examples
    --------
    >>> import hela_dask as hd
    >>> cells = hd.detect("hela.ome.zarr", "found.run")
    >>> cells[["label", "first_slice", "last_slice", "status"]]
       label  first_slice  last_slice           status
    0      1           28          36  chain_too_short
    1      2           12          52         detected
    2      3           12          52         detected
    """
    where = read_cluster(cluster, workers=workers, memory=memory)
    setup = prepare(
        RunOptions(store, out, parameters=parameters, overwrite=overwrite, segmenting=False)
    )
    if save_regions is not None:
        check_apart(setup.image.path, {"--save-regions": Path(save_regions)})
        check_regions_folder(Path(save_regions))

    def find(context: Context, record: Record) -> pd.DataFrame:
        context.progress.expect(["levels", "background", "detect"])
        background = pipeline.find_background(context)
        found = pipeline.detect(context, background)
        _draw(setup, found)
        if save_regions is not None:
            write_regions(open_volume(setup.image.path), found.regions, Path(save_regions))
        statuses = found.cells["status"].value_counts().to_dict()
        facts = {"statuses": statuses, "grey_levels": asdict(background.grey_levels)}
        if read_run(setup.run).get("state") != "finished" or setup.replaced:
            record.finish("detected", 0, {**facts, "timings": context.progress.timings})
        return found.cells

    table: pd.DataFrame = _within(setup, client, where, progress, find)
    return table


def _within(
    setup: Setup,
    client: Client | None,
    where: Cluster,
    progress: bool,
    work: Any,
) -> Any:
    """Hold the run folder, its labels, the display and the cluster around the work."""
    with RunProgress(progress) as display:
        record = Record(setup)
        needs = setup.needs()
        session = Session(
            client,
            where,
            store=setup.image.path,
            run=setup.run,
            needs=needs,
            progress=display,
            begin=record.begin,
            imports=(
                "hela_dask.running.stages",
                "hela_dask.running.shapes",
                "hela_dask.steps.segment",
            ),
        )
        with held_job(setup) as job:
            context = Context(setup, job, session, display)
            for remark in setup.remarks:
                context.warn(remark)
            if setup.replaced:
                display.info(f"{setup.run}: {setup.replaced} is replaced")
            if setup.edits is not None and setup.edits.edits:
                display.info(f"{setup.edits} from {setup.edits_file} are applied")
            for text in keep_edited(job.markers):
                context.warn(text)
            record.guard, display.holds = job.lock.check, job.lock.holds
            record.facts["id"] = job.id
            try:
                with session:
                    if setup.options.recompute:
                        session.client()  # first: without a cluster, finished units stay finished
                        if not setup.chooses_cells:
                            job.markers.forget("*")
                    return work(context, record)
            except KeyboardInterrupt:
                record.stop("interrupted", 130, "interrupted; the same command continues it")
                raise
            except BaseException as error:
                record.stop("failed", 1, f"{type(error).__name__}: {error}")
                raise


def _segment_all(context: Context, record: Record) -> RunResult:
    setup = context.setup
    context.progress.expect(_stages(setup))
    background = pipeline.find_background(context)
    found = pipeline.detect(context, background)
    if not found.segmentable():
        raise NothingToDoError(
            f"none of the {len(found.cells)} chains of detections in {setup.image.path} is long "
            f"or large enough to be a cell ({found.cells['reason'].iloc[0]}; all in "
            f"{setup.run / 'cells.csv'}): make [link] shortest_chain or smallest_cell smaller, "
            "or give the cells' centres with --centres FILE.csv"
        )
    chosen = select_cells(found.cells, setup.cells, setup.box)
    if setup.cells is not None:
        for label in sorted(chosen - {region.label for region in found.segmentable()}):
            context.warn(f"cell {label} is not segmented: its chain is too short")
    # The libraries that draw the report load while workers compute.
    Thread(target=import_module, args=("hela_dask.report.pictures",), daemon=True).start()
    pipeline.classify(context, background)
    segmented = pipeline.segment(context, background, found, chosen)
    assembled = pipeline.assemble(context, background, segmented)
    measures = pipeline.measure(context, assembled)
    return finish_run(
        *(context, record, background, found, segmented.rows),
        chosen=chosen,
        assembled=assembled,
        measures=measures,
        write_report=_write_report,
    )


def _stages(setup: Setup) -> list[str]:
    """The stages of a run in their order; one that depends on the cells is not among them."""
    needed = {
        "detect": setup.centres is None,
        "classify": setup.outputs is not None,
        "measure": bool(setup.parameters.measure.in_runs),
    }
    names = ("levels", "background", "detect", "classify", "segment", "assemble", "measure")
    return [name for name in (*names, "report") if needed.get(name, True)]


def _write_report(folder: Path) -> None:
    from hela_dask.report import write_report

    write_report(folder)


def _draw(setup: Setup, found: DetectedCells) -> None:
    """The chains in 3D, and the analysed slice with the most cells."""
    from hela_dask.report.pictures import draw_found

    places = RunPlaces(setup.image.path, {})
    facts = {"image": image_facts(setup.image)}
    draw_found(RunFolder(setup.run, facts, found.cells, found.detections, {}, places=places))
