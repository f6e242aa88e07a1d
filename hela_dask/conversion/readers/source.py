"""The result of every reader.

A volume in some file, its header checked, its voxels not yet read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hela_dask.errors import HelaDaskError, InputError
from hela_dask.types import Triple

__all__ = ["Role", "Sizes", "Source"]

log = logging.getLogger(__name__)

Sizes = tuple[float | None, float | None, float | None]

Role = Literal["grey", "labels"]


@dataclass(frozen=True)
class Source:
    """A volume in some file or folder, its header checked, its voxels not yet read."""

    path: Path  # the opened path
    kind: str  # its kind, as text
    shape: tuple[int, int, int]  # (z, y, x)
    dtype: np.dtype[Any]  # of the result of :meth:`read`
    # (z, y, x): Voxel size in nm as far as the metadata state it; None where they do not
    sizes: Sizes
    # The files that its identity depends on: each slice, the one file, or all that hold the finest
    # level
    files: tuple[Path, ...]
    reader: Callable[[int, int], NDArray[Any]]  # ``reader(z0, z1)`` reads slices; use :meth:`read`
    # (z, y, x): Centre of the first voxel in nm, where the metadata state it
    translation: Triple = (0.0, 0.0, 0.0)
    # Peculiarities and their treatment: sentences for a warning
    remarks: tuple[str, ...] = ()
    # (z, y, x): Where each size is from, or why there is none; empty where nothing is stated
    size_origins: tuple[str, str, str] = ("", "", "")
    # Further metadata, as text: the order of the slices, the first and the last one, the photometry
    facts: Mapping[str, str] = field(default_factory=dict)

    def warn(self) -> None:
        """Log each remark as a warning."""
        for remark in self.remarks:
            log.warning("%s", remark)

    @property
    def voxel_size(self) -> Triple | None:
        """z, y, x in nm, or None where the metadata do not state all three."""
        z, y, x = self.sizes
        return None if z is None or y is None or x is None else (z, y, x)

    def read(self, z0: int, z1: int) -> NDArray[Any]:
        """Slices `z0` to `z1` (from 0, end excluded), shape (z1 - z0, y, x), or InputError."""
        try:
            block = self.reader(z0, z1)
        except HelaDaskError:
            raise
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise InputError(
                f"{self.path}: slices {z0 + 1} to {z1} cannot be read: {error}"
            ) from error
        return np.ascontiguousarray(block, dtype=self.dtype)
