"""What is learned from: the image, its labels and all that goes with them, opened and checked."""

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
from hela_dask.unet.patches import Domain
from hela_dask.unet.split import Split, make_split
from hela_dask.unet.targets import OTHER, UNLABELLED, Cells, Coding, make_coding
from hela_dask.volume.greys import grey_levels, upright_volume

__all__ = ["Material", "Wish", "identity", "open_material"]

log = logging.getLogger(__name__)

_ONE, _OTHERS = (1, 2, 5), (3,)  # of published labels
_TRUE_CLASSES, _TRUE_CELLS = "true_classes", "true_cells"  # of a phantom


@dataclass(frozen=True)
class Wish:
    """What is asked of the data; as :func:`hela_dask.unet.training.train` takes it."""

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
class Material:
    """What is learned from, checked."""

    domains: tuple[Domain, ...]  # to draw patches from
    shares: tuple[float, ...]  # of the patches
    held: Domain  # to judge by
    counts: NDArray[np.int64]  # (slices, classes): Labelled pixels that are learned from
    split: Split
    voxel_size: tuple[float, float, float]  # (z, y, x) in nm
    data: tuple[Mapping[str, Any], ...]  # for the card
    wanted: Mapping[str, Any]  # all that the result depends on, by the names of the options


def open_material(architecture: Architecture, wish: Wish) -> Material:
    """Open and check everything that is asked for; each label is read once.

    Raises what :func:`hela_dask.unet.training.train` does of missing and bad input.
    """
    _check(architecture, wish)
    cache = Cache()
    coding = make_coding(architecture.classes, architecture.values, wish.classes)
    volume = open_image(wish.store, architecture.pixel, wish.voxel_size)
    labels = label_blocks(wish.labels, volume, "the labels", cache)
    if labels.shape[0] < volume.sizes["z"] and wish.slices is None:
        raise InputError(
            f"{labels.name} has {labels.shape[0]} slices and the image {volume.sizes['z']}: say "
            f"which to learn from, for example --slices 1:{labels.shape[0]}"
        )
    split, counts = _split(labels, coding, wish)
    whole = _domain(architecture, volume, labels, coding, cache)
    mask = _beside(wish.mask, volume, "the mask", cache, split)
    if mask is not None and not wish.mask_weight:
        _check_mask(mask, labels, coding, split)
    whole = replace(
        whole,
        mask=mask,
        mask_weight=wish.mask_weight,
        **_instances(architecture, wish, labels, volume, cache, split),
    )
    domains = [replace(whole, slices=tuple(z - 1 for z in split.train))]
    data = [_facts(wish.store, wish.labels, split.train + split.validation)]
    if wish.phantom is not None:
        domains.append(_phantom(architecture, Path(wish.phantom), cache))
        data.append(_facts(wish.phantom, None, [z + 1 for z in domains[1].slices]))
    shares = (1.0,) if wish.phantom is None else (1 - wish.phantom_share, wish.phantom_share)
    return Material(
        domains=tuple(domains),
        shares=shares,
        held=replace(whole, slices=tuple(z - 1 for z in split.validation)),
        counts=counts,
        split=split,
        voxel_size=Geometry.of(volume).voxel_size,
        data=tuple(data),
        wanted={
            "class": {name: list(values) for name, values in coding.values.items()},
            "slices": split.to_dict(),
            "store": data[0]["store_fingerprint"],
            "labels": data[0]["labels_fingerprint"],
            "mask": [identity(wish.mask), wish.mask_weight],
            "instances": [identity(wish.instances), wish.instance_classes],
            "phantom": [identity(wish.phantom), wish.phantom_share],
            "voxel-size": Geometry.of(volume).voxel_size,
        },
    )


