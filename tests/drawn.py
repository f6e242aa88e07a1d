"""A cell drawn from formulas: smooth nucleus, dark envelope, cytoplasm of lines, bright resin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels.grey_levels import GreyLevels
from hela_dask.methods.method import Masks, Window
from hela_dask.methods.registry import get_method
from hela_dask.parameters import Parameters
from hela_dask.trace import NO_TRACE, Trace

__all__ = ["CENTRE", "EXTENT", "Drawing", "call", "draw_cell", "iou"]

Mask = NDArray[np.bool_]

EXTENT = (2600.0, 7200.0, 7200.0)
CENTRE = (1300.0, 3600.0, 3600.0)
_NUCLEUS = (800.0, 1800.0, 1800.0)
_CELL = (1250.0, 2800.0, 2800.0)


@dataclass(frozen=True)
class Drawing:
    """Grey values and the truth.

    The nucleus ends at the inner face of its envelope; the cell holds its nucleus. ``first`` is
    the slice of the whole drawing that it starts with.
    """

    image: NDArray[np.uint8]
    nucleus: Mask
    cell: Mask
    background: Mask
    voxel: tuple[float, float, float]
    first: int = 0

    @property
    def centre(self) -> tuple[int, int, int]:
        """Of the cell, in voxels."""
        y, x = (int(at / size) for at, size in zip(CENTRE[1:], self.voxel[1:], strict=True))
        return min(int(CENTRE[0] / self.voxel[0]) - self.first, len(self.image) - 1), y, x


def draw_cell(
    voxel: tuple[float, float, float] = (50.0, 40.0, 40.0),
    *,
    nucleus: bool = True,
    twins: bool = False,
    hole: float = 0.0,
    neighbour: bool = False,
    resin: bool = True,
    gap: float = 0.0,
    slices: tuple[int, int] | None = None,
    seed: int = 0,
) -> Drawing:
    """Draw one cell in the middle of resin.

    Parameters
    ----------
    voxel
        Voxel size, nm; the grain is the same at any.
    nucleus
        Whether it has one.
    twins
        Two smaller ones instead, side by side.
    hole
        Radius in nm of a channel of cytoplasm along z through its middle.
    neighbour
        Draw another cell, without nucleus, that touches it on the right.
    resin
        False: cytoplasm everywhere around it.
    gap
        Width in nm of a gap in the envelope, at its right, in all slices.
    slices
        Only these of it, from the first (0-based) to before the last.
    seed
        Of the grain.
    """
    depth, *plane = (round(length / size) for length, size in zip(EXTENT, voxel, strict=True))
    first, last = slices or (0, depth)
    shape = (last - first, *plane)
    start = np.array([first + 0.5, 0.5, 0.5])
    places = (np.indices(shape) + start.reshape(3, 1, 1, 1)) * np.reshape(voxel, (3, 1, 1, 1))
    inside = _depth(places, CENTRE, _CELL)
    tissue = cell = inside > 0
    if neighbour:
        other = _depth(places, (CENTRE[0], CENTRE[1], CENTRE[2] + 4600), _CELL) > 0
        tissue = cell | other
        cell = cell & (places[2] < CENTRE[2] + 2300)
    tissue = tissue | (not resin)
    grain = _grain(shape, voxel, seed, 1.0)
    # Organelles: lines about half a micrometre apart.
    lines = np.exp(-((_grain(shape, voxel, seed + 1, 4.0) / 0.3) ** 2))
    image = np.where(tissue, 145 + 3 * grain - 50 * lines, 205 + 3 * grain)
    core = np.zeros(shape, dtype=bool)
    if nucleus:
        within = _depth(places, CENTRE, _NUCLEUS)
        if twins:
            left, right = (
                _depth(places, (*CENTRE[:2], CENTRE[2] + side), (800.0, 1200.0, 1200.0))
                for side in (-1300.0, 1300.0)
            )
            within = np.maximum(left, right)
        if hole:
            away = np.hypot(places[1] - CENTRE[1], places[2] - CENTRE[2])
            within = np.minimum(within, away - hole)
        image = np.where(within > 0, 150 + 3 * grain, image)
        wall = np.exp(-(within**2) / (2 * 35.0**2))
        wall[(abs(places[1] - CENTRE[1]) < gap / 2) & (places[2] > CENTRE[2])] = 0
        image -= 60 * wall
        core = within > 60
    grey = np.clip(np.round(image), 0, 255).astype(np.uint8)
    return Drawing(grey, core, cell, ~tissue, voxel, first)


def iou(one: Mask, other: Mask) -> float:
    """Intersection over union."""
    return float((one & other).sum() / max(1, (one | other).sum()))


def _depth(
    places: NDArray[np.float64], centre: tuple[float, ...], axes: tuple[float, ...]
) -> NDArray[np.float64]:
    """About how deep, in nm, a place lies inside an ellipsoid; negative outside."""
    scaled = (places - np.reshape(centre, (3, 1, 1, 1))) / np.reshape(axes, (3, 1, 1, 1))
    radius = np.sqrt((scaled**2).sum(axis=0))
    slope = np.sqrt(((scaled / np.reshape(axes, (3, 1, 1, 1))) ** 2).sum(axis=0))
    depth: NDArray[np.float64] = (1 - radius) * radius / np.maximum(slope, 1e-9)
    return depth


def _grain(
    shape: tuple[int, ...], voxel: tuple[float, float, float], seed: int, size: float
) -> NDArray[np.float64]:
    """Noise of unit strength, drawn at 40 nm in the plane and repeated in finer pixels."""
    factor = round(40 / voxel[1])
    coarse = (shape[0], shape[1] // factor, shape[2] // factor)
    noise = np.random.default_rng(seed).normal(size=coarse)
    noise = ndimage.gaussian_filter(noise, (0.5, size, size), mode="wrap")
    noise /= noise.std()
    drawn: NDArray[np.float64] = noise.repeat(factor, axis=1).repeat(factor, axis=2)
    return drawn


def call(
    method: str,
    image: NDArray[Any],
    background: Mask,
    voxel: tuple[float, float, float],
    centre: tuple[int, int, int],
    parameters: Parameters,
    *,
    grey_levels: GreyLevels | None = None,
    trace: Trace = NO_TRACE,
) -> Masks:
    """What a method makes of a window."""
    predicted = predict(method, image, voxel, parameters, grey_levels)
    window = Window(image, background, voxel, centre, grey_levels, predicted)
    return get_method(method)(window, parameters, trace=trace)


def predict(
    method: str,
    image: NDArray[Any],
    voxel: tuple[float, float, float],
    parameters: Parameters,
    grey_levels: GreyLevels | None,
) -> dict[str, NDArray[np.uint8]]:
    """The outputs of a network that a method asks for, in a window alone."""
    asked = get_method(method).asks(parameters)
    if asked is None:
        return {}
    from hela_dask.unet.inference import predict_block
    from hela_dask.unet.model import load_model

    model = load_model(asked.model)
    greys = (grey_levels.low, grey_levels.high) if grey_levels is not None else None
    low, high = greys or np.quantile(image, (0.02, 0.98))
    found = predict_block(model, image, voxel, (float(low or 0.0), float(high or 0.0)))
    return {name: found[..., model.card.outputs.index(name)] for name in asked.names}
