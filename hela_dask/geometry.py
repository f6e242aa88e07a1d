"""Geometry: the voxels of a volume and their places in nm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hela_dask.box import Box
from hela_dask.errors import InputError
from hela_dask.types import Bounds, Factors, Floats, Pixel, Shape, Triple, Voxel
from hela_dask.units import to_nm

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SMALLEST_VOXEL", "Geometry", "check_volume", "checked_voxel_size"]

SMALLEST_VOXEL = 0.2
"""nm; anything less is a length in another unit."""

_SLACK = 1e-6  # voxels by which an end may miss the edge of a voxel
_UNKNOWN = (
    "the volume does not state its voxel size along {}: "
    "give it coordinates in nm or attrs['voxel_size'] = (z, y, x)"
)


@dataclass(frozen=True)
class Geometry:
    """A regular grid of voxels; every triple is in the order z, y, x."""

    shape: Shape  # voxels
    voxel_size: Voxel  # nm
    origin: Triple = (0.0, 0.0, 0.0)  # centre of the first voxel, nm

    @classmethod
    def of(cls, volume: xr.DataArray) -> Geometry:
        """The grid of a volume.

        A voxel has the size that the attribute ``voxel_size`` (z, y, x in nm) states, unless the
        coordinates contradict it (a strided view keeps the attribute of its source): then it has
        the step of the coordinates. Along an axis of length one the size may be missing: then it is
        the largest of those along the other axes. Without a coordinate, places count from 0.

        InputError when `volume` is not a (z, y, x) DataArray, its voxel size is not known, or its
        coordinates are not rising, evenly spaced lengths in nm.
        """
        check_volume(volume)
        if volume.dims != ("z", "y", "x"):
            raise InputError(f"a volume has the dimensions ('z', 'y', 'x'), not {volume.dims!r}")
        _check_units(volume)
        places = [_places(volume, axis) for axis in "zyx"]
        steps = [
            _step(volume, axis, size, along)
            for axis, size, along in zip("zyx", _stated_size(volume), places, strict=True)
        ]
        largest = max((step for step in steps if step is not None), default=None)
        if largest is None:
            raise InputError(_UNKNOWN.format("z"))
        z, y, x = (largest if step is None else step for step in steps)
        starts = [0.0 if along is None else float(along[0]) for along in places]
        depth, height, width = volume.shape
        return cls(
            (depth, height, width),
            checked_voxel_size((z, y, x), origin="the voxel size of the volume"),
            (starts[0], starts[1], starts[2]),
        )

    @property
    def pixel(self) -> Pixel:
        """Size of a pixel (y, x), nm."""
        return self.voxel_size[1], self.voxel_size[2]

    @property
    def extent(self) -> Triple:
        """Length of the volume along each axis, nm."""
        z, y, x = (size * n for size, n in zip(self.voxel_size, self.shape, strict=True))
        return z, y, x

    @property
    def bounds(self) -> Bounds:
        """First and last edge of the volume along each axis, nm."""
        z, y, x = (
            (start - size / 2, start + size * (length - 1) + size / 2)
            for start, size, length in zip(self.origin, self.voxel_size, self.shape, strict=True)
        )
        return z, y, x

    def positions(self, axis: str) -> Floats:
        """Centres of the voxels along an axis, nm."""
        number = "zyx".index(axis)
        steps = np.arange(self.shape[number], dtype=np.float64)
        return self.origin[number] + self.voxel_size[number] * steps

    def coordinates(self) -> dict[str, tuple[str, Floats, dict[str, str]]]:
        """The coordinates of a DataArray on this grid, with their unit."""
        return {
            axis: (axis, self.positions(axis), {"units": "nm", "long_name": axis}) for axis in "zyx"
        }

    def index(self, point: Triple) -> tuple[int, int, int]:
        """The voxel that holds a point (nm), or the nearest one in the volume."""
        z, y, x = (
            min(max(round((at - start) / size), 0), length - 1)
            for at, start, size, length in zip(
                point, self.origin, self.voxel_size, self.shape, strict=True
            )
        )
        return z, y, x

    def box(self, bounds: Bounds) -> Box:
        """The voxels that a part of space (nm) has a part of."""
        return Box.of(
            (
                math.floor((low - edge) / size + _SLACK),
                math.ceil((high - edge) / size - _SLACK),
            )
            for (low, high), (edge, _), size in zip(
                bounds, self.bounds, self.voxel_size, strict=True
            )
        ).clip(self.shape)

    def bounds_of(self, box: Box) -> Bounds:
        """First and last edge of some voxels along each axis, nm."""
        z, y, x = (
            (edge + part.start * size, edge + part.stop * size)
            for part, (edge, _), size in zip(box, self.bounds, self.voxel_size, strict=True)
        )
        return z, y, x

    def part(self, box: Box) -> Geometry:
        """The grid of some of the voxels."""
        inside = Box(box).clip(self.shape)
        z, y, x = (
            start + size * low
            for start, size, low in zip(self.origin, self.voxel_size, inside.low, strict=True)
        )
        depth, height, width = inside.shape
        return Geometry((depth, height, width), self.voxel_size, (z, y, x))

    def coarser(self, factors: Factors) -> Geometry:
        """The grid of which a pixel is so many (y, x) of this one's; the last ones may be cut.

        The centre of a coarse pixel lies between those of the pixels that it stands for.
        """
        depth, *sides = self.shape
        y, x = (-(-length // by) for length, by in zip(sides, factors, strict=True))
        height, width = (size * by for size, by in zip(self.pixel, factors, strict=True))
        top, left = (
            start + size * (by - 1) / 2
            for start, size, by in zip(self.origin[1:], self.pixel, factors, strict=True)
        )
        voxel = (self.voxel_size[0], height, width)
        return Geometry((depth, y, x), voxel, (self.origin[0], top, left))

    def halvings(self, resolution: float) -> int:
        """How often pixels can be doubled in size and fit `resolution` (nm)."""
        times = 0
        while 2 ** (times + 1) * max(self.pixel) <= resolution * (1 + 1e-6):
            times += 1
        return times

    def working(self, resolution: float) -> Geometry:
        """The grid of :func:`~hela_dask.volume.opening.working_volume` at this resolution (nm)."""
        by = 2 ** self.halvings(resolution)
        return self.coarser((by, by))

    def factors(self, coarse: Geometry) -> Factors:
        """How many pixels (y, x) of this grid make one of a coarser one."""
        y, x = (round(large / small) for large, small in zip(coarse.pixel, self.pixel, strict=True))
        return y, x


def check_volume(volume: object) -> None:
    """Refuse anything but a DataArray, such as a numpy or dask array or a path: InputError."""
    import xarray as xr

    if not isinstance(volume, xr.DataArray):
        kind = f"{type(volume).__module__.split('.')[0]}.{type(volume).__name__}"
        raise InputError(
            "a volume is an xarray.DataArray (z, y, x) with coordinates in nm, as "
            f"hela_dask.open_volume returns it, not a {kind.removeprefix('builtins.')}"
        )


def checked_voxel_size(voxel_size: Sequence[float], *, origin: str = "the voxel size") -> Triple:
    """`voxel_size` as three floats, after a check that it is a voxel size (z, y, x in nm)."""
    try:
        sizes = [float(size) for size in voxel_size]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{origin} must be three lengths in nm, z y x, not {voxel_size!r}"
        ) from error
    if len(sizes) != 3 or not all(math.isfinite(size) and size > 0 for size in sizes):
        raise InputError(
            f"{origin} must be three positive lengths in nm, z y x (--voxel-size 50 10 10), "
            f"not {' '.join(f'{size:g}' for size in sizes)}"
        )
    if min(sizes) < SMALLEST_VOXEL:
        raise InputError(
            f"{origin} must be lengths in nm: {min(sizes):g} nm is less than an atom; "
            f"{min(sizes):g} µm would be {1000 * min(sizes):g}"
        )
    return sizes[0], sizes[1], sizes[2]


def _stated_size(volume: xr.DataArray) -> Triple:
    """The attribute ``voxel_size``; NaN where there is none."""
    stated = volume.attrs.get("voxel_size", (math.nan,) * 3)
    try:
        if isinstance(stated, str | Mapping):
            raise TypeError
        z, y, x = (float(size) for size in stated)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the attribute voxel_size of the volume is {stated!r}, not three lengths in nm "
            "(z, y, x)"
        ) from error
    return z, y, x


def _check_units(volume: xr.DataArray) -> None:
    """Refuse lengths that state another unit than nm."""
    stated = [("the volume", volume.attrs.get("units"))]
    for axis in "zyx":
        attrs = volume.coords[axis].attrs if axis in volume.coords else {}
        stated.append((f"the coordinate {axis!r} of the volume", attrs.get("units")))
    for what, unit in stated:
        if to_nm(unit) not in (None, 1.0):
            raise InputError(f"{what} is in {unit}: give its lengths in nm")


def _places(volume: xr.DataArray, axis: str) -> Floats | None:
    """A coordinate as numbers; None where there is none, or no voxel."""
    if axis not in volume.coords or not volume.sizes[axis]:
        return None
    values: Any = volume.coords[axis].values
    if values.dtype.kind not in "iuf":
        raise InputError(
            f"the coordinate {axis!r} of the volume holds {values.dtype} values, not lengths in nm"
        )
    return np.asarray(values, dtype=np.float64)


def _step(volume: xr.DataArray, axis: str, stated: float, places: Floats | None) -> float | None:
    """Voxel size along `axis`: as stated where the coordinates do not contradict it."""
    if places is not None and len(places) > 1:
        step = float(places[-1] - places[0]) / (len(places) - 1)
        if not np.allclose(np.diff(places), step, rtol=1e-3, atol=0):
            raise InputError(f"the coordinate {axis!r} of the volume is not evenly spaced")
        if step < 0:
            raise InputError(
                f"the coordinate {axis!r} of the volume falls: turn the volume, as in "
                f"volume.sortby({axis!r})"
            )
        if not math.isclose(step, stated, rel_tol=1e-6):
            stated = step
    if math.isfinite(stated) and stated > 0:
        return stated
    if math.isnan(stated) and volume.sizes[axis] == 1:
        return None
    raise InputError(_UNKNOWN.format(axis))
