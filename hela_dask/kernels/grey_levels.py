"""The grey levels of cells and of resin in a slice and in a volume, and its polarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hela_dask.kernels import morphology
from hela_dask.kernels.grid import block_mean, grid_factors
from hela_dask.pages import Card, Shown, make_card

__all__ = [
    "GreyLevels",
    "SliceLevels",
    "Votes",
    "apply_polarity",
    "padding",
    "slice_levels",
    "slice_votes",
    "volume_levels",
]

_BINS = 256
_RANGE = (0.001, 0.999)  # quantiles between which the bins lie: to exclude hot pixels
_PEAK_SIGMA = 4.0  # bins: two peaks nearer than this are one
_SPAN_QUANTILES = (0.02, 0.98)  # quantiles of all that a slice shows: from membranes to resin
_VALLEY = 0.5  # between cells and resin, the histogram falls to this part of the lower peak
_MIN_FRAME = 120.0  # nm, half the width of a frame: thinner ones are image
_EDGE_MARGIN = 3  # squares of the grid that texture is measured away from where grey values change
_MIN_SQUARES = 100  # squares of the grid that texture is measured on, at least
# Squares of the grid: membranes are wider than one, narrower than the other.
_LINE_SIGMAS = (0.7, 2.5)
# Logarithm: cells are 2.5 to 3.5 times as rough as resin, 1.7 times in much noise.
_MIN_ROUGHNESS = 0.2
_MIN_SKEWNESS = 0.2  # of an image of membranes: 0.7 and more where nothing but cells is in view


@dataclass(frozen=True)
class SliceLevels:
    """The grey levels of one slice; NaN where it does not show both cells and resin.

    Attributes
    ----------
    cell, resin : float
        The most frequent grey value of each, with bright resin.
    """

    cell: float = np.nan
    resin: float = np.nan

    @property
    def visible(self) -> bool:
        """Both must be visible."""
        return bool(self.resin > self.cell)


@dataclass(frozen=True)
class GreyLevels(Shown):
    """The grey values of a whole volume, computed once and used in every slice.

    Attributes
    ----------
    inverted : bool
        Resin is darker than cells, and membranes are brighter than cytoplasm. Every stage reads the
        image through :func:`apply_polarity`.
    cell, resin : float or None
        The grey values of cells and of resin, with bright resin, for slices that show only one of
        the two; None if no sampled slice shows both.
    low, high : float or None
        Range of nearly all grey values, with bright resin (2 % are below, 2 % above, on pixels of
        80 nm); None if all sampled slices are empty. Networks see grey values in units of this
        span.

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.GreyLevels(cell=140.0, resin=205.0, low=90.0, high=210.0)
    Grey levels: resin is brighter than cells
      cells  140
      resin  205
      range  90 to 210
    """

    inverted: bool = False
    cell: float | None = None
    resin: float | None = None
    low: float | None = None
    high: float | None = None

    def _card(self) -> Card:
        def text(value: float | None) -> str:
            return "not known" if value is None else f"{value:.5g}"

        resin = "darker" if self.inverted else "brighter"
        return make_card(
            "Grey levels",
            {
                "cells": text(self.cell),
                "resin": text(self.resin),
                "range": f"{text(self.low)} to {text(self.high)}",
            },
            summary=f"resin is {resin} than cells"
            + ("; the values are those of the negative" if self.inverted else ""),
        )

    @property
    def typical(self) -> SliceLevels:
        """The levels of a slice without visible levels."""
        if self.cell is None or self.resin is None:
            return SliceLevels()
        return SliceLevels(self.cell, self.resin)


@dataclass(frozen=True)
class Votes:
    """The vote of one slice on a volume's grey values.

    Attributes
    ----------
    texture : float
        Logarithm of the ratio of the roughness of the dark part of the slice to that of the bright
        part; NaN without two parts.
    lines : float
        Skewness of its fine structure: below zero where thin lines are dark. NaN if the slice is
        empty.
    as_is, negative : SliceLevels
        Its grey levels for either polarity.
    span, negative_span : tuple of float
        Range of its grey values for either polarity; NaN if the slice is empty.
    """

    texture: float
    lines: float
    as_is: SliceLevels
    negative: SliceLevels
    span: tuple[float, float]
    negative_span: tuple[float, float]


def apply_polarity(image: NDArray[Any], inverted: bool) -> NDArray[Any]:
    """The image with bright resin and dark membranes: itself, or its negative of the same type."""
    if not inverted:
        return image
    negative: NDArray[Any] = np.invert(image) if image.dtype.kind in "iu" else np.negative(image)
    return negative


def padding(image: NDArray[Any], value: float, pixel: tuple[float, float]) -> NDArray[np.bool_]:
    """Pixels of a frame: of exactly `value`, in pieces that touch the border.

    Aligned stacks have such frames. Pieces under 240 nm wide count as image.
    """
    same = np.asarray(image == value)
    rim = np.concatenate([same[0], same[-1], same[:, 0], same[:, -1]])
    if not rim.any():
        return np.zeros(image.shape, dtype=bool)
    pieces, count = ndimage.label(morphology.open_(same, _MIN_FRAME, pixel) & same)
    frame = np.zeros(count + 1, dtype=bool)
    frame[morphology.touching_border(pieces)] = True
    found: NDArray[np.bool_] = frame[pieces]
    return found


def slice_levels(image: NDArray[Any], pixel: tuple[float, float]) -> SliceLevels:
    """The grey levels of cells and of resin in one slice with bright resin, if it shows both.

    They are the two peaks of its histogram that Otsu's threshold lies between. They are two peaks
    if a valley lies between them, which nucleus and cytoplasm do not have. A frame of one grey
    value is left out; one as bright as anything may also be saturated resin, and is left out only
    where the slice shows resin beside it.
    """
    return _levels(_Grid.of(image, pixel))


def slice_votes(image: NDArray[Any], pixel: tuple[float, float]) -> Votes:
    """The vote of one slice, as it is stored, on a volume's grey values; for :func:`volume_levels`.

    Resin is smooth and cells are rough, for either polarity. If no resin is in view, membranes are
    thin lines, dark if resin is bright.
    """
    grid = _Grid.of(image, pixel)
    inside = ~(grid.dark | grid.bright)
    shown = ndimage.binary_erosion(inside, iterations=_EDGE_MARGIN, border_value=1)
    two = _peaks(grid.grey[inside])
    texture = _texture(grid.grey, shown, (two.cell + two.resin) / 2) if two.visible else np.nan
    low, high = _span(grid.grey[inside])
    top = float(apply_polarity(np.zeros(1, image.dtype), True)[0])  # x becomes top - x
    return Votes(
        texture,
        _skewness(grid.grey, shown),
        _levels(grid),
        _levels(grid.negative(image, pixel)),
        (low, high),
        (top - high, top - low),
    )


def volume_levels(votes: Sequence[Votes], polarity: int = 0) -> GreyLevels:
    """The grey levels of a volume, from the votes of some of its slices.

    Parameters
    ----------
    votes
        Of slices spread over the volume.
    polarity
        1: resin is brighter than cells; -1: darker; 0: the slices decide, by the texture of the two
        where they show both, otherwise by their membranes. By default it is brighter.
    """
    inverted = polarity < 0
    if polarity == 0:
        texture = np.array([vote.texture for vote in votes])
        lines = np.array([vote.lines for vote in votes])
        if np.isfinite(texture).any():
            inverted = bool(np.nanmedian(texture) < -_MIN_ROUGHNESS)
        elif np.isfinite(lines).any():
            inverted = bool(np.nanmedian(lines) > _MIN_SKEWNESS)
    levels = [vote.negative if inverted else vote.as_is for vote in votes]
    spans = [vote.negative_span if inverted else vote.span for vote in votes]
    return GreyLevels(
        inverted,
        *_median_pair([(level.cell, level.resin) for level in levels if level.visible]),
        *_median_pair([span for span in spans if span[0] < span[1]]),
    )


def _median_pair(pairs: Sequence[tuple[float, float]]) -> tuple[float, float] | tuple[None, None]:
    """The median of the first of each pair, and of the second; None where there is no pair."""
    if not pairs:
        return None, None
    first, second = (float(value) for value in np.median(pairs, axis=0))
    return first, second


@dataclass(frozen=True)
class _Grid:
    """A slice on squares of the grid, and the squares that lie in a frame, dark or bright."""

    grey: NDArray[np.float32]
    dark: NDArray[np.bool_]
    bright: NDArray[np.bool_]

    @classmethod
    def of(cls, image: NDArray[Any], pixel: tuple[float, float]) -> _Grid:
        """From a slice, and its pixel size (y, x) in nm."""
        factors = grid_factors(pixel)
        dark, bright = (
            block_mean(padding(image, value, pixel), factors) > 0
            for value in (image.min(), image.max())
        )
        return cls(_smoothed(image, factors), dark, bright)

    def negative(self, image: NDArray[Any], pixel: tuple[float, float]) -> _Grid:
        """That of the slice's negative: its dark frame is bright."""
        grey = _smoothed(apply_polarity(image, True), grid_factors(pixel))
        return _Grid(grey, self.bright, self.dark)


