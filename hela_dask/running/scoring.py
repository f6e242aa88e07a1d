"""Agreement of a run with a truth, of any kind of labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hela_dask.errors import InputError
from hela_dask.evaluation.evaluate import score_classes, score_instances
from hela_dask.evaluation.labels_input import open_labels, pair_labels
from hela_dask.evaluation.predictions import predictions_of
from hela_dask.storage.urls import StorePath, store_path

__all__ = ["CLASSES", "Truth", "find_truth", "score_run"]

CLASSES = {
    "nucleus": (2,),
    "cell": (1, 2, 5),
    "cytoplasm": (1, 5),
    "envelope": (1,),
    "background": (4,),
}
"""The classes of the published maps: 1 nuclear envelope, 2 nucleus, 3 other cells, 4 resin,
5 this cell's cytoplasm. A cell is taken with its nucleus, ``cytoplasm`` is the same cell without
it, but with the envelope (the papers' "cell excluding nucleus")."""

_SURFACES = ("nucleus", "cell")  # the resin's has as many voxels as all cells' together

_CLASS_MAP = frozenset(range(1, 6))  # no 0: instances leave the resin unnamed, class maps do not


@dataclass(frozen=True)
class Truth:
    """The truth that a run is compared with."""

    # ``"instances"``: ids of cells, and perhaps of nuclei; or ``"classes"``: one map with the five
    # published classes, in which one cell is marked
    kind: str
    paths: Mapping[
        str, StorePath
    ]  # for instances ``cell`` and/or ``nucleus``, for classes ``classes``
    # First and last slice that are compared, 1-based: all that the truth has
    slices: tuple[int, int]
    # Of a class map: the values of each class. A map without class 5 marks no single cell: then all
    # nuclei are compared with class 2, and the resin with class 4.
    classes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def find_truth(path: str | StorePath, shape: tuple[int, int, int]) -> Truth:
    """Recognise a truth and check that it fits the volume, before any work.

    Parameters
    ----------
    path : str, Path or StoreUrl
        A path or an address (http, https, s3, gs) of one of: an OME-Zarr image with
        ``labels/true_nuclei`` and ``labels/true_cells``, or its
        folder ``labels`` (a phantom); a label group of cells, or of nuclei according to its name; a
        TIFF or ``.npy`` of either; a map of the five published classes (which name every voxel: its
        values are 1 to 5, nucleus, 2, and resin, 4, among them, and none is 0).
    shape : tuple of int
        Of the volume. The truth may have fewer slices: then the volume's first ones are compared.

    Raises
    ------
    MissingInputError, InputError
        When there is none, or it does not fit the volume.
    """
    path = store_path(path)
    paths = _pair(path)
    if not paths:
        name = "nucleus" if "nucle" in path.name.lower() else "cell"
        paths = {name: path}
    depths = set()
    for item in paths.values():
        labels = open_labels(item, str(item))
        depths.add(labels.shape[0])
        last = min(labels.shape[0], shape[0])
        volume = open_labels(np.broadcast_to(np.uint16(0), shape), "the volume")
        pair_labels(volume, labels, (1, last))
    values = _values(path) if len(paths) == 1 else set()
    if {2, 4} <= values <= _CLASS_MAP:
        named = CLASSES if 5 in values else ("nucleus", "background")
        classes = {name: CLASSES[name] for name in named if values.intersection(CLASSES[name])}
        return Truth("classes", {"classes": path}, (1, last), classes)
    if len(depths) > 1:
        raise InputError(f"{path}: nuclei and cells have different numbers of slices")
    return Truth("instances", paths, (1, last))


def _pair(path: StorePath) -> dict[str, StorePath]:
    """True nuclei and cells side by side, as a phantom has them."""
    folders = [path / "labels", path]
    if path.name in ("true_cells", "true_nuclei"):
        folders = [path.parent]
    for folder in folders:
        pair = {"nucleus": folder / "true_nuclei", "cell": folder / "true_cells"}
        if all(item.is_dir() for item in pair.values()):
            return pair
    return {}


def _values(path: StorePath) -> set[int]:
    """Values in every tenth slice; not all of them once they are no classes."""
    labels = open_labels(path, str(path))
    values: set[int] = set()
    for z in range(0, labels.shape[0], 10):
        values.update(np.unique(labels.read(z, z + 1)).tolist())
        if not values <= _CLASS_MAP:
            break
    return values


def score_run(truth: Truth, labels: Mapping[str, Path]) -> dict[str, Any]:
    """Compare the label groups of a run, by their names, with a truth.

    Returns
    -------
    dict
        ``kind``, ``truth`` (paths), ``slices``, and each class as ``evaluate --json`` prints it:
        of a class map those of :data:`CLASSES` that it has, with ``ji``, ``ac``, ``dice``,
        ``per_slice``, …; of instances ``nucleus`` and ``cell``, the matching at IoU 0.5 to 0.9.
    """
    predicted = predictions_of(labels["cells"].parent)
    found: dict[str, Any] = {
        "kind": truth.kind,
        "truth": {name: str(path) for name, path in truth.paths.items()},
        "slices": list(truth.slices),
    }
    if truth.kind == "classes":
        path = truth.paths["classes"]
        scores = score_classes(
            predicted,
            path,
            truth.classes,
            slices=truth.slices,
            all_instances="cell" not in truth.classes,
            hausdorff=_SURFACES,
        )
        return {**found, "classes": dict(truth.classes), **scores.to_dict()}
    for name, path in truth.paths.items():
        found[name] = score_instances(predicted[name], path, slices=truth.slices).to_dict()
    return found
