"""predict: a network's classes for a whole volume, as labels, slab by slab."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.conversion.suitability import check_volume, volume_remarks
from hela_dask.errors import ExistsError
from hela_dask.geometry import Geometry
from hela_dask.operators.classify import class_labels, classifier, neighbours
from hela_dask.operators.slabs import lazy_slabs, with_own_keys
from hela_dask.running.finding import level_units, levels_task, read_levels
from hela_dask.running.folders import label_owner, run_folder
from hela_dask.running.identity import maker_of
from hela_dask.running.keys import stage_code
from hela_dask.running.needs import predict_need
from hela_dask.running.source import identify_image
from hela_dask.storage import store as arrays
from hela_dask.storage.files import storage_errors
from hela_dask.storage.groups import planned
from hela_dask.storage.metadata import Image, read_image
from hela_dask.storage.places import check_apart
from hela_dask.storage.urls import StorePath
from hela_dask.tasks.cluster import check_client, read_cluster
from hela_dask.tasks.cost import measured
from hela_dask.tasks.dispatch import run_units
from hela_dask.tasks.lock import Lock, hold, hold_labels
from hela_dask.tasks.markers import Markers, fingerprint
from hela_dask.tasks.memory import Need
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.session import Session
from hela_dask.tasks.units import Unit
from hela_dask.unet.card import Card
from hela_dask.volume.greys import GreyLevels
from hela_dask.volume.opening import working_volume

if TYPE_CHECKING:
    import xarray as xr
    from distributed import Client

__all__ = ["LABELS", "VALUES", "predict"]

LABELS = "classes"
# Of the folder with the markers; locks, their heartbeats and unfinished files are hidden.
_OWN = re.compile(
    r"done|lock|performance(-\d+)?\.html|progress\.json|\.(lock|progress|performance)\..*"
)
VALUES = {"envelope": 1, "nucleus": 2, "cell": 3, "resin": 4}
"""Label values, as the published maps have them."""
_COLORS = {
    1: (255, 90, 90, 255),
    2: (80, 140, 255, 255),
    3: (120, 220, 120, 110),
    4: (255, 220, 120, 60),
}


@dataclass(frozen=True)
class _Job:
    """Common inputs of all slabs; small."""

    store: StorePath
    labels: Path
    resolution: float
    lock: Lock
    labels_lock: Lock

    def may_write(self) -> None:
        """Raises where the folder or the labels are another process' by now."""
        self.lock.check()
        self.labels_lock.check()

    @property
    def markers(self) -> Markers:
        return Markers(self.lock.path.parent / "done")


