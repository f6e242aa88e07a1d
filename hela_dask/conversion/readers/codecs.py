"""Whether the pixels of a TIFF can be decoded with the packages that are installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tifffile

from hela_dask.errors import MissingDependencyError

__all__ = ["check_decoder"]

_WHOLE = (1, 8, 16, 32, 64)  # bits per pixel that tifffile unpacks itself


def check_decoder(path: Path, page: Any) -> None:
    """Raise where only imagecodecs, which is not installed, decodes a page.

    tifffile itself decodes pages without compression, and those with zlib, LZMA or PackBits.

    Raises
    ------
    MissingDependencyError
        The sentence names the compression and the extra ``[tiff]``.
    """
    storage = ""
    if _needs_imagecodecs(tifffile.TIFF.DECOMPRESSORS, page.compression):
        storage = f"is compressed with {_name(page.compression)}"
    elif _needs_imagecodecs(tifffile.TIFF.UNPREDICTORS, page.predictor):
        storage = f"is compressed with the predictor {_name(page.predictor)}"
    elif page.bitspersample not in _WHOLE and find_spec("imagecodecs") is None:
        storage = f"has {page.bitspersample} bits per pixel"
    if storage:
        raise MissingDependencyError(
            f"{path} {storage}, which needs imagecodecs: pip install 'hela_dask[tiff]'"
        )


def _needs_imagecodecs(decoders: Any, key: int) -> bool:
    try:
        decoders[key]
    except KeyError as error:  # a compression that nothing decodes is another fault
        return "imagecodecs" in str(error)
    return False


def _name(value: Any) -> str:
    return str(getattr(value, "name", value))
