"""The training data: the image, its labels and all that goes with them, opened and checked."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask
import numpy as np
import xarray as xr
from dask.base import tokenize
from numpy.typing import NDArray

from hela_dask.errors import InputError, MissingInputError, ParameterError
from hela_dask.evaluation.class_maps import checked_values
from hela_dask.evaluation.label_checks import checked_slices
from hela_dask.formatting import number_runs
from hela_dask.geometry import Geometry
from hela_dask.kernels.edges import preprocess_plane
from hela_dask.parameters import HybridParameters
from hela_dask.storage.inside import INSIDE, split_inside
from hela_dask.tasks.markers import fingerprint_content, fingerprint_files
from hela_dask.unet.architectures import Architecture
from hela_dask.unet.labelled import (
    Blocks,
    Cache,
    count_classes,
    image_blocks,
    label_blocks,
    missing_values,
    open_image,
)
from hela_dask.unet.patches import LabelledVolume
from hela_dask.unet.split import Split, make_split
from hela_dask.unet.targets import OTHER, UNLABELLED, Cells, ClassMap, make_class_map
from hela_dask.volume.greys import grey_levels, normalise_polarity

__all__ = ["DataRequest", "TrainingData", "open_training_data", "source_fingerprint"]

log = logging.getLogger(__name__)

_ONE, _OTHERS = (1, 2, 5), (3,)  # of published labels
_TRUE_CLASSES, _TRUE_CELLS = "true_classes", "true_cells"  # of a phantom


@dataclass(frozen=True)
class DataRequest:
    """A request for training data; as :func:`hela_dask.unet.training.train` takes it."""

    store: Any
    labels: Any
    classes: Mapping[str, Sequence[int]] | None = None
    slices: tuple[int, int] | None = None
    validation: tuple[int, int] | float | None = None
    split: str = "blocks"
    mask: Any = None
    mask_weight: float = 0.0
    instances: Any = None
    instance_classes: Mapping[str, Sequence[int]] | None = None
    phantom: str | Path | None = None
    phantom_share: float = 0.15
    voxel_size: tuple[float, float, float] | None = None
    seed: int = 0


@dataclass(frozen=True)
class TrainingData:
    """Training data, checked."""

    labelled_volumes: tuple[LabelledVolume, ...]  # to draw patches from
    shares: tuple[float, ...]  # of the patches
    held: LabelledVolume  # for validation
    counts: NDArray[np.int64]  # (slices, classes): Labelled pixels for training
    split: Split
    voxel_size: tuple[float, float, float]  # (z, y, x) in nm
    data: tuple[Mapping[str, Any], ...]  # for the card
    wanted: Mapping[str, Any]  # all that the result depends on, by the names of the options


def open_training_data(architecture: Architecture, request: DataRequest) -> TrainingData:
    """Open and check everything that is asked for; each label is read once.

    Raises the errors of :func:`hela_dask.unet.training.train` for missing and bad input.
    """
    _check(architecture, request)
    cache = Cache()
    class_map = make_class_map(architecture.classes, architecture.values, request.classes)
    volume = open_image(request.store, architecture.pixel, request.voxel_size)
    labels = label_blocks(request.labels, volume, "the labels", cache)
    if labels.shape[0] < volume.sizes["z"] and request.slices is None:
        raise InputError(
            f"{labels.name} has {labels.shape[0]} slices and the image {volume.sizes['z']}: say "
            f"which to learn from, for example --slices 1:{labels.shape[0]}"
        )
    split, counts = _split(labels, class_map, request)
    whole = _labelled_volume(architecture, volume, labels, class_map, cache)
    mask = _beside(request.mask, volume, "the mask", cache, split)
    if mask is not None and not request.mask_weight:
        _check_mask(mask, labels, class_map, split)
    whole = replace(
        whole,
        mask=mask,
        mask_weight=request.mask_weight,
        **_instances(architecture, request, labels, volume, cache, split),
    )
    labelled_volumes = [replace(whole, slices=tuple(z - 1 for z in split.train))]
    data = [_facts(request.store, request.labels, split.train + split.validation)]
    if request.phantom is not None:
        labelled_volumes.append(_phantom(architecture, Path(request.phantom), cache))
        data.append(_facts(request.phantom, None, [z + 1 for z in labelled_volumes[1].slices]))
    shares = (
        (1.0,) if request.phantom is None else (1 - request.phantom_share, request.phantom_share)
    )
    return TrainingData(
        labelled_volumes=tuple(labelled_volumes),
        shares=shares,
        held=replace(whole, slices=tuple(z - 1 for z in split.validation)),
        counts=counts,
        split=split,
        voxel_size=Geometry.of(volume).voxel_size,
        data=tuple(data),
        wanted={
            "class": {name: list(values) for name, values in class_map.values.items()},
            "slices": split.to_dict(),
            "store": data[0]["store_fingerprint"],
            "labels": data[0]["labels_fingerprint"],
            "mask": [source_fingerprint(request.mask), request.mask_weight],
            "instances": [source_fingerprint(request.instances), request.instance_classes],
            "phantom": [source_fingerprint(request.phantom), request.phantom_share],
            "voxel-size": Geometry.of(volume).voxel_size,
        },
    )


def _check(architecture: Architecture, request: DataRequest) -> None:
    """Raise for arguments that make no sense, before anything is opened."""
    if not 0 <= request.mask_weight <= 1:
        raise ParameterError(f"a mask's weight is between 0 and 1, not {request.mask_weight:g}")
    if not 0 < request.phantom_share < 1:
        raise ParameterError(
            f"the phantom's share is between 0 and 1, not {request.phantom_share:g}"
        )
    if request.phantom is not None and len(architecture.classes) == 1:
        raise ParameterError(
            f"a phantom cannot be mixed in for the model {architecture.name}: it does not define "
            "which of its cells is meant"
        )
    predicted = request.instances is not None or request.instance_classes is not None
    if predicted and not architecture.extra:
        raise ParameterError(f"the model {architecture.name} learns nothing from instances")
    unknown = set(request.instance_classes or ()) - {"one", "others"}
    if unknown or (
        request.instance_classes is not None and not request.instance_classes.get("one")
    ):
        raise ParameterError(
            "instances are given by the classes one and others, as in --instance-class one=1,2,5 "
            "--instance-class others=3"
        )


def _split(
    labels: Blocks, class_map: ClassMap, request: DataRequest
) -> tuple[Split, NDArray[np.int64]]:
    """The training slices, and the classes' pixels in them."""
    asked = set(range(1, labels.shape[0] + 1))
    if request.slices is not None:
        asked = _asked(request.slices, labels)
        if isinstance(request.validation, tuple):
            asked |= _asked(request.validation, labels)
    numbers = sorted(asked)
    counts = count_classes(labels, class_map, [z - 1 for z in numbers])
    labelled = [z for z, row in zip(numbers, counts, strict=True) if row.any()]
    if not labelled:
        raise InputError(f"{labels.name} has no labelled pixel in the slices asked for")
    split = make_split(
        labelled,
        request.split,
        slices=request.slices,
        validation=request.validation,
        seed=request.seed,
    )
    rows = counts[np.isin(numbers, split.train)]
    for name, total in zip(class_map.classes, rows.sum(axis=0), strict=True):
        if not total:
            values = ", ".join(map(str, class_map.values[name]))
            raise InputError(
                f"{labels.name} has no {name} (label {values}) in the slices learned from: name "
                f"its values, as in --class {name}=1, or choose other --slices"
            )
    _warn_of_values(labels, class_map, request, split)
    return split, rows


