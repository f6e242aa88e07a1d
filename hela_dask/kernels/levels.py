"""The grey levels of cells and of resin in a slice and in a volume, and which is the brighter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels import morphology
from hela_dask.kernels.grid import coarsen, grid_factors

__all__ = [
    "GreyLevels",
    "SliceLevels",
    "Votes",
    "padding",
    "slice_levels",
    "slice_votes",
    "upright",
    "volume_levels",
]

_BINS = 256
_RANGE = (0.001, 0.999)  # quantiles between which the bins lie: hot pixels stretch nothing
_SMOOTH = 4.0  # bins: two peaks nearer than this are one
_SPAN = (0.02, 0.98)  # quantiles of all that a slice shows: from membranes to resin
_VALLEY = 0.5  # between cells and resin, the histogram falls to this part of the lower peak
_THINNEST = 120.0  # nm, half the width of a frame: thinner ones are image
_INSIDE = 3  # squares of the grid that texture is measured away from where grey values change
_ENOUGH = 100  # squares of the grid that texture is measured on, at least
_LINES = (0.7, 2.5)  # squares of the grid: membranes are wider than one, narrower than the other
_ROUGHER = 0.2  # logarithm: cells are 2.5 to 3.5 times as rough as resin, 1.7 times in much noise
_SKEW = 0.2  # of an image of membranes: 0.7 and more where nothing but cells is in view


@dataclass(frozen=True)
class SliceLevels:
    """The grey levels of one slice; NaN where it does not show both cells and resin.

    Attributes
    ----------
    cell, resin : float
        The commonest grey value of each, in the upright image.
    """

    cell: float = np.nan
    resin: float = np.nan

    @property
    def visible(self) -> bool:
        """Both are there to be told apart."""
        return bool(self.resin > self.cell)


@dataclass(frozen=True)
class GreyLevels:
    """What a whole volume says of its grey values, found once and used in every slice.

    Attributes
    ----------
    inverted : bool
        Resin is darker than cells, and membranes are brighter than cytoplasm. Every stage reads
        the image through :func:`upright`.
    cell, resin : float or None
        The upright grey values of cells and of resin, for slices that show only one of the two;
        None where no slice that was looked at shows both.
    low, high : float or None
        Between which nearly all upright grey values lie (2 % are below, 2 % above, on pixels of
        80 nm); None where no slice that was looked at shows anything. Networks see grey values
        in units of this span.
    """

    inverted: bool = False
    cell: float | None = None
    resin: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def typical(self) -> SliceLevels:
        """The levels of a slice that has none of its own."""
        if self.cell is None or self.resin is None:
            return SliceLevels()
        return SliceLevels(self.cell, self.resin)


@dataclass(frozen=True)
class Votes:
    """What one slice says of a volume's grey values.

    Attributes
    ----------
    texture : float
        Logarithm of how much rougher the dark part of the slice is than the bright part; NaN
        where it has no two parts.
    lines : float
        Skewness of its fine structure: below zero where thin lines are dark. NaN where it has
        none.
    as_is, negative : SliceLevels
        Its levels if the image is upright, and if its negative is.
    span, negative_span : tuple of float
        Between which its grey values lie, likewise; NaN where it shows nothing.
    """

    texture: float
    lines: float
    as_is: SliceLevels
    negative: SliceLevels
    span: tuple[float, float]
    negative_span: tuple[float, float]


def upright(image: NDArray[Any], inverted: bool) -> NDArray[Any]:
    """The image with bright resin and dark membranes: itself, or its negative of the same type."""
    if not inverted:
        return image
    negative: NDArray[Any] = np.invert(image) if image.dtype.kind in "iu" else np.negative(image)
    return negative


def padding(image: NDArray[Any], value: float, pixel: tuple[float, float]) -> NDArray[np.bool_]:
    """Pixels that show nothing: of exactly `value`, in pieces that touch the border.

    Aligned stacks are framed like that. Pieces under 240 nm wide count as image.
    """
    same = np.asarray(image == value)
    rim = np.concatenate([same[0], same[-1], same[:, 0], same[:, -1]])
    if not rim.any():
        return np.zeros(image.shape, dtype=bool)
    pieces, count = ndimage.label(morphology.open_(same, _THINNEST, pixel) & same)
    frame = np.zeros(count + 1, dtype=bool)
    frame[morphology.touching_border(pieces)] = True
    found: NDArray[np.bool_] = frame[pieces]
    return found


def slice_levels(image: NDArray[Any], pixel: tuple[float, float]) -> SliceLevels:
    """The grey levels of cells and of resin in one upright slice, where it shows both.

    They are the two peaks of its histogram that Otsu's threshold lies between. That they are two
    is told by the valley between them, which nucleus and cytoplasm do not have. A frame of one
    grey value is left out; one as bright as anything may also be saturated resin, and is left
    out only where the slice shows resin beside it.
    """
    grid = _Grid(image, pixel)
    levels = _peaks(grid.grey[~(grid.dark | grid.bright)])
    if not levels.visible and grid.bright.any():
        levels = _peaks(grid.grey[~grid.dark])
    return levels


def slice_votes(image: NDArray[Any], pixel: tuple[float, float]) -> Votes:
    """What one slice, as it is stored, says of a volume's grey values; for :func:`volume_levels`.

    Resin is smooth and cells are rough, whichever is the brighter. Where no resin is in view,
    membranes are thin lines, dark in an upright image.
    """
    grid = _Grid(image, pixel)
    inside = ~(grid.dark | grid.bright)
    shown = ndimage.binary_erosion(inside, iterations=_INSIDE, border_value=1)
    two = _peaks(grid.grey[inside])
    texture = _texture(grid.grey, shown, (two.cell + two.resin) / 2) if two.visible else np.nan
    low, high = _span(grid.grey[inside])
    top = float(upright(np.zeros(1, image.dtype), True)[0])  # x becomes top - x
    return Votes(
        texture,
        _skewness(grid.grey, shown),
        slice_levels(image, pixel),
        slice_levels(upright(image, True), pixel),
        (low, high),
        (top - high, top - low),
    )


def volume_levels(votes: Sequence[Votes], polarity: int = 0) -> GreyLevels:
    """The grey levels of a volume, from what some of its slices say.

    Parameters
    ----------
    votes
        Of slices spread over the volume.
    polarity
        1: resin is brighter than cells; -1: darker; 0: the slices decide, by the texture of
        the two where they show both, otherwise by their membranes. In doubt it is brighter.
    """
    inverted = polarity < 0
    if polarity == 0:
        texture = np.array([vote.texture for vote in votes])
        lines = np.array([vote.lines for vote in votes])
        if np.isfinite(texture).any():
            inverted = bool(np.nanmedian(texture) < -_ROUGHER)
        elif np.isfinite(lines).any():
            inverted = bool(np.nanmedian(lines) > _SKEW)
    levels = [vote.negative if inverted else vote.as_is for vote in votes]
    spans = [vote.negative_span if inverted else vote.span for vote in votes]
    return GreyLevels(
        inverted,
        *_middle([(level.cell, level.resin) for level in levels if level.visible]),
        *_middle([span for span in spans if span[0] < span[1]]),
    )


def _middle(pairs: Sequence[tuple[float, float]]) -> tuple[float, float] | tuple[None, None]:
    """The median of the first of each pair, and of the second; None where there is no pair."""
    if not pairs:
        return None, None
    first, second = (float(value) for value in np.median(pairs, axis=0))
    return first, second


class _Grid:
    """A slice on squares of the grid, and the squares that lie in a frame, dark or bright."""

    def __init__(self, image: NDArray[Any], pixel: tuple[float, float]) -> None:
        factors = grid_factors(pixel)
        self.grey = coarsen(image, factors)
        if factors == (1, 1):
            self.grey = ndimage.gaussian_filter(self.grey, 0.75)
        self.dark, self.bright = (
            coarsen(padding(image, value, pixel), factors) > 0
            for value in (image.min(), image.max())
        )


def _span(values: NDArray[np.float32]) -> tuple[float, float]:
    """Between which nearly all grey values lie."""
    if not values.size:
        return np.nan, np.nan
    low, high = (float(value) for value in np.quantile(values, _SPAN))
    return low, high


def _peaks(values: NDArray[np.float32]) -> SliceLevels:
    """The two peaks of a histogram of grey values, if a valley lies between them."""
    if not values.size:
        return SliceLevels()
    low, high = (float(value) for value in np.quantile(values, _RANGE))
    if not low < high:
        return SliceLevels()
    bins = np.clip((values - low) * (_BINS / (high - low)), 0, _BINS - 1).astype(np.int64)
    counts = np.bincount(bins, minlength=_BINS)
    split = _otsu(counts)
    smooth = ndimage.gaussian_filter1d(counts.astype(float), _SMOOTH, mode="constant")
    cell = int(smooth[: split + 1].argmax())
    resin = split + 1 + int(smooth[split + 1 :].argmax())
    if smooth[cell : resin + 1].min() > _VALLEY * min(smooth[cell], smooth[resin]):
        return SliceLevels()
    width = (high - low) / _BINS
    return SliceLevels(low + (cell + 0.5) * width, low + (resin + 0.5) * width)


def _otsu(counts: NDArray[np.int64]) -> int:
    """The last bin of the lower of the two classes that are furthest apart."""
    bins = np.arange(len(counts), dtype=float)
    below, above = np.cumsum(counts)[:-1], counts.sum() - np.cumsum(counts)[:-1]
    first = np.cumsum(counts * bins)
    step = first[:-1] / np.maximum(below, 1) - (first[-1] - first[:-1]) / np.maximum(above, 1)
    return int((below.astype(float) * above * step**2).argmax())


def _texture(grey: NDArray[np.float32], shown: NDArray[np.bool_], threshold: float) -> float:
    """Logarithm of the ratio of the typical gradients inside the dark and the bright part."""
    gradient = np.hypot(*np.gradient(grey))
    found = []
    for part in (grey <= threshold, grey > threshold):
        inside = ndimage.binary_erosion(part, iterations=_INSIDE) & shown
        found.append(float(np.median(gradient[inside])) if inside.sum() >= _ENOUGH else 0.0)
    return float(np.log(found[0] / found[1])) if min(found) > 0 else np.nan


def _skewness(grey: NDArray[np.float32], shown: NDArray[np.bool_]) -> float:
    """Skewness of what is finer than organelles; below zero where thin lines are dark."""
    fine, wide = (ndimage.gaussian_filter(grey, sigma) for sigma in _LINES)
    values = (fine - wide)[shown].astype(float)
    spread = values.std() if values.size >= _ENOUGH else 0.0
    return float(((values - values.mean()) ** 3).mean() / spread**3) if spread > 0 else np.nan
