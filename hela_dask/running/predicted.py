"""The outputs of a network in a run folder: where they are kept, and how windows read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hela_dask.box import Box
from hela_dask.geometry import Geometry
from hela_dask.kernels.stack import interpolate_planes
from hela_dask.methods.method import Outputs
from hela_dask.methods.registry import get_method
from hela_dask.operators.classify import sampling
from hela_dask.parameters import Parameters
from hela_dask.storage import store

__all__ = ["predicted_path", "read_output", "read_predicted"]


def predicted_path(run: Path, name: str) -> Path:
    """Where a run keeps an output of a network, in some slices of the working level."""
    return run / "coarse" / f"network_{name}"


def read_predicted(
    run: Path, method: str, parameters: Parameters, working: xr.DataArray, window: Box
) -> dict[str, NDArray[np.uint8]]:
    """The outputs of a network that a method asks for, in a window, as a run keeps them.

    MissingInputError when they are gone; a StorageError names a chunk that is damaged.
    """
    asked = get_method(method).asks(parameters)
    if asked is None:
        return {}
    geometry = Geometry.of(working)
    return {name: read_output(run, asked, name, geometry, window) for name in asked.names}


def read_output(
    run: Path, asked: Outputs, name: str, geometry: Geometry, window: Box
) -> NDArray[np.uint8]:
    """One of them; `geometry` is that of the working level."""
    sampled = store.read_scratch(predicted_path(run, name))
    return interpolate_planes(sampled, sampling(geometry, asked.spacing).views, window)
