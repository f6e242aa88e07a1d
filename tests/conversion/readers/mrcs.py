"""Small arrays and MRC files to read."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
from numpy.typing import NDArray

DATA = np.random.default_rng(0).integers(60, 240, (6, 32, 40), np.uint8)
DEEP = DATA.astype(np.uint16) * 200
GREY: dict[str, Any] = {"photometric": "minisblack"}


def mrc(path: Path, data: NDArray[Any] = DEEP, voxel: Any = (100, 100, 500)) -> Path:
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data)
        file.voxel_size = voxel
    return path


def patched(path: Path, *places: tuple[int, bytes]) -> Path:
    """The file with bytes of its header replaced."""
    with path.open("r+b") as file:
        for place, content in places:
            file.seek(place)
            file.write(content)
    return path


def limits(least: float, most: float) -> tuple[int, bytes]:
    return 76, struct.pack("<ff", least, most)
