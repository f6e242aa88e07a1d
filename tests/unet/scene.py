"""A small labelled stack: a cell with nucleus and envelope, a neighbour that touches it, resin."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hela_dask.unet.architectures import Architecture, get_architecture
from tests.volumes import make_volume

__all__ = ["GREYS", "SHAPE", "labelled", "tiny", "volume"]

SHAPE = (12, 64, 72)
GREYS = {1: 60, 2: 150, 3: 120, 4: 210, 5: 110}


@functools.cache
def labelled() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Grey values and published label values, (z, y, x)."""
    rng = np.random.default_rng(0)
    z, y, x = np.indices(SHAPE)
    away = np.hypot(y - 32, x - 28 - z / 4)
    labels = np.full(SHAPE, 4, np.uint8)
    labels[np.hypot(y - 32, x - 60) < 16] = 3
    labels[away < 24] = 5
    labels[away < 14] = 1
    labels[away < 11] = 2
    grey = np.vectorize(GREYS.get)(labels) + rng.normal(0, 6, SHAPE)
    return np.clip(np.round(grey), 0, 255).astype(np.uint8), labels


def volume(chunks: Any = (4, 64, 72)) -> xr.DataArray:
    """The grey values, lazily."""
    return make_volume(labelled()[0], chunks=chunks)


def tiny(name: str, **changes: Any) -> Architecture:
    """An architecture with few channels and small patches or planes."""
    own = get_architecture(name)
    options: dict[str, Any] = {"width": 4}
    smaller: dict[str, Any] = {}
    if own.channels == "repeated":
        smaller["plane"] = options["plane"] = (32, 48)
    elif own.plane is not None:
        smaller["plane"] = (32, 32)
    else:
        smaller["patch"] = (32, 32)
    smaller["build"] = functools.partial(own.build, **options)
    recipe: dict[str, Any] = {"batch": 4, "epochs": 2, "steps": 3}
    recipe.update({key: changes.pop(key) for key in list(changes) if hasattr(own.recipe, key)})
    return dataclasses.replace(
        own, **{**smaller, **changes}, recipe=dataclasses.replace(own.recipe, **recipe)
    )
