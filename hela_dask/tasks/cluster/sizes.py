"""Sizes of memory as people write them."""

from __future__ import annotations

from hela_dask.documents.shapes import shown
from hela_dask.errors import ParameterError

__all__ = ["parse_size"]


def parse_size(text: str | float, culprit: str) -> int:
    """Bytes in a size such as ``4GiB``; a ParameterError names `culprit` for anything else."""
    from dask.utils import parse_bytes

    try:
        size = int(parse_bytes(text if str(text).strip() else "nothing"))
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        raise ParameterError(f"{culprit} must be a size such as 4GiB, not {shown(text)}") from error
    if size < 1:
        raise ParameterError(f"{culprit} must be more than 0, not {text!r}")
    return size
