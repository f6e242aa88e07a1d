"""Labels that hold classes, not instances.

Recognised by their metadata or values, read by class name.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.errors import InputError, ParameterError
from hela_dask.storage.nodes import read_node
from hela_dask.storage.ome import ome_content
from hela_dask.storage.urls import StorePath

__all__ = ["checked_values", "class_kind", "class_values", "is_class_map", "named_values"]

_GROUP_NAMES = re.compile(r"(^|_)(classes|semantic)$", re.IGNORECASE)
_MOST_CLASSES = 16
_LARGEST_CLASS = 255  # classes are counted, or 255 in a mask; larger numbers are instances
_FEWEST_INSTANCES = 5  # in a slice: fewer, each one piece, may be layers of classes
_SIDE = 512  # pixels of a slice that is looked at

_NAMES = {
    "nucleus": r"nucleus|nuclei",
    "envelope": r"((nuclear|nucleus) )?envelope|nuclear membrane",
    "background": r"background|resin",
    "cell": r"((other|neighbouring) )?cells?|cytoplasm|rest",
}

_PARTS = {"cell": ("cell", "nucleus", "envelope"), "cytoplasm": ("cell", "envelope")}
"""The parts of a class of this kind, if it is more than the values of that name."""


def checked_values(classes: Any) -> dict[str, tuple[int, ...]]:
    """The label values of classes as whole numbers, from sequences or single ones.

    A ParameterError names the class for anything else.

    Examples
    --------
    >>> checked_values({"nucleus": 2, "cell": [1, 2, 5]})
    {'nucleus': (2,), 'cell': (1, 2, 5)}
    """
    if not isinstance(classes, Mapping):
        raise ParameterError(
            f"classes are names with label values, as {{'nucleus': [2]}}, not {classes!r}"
        )
    found = {}
    for name, values in classes.items():
        some = [values] if isinstance(values, int | np.integer) else values
        try:
            numbers = () if isinstance(some, str | bytes) else tuple(map(operator.index, some))
        except TypeError:
            numbers = ()
        if not isinstance(name, str) or not name or not numbers or min(numbers) < 0:
            raise ParameterError(f"class {name!r} needs label values of 0 or more, not {values!r}")
        found[name] = numbers
    return found


def class_kind(name: str) -> str:
    """Nucleus, envelope, background, cytoplasm or cell: the kind of a class by its name.

    Examples
    --------
    >>> class_kind("Nuclei"), class_kind("cell excluding nucleus"), class_kind("resin")
    ('nucleus', 'cytoplasm', 'background')
    """
    name = name.lower()
    if "envelope" in name:
        return "envelope"
    if "background" in name or "resin" in name:
        return "background"
    if "cytoplasm" in name or "without" in name or "excluding" in name:
        return "cytoplasm"
    return "nucleus" if name.startswith("nucle") else "cell"


def named_values(path: StorePath) -> dict[str, tuple[int, ...]] | None:
    """Which values of an OME-Zarr label group are which class, as its metadata name them.

    Kinds are ``nucleus``, ``envelope``, ``background``, ``cell``; empty for a group with a name of
    class maps but without named classes; None for a group of instances.
    """
    node = read_node(path)
    label = {} if node is None else ome_content(node.attributes, str(path)).get("image-label", {})
    rows = label.get("properties") if isinstance(label, Mapping) else None
    found: dict[str, tuple[int, ...]] = {}
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, Mapping) or not isinstance(row.get("label-value"), int):
            continue
        name = str(row.get("class", row.get("name", ""))).strip().lower().replace("_", " ")
        for kind, words in _NAMES.items():
            if re.fullmatch(words, name):
                found[kind] = (*found.get(kind, ()), row["label-value"])
    if found:
        return found
    return {} if _GROUP_NAMES.search(path.absolute().name) else None


def class_values(names: Mapping[str, tuple[int, ...]], name: str, source: str) -> tuple[int, ...]:
    """The values of a class map that make up a class, by the names in its metadata.

    `names` are from :func:`named_values`. A cell has its nucleus and envelope, cytoplasm has the
    envelope. An InputError, which calls the map `source`, where its metadata name no such class.
    """
    kind = class_kind(name)
    values = [value for part in _PARTS.get(kind, (kind,)) for value in names.get(part, ())]
    if not values:
        known = ", ".join(f"{key} {','.join(map(str, own))}" for key, own in names.items())
        raise InputError(
            f"{source} holds classes ({known or 'their names are not in its metadata'}): "
            f"name the values of {name!r} in it, as in --predicted {name}=VALUES"
        )
    return tuple(sorted(values))


def is_class_map(
    sizes: Mapping[int, int], plane: Callable[[], NDArray[np.integer]] | None = None
) -> bool:
    """Whether values look like classes: every voxel has one of a few small ones, and none is 0.

    `sizes` are the voxels of each value; `plane` gives a slice of the labels, (y, x). Where it has
    many values, each one piece that encloses no other, they are instances that fill the slice.
    """
    values: Sequence[int] = [value for value, number in sizes.items() if number]
    if 0 in values or not 2 <= len(values) <= _MOST_CLASSES or max(values) > _LARGEST_CLASS:
        return False
    return plane is None or len(values) < _FEWEST_INSTANCES or not _one_piece_each(plane())


def _one_piece_each(plane: NDArray[np.integer]) -> bool:
    """Whether a slice has many values, and each is one piece without holes."""
    step = max(1, max(plane.shape) // _SIDE)
    thin = plane[::step, ::step]
    values = np.unique(thin)
    if values.size < _FEWEST_INSTANCES:
        return False
    masks = (thin == value for value in values)
    return all(
        ndimage.label(mask)[1] == 1 and bool((ndimage.binary_fill_holes(mask) == mask).all())
        for mask in masks
    )
