"""Scores of predicted labels against a truth: masks of a class, or instances matched."""

from __future__ import annotations

import logging
from collections.abc import Collection, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
import pandas as pd

from hela_dask.errors import InputError, ParameterError
from hela_dask.evaluation.class_maps import checked_values, class_values, is_class_map
from hela_dask.evaluation.labels_input import LabelSource, Pair, Without, open_labels, pair_labels
from hela_dask.evaluation.metrics import (
    Contingency,
    adjusted_rand_index,
    contingency,
    match_instances,
    sum_contingencies,
    variation_of_information,
)
from hela_dask.evaluation.predictions import labels_for_class
from hela_dask.evaluation.scores import ClassScore, ClassScores, InstanceScores
from hela_dask.evaluation.surfaces import SurfaceCollector, Surfaces, surface_distances
from hela_dask.geometry import checked_voxel_size
from hela_dask.types import Voxel

__all__ = ["evaluate", "parse_classes", "parse_slices", "score", "score_classes", "score_instances"]

log = logging.getLogger(__name__)

_NAME_THEM = "name them with --class NAME=VALUES (truth) and --predicted NAME=VALUES (prediction)"


class _Options(TypedDict, total=False):
    """The options of :func:`score_classes` beside the classes."""

    predicted: Mapping[str, Sequence[int]] | None
    slices: tuple[int, int] | None
    all_instances: bool
    hausdorff: bool | Collection[str]
    voxel_size: Voxel | None


def evaluate(
    prediction: Any,
    truth: Any,
    *,
    classes: Mapping[str, Sequence[int]] | None = None,
    predicted: Mapping[str, Sequence[int]] | None = None,
    slices: tuple[int, int] | None = None,
    all_instances: bool = False,
    hausdorff: bool | Collection[str] = True,
    voxel_size: Voxel | None = None,
) -> pd.DataFrame:
    """Score predicted labels against a truth, as a table.

    Parameters
    ----------
    prediction, truth : path or array
        An OME-Zarr label group, a TIFF, a ``.npy``, a DataArray or an array of whole numbers, (z,
        y, x) or one slice (y, x). Slice k of one is slice k of the other. In y and x they are
        equal, or one is a whole number of times as fine: then it is compared on the coarser grid,
        where a pixel takes the commonest label of the finer ones in it (of equals the smallest).
        The prediction may also be the OME-Zarr image with ``labels/nuclei`` and ``labels/cells``
        (each class is then compared with the labels of its name: nucleus, cell, cytoplasm,
        envelope, background; see :func:`hela_dask.evaluation.predictions.labels_for_class`), or a
        mapping from class name to
        labels.
    classes : mapping of name to label values of the truth, optional
        For example ``{"nucleus": [2], "cell": [1, 2, 5]}``. For each class the predicted instance
        that overlaps it most over the evaluated slices is scored. Predicted cells include their
        nucleus, so give a class of cells its nucleus' value as well; a class cytoplasm=1,5 of
        such an image is compared with cells less their nuclei. Without classes both sides
        are instances, and are matched one to one.
    predicted : mapping of name to label values of the prediction, optional
        For a prediction that holds classes, not instances: which of its values are a class of
        ``classes``, for example ``{"nucleus": [4]}``. All voxels with these values are scored.
        Where it is not given, the names in the prediction's own metadata are used, as
        ``hela-dask predict`` writes them.
    slices : (first, last), optional
        1-based, both included; needed where the two have different numbers of slices.
    all_instances : bool
        Score the union of all predicted instances instead.
    hausdorff : bool or names of classes
        Also measure the distance between the surfaces in 3D, of all classes or of some; it needs
        a voxel size.
    voxel_size : (z, y, x) in nm, optional
        Of the grid compared on; by default that of the inputs.

    Returns
    -------
    pandas.DataFrame
        With classes a row each: pooled ``ji``, ``ac``, ``dice``, ``ari``, ``npr``, ``kappa``,
        ``hausdorff_mean``, ``hausdorff_95``, ``hausdorff_max`` (nm), and mean, median and SD of
        ``ji`` and ``ac`` over the slices where truth or prediction is present. Without, a row an
        IoU threshold: ``tp``, ``fp``, ``fn``, ``precision``, ``recall``, ``f1``,
        ``average_precision``.

    Raises
    ------
    MissingInputError, InputError, ParameterError
        For a path that does not exist, shapes or slices that do not fit, a class that the truth
        does not have, or a prediction that holds classes without names for its values.

    See Also
    --------
    score : the same with per-slice values, JSON and a plot.

    Examples
    --------
    >>> import hela_dask as hd
    >>> truth = "hela.ome.zarr/labels/true_cells"
    >>> scores = hd.evaluate("hela.ome.zarr/labels/cells", truth)
    >>> scores.loc[0.5, ["tp", "fp", "fn"]].astype(int).to_dict()
    {'tp': 2, 'fp': 0, 'fn': 0}
    """
    return score(
        prediction,
        truth,
        classes=classes,
        predicted=predicted,
        slices=slices,
        all_instances=all_instances,
        hausdorff=hausdorff,
        voxel_size=voxel_size,
    ).table()


