"""The labels of a run that are exported, and its image, slice by slice."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hela_dask.errors import InputError
from hela_dask.geometry import Geometry
from hela_dask.running.result import RunResult
from hela_dask.storage.level_array import LevelArray
from hela_dask.storage.metadata import Image, read_image

__all__ = ["IMAGE", "LABELS", "RunMasks"]

LABELS = ("cells", "nuclei", "envelope", "cytoplasm", "background")
"""The labels that can be exported; `cytoplasm` is the cell without nucleus and envelope."""

IMAGE = "image"
"""The name of the image beside the labels."""

_WHOLE = ("background", IMAGE)  # they have no cells
_CYTOPLASM = ("cells", "nuclei", "envelope")


class RunMasks:
    """Labels and image of a run at full resolution; labels are of all its cells or of some.

    Parameters
    ----------
    result
        The run.
    cells
        Labels of the cells; None: all. The background and the image are given whole.
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
        if name in _WHOLE:
            return 1
        chosen = self._result.cells["label"] if self._chosen is None else self._chosen
        return int(max(chosen, default=0))

    def dtype(self, name: str) -> np.dtype[Any]:
        """The smallest unsigned type for the labels, 8 bits for the background; the image's own.

        InputError for an image of 64 bit integers, which TIFF readers do not take.
        """
        if name == IMAGE:
            dtype = self._stored(name).dtype
            if dtype.kind in "iu" and dtype.itemsize == 8:
                raise InputError(
                    f"{self._result.store} holds {dtype.name} values, which programs do not read "
                    "from a TIFF: leave image out of --what"
                )
            return dtype
        return np.min_scalar_type(max(self.largest(name), 1 if name == "background" else 2**8))

    def planes(self, name: str) -> Iterator[NDArray[Any]]:
        """Each slice (y, x) of :data:`LABELS` or of the image, one after the other."""
        for z in range(self.geometry.shape[0]):
            plane = self._plane(name, z)
            if self._chosen is not None and name not in _WHOLE:
                plane[~np.isin(plane, self._chosen)] = 0
            yield plane.astype(self.dtype(name), copy=False)

    def _plane(self, name: str, z: int) -> NDArray[Any]:
        parts = _CYTOPLASM if name == "cytoplasm" else (name,)
        found: NDArray[Any]
        found, *others = (self._stored(part)[z : z + 1][0] for part in parts)
        for other in others:
            found[other > 0] = 0
        return found

    def _stored(self, name: str) -> LevelArray:
        if name not in self._arrays:
            path = self._result.store if name == IMAGE else self._result.label_paths[name]
            group = read_image(path.absolute())
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
