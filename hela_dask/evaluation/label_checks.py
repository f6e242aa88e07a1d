"""Checks of labels and slices that people give, before they are read."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from hela_dask.box import Box
from hela_dask.errors import InputError, ParameterError
from hela_dask.types import Labels, Shape

__all__ = ["check_label_array", "check_no_image", "checked_slices", "standardise_axes"]

_SEEN = 1024  # pixels of a slice along y and x that are looked at
_EMPTY = 0.01  # share of pixels without a label, under which there is no background
_NOISE = 0.5  # share of pixels that differ from the next one, over which they are grey values


def check_label_array(dtype: Any, shape: tuple[int, ...], name: str) -> None:
    """Refuse arrays that are no labels by type or shape, with an InputError."""
    if np.dtype(dtype).kind not in "biu":
        raise InputError(
            f"{name} holds {np.dtype(dtype)} values; labels are whole numbers"
            ": save them as 16 bit without scaling (in Fiji: untick Edit > Options > Conversions > "
            "Scale when converting, then Image > Type > 16-bit)"
        )
    if len(shape) not in (2, 3) or 0 in shape:
        raise InputError(f"{name} has shape {tuple(shape)}; labels are (z, y, x) or (y, x)")


def check_no_image(read: Callable[[Box], Labels], shape: Shape, path: Path) -> None:
    """Refuse grey values, which some programs store as labels are stored, with an InputError.

    The middle of the middle slice counts: grey values are hardly ever 0 there, and most pixels
    differ from the next one in x. `read` gives the values in a box (z, y, x) of voxels.
    """
    middle = shape[0] // 2
    ends = [(middle, middle + 1)]
    for length in shape[1:]:
        low = max(0, (length - _SEEN) // 2)
        ends.append((low, min(low + _SEEN, length)))
    (plane,) = read(Box.of(ends))
    if plane.shape[1] < 2 or np.mean(plane == 0) >= _EMPTY:
        return
    differ = float(np.mean(plane[:, 1:] != plane[:, :-1]))
    if differ > _NOISE:
        raise InputError(
            f"{path} holds grey values, not labels: in slice {middle + 1}, {differ:.0%} of all "
            "pixels differ from the next one; name the labels of this image"
        )


def standardise_axes(labels: xr.DataArray) -> xr.DataArray:
    """Labels with the axes z, y, x by their names, in either case, without others of length 1."""
    names = {name: str(name).lower() for name in labels.dims}
    if not {"y", "x"} <= set(names.values()) or len(set(names.values())) < len(names):
        return labels
    labels = labels.rename({name: low for name, low in names.items() if low != name})
    single = [
        name for name in labels.dims if name not in ("z", "y", "x") and labels.sizes[name] == 1
    ]
    return labels.squeeze(single, drop=True).transpose(..., *(n for n in "zyx" if n in labels.dims))


def checked_slices(slices: Any) -> tuple[int, int]:
    """A first and a last slice, 1-based, as whole numbers; ParameterError for anything else."""
    try:
        if isinstance(slices, str | bytes):
            raise TypeError
        first, last = (operator.index(number) for number in slices)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"slices are two whole numbers, the first and the last, not {slices!r}"
        ) from error
    return first, last