def _check(architecture: Architecture, wish: Wish) -> None:
    """Raise for arguments that make no sense, before anything is opened."""
    if not 0 <= wish.mask_weight <= 1:
        raise ParameterError(f"a mask's weight is between 0 and 1, not {wish.mask_weight:g}")
    if not 0 < wish.phantom_share < 1:
        raise ParameterError(f"the phantom's share is between 0 and 1, not {wish.phantom_share:g}")
    if wish.phantom is not None and len(architecture.classes) == 1:
        raise ParameterError(
            f"a phantom cannot be mixed in for the model {architecture.name}: it does not say "
            "which of its cells is meant"
        )
    told = wish.instances is not None or wish.instance_classes is not None
    if told and not architecture.extra:
        raise ParameterError(f"the model {architecture.name} learns nothing from instances")
    unknown = set(wish.instance_classes or ()) - {"one", "others"}
    if unknown or (wish.instance_classes is not None and not wish.instance_classes.get("one")):
        raise ParameterError(
            "instances are told by the classes one and others, as in --instance-class one=1,2,5 "
            "--instance-class others=3"
        )


def _split(labels: Blocks, coding: Coding, wish: Wish) -> tuple[Split, NDArray[np.int64]]:
    """Which slices are learned from, and the classes' pixels in them."""
    asked = set(range(1, labels.shape[0] + 1))
    if wish.slices is not None:
        asked = _asked(wish.slices, labels)
        if isinstance(wish.validation, tuple):
            asked |= _asked(wish.validation, labels)
    numbers = sorted(asked)
    counts = count_classes(labels, coding, [z - 1 for z in numbers])
    labelled = [z for z, row in zip(numbers, counts, strict=True) if row.any()]
    if not labelled:
        raise InputError(f"{labels.name} has no labelled pixel in the slices asked for")
    split = make_split(
        labelled, wish.split, slices=wish.slices, validation=wish.validation, seed=wish.seed
    )
    rows = counts[np.isin(numbers, split.train)]
    for name, total in zip(coding.classes, rows.sum(axis=0), strict=True):
        if not total:
            values = ", ".join(map(str, coding.values[name]))
            raise InputError(
                f"{labels.name} has no {name} (label {values}) in the slices learned from: name "
                f"its values, as in --class {name}=1, or choose other --slices"
            )
    _warn_of_values(labels, coding, wish, split)
    return split, rows


def _warn_of_values(labels: Blocks, coding: Coding, wish: Wish, split: Split) -> None:
    """Say that values which were to make a class are not there: other labels may be meant.

    Published values that are not named need not all be there, unless the network tells one cell
    from others: then the labels must too.
    """
    if wish.classes is None and OTHER not in coding.classes:
        return
    for name, values in missing_values(labels, coding, [z - 1 for z in split.train]).items():
        log.warning(
            "%s has no %s in the slices learned from, which is %s here (with %s): if that is "
            "wrong, name the values of each class with --class",
            labels.name,
            " and ".join(map(str, values)),
            name,
            ", ".join(str(value) for value in coding.values[name] if value not in values),
        )


def _asked(slices: tuple[int, int], labels: Blocks) -> set[int]:
    first, last = checked_slices(slices)
    if not 1 <= first <= last <= labels.shape[0]:
        raise InputError(
            f"slices {first}:{last} are not in {labels.name}, which has 1:{labels.shape[0]}"
        )
    return set(range(first, last + 1))


def _domain(
    architecture: Architecture, volume: xr.DataArray, labels: Blocks, coding: Coding, cache: Cache
) -> Domain:
    name = str(volume.attrs.get("source") or "the image")
    with dask.config.set(scheduler="threads"):  # here, even where a cluster is connected
        levels = grey_levels(volume)
    low, high = levels.low, levels.high
    if low is None or high is None:
        raise InputError(f"{name} shows nothing: all its slices are of one grey value")
    return Domain(
        image=image_blocks(upright_volume(volume, levels), f"{name} ", cache),
        labels=labels,
        coding=coding,
        greys=(low, high),
        pixel=Geometry.of(volume).pixel,
        slices=(),
        preprocess=_preprocess if architecture.channels == "binary" else None,
    )


