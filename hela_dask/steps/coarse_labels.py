"""The labels of the working level that are refined, and the outlines of their nuclei."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hela_dask.kernels.packed_labels import PackedLabels
from hela_dask.types import Mask

__all__ = ["CoarseLabels", "Outline"]


class Outline(NamedTuple):
    """A nucleus up to the middle of its envelope, on the working level.

    Attributes
    ----------
    label : int
        Of the cell.
    origin : tuple of int
        Row and column of the working level that the planes begin at.
    planes, nuclei : ndarray of bool, (slices, y, x)
        Of the slices that are refined: up to the middle of the envelope, and the nucleus itself.
    """

    label: int
    origin: tuple[int, ...]
    planes: Mask
    nuclei: Mask


@dataclass(frozen=True)
class CoarseLabels:
    """The labels of whole planes of the working level.

    Parameters
    ----------
    labels : PackedLabels, (slices, y, x)
        Labels and background.
    thresholds : sequence of float
        Grey value where resin begins in each slice; NaN where that is not known.
    outlines : sequence of Outline
        Of all nuclei in these slices.
    """

    labels: PackedLabels
    thresholds: Sequence[float]
    outlines: Sequence[Outline]
