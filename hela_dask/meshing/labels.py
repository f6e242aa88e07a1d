"""Labels to mesh: those of a run, or labels of any program; read a window at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hela_dask.box import Box
from hela_dask.errors import InputError, MissingInputError, ParameterError
from hela_dask.evaluation.label_checks import check_no_image
from hela_dask.evaluation.labels_input import open_labels
from hela_dask.geometry import Geometry, checked_voxel_size
from hela_dask.running.opening import open_run
from hela_dask.storage.level_array import LevelArray
from hela_dask.storage.metadata import read_image
from hela_dask.storage.nodes import is_node
from hela_dask.types import Labels
from hela_dask.volume.opening import open_volume

__all__ = ["KINDS", "LabelVolume", "find_labels"]

KINDS = {"cell": "cells", "nucleus": "nuclei"}
"""The kinds of objects, and the label groups of a run that hold them."""


@dataclass(frozen=True)
class LabelVolume:
    """Instance labels on disk. Small; workers open the files themselves."""

    path: Path
    geometry: Geometry

    def read(self, box: Box) -> Labels:
        """The labels in a box of voxels."""
        if is_node(self.path):
            image = read_image(self.path, unknown_scale=True)
            return LevelArray.from_level(image.path, image.levels[0])[box]
        z, y, x = box
        return open_labels(self.path, self.path.name).read(z.start, z.stop)[:, y, x]


def find_labels(
    source: str | Path, what: Sequence[str] | None, voxel_size: Sequence[float] | None
) -> dict[str, LabelVolume]:
    """The labels of each kind of object.

    Parameters
    ----------
    source : path
        A run folder, a folder or an image with the label groups ``cells`` and ``nuclei``, or
        instance labels as :func:`.labels_input.open_labels` takes them.
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
    found = {kind: LabelVolume(paths[kind], _geometry(paths[kind], voxel_size)) for kind in wanted}
    for item in found.values():
        check_no_image(item.read, item.geometry.shape, item.path)
    if len({item.geometry.shape for item in found.values()}) > 1:
        raise InputError(f"cells and nuclei of {source} must have one shape")
    return found


def _paths(source: Path, what: Sequence[str] | None) -> dict[str, Path]:
    """Where the labels of each kind are."""
    if (source / "run.json").is_file():
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


def _geometry(path: Path, voxel_size: Sequence[float] | None) -> Geometry:
    labels = open_labels(path, path.name)
    if voxel_size is not None:
        return Geometry(labels.shape, checked_voxel_size(voxel_size))
    if labels.voxel_size is None or not np.all(np.isfinite(labels.voxel_size)):
        raise InputError(f"{path} states no voxel size: give it with --voxel-size Z Y X, in nm")
    if is_node(path):
        return Geometry.of(open_volume(path))
    return Geometry(labels.shape, labels.voxel_size)