def score(
    prediction: Any,
    truth: Any,
    *,
    classes: Mapping[str, Sequence[int]] | None = None,
    **options: Unpack[_Options],
) -> ClassScores | InstanceScores:
    """As :func:`evaluate`, with everything that was measured.

    Returns
    -------
    ClassScores or InstanceScores
        With ``table()``, ``to_dict()``, ``to_json()`` and ``plot(path)``.
    """
    if classes is None:
        if predicted := options.get("predicted"):
            raise ParameterError(
                f"the values of {next(iter(predicted))!r} are named in the prediction only: name "
                "those of the truth too, as in --class nucleus=2"
            )
        return score_instances(prediction, truth, slices=options.get("slices"))
    return score_classes(prediction, truth, classes, **options)


def score_classes(
    prediction: Any,
    truth: Any,
    classes: Mapping[str, Sequence[int]],
    *,
    predicted: Mapping[str, Sequence[int]] | None = None,
    slices: tuple[int, int] | None = None,
    all_instances: bool = False,
    hausdorff: bool | Collection[str] = True,
    voxel_size: Voxel | None = None,
) -> ClassScores:
    """Score masks against classes of the truth; parameters as in :func:`evaluate`.

    Notes
    -----
    AC, JI and Dice pooled over all voxels as in J. Imaging 2021, and a slice at a time as in
    PLoS ONE 2020. Reads slab by slab; the surfaces need a second pass over the slices that
    hold the class.
    """
    classes = checked_values(classes)
    named = _check_classes(classes, predicted or {})
    size = None if voxel_size is None else checked_voxel_size(voxel_size)
    true = open_labels(truth, "the truth")
    # Classes that share their prediction are counted in one pass.
    groups: dict[Hashable, tuple[LabelSource, list[str]]] = {}
    for name in classes:
        source = labels_for_class(prediction, name)
        groups.setdefault(_key(source), (open_labels(source, "the prediction"), []))[1].append(name)
    scores: dict[str, ClassScore] = {}
    for source, names in groups.values():
        pair = pair_labels(source, true, slices, size)
        tables = _count(pair)
        for name in names:
            values = classes[name]
            wanted = hausdorff if isinstance(hausdorff, bool) else name in hausdorff
            chosen = _choose(
                pair, tables, name, values, named.get(name), all_instances=all_instances
            )
            scores[name] = _score_class(pair, tables, name, values, chosen, hausdorff=wanted)
    return ClassScores({name: scores[name] for name in classes})


def score_instances(
    prediction: Any, truth: Any, *, slices: tuple[int, int] | None = None
) -> InstanceScores:
    """Match predicted instances one to one with true ones; parameters as in :func:`evaluate`."""
    pair = pair_labels(
        open_labels(prediction, "the prediction"), open_labels(truth, "the truth"), slices
    )
    for side in (pair.prediction, pair.truth):
        if side.names is not None:
            raise InputError(f"{side.name} holds classes, not instances: {_NAME_THEM}")
    tables = _count(pair)
    whole = sum_contingencies(tables)
    for side, sizes in (
        (pair.prediction, whole.sizes("prediction")),
        (pair.truth, whole.sizes("truth")),
    ):
        if is_class_map(sizes, pair.middle(side)):
            log.warning(
                "%s has a label in every voxel, of %d values: if these are classes, %s",
                side.name,
                len(sizes),
                _NAME_THEM,
            )
    matching = match_instances(whole)
    return InstanceScores(
        matching=matching,
        ari=adjusted_rand_index(whole),
        variation=variation_of_information(whole),
        first_slice=pair.slices[0],
        slices=tuple(matching.confusion(table) for table in tables),
    )


def _key(source: Any) -> Hashable:
    """Equal for the same labels, named twice."""
    if isinstance(source, Without):
        return _key(source.labels), _key(source.others)
    return str(source) if isinstance(source, str | Path) else id(source)


def _count(pair: Pair) -> list[Contingency]:
    """The table of every evaluated slice."""
    return [
        contingency(p, t)
        for _, predicted, true in pair.slabs(*pair.slices)
        for p, t in zip(predicted, true, strict=True)
    ]


def _check_classes(
    classes: Mapping[str, Sequence[int]], predicted: Mapping[str, Sequence[int]]
) -> dict[str, tuple[int, ...]]:
    """The values of classes in the prediction, after a check of both sides."""
    if not classes:
        raise ParameterError("no class was given; name one, for example nucleus=2")
    for name in predicted:
        if name not in classes:
            raise ParameterError(
                f"class {name!r} is named in the prediction, but not in the truth, which has "
                f"{', '.join(classes)}: name its values there too, as in --class {name}=VALUES"
            )
    return checked_values(predicted)


