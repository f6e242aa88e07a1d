"""Everything that can be wrong with a run, found before a cluster starts or a file is written."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from hela_dask.assemble import check_labels
from hela_dask.errors import (
    ExistsError,
    HelaDaskError,
    InputError,
    ParameterError,
    StorageError,
)
from hela_dask.kernels.owned import INSTANCES, LABEL_DTYPE
from hela_dask.methods import DEFAULT_METHOD, find_network, get_method
from hela_dask.parameters import Parameters
from hela_dask.planning.needs import Need, memory_needs
from hela_dask.running.centres import read_centres, read_corrections
from hela_dask.running.markers import fingerprint_files
from hela_dask.running.provenance import read_run
from hela_dask.running.scoring import Truth, find_truth
from hela_dask.storage.groups import label_levels
from hela_dask.storage.label_groups import holds_no_labels
from hela_dask.storage.metadata import Image, local_path, read_image
from hela_dask.suitability import check_volume, volume_remarks
from hela_dask.unet.card import Card
from hela_dask.volume import working_level

__all__ = ["LABELS", "Box", "Setup", "prepare", "run_folder"]

LABELS = ("background", *INSTANCES)
Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Setup:
    """A run that may start: all inputs read and found sound.

    Parameters
    ----------
    image : Image
        The volume.
    run : Path
        The run folder; it may not be there yet.
    owner : Path
        The store that gets the labels.
    method : str
        Of :mod:`hela_dask.methods`.
    parameters : Parameters
        All knobs.
    cells : tuple of int or None
        Labels that were asked for.
    box : Box or None
        Only cells whose centre is in it, nm.
    centres : DataFrame or None
        Cells given instead of detected.
    corrections : DataFrame or None
        What is to be changed about them.
    corrections_path : str
        Where that is from.
    truth : Truth or None
        To score against.
    overwrite : bool
        Labels of other runs may be replaced.
    source : str
        Fingerprint of the volume's files.
    network : str
        Fingerprint of the network that the method uses; empty where it uses none.
    remarks : tuple of str
        What a user should know before all.
    """

    image: Image
    run: Path
    owner: Path
    method: str
    parameters: Parameters
    cells: tuple[int, ...] | None
    box: Box | None
    centres: pd.DataFrame | None
    corrections: pd.DataFrame | None
    corrections_path: str
    truth: Truth | None
    overwrite: bool
    source: str
    network: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def labels(self) -> Path:
        """The folder that holds the label groups."""
        return self.owner / "labels"

    def needs(self) -> list[Need]:
        """The memory that the largest tasks take."""
        labels = label_levels(self.image, LABEL_DTYPE)
        return memory_needs(self.image, labels, self.parameters, self.method)


def prepare(
    store: str | Path,
    out: str | Path | None,
    *,
    method: str = DEFAULT_METHOD,
    model: str | Path | None = None,
    parameters: Parameters | Mapping[str, Any] | str | Path | None = None,
    cells: Sequence[int] | None = None,
    box: Sequence[Sequence[float]] | None = None,
    centres: str | Path | pd.DataFrame | None = None,
    corrections: str | Path | pd.DataFrame | None = None,
    labels: str | Path | None = None,
    truth: str | Path | None = None,
    overwrite: bool = False,
    segmenting: bool = True,
) -> Setup:
    """Check all that a user can get wrong; parameters as in :func:`hela_dask.run`.

    Raises
    ------
    HelaDaskError
        One sentence that names the culprit and says what to do.
    """
    image = read_image(store)
    if not image.complete:
        raise InputError(f"{image.path} is not finished: start the conversion again to continue it")
    check_volume(image)
    get_method(method)
    knobs = _with_model(_parameters(parameters), method, model)
    network = find_network(method, knobs) if segmenting else None
    folder = run_folder(image.path, out)
    _check_folder(folder, image.path, overwrite)
    owner = image.path if labels is None else local_path(labels)
    _check_places(image.path, folder, None if labels is None else owner)
    if segmenting:
        _check_owner(image, owner, labels is not None, folder, overwrite)
    found = None if centres is None else read_centres(centres, image)
    if found is not None:
        check_labels(found["label"].tolist())
    changes = None if corrections is None else read_corrections(corrections, image)
    return Setup(
        image=image,
        run=folder,
        owner=owner,
        method=method,
        parameters=knobs,
        cells=_labels(cells),
        box=_box(box),
        centres=found,
        corrections=changes,
        corrections_path=_table_name(corrections),
        truth=None if truth is None else find_truth(truth, image.levels[0].shape),
        overwrite=overwrite,
        source=fingerprint_files(image.path, skip=["labels"]),
        network="" if network is None else network[2],
        remarks=(
            *volume_remarks(image),
            *(() if network is None else _remarks(network[1], image, knobs)),
        ),
    )


def _remarks(card: Card, image: Image, knobs: Parameters) -> tuple[str, ...]:
    """What to say of a network beside this volume."""
    _, voxel = working_level(image, knobs.working.resolution)
    return tuple(filter(None, [card.resampling(voxel)]))


def _table_name(given: str | Path | pd.DataFrame | None) -> str:
    """What errors and the log call the table of corrections."""
    if isinstance(given, str | Path):
        return str(given)
    return "" if given is None else "the table of corrections"


def run_folder(store: Path, out: str | Path | None, suffix: str = "run") -> Path:
    """The run folder: as asked for, or the store's name with ``.run``, beside it."""
    if out is not None:
        return local_path(out)
    store = store.absolute()
    name = store.name
    for ending in (".ome.zarr", ".zarr"):
        name = name.removesuffix(ending)
    return store.with_name(f"{name}.{suffix}")


