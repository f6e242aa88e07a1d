"""The labels of a run that are exported, slice by slice."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hela_dask.geometry import Geometry
from hela_dask.running.result import RunResult
from hela_dask.storage.level_array import LevelArray
from hela_dask.storage.metadata import Image, read_image

__all__ = ["LABELS", "RunMasks"]

LABELS = ("cells", "nuclei", "envelope", "cytoplasm", "background")
"""The labels that can be exported; `cytoplasm` is the cell without nucleus and envelope."""

_CYTOPLASM = ("cells", "nuclei", "envelope")


class RunMasks:
    """Labels of a run at full resolution, of all its cells or of some.

    Parameters
    ----------
    result
        The run.
    cells
        Labels of the cells; None: all. The background has no cell, and is given whole.
    """

    def __init__(self, result: RunResult, cells: Collection[int] | None = None) -> None:
        self._result = result
        self._chosen = None if cells is None else np.array(sorted(cells))
        self._arrays: dict[str, LevelArray] = {}

    @cached_property
    def image(self) -> Image:
        """The metadata of the label group of the cells, of which all others have the grid."""
        return read_image(self._result.label_paths["cells"].absolute())

    @property
    def geometry(self) -> Geometry:
        """Shape, voxel size and place."""
        return self.image.levels[0].geometry

    def largest(self, name: str) -> int:
        """The largest label."""
        if name == "background":
            return 1
        chosen = self._result.cells["label"] if self._chosen is None else self._chosen
        return int(max(chosen, default=0))

    def dtype(self, name: str) -> np.dtype[np.unsignedinteger]:
        """The smallest unsigned type for the labels; 8 bits for the background only."""
        return np.min_scalar_type(max(self.largest(name), 1 if name == "background" else 2**8))

    def planes(self, name: str) -> Iterator[NDArray[np.unsignedinteger]]:
        """Each slice (y, x) of :data:`LABELS`, one after the other."""
        for z in range(self.geometry.shape[0]):
            plane = self._plane(name, z)
            if self._chosen is not None and name != "background":
                plane[~np.isin(plane, self._chosen)] = 0
            yield plane.astype(self.dtype(name), copy=False)

    def _plane(self, name: str, z: int) -> NDArray[np.unsignedinteger]:
        parts = _CYTOPLASM if name == "cytoplasm" else (name,)
        found: NDArray[np.unsignedinteger]
        found, *others = (self._stored(part)[z : z + 1][0] for part in parts)
        for other in others:
            found[other > 0] = 0
        return found

    def _stored(self, name: str) -> LevelArray:
        if name not in self._arrays:
            group = read_image(self._result.label_paths[name].absolute())
            self._arrays[name] = LevelArray.from_level(group.path, group.levels[0])
        return self._arrays[name]

    def mask(self, name: str, label: int) -> xr.DataArray:
        """One cell's mask (z, y, x), lazily."""
        parts = _CYTOPLASM if name == "cytoplasm" else (name,)
        whole, *others = (self._result.labels[part] for part in parts)
        found: xr.DataArray = whole == label
        for other in others:
            found &= other == 0
        return found