def _choose(
    pair: Pair,
    tables: list[Contingency],
    name: str,
    values: tuple[int, ...],
    named: tuple[int, ...] | None,
    *,
    all_instances: bool,
) -> tuple[int, ...]:
    """The predicted labels that stand for a class: its values in a class map, or instances."""
    source, whole = pair.prediction, sum_contingencies(tables)
    sizes = whole.sizes("prediction")
    if named is None and source.names is not None:
        named = class_values(source.names, name, source.name)
        values_text = " and ".join(map(str, named))
        log.info("class %s: voxels of value %s in %s", name, values_text, source.name)
    if named is not None:
        if not set(named) & set(sizes):
            shown = ", ".join(map(str, list(sizes)[:20]))
            log.warning(
                "%s has none of the values %s of %s, only %s", source.name, named, name, shown
            )
        return named
    if is_class_map(sizes, pair.middle(source)):
        raise InputError(
            f"{source.name} has a label in every voxel, of the values "
            f"{', '.join(map(str, sorted(sizes)))}, so it looks like a map of classes: name the "
            f"values of {name!r} in it, as in --predicted {name}=VALUES; where they are instances, "
            "name those that are meant, or save the labels with 0 where no instance is"
        )
    overlaps = whole.overlaps(values)
    if not overlaps:
        log.warning("%s has no instance where %s is %s", source.name, name, values)
    if all_instances:
        return tuple(sorted(sizes.keys() - {0}))
    # The largest overlap; of equals the smallest id.
    return (max(overlaps, key=lambda label: (overlaps[label], -label)),) if overlaps else ()


def _score_class(
    pair: Pair,
    tables: list[Contingency],
    name: str,
    values: tuple[int, ...],
    chosen: tuple[int, ...],
    *,
    hausdorff: bool,
) -> ClassScore:
    whole = sum_contingencies(tables)
    found = whole.sizes("truth")
    if not set(values) & set(found):
        raise InputError(
            f"class {name!r}: {pair.truth.name} has none of the values "
            f"{', '.join(map(str, values))} in slices {pair.slices[0]}:{pair.slices[1]}, only "
            + ", ".join(map(str, list(found)[:20]))
        )
    slices = tuple(table.confusion(chosen, values) for table in tables)
    surfaces = Surfaces()
    if hausdorff and pair.voxel_size is None:
        log.warning("no voxel size is known, so %s has no Hausdorff distance", name)
    elif hausdorff and chosen:
        present = [k for k, slice_ in enumerate(slices) if slice_.present]
        surfaces = _surfaces(pair, (present[0], present[-1]), chosen, values)
    return ClassScore(
        name=name,
        values=values,
        instances=chosen,
        first_slice=pair.slices[0],
        slices=slices,
        surfaces=surfaces,
        voxel_size=pair.voxel_size,
    )


def _surfaces(
    pair: Pair, present: tuple[int, int], chosen: tuple[int, ...], values: tuple[int, ...]
) -> Surfaces:
    """Second pass, over the slices (0-based within the evaluated) where either mask is."""
    size = pair.voxel_size
    if size is None:
        return Surfaces()
    # A slice more on both sides, so that a top inside the evaluated slices is seen as one.
    first = max(pair.slices[0], pair.slices[0] + present[0] - 1)
    last = min(pair.slices[1], pair.slices[0] + present[1] + 1)
    predicted, true = SurfaceCollector(size, first - 1), SurfaceCollector(size, first - 1)
    for _, p, t in pair.slabs(first, last):
        predicted.add(np.isin(p, chosen))
        true.add(np.isin(t, values))
    return surface_distances(predicted.points(), true.points())


def parse_classes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Classes as typed on the command line; ParameterError for anything but ``name=value,value``.

    Examples
    --------
    >>> parse_classes(["nucleus=2", "cell=1,2,5"])
    {'nucleus': (2,), 'cell': (1, 2, 5)}
    """
    classes: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        parts = [part.strip() for part in values.split(",")]
        if not name.strip() or not all(part.isdecimal() and len(part) <= 20 for part in parts):
            raise ParameterError(f"class {text!r} should look like nucleus=2 or cell=1,2,5")
        if name.strip() in classes:
            raise ParameterError(f"class {name.strip()!r} is given twice")
        classes[name.strip()] = tuple(int(part) for part in parts)
    return classes


def parse_slices(text: str) -> tuple[int, int]:
    """A range of slices as typed on the command line, 1-based, both ends included.

    ParameterError for anything but ``first:last`` with 1 <= first <= last.

    Examples
    --------
    >>> parse_slices("1:180")
    (1, 180)
    """
    first, _, last = (part.strip() for part in text.partition(":"))
    numbers = all(part.isdecimal() and len(part) <= 20 for part in (first, last))
    if not (numbers and 1 <= int(first) <= int(last)):
        raise ParameterError(f"slices {text!r} should look like 1:180, first slice 1")
    return int(first), int(last)
