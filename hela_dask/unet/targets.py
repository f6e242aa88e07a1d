"""Targets of a network: classes from label values, contacts, distances, and weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hela_dask.errors import InputError, ParameterError
from hela_dask.evaluation.class_maps import checked_values
from hela_dask.kernels.distance import distance_slice

__all__ = [
    "CAP",
    "OTHER",
    "UNLABELLED",
    "Cells",
    "ClassMap",
    "cell_targets",
    "class_weights",
    "make_class_map",
    "target_halo",
]

CAP = 1000.0  # nm: largest distance to the own cell's border
CONTACT = 60.0  # nm: tissue so near to another cell is boundary
RING = 400.0  # nm: so far into cells that are not separated, the border to the known one is known

_LARGEST = 2**24  # of a label value that makes a class: a table is as long

OTHER = "other"  # than the one class of a binary model
UNLABELLED = 255  # in place of a class

Known = tuple[NDArray[np.int64], NDArray[np.bool_]]


@dataclass(frozen=True)
class ClassMap:
    """Which label values are which class."""

    # In the order of their indices; of a binary model ``other`` and its class
    classes: tuple[str, ...]
    values: Mapping[str, tuple[int, ...]]

    def encode(self, labels: NDArray[np.integer], name: str, first: int = 1) -> NDArray[np.uint8]:
        """Class indices of labels (z, y, x); 255 where the label is 0 and 0 is of no class.

        An InputError names a value that belongs to no class, the labels as `name`, and its slice,
        if the first slice has the number `first`.
        """
        top = max(max(values) for values in self.values.values())
        table = np.full(top + 2, UNLABELLED, np.uint8)
        known = np.zeros(top + 2, bool)  # the last one stands for all that is out of range
        known[0] = True
        for index, item in enumerate(self.classes):
            values = list(self.values[item])
            table[values], known[values] = index, True
        at = np.where((labels >= 0) & (labels <= top), labels, top + 1).astype(np.intp)
        fine = known[at]
        if not fine.all():
            place = tuple(int(axis[0]) for axis in np.nonzero(~fine))
            raise InputError(
                f"{name} holds the value {labels[place]} in slice {first + place[0]}, which is of "
                f"no class: name its class, as in --class {self.classes[-1]}={labels[place]}"
            )
        return table[at]


def make_class_map(
    classes: Sequence[str],
    default: Mapping[str, Sequence[int]],
    given: Mapping[str, Sequence[int]] | None,
) -> ClassMap:
    """Which label values are which of a model's classes: as given, else those of published labels.

    ParameterError where a class is unknown or missing, or a value is of two.
    """
    wanted = tuple(classes) if len(classes) > 1 else (OTHER, *classes)
    values = checked_values(given or default)
    for name in values:
        if name not in wanted:
            raise ParameterError(f"this model has no class {name!r}; its are: {', '.join(wanted)}")
    for name in wanted:
        if not values.get(name):
            raise ParameterError(
                f"the class {name!r} has no label value: give all of {', '.join(wanted)}, "
                f"as in --class {name}=1"
            )
    seen: dict[int, str] = {}
    for name, some in values.items():
        for value in some:
            if value > _LARGEST:
                raise ParameterError(
                    f"label values of classes are {_LARGEST} or less, not {value} (class {name!r})"
                )
            if value in seen:
                raise ParameterError(f"the label value {value} is of {seen[value]!r} and {name!r}")
            seen[value] = name
    return ClassMap(wanted, values)


@dataclass(frozen=True)
class Cells:
    """Label values that separate cells."""

    # Values that together are one cell; empty: each value but 0 is a separate cell
    one: tuple[int, ...] = ()
    # Values of further cells, which are not separated from each other: only their border to the one
    # cell is known
    others: tuple[int, ...] = ()

    def read(self, labels: NDArray[np.integer], pixel: tuple[float, float]) -> Known:
        """Ids of the cells of a plane, and where they are known."""
        if not self.one:
            return labels.astype(np.int64), np.ones(labels.shape, bool)
        cells = np.isin(labels, self.one).astype(np.int64)
        near = distance_slice(cells > 0, pixel, border=False) <= RING
        cells[np.isin(labels, self.others)] = 2
        return cells, near | (cells == 0)


def target_halo(pixel: tuple[float, float]) -> tuple[int, int]:
    """Pixels (y, x) around a window that its targets depend on."""
    y, x = (math.ceil(CAP / size) + 1 for size in pixel)
    return y, x


def cell_targets(
    cells: NDArray[np.int64],
    known: NDArray[np.bool_],
    pixel: tuple[float, float],
    unseen: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Contact with other cells, and the distance to the own cell's border.

    Parameters
    ----------
    cells : ndarray, (y, x)
        Ids of cells, 0 where there is none. A window of a plane gives the plane's own values
        where it has a halo of :func:`target_halo` around it.
    known : ndarray of bool, (y, x)
        Where the instances of cells are known.
    pixel : tuple of float
        (y, x), nm.
    unseen : ndarray of bool, (y, x), optional
        Where the cells may not be learned from. A pixel is known only if its targets are the same
        whatever lies there.

    Returns
    -------
    ndarray of uint8, (y, x, 3)
        1 within 60 nm of another cell; the distance, 255 being 1000 nm and more; 1 where known.
        Beyond the plane's sides cells continue.
    """
    far = np.zeros(cells.shape, np.float32)
    contact = np.zeros(cells.shape, bool)
    for cell in np.unique(cells[cells > 0]):
        inside = cells == cell
        far[inside] = distance_slice(~inside, pixel, border=False)[inside]
        others = (cells > 0) & ~inside
        if others.any():
            contact |= inside & (distance_slice(others, pixel, border=False) <= CONTACT)
    if unseen is not None and unseen.any():
        away = distance_slice(unseen, pixel, border=False)
        known = known & (away > CONTACT) & ((far < away) | (away >= CAP))
    distance = np.rint(np.minimum(far / CAP, 1) * 255)
    return np.stack([contact, distance, known], -1).astype(np.uint8)


def class_weights(counts: NDArray[np.integer], kind: str) -> NDArray[np.float32]:
    """Weight of each class in the loss, higher for rare ones.

    `counts` are the labelled pixels of each class in each slice, (slices, classes). `kind` is
    ``median``: the median of the classes' frequencies over the class' own, a frequency being
    taken over the slices that show the class (Eigen and Fergus, ICCV 2015, as in PLoS ONE
    2020); ``softened``: the square root of that, with frequencies over all slices, within 0.5
    and 3; or ``none``: 1.
    """
    if kind == "none":
        return np.ones(counts.shape[1], np.float32)
    total = counts.sum(axis=0, dtype=np.float64)
    if kind == "median":
        shown = np.where(counts > 0, counts.sum(axis=1, keepdims=True), 0).sum(axis=0)
        share = total / shown
        return np.asarray(np.median(share) / share, dtype=np.float32)
    share = total / total.sum()
    return np.asarray(np.clip(np.sqrt(np.median(share) / share), 0.5, 3.0), dtype=np.float32)