def _parameters(given: Parameters | Mapping[str, Any] | str | Path | None) -> Parameters:
    if given is None:
        return Parameters()
    if isinstance(given, Parameters):
        return given
    if isinstance(given, Mapping):
        return Parameters.from_dict(dict(given))
    return Parameters.from_toml(given)


def _with_model(knobs: Parameters, method: str, model: str | Path | None) -> Parameters:
    """The parameters with the folder of the model, so that workers anywhere find it."""
    own = getattr(knobs, method)
    if not hasattr(own, "model"):
        if model is not None:
            raise ParameterError(f"--model {model}: method {method} has no network")
        return knobs
    folder = str(own.model if model is None else model)
    if folder:
        folder = str(Path(folder).absolute())
    return replace(knobs, **{method: replace(own, model=folder)})


def _check_folder(folder: Path, store: Path, overwrite: bool) -> None:
    """A run folder is new, empty, or this volume's; anything else is not written into."""
    if folder.is_symlink() and not folder.exists():
        raise ExistsError(f"{folder} is a link to nowhere: choose another --out")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ExistsError(f"{folder} is a file, not a run folder: choose another --out")
    if (folder / "zarr.json").exists() or (folder / ".zattrs").exists():
        raise ExistsError(f"{folder} is an OME-Zarr, not a run folder: choose another --out")
    names = {path.name for path in folder.iterdir()}
    known = names & {"run.json", "run.toml", "done", "lock"}
    if names and not known and not overwrite:
        raise ExistsError(f"{folder} exists and is not a run folder: choose another --out")
    made_for = read_run(folder).get("store")
    if made_for and made_for != str(store.absolute()) and not overwrite:
        raise ExistsError(
            f"{folder} is the run of {made_for}: choose another --out, or reuse it with --overwrite"
        )


def _check_places(store: Path, folder: Path, labels: Path | None) -> None:
    """What a run writes lies outside the volume, whose files are its fingerprint."""
    for option, path in (("--out", folder), ("--labels", labels)):
        if path is not None and store.absolute() in path.absolute().parents:
            raise ParameterError(f"{option} {path} lies inside the volume {store}: choose another")
    if labels is not None and labels.absolute() == folder.absolute():
        raise ParameterError(f"{labels} cannot be both the run folder and --labels")


def _check_owner(image: Image, owner: Path, separate: bool, folder: Path, overwrite: bool) -> None:
    """Labels have an owner: rule 6."""
    advice = "write the labels to a store of their own with --labels PATH"
    if not separate:
        if image.version != "0.5" or image.zarr_format != 3:
            raise StorageError(f"{owner} is OME-Zarr {image.version}, which is only read: {advice}")
        if not os.access(owner, os.W_OK):
            raise StorageError(f"{owner} cannot be written to: {advice}")
    elif owner.exists():
        if not owner.is_dir() or not ((owner / "zarr.json").exists() or holds_no_labels(owner)):
            raise ExistsError(f"{owner} exists and is not an OME-Zarr: choose another --labels")
        if not os.access(owner, os.W_OK):
            raise StorageError(f"{owner} cannot be written to: choose another --labels")
    for name in LABELS:
        target = owner / "labels" / name
        if target.exists() and not overwrite and not made_by(target, folder):
            maker = maker_of(target)
            raise ExistsError(
                f"{target} exists, made by {maker or 'something else'}: replace it with "
                "--overwrite, or write the labels elsewhere with --labels PATH"
            )


def maker_of(target: Path) -> str | None:
    """The run folder that made a label group, if it says so."""
    try:
        return read_image(target).attributes.get("run")
    except HelaDaskError:
        return None


def made_by(target: Path, folder: Path) -> bool:
    """Whether a label group is this run's."""
    return maker_of(target) == folder.absolute().as_posix()


def _labels(cells: Sequence[int] | None) -> tuple[int, ...] | None:
    if cells is None:
        return None
    if not len(cells):
        raise ParameterError("--cells names no cell: give labels such as 3,8")
    check_labels(cells)
    return tuple(sorted({int(label) for label in cells}))


def _box(box: Sequence[Sequence[float]] | None) -> Box | None:
    if box is None:
        return None
    if len(box) != 3 or any(len(pair) != 2 for pair in box):
        raise ParameterError(f"--box is Z0:Z1,Y0:Y1,X0:X1 in nm, not {box!r}")
    parts = [(float(low), float(high)) for low, high in box]
    for axis, (low, high) in zip("zyx", parts, strict=True):
        if not (low < high) or math.isnan(low) or math.isnan(high):
            raise ParameterError(f"--box is empty in {axis}: {low:g} to {high:g} nm")
    return parts[0], parts[1], parts[2]
