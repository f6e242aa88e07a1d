"""Labels to mesh: those of a run, or labels of any program; read a window at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hela_dask.box import Box
from hela_dask.errors import InputError, MissingInputError, ParameterError
from hela_dask.evaluation.instances import (
    InstanceLabels,
    open_instances,
    voxel_size_of,
    warn_of_voxel_size,
)
from hela_dask.geometry import Geometry
from hela_dask.meshing.voxels import ObjectVoxels
from hela_dask.running.identity import is_run_folder
from hela_dask.running.opening import open_run
from hela_dask.running.tables import check_segmented, select_cells
from hela_dask.storage.nodes import is_node
from hela_dask.volume.opening import open_volume

__all__ = ["KINDS", "FoundObject", "LabelVolume", "check_cells", "find_labels"]

KINDS = {"cell": "cells", "nucleus": "nuclei"}
"""The kinds of objects, and the label groups of a run that hold them."""


@dataclass(frozen=True)
class FoundObject:
    """A labelled object, as counting found it."""

    box: Box
    voxels: int
    content: int  # hash of its voxels

    @property
    def cost(self) -> float:
        """Work with it, in voxels of its box."""
        return float(math.prod(self.box.shape))


@dataclass(frozen=True)
class LabelVolume:
    """Instance labels and their grid. Small; workers open the files themselves."""

    labels: InstanceLabels
    geometry: Geometry

    def object(self, label: int, box: Box) -> ObjectVoxels:
        """The voxels of an object, which lies in the box."""
        return ObjectVoxels(self.labels.read, label, box, self.labels.tile)


def find_labels(
    source: str | Path, what: Sequence[str] | None, voxel_size: Sequence[float] | None
) -> dict[str, LabelVolume]:
    """The labels of each kind of object.

    Parameters
    ----------
    source : path
        A run folder, a folder or an image with the label groups ``cells`` and ``nuclei``, or
        instance labels as :func:`.instances.open_instances` takes them.
    what : sequence of str or None
        Of :data:`KINDS`; None for all that there are. Instance labels are one kind: cells, unless
        the group's name is ``nuclei`` or another is named.
    voxel_size : (z, y, x) in nm or None
        None for that of the labels.

    Raises
    ------
    ParameterError, MissingInputError, InputError
        For an unknown kind, for one that is not there, for an image instead of labels, and for
        labels without a voxel size.
    """
    for kind in what or ():
        if kind not in KINDS:
            raise ParameterError(f"--what {kind!r} is unknown; choose among {', '.join(KINDS)}")
    source = Path(source)
    paths = _paths(source, what)
    missing = [kind for kind in what or () if kind not in paths]
    if missing:
        raise MissingInputError(
            f"{source} has no labels of the kind {missing[0]!r}, only {', '.join(paths)}"
        )
    wanted = [kind for kind in KINDS if kind in paths and (what is None or kind in what)]
    found = {kind: _open(paths[kind], voxel_size) for kind in wanted}
    if len({item.geometry.shape for item in found.values()}) > 1:
        raise InputError(f"cells and nuclei of {source} must have one shape")
    first = next(iter(found.values()))
    warn_of_voxel_size(first.labels, first.geometry.voxel_size)
    return found


def check_cells(source: Path, cells: Sequence[int] | None) -> None:
    """Refuse cells that the table of a run does not have, or that have no labels.

    Labels without a run have no table: their cells are known once they are counted.

    Raises
    ------
    InputError, NothingToDoError
        Names all unknown cells, or the first one without labels and its status.
    """
    if cells is None or not is_run_folder(source):
        return
    table = open_run(source).cells
    check_segmented(table, select_cells(table, list(cells), None))


def _paths(source: Path, what: Sequence[str] | None) -> dict[str, Path]:
    """Where the labels of each kind are."""
    if is_run_folder(source):
        groups = open_run(source).label_paths
        return {kind: Path(groups[name]) for kind, name in KINDS.items() if name in groups}
    for folder in (source / "labels", source):
        groups = {kind: folder / name for kind, name in KINDS.items() if is_node(folder / name)}
        if groups:
            return groups
    kinds = list(what or ())
    if len(kinds) > 1:
        raise ParameterError(
            f"{source} holds one kind of object: name it with --what cell or --what nucleus"
        )
    kind = "nucleus" if source.name == KINDS["nucleus"] else "cell"
    return {kinds[0] if kinds else kind: source}


def _open(path: Path, voxel_size: Sequence[float] | None) -> LabelVolume:
    labels, source = open_instances(path)
    size = voxel_size_of(source, voxel_size)
    if voxel_size is None and is_node(path):
        return LabelVolume(labels, Geometry.of(open_volume(path)))
    return LabelVolume(labels, Geometry(labels.shape, size))
