"""Small TIFFs to read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from hela_dask.conversion.readers.source import Source

DATA = np.random.default_rng(0).integers(60, 240, (6, 32, 40), np.uint8)
DEEP = DATA.astype(np.uint16) * 200
GREY: dict[str, Any] = {"photometric": "minisblack"}


def folder_of(path: Path, numbers: Any = range(6), **more: Any) -> Path:
    """One TIFF a slice; `more` may hold functions of the slice's number."""
    path.mkdir(exist_ok=True)
    for number in numbers:
        how = {key: value(number) if callable(value) else value for key, value in more.items()}
        tifffile.imwrite(path / f"s{number:03d}.tif", DATA[number], **(GREY | how))
    return path


def imagej(path: Path, data: NDArray[Any] = DEEP, **more: Any) -> Path:
    tifffile.imwrite(path, data, imagej=True, metadata={"axes": "ZYX", **more}, truncate=True)
    return path


def cut(path: Path, share: float) -> Path:
    os.truncate(path, int(path.stat().st_size * share))
    return path


def remark_of(source: Source) -> str:
    return " | ".join(source.remarks)


def restated(path: Path, old: bytes, new: bytes) -> Path:
    """The file with a part of its description replaced by one of the same length."""
    content = path.read_bytes()
    assert len(old) == len(new)
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path