def _smoothed(image: NDArray[Any], factors: tuple[int, int]) -> NDArray[np.float32]:
    """Means over squares, or a similar blur of pixels that are as large as squares."""
    grey: NDArray[np.float32] = block_mean(image, factors)
    return ndimage.gaussian_filter(grey, 0.75) if factors == (1, 1) else grey


def _levels(grid: _Grid) -> SliceLevels:
    """The two peaks; see :func:`slice_levels`."""
    levels = _peaks(grid.grey[~(grid.dark | grid.bright)])
    if not levels.visible and grid.bright.any():
        levels = _peaks(grid.grey[~grid.dark])
    return levels


def _span(values: NDArray[np.float32]) -> tuple[float, float]:
    """Range of nearly all grey values."""
    if not values.size:
        return np.nan, np.nan
    low, high = (float(value) for value in np.quantile(values, _SPAN_QUANTILES))
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
    smooth = ndimage.gaussian_filter1d(counts.astype(float), _PEAK_SIGMA, mode="constant")
    cell = int(smooth[: split + 1].argmax())
    resin = split + 1 + int(smooth[split + 1 :].argmax())
    if smooth[cell : resin + 1].min() > _VALLEY * min(smooth[cell], smooth[resin]):
        return SliceLevels()
    width = (high - low) / _BINS
    return SliceLevels(low + (cell + 0.5) * width, low + (resin + 0.5) * width)


def _otsu(counts: NDArray[np.int64]) -> int:
    """The last bin of the lower class, by Otsu's threshold."""
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
        inside = ndimage.binary_erosion(part, iterations=_EDGE_MARGIN) & shown
        found.append(float(np.median(gradient[inside])) if inside.sum() >= _MIN_SQUARES else 0.0)
    return float(np.log(found[0] / found[1])) if min(found) > 0 else np.nan


def _skewness(grey: NDArray[np.float32], shown: NDArray[np.bool_]) -> float:
    """Skewness of the image after removing structures coarser than organelles.

    Below zero where thin lines are dark.
    """
    fine, wide = (ndimage.gaussian_filter(grey, sigma) for sigma in _LINE_SIGMAS)
    values = (fine - wide)[shown].astype(float)
    spread = values.std() if values.size >= _MIN_SQUARES else 0.0
    return float(((values - values.mean()) ** 3).mean() / spread**3) if spread > 0 else np.nan
