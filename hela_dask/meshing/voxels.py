"""The voxels of one labelled object, which are read once where they are not too many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hela_dask.box import Box
from hela_dask.kernels.voxel_bits import Bits, empty_bits, mark_voxels
from hela_dask.types import Labels, Shape

__all__ = ["ObjectVoxels", "bytes_kept"]

_KEPT = 256 * 2**20  # bytes of an object that is kept as a whole
_TILE = (16, 512, 512)


@dataclass
class ObjectVoxels:
    """The voxels of an object in its box.

    `read` gives the labels in a box of voxels of the volume, and `tile` are the voxels that it
    reads well at a time.
    """

    read: Callable[[Box], Labels]
    label: int
    box: Box
    tile: Shape = _TILE
    _kept: Bits | None = field(default=None, init=False)

    @property
    def depth(self) -> int:
        """Slices of the box."""
        return self.box.shape[0]

    def slices(self, first: int, last: int) -> Bits:
        """The voxels in some slices of the box, which are counted from 0."""
        if self._kept is None and bytes_kept(self.box):
            self._kept = self._read(0, self.depth)
        if self._kept is not None:
            return self._kept[first:last]
        return self._read(first, last)

    def _read(self, first: int, last: int) -> Bits:
        z, y, x = self.box
        part = Box((slice(z.start + first, z.start + last), y, x))
        depth, rows, columns = part.shape
        bits = empty_bits((depth, rows, columns))
        for _, block in part.chunks(self.tile):
            z0, y0, x0 = block.relative_to(part).low
            mark_voxels(bits, self.read(block), self.label, (z0, y0, x0))
        return bits


def bytes_kept(box: Box) -> int:
    """Bytes of the voxels of an object with this box, where they are kept; else 0."""
    depth, rows, columns = box.shape
    size = depth * rows * (columns // 8 + 1)
    return size if size <= _KEPT else 0
