"""Volumes made from arrays in memory, in the shape that ``open_volume`` returns them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.callbacks import Callback

from hela_dask.geometry import Geometry
from hela_dask.volume.opening import as_volume

__all__ = ["LargestInput", "make_volume"]


def make_volume(
    array: Any,
    voxel_size: Sequence[float] = (50.0, 40.0, 40.0),
    *,
    chunks: Any = "auto",
    name: str = "image",
    translation: Sequence[float] = (0.0, 0.0, 0.0),
) -> xr.DataArray:
    """Wrap a (z, y, x) array (numpy or dask) as a lazy volume with coordinates in nm."""
    lazy = array
    if not isinstance(array, da.Array):
        lazy = da.from_array(np.asarray(array), chunks=chunks)
    z, y, x = (int(length) for length in lazy.shape)
    geometry = Geometry((z, y, x), tuple(map(float, voxel_size)), tuple(map(float, translation)))  # type: ignore[arg-type]
    return as_volume(lazy, geometry, name, {"source": "", "level": 0})


class LargestInput(Callback):
    """While active, notes the most bytes of arrays that any task took in (local schedulers)."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def _pretask(self, key: Any, dsk: Any, state: Any) -> None:
        inputs = [state["cache"][dependency] for dependency in state["dependencies"][key]]
        self.bytes = max(self.bytes, sum(getattr(item, "nbytes", 0) for item in inputs))
