"""Instance and compartment of each voxel: all labels of some slices in three bytes per voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CELL",
    "ENVELOPE",
    "INSTANCES",
    "LABEL_DTYPE",
    "NUCLEUS",
    "OUTLINE",
    "RESIN",
    "PackedLabels",
]

LABEL_DTYPE = np.dtype(np.uint16)
"""Of the labels of nuclei, cells and envelopes: a microscope's volume holds some hundred cells."""

INSTANCES = ("cells", "nuclei", "envelope")
"""The label groups of a run in which each cell has its label; a viewer draws the last on top."""

NUCLEUS, CELL, ENVELOPE, OUTLINE, RESIN = 1, 2, 4, 8, 16


@dataclass(frozen=True)
class PackedLabels:
    """Labels in which each voxel belongs to at most one cell.

    Parameters
    ----------
    owner : ndarray of uint16, shape (slices, y, x)
        Label of the cell that a voxel belongs to in any way; 0 where there is none.
    kind : ndarray of uint8, shape (slices, y, x)
        Compartments of that cell, and resin: ``NUCLEUS``, ``CELL`` (which holds its nucleus and
        envelope, where there is a cell), ``ENVELOPE`` and ``RESIN``, added up.
    """

    owner: NDArray[np.uint16]
    kind: NDArray[np.uint8]

    @classmethod
    def from_labels(
        cls,
        nuclei: NDArray[np.integer],
        cells: NDArray[np.integer],
        envelope: NDArray[np.integer],
        resin: NDArray[np.bool_],
    ) -> PackedLabels:
        """From labels that agree on the owner of each voxel, and the resin; all of one shape."""
        owner = np.maximum(np.maximum(nuclei, cells), envelope).astype(LABEL_DTYPE, copy=False)
        kind = np.where(resin, np.uint8(RESIN), np.uint8(0))
        for labels, bit in ((nuclei, NUCLEUS), (cells, CELL), (envelope, ENVELOPE)):
            kind |= np.where(labels > 0, np.uint8(bit), np.uint8(0))
        return cls(owner, kind)

    @property
    def shape(self) -> tuple[int, ...]:
        """Slices, rows and columns."""
        return self.owner.shape

    @property
    def nuclei(self) -> NDArray[np.uint16]:
        """Labels of the nuclei."""
        return self._labels(NUCLEUS)

    @property
    def cells(self) -> NDArray[np.uint16]:
        """Labels of the cells, with nucleus and envelope."""
        return self._labels(CELL)

    @property
    def envelope(self) -> NDArray[np.uint16]:
        """Labels of the nuclear envelopes."""
        return self._labels(ENVELOPE)

    @property
    def resin(self) -> NDArray[np.bool_]:
        """The background."""
        return (self.kind & RESIN) > 0

    def cut(self, rows: slice, columns: slice) -> PackedLabels:
        """Some rows and columns of all slices: a view."""
        part = (..., rows, columns)
        return PackedLabels(self.owner[part], self.kind[part])

    def plane(self, z: int) -> PackedLabels:
        """One slice, (y, x): a view."""
        return PackedLabels(self.owner[z], self.kind[z])

    def _labels(self, bit: int) -> NDArray[np.uint16]:
        labels: NDArray[np.uint16] = np.where(self.kind & bit, self.owner, LABEL_DTYPE.type(0))
        return labels
