"""Files of DigitalMicrograph, written by the public description of dm3 and dm4."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMBERS = {"i2": 1, "f4": 2, "u1": 6, "i4": 7, "i1": 9, "u2": 10, "u4": 11, "f8": 12}
_CODES = {"i2": 2, "i4": 3, "u2": 4, "u4": 5, "f4": 6, "f8": 7, "i1": 9, "u1": 10}


def dm(
    path: Path,
    data: NDArray[Any],
    *,
    scales: Sequence[float] = (12.0, 10.0, 50.0),
    unit: str = "nm",
    thumbnail: bool = True,
    number: int | None = None,
    brightness: float = 1.0,
    images: int = 1,
) -> Path:
    """Write an image as dm3 or dm4, by the suffix; `scales` are those of x, y and z.

    `number` is another number for the type of the values than that of `data`.
    """
    image = _image(data, scales, unit, number, brightness)
    small = _image(np.zeros((4, 4), np.int32), (1.0, 1.0), "", 23, 1.0)
    root = {"ImageList": [*([small] if thumbnail else []), *([image] * images)]}
    long = path.suffix == ".dm4"
    body = _group(root, long)
    start = struct.pack(">I", 4 if long else 3)
    start += struct.pack(">Q" if long else ">I", len(body)) + struct.pack(">I", 1)
    path.write_bytes(start + body + bytes(8))
    return path


def _image(
    data: NDArray[Any], scales: Sequence[float], unit: str, number: int | None, brightness: float
) -> Mapping[str, Any]:
    kind = data.dtype.str[1:]
    dimensions = [
        {"Origin": np.float32(0), "Scale": np.float32(scale), "Units": unit}
        for scale in scales[: data.ndim]
    ]
    level = {"Origin": np.float32(0), "Scale": np.float32(brightness), "Units": ""}
    return {
        "ImageData": {
            "Calibrations": {"Brightness": level, "Dimension": dimensions},
            "Data": data,
            "DataType": np.uint32(NUMBERS[kind] if number is None else number),
            "Dimensions": [np.uint32(length) for length in data.shape[::-1]],
            "PixelDepth": np.uint32(data.dtype.itemsize),
        }
    }


def _group(tags: Any, long: bool) -> bytes:
    items = tags.items() if isinstance(tags, Mapping) else [("", tag) for tag in tags]
    body = b"".join(_entry(name, tag, long) for name, tag in items)
    return b"\1\0" + struct.pack(">Q" if long else ">I", len(items)) + body


def _entry(name: str, tag: Any, long: bool) -> bytes:
    group = isinstance(tag, Mapping | list)
    body = _group(tag, long) if group else _value(tag, long)
    size = struct.pack(">Q", len(body)) if long else b""
    return bytes([20 if group else 21]) + struct.pack(">H", len(name)) + name.encode() + size + body


def _value(tag: Any, long: bool) -> bytes:
    if isinstance(tag, str):
        tag = np.array([ord(char) for char in tag], np.uint16)
    code = _CODES[tag.dtype.str[1:]]
    info = [20, code, tag.size] if isinstance(tag, np.ndarray) else [code]
    head = struct.pack(f">{len(info) + 1}{'Q' if long else 'I'}", len(info), *info)
    return b"%%%%" + head + np.asarray(tag).astype(tag.dtype.newbyteorder("<")).tobytes()
