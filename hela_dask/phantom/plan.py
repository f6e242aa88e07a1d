"""Where the cells of a phantom lie: a plan drawn from the seed, small enough to pass around."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hela_dask.errors import ParameterError
from hela_dask.types import Triple

__all__ = ["KINDS", "LOBULATED", "PhantomCell", "PhantomSpec", "plan_phantom"]

LOBULATED = "lobulated"
KINDS = ("plain", LOBULATED)

_FLAT = 0.86  # height over width of a cell (the papers: 15 µm tall, 15-20 µm wide)
_TOUCH = 0.9  # centres of touching cells, in sums of their radii
_APART = 1.16
_DEEPEST = 0.84  # centres closer than this, in sums of radii, are one cell inside another
_SMALL = 0.5  # width of a small cell, in widths of a usual one
_TALL = 1.28  # height of a lobulated nucleus, in heights of a plain one
_LYING, _STANDING = 0.36, 0.42  # thinnest radius of a flat cell, in radii of a usual one


@dataclass(frozen=True)
class PhantomCell:
    """One cell of the plan; lengths in nm, order z, y, x."""

    label: int  # its id in the truth, 1.. by z, y, x of the centre.
    # Of the ellipsoid that the ruffled surface follows; the first radius is along z, the others
    # along the cell's own axes, turned by `angle` (radian) in the plane
    centre: Triple
    radii: Triple
    angle: float
    radius: float  # half of the mean width
    # The same for its nucleus
    nucleus_centre: Triple
    nucleus_radii: Triple
    complete: bool  # whether the centre is more than `radius` away from every side of the volume
    touching: tuple[int, ...]  # labels of the cells that it touches
    hole: bool  # whether a channel runs through its nucleus


@dataclass(frozen=True)
class PhantomSpec:
    """Everything a phantom is made from: hand it to :func:`phantom_block`."""

    shape: tuple[int, int, int]  # voxels, z, y, x
    voxel_size: Triple  # nm, z, y, x
    diameter: float  # mean width of the cells, µm
    seed: int  # of every random number
    cells: tuple[PhantomCell, ...]  # in the order of their labels
    kind: str = KINDS[0]  # of the shapes of nuclei and of cell ends, see plan_phantom

    @property
    def lobulated(self) -> bool:
        """Whether nuclei are lobulated and the ends of cells ruffled."""
        return self.kind == LOBULATED


def _checked(
    shape: Sequence[int], cells: int, diameter: float, seed: int, voxel_size: Sequence[float]
) -> tuple[tuple[int, int, int], Triple]:
    if len(shape) != 3 or any(int(n) != n or n < 1 for n in shape):
        raise ParameterError(
            f"the shape of a phantom is three whole numbers z, y, x above 0, not {tuple(shape)}"
        )
    if len(voxel_size) != 3 or any(not math.isfinite(v) or v <= 0 for v in voxel_size):
        raise ParameterError(
            f"the voxel size is three lengths in nm above 0 (z, y, x), not {tuple(voxel_size)}"
        )
    if isinstance(cells, bool) or int(cells) != cells or cells < 1:
        raise ParameterError(f"a phantom needs a whole number of at least 1 cell, not {cells!r}")
    if not math.isfinite(diameter) or diameter <= 0:
        raise ParameterError(f"the diameter of a phantom's cells is in µm above 0, not {diameter}")
    if int(seed) != seed or not 0 <= seed < 2**31:
        raise ParameterError(f"the seed is a whole number from 0 to 2147483647, not {seed!r}")
    widest = max(voxel_size)
    if diameter * 1000.0 < 24.0 * widest:
        raise ParameterError(
            f"cells of {diameter} µm are under 24 voxels of {widest} nm wide: ask for a larger "
            "diameter or a smaller voxel size"
        )
    z, y, x = (int(n) for n in shape)
    a, b, c = (float(v) for v in voxel_size)
    return (z, y, x), (a, b, c)


def _radii(
    rng: np.random.Generator, cells: int, diameter: float, room: float
) -> NDArray[np.float64]:
    """Half widths in nm with a mean of half the diameter, as unequal as the room allows."""
    half = diameter * 500.0
    spread = min(0.09, max(0.0, (0.985 * room / half) - 1.0))
    factors = 1.0 + spread * rng.uniform(-1.0, 1.0, cells)
    radii = half * factors / factors.mean()
    return np.asarray(np.minimum(radii, max(half, 0.99 * room)), dtype=np.float64)


def _partners(cells: int) -> set[tuple[int, int]]:
    """Pairs meant to touch."""
    return {(i, i + 1) for i in range(0, cells - 1, 2)}


def _relax(
    rng: np.random.Generator,
    radii: NDArray[np.float64],
    complete: int,
    extent: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Centres by repulsion inside the box, and attraction between partners: (n, 3) nm."""
    count = len(radii)
    tight = (radii * 1.004 + 20.0)[:, None]
    low = np.clip(radii[:, None] * 1.1, tight, np.maximum(tight, extent / 2 - 1.0))
    high = extent - low
    for i in range(complete, count):  # cut by a side in the plane, or by any side of a deep volume
        axis = int(rng.integers(1, 3)) if extent[0] < 4 * radii[i] else int(rng.integers(0, 3))
        low[i], high[i] = 0.0, extent
        low[i, 0] = min(0.6 * radii[i], extent[0] / 2)
        high[i, 0] = extent[0] - low[i, 0]
        inside = sorted([0.1 * radii[i], 0.6 * radii[i]])
        if rng.random() < 0.5:
            low[i, axis], high[i, axis] = inside
        else:
            low[i, axis], high[i, axis] = extent[axis] - inside[1], extent[axis] - inside[0]
    middle = (low + high) / 2
    low, high = np.minimum(low, middle), np.maximum(high, middle)
    place = low + rng.random((count, 3)) * (high - low)
    sums = radii[:, None] + radii[None, :]
    wanted = _APART * sums
    pull = np.zeros((count, count), bool)
    for i, j in _partners(count):
        wanted[i, j] = wanted[j, i] = _TOUCH * sums[i, j]
        pull[i, j] = pull[j, i] = True
    np.fill_diagonal(wanted, 0.0)
    stretch = np.array([1.0 / _FLAT, 1.0, 1.0])
    for step in range(300):
        delta = (place[:, None] - place[None, :]) * stretch
        distance = np.sqrt((delta**2).sum(-1)) + 1e-9
        force = np.where(pull | (distance < wanted), wanted - distance, 0.0)
        np.fill_diagonal(force, 0.0)
        move = (force / distance)[..., None] * delta
        jitter = rng.normal(0, 0.02 * radii.mean(), place.shape) * max(0.0, 1 - step / 150)
        place = np.clip(place + 0.3 * move.sum(1) + jitter, low, high)
    return np.asarray(place, dtype=np.float64)


