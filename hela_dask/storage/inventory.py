"""Which of the files of an array are there."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

from hela_dask.storage.level import Level

__all__ = ["missing_files"]

# Keys of chunks: c/0/1/2 and c.0.1.2 (v3), 0.1.2 and 0/1/2 (v2 and v3).
_KEY = re.compile(r"^(c[./])?\d+([./]\d+)*$")


def missing_files(group: Path, level: Level) -> tuple[int, int]:
    """How many files of a level are missing, and how many there would be; opens none.

    By the specification a missing file stands for the fill value, so it is no damage; a copy that
    was cut short looks alike.
    """
    wanted = math.prod(
        -(-length // side) for length, side in zip(level.shape, level.file, strict=True)
    )
    folder, there = group / level.path, 0
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name == "c" or name.isdigit()]
        prefix = Path(here).relative_to(folder).as_posix()
        prefix = "" if prefix == "." else f"{prefix}/"
        there += sum(_KEY.match(f"{prefix}{name}") is not None for name in names)
    return max(0, wanted - there), wanted
