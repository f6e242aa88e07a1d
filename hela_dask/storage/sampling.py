"""Names of the files of a remote array, some of them, where its server does not list them."""

from __future__ import annotations

import math

import numpy as np

from hela_dask.storage.level import Level
from hela_dask.storage.nodes import open_array
from hela_dask.storage.urls import StorePath

__all__ = ["sampled_files"]


def sampled_files(folder: StorePath, level: Level, most: int) -> list[str]:
    """At most so many names of files of a level's array, evenly spread, the middle among them."""
    array = open_array(folder)
    sides = level.stored(level.file, 1)
    shape = level.stored(level.shape, 1)
    grid = tuple(-(-length // side) for length, side in zip(shape, sides, strict=True))
    count = math.prod(grid)
    places = {count * (2 * k + 1) // (2 * most) for k in range(most)} if count > most else None
    chosen = sorted(places) if places else range(count)
    return [
        array.metadata.encode_chunk_key(tuple(int(at) for at in np.unravel_index(place, grid)))
        for place in chosen
    ]
