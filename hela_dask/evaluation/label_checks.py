"""Checks of labels and slices that people give, before they are read."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import xarray as xr

from hela_dask.errors import InputError, ParameterError

__all__ = ["check_label_array", "checked_slices", "standardise_axes"]


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