def _warn_of_values(
    labels: Blocks, class_map: ClassMap, request: DataRequest, split: Split
) -> None:
    """Warn of values of a class that do not occur: other labels may be meant.

    Published values without a name need not all occur, unless the network separates one cell from
    others: then the labels must too.
    """
    if request.classes is None and OTHER not in class_map.classes:
        return
    for name, values in missing_values(labels, class_map, [z - 1 for z in split.train]).items():
        log.warning(
            "%s has no %s in the slices learned from, which is %s here (with %s): if that is "
            "wrong, name the values of each class with --class",
            labels.name,
            " and ".join(map(str, values)),
            name,
            ", ".join(str(value) for value in class_map.values[name] if value not in values),
        )


def _asked(slices: tuple[int, int], labels: Blocks) -> set[int]:
    first, last = checked_slices(slices)
    if not 1 <= first <= last <= labels.shape[0]:
        raise InputError(
            f"slices {first}:{last} are not in {labels.name}, which has 1:{labels.shape[0]}"
        )
    return set(range(first, last + 1))


def _labelled_volume(
    architecture: Architecture,
    volume: xr.DataArray,
    labels: Blocks,
    class_map: ClassMap,
    cache: Cache,
) -> LabelledVolume:
    name = str(volume.attrs.get("source") or "the image")
    with dask.config.set(scheduler="threads"):  # here, even where a cluster is connected
        levels = grey_levels(volume)
    low, high = levels.low, levels.high
    if low is None or high is None:
        raise InputError(f"{name} shows nothing: all its slices are of one grey value")
    return LabelledVolume(
        image=image_blocks(normalise_polarity(volume, levels), f"{name} ", cache),
        labels=labels,
        class_map=class_map,
        greys=(low, high),
        voxel=Geometry.of(volume).voxel_size,
        slices=(),
        preprocess=_preprocess if architecture.channels == "binary" else None,
    )


