"""Method ``volumetric``: nucleus and cell from evidence in three dimensions."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.methods import Masks
from hela_dask.methods.propagate import propagate
from hela_dask.methods.trace import Trace
from hela_dask.parameters import Parameters

__all__ = ["volumetric"]


def volumetric(
    image: NDArray[Any],
    background: NDArray[np.bool_],
    voxel: tuple[float, float, float],
    centre: tuple[int, int, int],
    parameters: Parameters,
    trace: Trace | None = None,
) -> Masks:
    """Nucleus and cell of one region; the signature is :class:`~hela_dask.methods.Method`'s."""
    same = dataclasses.replace(parameters, propagate=parameters.volumetric)
    return propagate(image, background, voxel, centre, same, trace)