def _preprocess(plane: NDArray[Any], pixel: tuple[float, float]) -> NDArray[Any]:
    """What the hybrid method's network sees of a plane."""
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


def _check_mask(mask: Blocks, labels: Blocks, coding: Coding, split: Split) -> None:
    """Refuse a mask that leaves nothing to learn from, as one that marks what counts does.

    Slices are read until one has a pixel that counts.
    """
    for z in split.train:
        known = coding.encode(labels.plane(z - 1)[None], labels.name, z)[0] != UNLABELLED
        if (known & (mask.plane(z - 1) == 0)).any():
            return
    raise InputError(
        f"{mask.name} is not 0 in all labelled pixels of the slices learned from, so that none "
        "counts: a mask is 0 where labels count"
    )


def _instances(
    architecture: Architecture,
    wish: Wish,
    labels: Blocks,
    volume: xr.DataArray,
    cache: Cache,
    split: Split,
) -> dict[str, Any]:
    """The labels that tell cells from each other, and how."""
    if not architecture.extra:
        return {}
    if wish.instances is not None:
        given = checked_values(wish.instance_classes or {})
        one, others = (tuple(given.get(name, ())) for name in ("one", "others"))
        found = _beside(wish.instances, volume, "the instances", cache, split)
        return {"instances": found, "cells": Cells(one, others)}
    published = {name: tuple(values) for name, values in architecture.values.items()}
    own = checked_values(wish.classes or published)
    # Without a value 5 nothing says which cell is meant: neighbours' nuclei may be labelled too.
    shown = own == published and any(5 in labels.plane(z - 1) for z in split.train)
    return {"instances": labels if shown else None, "cells": Cells(_ONE, _OTHERS)}


def _phantom(architecture: Architecture, path: Path, cache: Cache) -> Domain:
    """A phantom with its truth: every cell is known."""
    for name in (_TRUE_CLASSES, _TRUE_CELLS):
        if not (path / "labels" / name).is_dir():
            raise InputError(
                f"{path} is not a phantom with its truth (labels/{name} is missing); "
                "hela-dask phantom makes one"
            )
    volume = open_image(path, architecture.pixel)
    coding = make_coding(architecture.classes, architecture.values, None)
    labels = label_blocks(path / "labels" / _TRUE_CLASSES, volume, "the truth", cache)
    domain = _domain(architecture, volume, labels, coding, cache)
    cells = None
    if architecture.extra:
        cells = label_blocks(path / "labels" / _TRUE_CELLS, volume, "the true cells", cache)
    slices = tuple(range(volume.sizes["z"]))
    return replace(domain, slices=slices, instances=cells)


def _facts(store: Any, labels: Any, slices: Sequence[int]) -> dict[str, Any]:
    """What the card says of where data are from."""
    return {
        "store": _name(store),
        "store_fingerprint": identity(store),
        "labels": _name(labels),
        "labels_fingerprint": identity(labels),
        "slices": number_runs(sorted(slices)),
    }


def _name(source: Any) -> str:
    if isinstance(source, str | Path):
        return Path(source).name
    attrs = getattr(source, "attrs", {})
    return str(attrs.get("source") or "") if source is not None else ""


def identity(source: Any) -> str | None:
    """A fingerprint of a file, a folder or an array; None of nothing.

    A file is known by its content, so that a copy of it is the same; a folder, which may hold more
    than can be read, by the names, sizes and times of its files. MissingInputError where there is
    no such path.
    """
    if source is None:
        return None
    if not isinstance(source, str | Path):
        return str(tokenize(source))
    path = Path(source)
    if not path.exists():
        raise MissingInputError(f"{path} does not exist")
    if path.is_dir():
        return fingerprint_files(path, skip=["labels"])
    return fingerprint_content(path)