def _preprocess(plane: NDArray[Any], pixel: tuple[float, float]) -> NDArray[Any]:
    """The input of the hybrid method's network for a plane."""
    return preprocess_plane(plane, pixel, HybridParameters())


def _beside(
    labels: Any, volume: xr.DataArray, name: str, cache: Cache, split: Split
) -> Blocks | None:
    """More labels on the same grid, which must have all slices that are used."""
    if labels is None:
        return None
    found = label_blocks(labels, volume, name, cache)
    last = max(split.train[-1], split.validation[-1])
    if found.shape[0] < last:
        raise InputError(f"{found.name} has {found.shape[0]} slices, and slice {last} is used")
    return found


def _check_mask(mask: Blocks, labels: Blocks, class_map: ClassMap, split: Split) -> None:
    """Refuse a mask that leaves no training pixels, as an inverted one.

    Slices are read until one has a pixel with weight.
    """
    for z in split.train:
        known = class_map.encode(labels.plane(z - 1)[None], labels.name, z)[0] != UNLABELLED
        if (known & (mask.plane(z - 1) == 0)).any():
            return
    raise InputError(
        f"{mask.name} is not 0 in all labelled pixels of the slices learned from, so that none "
        "counts: a mask is 0 where labels count"
    )


def _instances(
    architecture: Architecture,
    request: DataRequest,
    labels: Blocks,
    volume: xr.DataArray,
    cache: Cache,
    split: Split,
) -> dict[str, Any]:
    """The labels that separate cells, and their values."""
    if not architecture.extra:
        return {}
    if request.instances is not None:
        given = checked_values(request.instance_classes or {})
        one, others = (tuple(given.get(name, ())) for name in ("one", "others"))
        found = _beside(request.instances, volume, "the instances", cache, split)
        return {"instances": found, "cells": Cells(one, others)}
    published = {name: tuple(values) for name, values in architecture.values.items()}
    own = checked_values(request.classes or published)
    # Without a value 5 the cell of a nucleus is unknown: neighbours' nuclei may be labelled too.
    shown = own == published and any(5 in labels.plane(z - 1) for z in split.train)
    return {"instances": labels if shown else None, "cells": Cells(_ONE, _OTHERS)}


def _phantom(architecture: Architecture, path: Path, cache: Cache) -> LabelledVolume:
    """A phantom with its truth: every cell is known."""
    for name in (_TRUE_CLASSES, _TRUE_CELLS):
        if not (path / "labels" / name).is_dir():
            raise InputError(
                f"{path} is not a phantom with its truth (labels/{name} is missing); "
                "hela-dask phantom makes one"
            )
    volume = open_image(path, architecture.pixel)
    class_map = make_class_map(architecture.classes, architecture.values, None)
    labels = label_blocks(path / "labels" / _TRUE_CLASSES, volume, "the truth", cache)
    labelled_volume = _labelled_volume(architecture, volume, labels, class_map, cache)
    cells = None
    if architecture.extra:
        cells = label_blocks(path / "labels" / _TRUE_CELLS, volume, "the true cells", cache)
    slices = tuple(range(volume.sizes["z"]))
    return replace(labelled_volume, slices=slices, instances=cells)


def _facts(store: Any, labels: Any, slices: Sequence[int]) -> dict[str, Any]:
    """The sources of the data, for the card."""
    return {
        "store": _name(store),
        "store_fingerprint": source_fingerprint(store),
        "labels": _name(labels),
        "labels_fingerprint": source_fingerprint(labels),
        "slices": number_runs(sorted(slices)),
    }


def _name(source: Any) -> str:
    if isinstance(source, str | Path):
        return Path(source).name
    attrs = getattr(source, "attrs", {})
    return str(attrs.get("source") or "") if source is not None else ""


def source_fingerprint(source: Any) -> str | None:
    """A fingerprint of a file, a folder or an array; None of nothing.

    A file is identified by its content, so that a copy of it is the same; a folder, which may hold
    more than can be read, by the names, sizes and times of its files. MissingInputError where there
    is no such path.
    """
    if source is None:
        return None
    if not isinstance(source, str | Path):
        return str(tokenize(source))
    path, inside = split_inside(source)
    if not path.exists():
        raise MissingInputError(f"{path} does not exist")
    place = "" if inside is None else f"{INSIDE}/{inside}"
    if path.is_dir():
        return fingerprint_files(path, skip=["labels"]) + place
    return fingerprint_content(path) + place