def _spacing(place: NDArray[np.float64], radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances of the centres in sums of radii, heights stretched to widths: (n, n)."""
    delta = (place[:, None] - place[None, :]) * np.array([1.0 / _FLAT, 1.0, 1.0])
    spacing = np.sqrt((delta**2).sum(-1)) / (radii[:, None] + radii[None, :])
    np.fill_diagonal(spacing, np.inf)
    return np.asarray(spacing, dtype=np.float64)


def _touches(spacing: NDArray[np.float64]) -> NDArray[np.bool_]:
    return spacing < 0.95


def _layout(
    rng: np.random.Generator, cells: int, diameter: float, extent: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], int] | None:
    """Centres, radii and the number of complete cells, the most that a few tries can hold."""
    room = float(extent.min()) / 2 - 25.0
    most = cells if cells < 3 else cells - max(1, cells // 4)
    least = (cells + 1) // 2
    if least * _FLAT * math.pi / 6.0 * (1000.0 * diameter) ** 3 > 0.8 * extent.prod():
        return None
    for complete in sorted({*range(most, least, -max(1, cells // 8)), least}, reverse=True):
        best: tuple[int, NDArray[np.float64], NDArray[np.float64]] | None = None
        for _ in range(16):
            radii = _radii(rng, cells, diameter, room)
            if radii[:complete].max() * 1.004 + 20.0 > extent.min() / 2:
                continue
            place = _relax(rng, radii, complete, extent)
            spacing = _spacing(place, radii)
            enough = cells == 1 or _touches(spacing).any(0).sum() * 3 >= cells
            crowding = int(_touches(spacing).sum())
            if spacing.min() >= _DEEPEST and enough and (best is None or crowding < best[0]):
                best = crowding, place, radii
        if best is not None:
            return best[1], best[2], complete
    return None


def plan_phantom(
    shape: Sequence[int],
    cells: int,
    diameter: float,
    seed: int = 0,
    voxel_size: Sequence[float] = (50.0, 40.0, 40.0),
    *,
    small: int = 0,
    flat: int = 0,
    kind: str = KINDS[0],
) -> PhantomSpec:
    """Plan a phantom: place its cells, decide which touch, which are cut, which has the hole.

    At least half of `cells` are complete; `diameter` is their mean width in µm; `shape` and
    `voxel_size` (nm) are z, y, x. So many of the complete cells are `small`, half as wide as the
    others, or `flat`, thin: in turn lying in the plane and standing upright in it. All other cells
    stay as they are without them.

    Cells of the `kind` ``"plain"`` have smooth nuclei with two or three round lobes at each pole.
    Those of the kind ``"lobulated"`` are modelled on a measured HeLa cell: clefts split their
    nuclei into islands towards the poles, with deep folds below; the slices cut the envelope
    obliquely there; the chromatin has nucleoli and dark patches; and the ends of a cell consist of
    ruffles and blebs, which single slices show as separate pieces in resin. The cells have the same
    places.

    ParameterError when a value makes no sense or the shape cannot hold such cells.
    """
    if kind not in KINDS:
        raise ParameterError(f"the kind of a phantom is one of {', '.join(KINDS)}, not {kind!r}")
    size, voxel = _checked(shape, cells, diameter, seed, voxel_size)
    extent = (np.array(size) - 1.0) * np.array(voxel)
    microns = " x ".join(f"{length / 1000:.1f}" for length in extent)
    if extent.min() / 2 < diameter * 500.0 * 1.004 + 20.0:
        axis = "zyx"[int(extent.argmin())]
        need = math.ceil(diameter * 1000.0 * 1.01 / voxel[int(extent.argmin())]) + 3
        raise ParameterError(
            f"a volume of {microns} µm cannot hold a complete cell of {diameter:g} µm: make it at "
            f"least {need} voxels long in {axis}, or the diameter at most "
            f"{math.floor(extent.min() / 1008.0 * 10 - 1e-9) / 10:g}"
        )
    rng = np.random.Generator(np.random.Philox(key=[seed, 0x48654C61]))
    layout = _layout(rng, cells, diameter, extent)
    if layout is None:
        raise ParameterError(
            f"a volume of {microns} µm cannot hold {cells} cells of {diameter:g} µm, half of them "
            "complete: ask for fewer cells, a smaller diameter or a larger shape"
        )
    place, radii, complete = layout
    order = sorted(range(cells), key=lambda i: tuple(place[i]))
    rank = {old: new + 1 for new, old in enumerate(order)}
    touch = _touches(_spacing(place, radii))
    holed = max(range(complete), key=lambda i: radii[i])
    odd = _odd([i for i in range(complete) if i != holed], small, flat)
    touch[list(odd)] = touch[:, list(odd)] = False  # they have drawn back from their neighbours
    planned = [
        _cell(
            rng,
            rank[i],
            place[i],
            float(radii[i]),
            bool((np.minimum(place[i], extent - place[i]) > radii[i]).all()),
            tuple(sorted(rank[int(j)] for j in np.flatnonzero(touch[i]))),
            hole=i == holed,
            factors=odd.get(i, (1.0, 1.0, 1.0)),
            tall=_TALL if kind == LOBULATED else 1.0,
        )
        for i in order
    ]
    return PhantomSpec(size, voxel, float(diameter), int(seed), tuple(planned), kind)


def _odd(free: Sequence[int], small: int, flat: int) -> dict[int, Triple]:
    """Factors of the radii of the cells that are not of the usual shape, by their place."""
    if min(small, flat) < 0 or small + flat > len(free):
        raise ParameterError(
            f"{small} small and {flat} flat cells are asked for, and {len(free)} can be: those "
            "that are complete, but for the one with a hole in its nucleus"
        )
    shapes = [(_SMALL, _SMALL, _SMALL)] * small
    for turn in range(flat):
        shapes.append((_LYING, 1.0, 1.0) if turn % 2 == 0 else (1.0, 1.0, _STANDING))
    return dict(zip(free, shapes, strict=False))


def _cell(
    rng: np.random.Generator,
    label: int,
    centre: NDArray[np.float64],
    radius: float,
    complete: bool,
    touching: tuple[int, ...],
    *,
    hole: bool,
    factors: Triple,
    tall: float,
) -> PhantomCell:
    aspect = 1.0 + 0.06 * rng.uniform(-1, 1)
    body = radius
    radii = (_FLAT * body, body * aspect, body / aspect)
    angle, way = rng.uniform(0, math.pi), rng.uniform(0, 2 * math.pi)
    shift = 0.11 * radius
    nucleus = 0.60 * radius * (1.0 + 0.05 * rng.uniform(-1, 1))
    slender = 1.0 + 0.1 * rng.uniform(0, 1)
    lift = 0.04 * radius * rng.uniform(-1, 1)
    z, b, a = factors
    thin = min(factors)
    return PhantomCell(
        label=label,
        centre=(float(centre[0]), float(centre[1]), float(centre[2])),
        radii=(radii[0] * z, radii[1] * b, radii[2] * a),
        angle=angle,
        radius=radius * (factors[0] * factors[1] * factors[2]) ** (1 / 3),
        nucleus_centre=(
            float(centre[0]) + thin * lift,
            float(centre[1]) + thin * shift * math.sin(way),
            float(centre[2]) + thin * shift * math.cos(way),
        ),
        nucleus_radii=(0.86 * nucleus * z * tall, nucleus * slender * b, nucleus / slender * a),
        complete=complete,
        touching=touching,
        hole=hole,
    )