def predict(
    store: str | StorePath,
    model: str | Path = "",
    out: str | Path | None = None,
    *,
    labels: str | Path | None = None,
    client: Client | None = None,
    cluster: str | Path = "local",
    workers: int | None = None,
    memory: str | int | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Predict the class of each voxel of a volume with a network, as labels.

    They are on the level of the volume that the network sees (40 nm for the shipped one), and lie
    over the image in viewers all the same. The same call again continues where an earlier one
    stopped. For probabilities, boundaries and distances see
    :func:`~hela_dask.operators.classify.classify`.

    Parameters
    ----------
    store : path or address
        An OME-Zarr volume; one at an address (http, https, s3, gs) is only read.
    model : path, optional
        Folder of the model, or an ``.onnx`` file with its card; default: the shipped one.
    out : path, optional
        Folder with the markers of finished slabs; default: the store's name with ``.predict``,
        beside it. It is removed in the end.
    labels : path, optional
        Write the labels to a separate store instead of into `store`; the default for a volume at
        an address is ``NAME.labels.ome.zarr`` in the folder of `out`.
    client : distributed.Client, optional
        An existing client; default: the cluster of `cluster`.
    cluster, workers, memory
        As in :func:`hela_dask.run`.
    overwrite : bool
        Replace the classes of another network, or those that another call left there.
    progress : bool
        Show the progress on stderr.

    Returns
    -------
    Path
        The label group ``labels/classes``: 1 envelope, 2 nucleus, 3 cells, 4 resin.

    Raises
    ------
    HelaDaskError
        For input that cannot be used, before anything is written: see :mod:`hela_dask.errors`.

    Examples
    --------
    >>> import hela_dask as hd
    >>> labels = hd.predict("part.ome.zarr")
    >>> hd.open_volume(labels).shape
    (8, 80, 80)
    """
    where = read_cluster(cluster, workers=workers, memory=memory)
    check_client(client, cluster, workers, memory)
    image = read_image(store)
    check_volume(image)
    folder, card, digest = classifier(model)
    begun = run_folder(image.path, out, "predict")
    owner, separate = label_owner(image.path, labels, begun.with_suffix(".run"))
    check_apart(image.path, {"--out": begun, "--labels": owner if separate else None})
    _check_folder(begun)
    source, _ = identify_image(image)
    made_of = {"network": digest, "model": str(folder.absolute()), "image": source}
    replaced = _replaced(owner / "labels" / LABELS, made_of, overwrite)
    pixel = min(card.voxel_size[1:])
    volume = working_volume(image.path, pixel)
    with RunProgress(progress) as display, storage_errors(begun):
        resampled = card.resampling(Geometry.of(volume).voxel_size)
        for remark in filter(None, (*volume_remarks(image), resampled)):
            display.warn(remark)
        if replaced:
            display.info(f"{replaced} are replaced")
        session = Session(
            client,
            where,
            store=image.path,
            run=begun,
            needs=[_need(volume, card)],
            progress=display,
            begin=lambda: None,
            imports=("hela_dask.operators.classify", "hela_dask.running.stages"),
        )
        begun.mkdir(parents=True, exist_ok=True)

        with hold(begun) as lock, hold_labels(owner, by=str(begun)) as labels_lock, session:
            display.holds = lock.holds
            target = _create(owner, volume, image, begun, overwrite, made_of)
            job = _Job(image.path.absolute(), target.folder.absolute(), pixel, lock, labels_lock)
            grey_levels = _find_levels(session, job, source, volume.sizes["z"], display)
            values = [VALUES[name] for name in card.classes]
            own = with_own_keys(volume, lock.token)
            classes = class_labels(own, folder, grey_levels, values)
            unit_key = fingerprint("predict", stage_code("predict"), digest, grey_levels, source)
            run_units(
                session.client,
                _predict_task,
                job,
                _units(target, job.markers, unit_key),
                markers=job.markers,
                progress=display,
                kind="slabs",
                inputs=lambda unit: [lazy_slabs(classes, *unit.what)],
            )
            job.may_write()
            _describe(target, card)
        _remove(begun)
    return target.folder


def _find_levels(
    session: Session, job: _Job, source: str, depth: int, display: RunProgress
) -> GreyLevels:
    """The grey levels of a volume of so many slices, from the votes of some."""
    rows = run_units(
        session.client,
        levels_task,
        job,
        level_units(fingerprint("levels", stage_code("levels"), source, job.resolution), depth),
        markers=job.markers,
        progress=display,
        kind="slices",
    )
    return read_levels(rows, 0)


def _need(volume: xr.DataArray, card: Card) -> Need:
    """The memory that a slab takes."""
    voxel = Geometry.of(volume).voxel_size
    (depth, *_) = planned(volume.shape, "uint8", voxel, None, None, tiled=True)[0].file
    return predict_need(volume.shape, depth, neighbours(card, voxel), volume.dtype.itemsize)


def _check_folder(folder: Path) -> None:
    """It is removed in the end, so it holds nothing else."""
    if folder.exists() and not folder.is_dir():
        raise ExistsError(f"{folder} is a file: choose another --out")
    others = sorted(path.name for path in folder.glob("*") if not _OWN.fullmatch(path.name))
    others += sorted(
        f"done/{path.name}"
        for path in folder.glob("done/*")
        if not re.fullmatch(r"\.?[a-z]+-.+\.json.*", path.name)
    )
    if others:
        raise ExistsError(f"{folder} holds something else ({others[0]}): choose another --out")


def _remove(folder: Path) -> None:
    """Remove the folder, unless a user has put a file there meanwhile."""
    with contextlib.suppress(ExistsError):
        _check_folder(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _units(target: Image, markers: Markers, unit_key: str) -> list[Unit]:
    """A unit a slab; missing slabs are not finished, whatever their markers contain."""
    finished, units = set(arrays.finished_slabs(target)), []
    for z0, z1 in arrays.slabs(target):
        name = f"z{z0:05d}"
        if (z0, z1) not in finished:
            markers.forget("predict", name)
        units.append(Unit("predict", name, unit_key, (z0, z1), float(z1 - z0)))
    return units


def _replaced(target: Path, made_of: Mapping[str, str], overwrite: bool) -> str:
    """The classes that this call replaces, in words, once that was asked for.

    Raises
    ------
    ExistsError
        Where it was not asked for, or they are not of this package.
    """
    if not os.path.lexists(target):
        return ""
    if not maker_of(target).ours:
        raise ExistsError(
            f"{target} was made by something else than hela_dask, so it is never replaced: write "
            "the labels elsewhere with --labels PATH"
        )
    noted = read_image(target, unknown_scale=True).attributes
    if all(noted.get(name) == made_of[name] for name in ("network", "image")):
        return ""
    if noted.get("network") == made_of["network"]:
        had = "classes of the volume as it was before it changed"
    else:
        had = f"classes by another network ({noted.get('model', 'unit_key unknown name')})"
    if not overwrite:
        raise ExistsError(
            f"{target} holds {had}: keep both with --labels PATH, or replace them with --overwrite"
        )
    return f"{target}: {had}"


def _create(
    owner: Path,
    volume: xr.DataArray,
    image: Image,
    run: Path,
    overwrite: bool,
    made_of: Mapping[str, str],
) -> Image:
    """The label group, new or existing."""
    geometry = Geometry.of(volume)
    return arrays.create_labels(
        owner,
        LABELS,
        volume.shape,
        "uint8",
        geometry.voxel_size,
        translation=geometry.origin,
        source_image=image.path,
        run=run,
        overwrite=overwrite,
        attrs=made_of,
    )


def _predict_task(job: _Job, unit: Unit, classes: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
    """Write the classes of a slab, from blocks that the cluster has computed."""
    with measured() as cost:
        slab = np.concatenate(classes)
        job.may_write()
        with arrays.slab_writer(
            job.labels, unit.what[0], downsample="nearest", check=job.may_write
        ) as writer:
            for tile in writer.tiles:
                writer.write(tile, slab[:, *tile])
    return job.markers.finish(unit.stage, unit.name, unit.fingerprint, cost)


def _describe(target: Image, card: Card) -> None:
    """Names and colours for viewers."""
    shown = [name for name in VALUES if name in card.classes]
    arrays.write_label_metadata(
        target.folder,
        colors={VALUES[name]: _COLORS[VALUES[name]] for name in shown},
        properties=[{"label-value": VALUES[name], "name": name} for name in shown],
    )
