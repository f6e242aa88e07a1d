"""Box: a part of an array, as whole voxels from a lower to an upper end along each axis."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Box"]


class Box(tuple[slice, ...]):
    """A tuple of slices, one per axis, which indexes an array: ``volume[box]``.

    Every slice has a start and a stop (half open, in voxels) and no step.

    Examples
    --------
    >>> box = Box.of([(2, 4), (10, 20)])
    >>> box.grow(3).clip((100, 22)).pairs
    [[0, 7], [7, 22]]
    >>> (box & Box.of([(3, 9), (0, 12)])).relative_to(box).pairs
    [[1, 2], [0, 2]]
    """

    __slots__ = ()

    def __hash__(self) -> int:
        return hash((self.low, self.high))  # slices have no hash before Python 3.12

    @classmethod
    def of(cls, pairs: Iterable[Sequence[int]]) -> Box:
        """From a lower and an upper end along each axis."""
        return cls(slice(int(low), int(high)) for low, high in pairs)

    @classmethod
    def at(cls, corner: Sequence[int], shape: Sequence[int]) -> Box:
        """From the first voxel and the number of voxels along each axis."""
        return cls.of((low, low + size) for low, size in zip(corner, shape, strict=True))

    @classmethod
    def whole(cls, shape: Sequence[int]) -> Box:
        """All of an array of this shape."""
        return cls.of((0, length) for length in shape)

    @property
    def low(self) -> tuple[int, ...]:
        """The first voxel."""
        return tuple(part.start for part in self)

    @property
    def high(self) -> tuple[int, ...]:
        """The voxel after the last, along each axis."""
        return tuple(part.stop for part in self)

    @property
    def pairs(self) -> list[list[int]]:
        """The lower and the upper end along each axis, for JSON."""
        return [[part.start, part.stop] for part in self]

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis; 0 where the upper end is not above the lower."""
        return tuple(max(0, part.stop - part.start) for part in self)

    @property
    def empty(self) -> bool:
        """Whether there is no voxel in it."""
        return 0 in self.shape

    def grow(self, by: int | Sequence[int]) -> Box:
        """So many voxels more at both ends, along all axes or along each."""
        more = [by] * len(self) if isinstance(by, int) else by
        return Box(slice(p.start - n, p.stop + n) for p, n in zip(self, more, strict=True))

    def clip(self, shape: Sequence[int]) -> Box:
        """The part inside an array of this shape; empty where there is none."""
        return Box.of(
            (min(max(0, part.start), length), min(max(0, part.stop), length))
            for part, length in zip(self, shape, strict=True)
        )

    def __and__(self, other: Sequence[slice]) -> Box:
        """What two boxes share; empty where that is nothing."""
        return Box(
            slice(max(a.start, b.start), min(a.stop, b.stop))
            for a, b in zip(self, other, strict=True)
        )

    def holds(self, voxel: Sequence[int]) -> bool:
        """Whether a voxel lies inside."""
        return all(p.start <= at < p.stop for p, at in zip(self, voxel, strict=True))

    def voxel(self, voxel: Sequence[int]) -> tuple[int, ...]:
        """A voxel as counted from the first of the box."""
        return tuple(at - part.start for part, at in zip(self, voxel, strict=True))

    def shift(self, by: Sequence[int]) -> Box:
        """Moved by so many voxels along each axis."""
        return Box(slice(p.start + n, p.stop + n) for p, n in zip(self, by, strict=True))

    def relative_to(self, other: Box | Sequence[int]) -> Box:
        """As counted from the first voxel of another box, or from a voxel."""
        corner = other.low if isinstance(other, Box) else other
        return self.shift([-at for at in corner])

    def scale(self, factors: Sequence[int]) -> Box:
        """The fine voxels of its voxels, of so many along each axis."""
        return Box(slice(p.start * by, p.stop * by) for p, by in zip(self, factors, strict=True))

    def coarsen(self, factors: Sequence[int]) -> Box:
        """The coarse voxels that it has a part of, each of so many fine ones along each axis."""
        return Box(
            slice(p.start // by, -(-p.stop // by)) for p, by in zip(self, factors, strict=True)
        )

    def chunks(self, sides: Sequence[int]) -> Iterator[tuple[tuple[int, ...], Box]]:
        """The chunks of a regular grid that it has a part of.

        Yields the number of a chunk along each axis, and the part of the chunk in the box; in the
        order of an array's elements.
        """
        if self.empty:
            return
        along = [
            [
                (number, slice(max(number * side, part.start), min((number + 1) * side, part.stop)))
                for number in range(part.start // side, -(-part.stop // side))
            ]
            for part, side in zip(self, sides, strict=True)
        ]
        for parts in itertools.product(*along):
            yield tuple(number for number, _ in parts), Box(part for _, part in parts)
