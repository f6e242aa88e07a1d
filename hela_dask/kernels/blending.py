"""The colours of layers: pictures of many objects, painted from far to near."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.compiled import compiled
from hela_dask.kernels.raster import BACK_CUT, FRONT_CUT, NEAR, OPAQUE_CUT, THICKNESS, Layers
from hela_dask.types import Floats, Grey

__all__ = ["Canvas", "Color"]

Color = tuple[float, float, float]
"""Red, green and blue, 0 to 1."""

_BACK = 0.30  # opacity of the farthest layer of a membrane
_CUT_FILM = 0.25  # opacity of the flat cut of a membrane, beside that of its film
_STRIPE = 6  # samples from stripe to stripe on a cut, of which half are dark
_STRIPES = 0.16  # darkening of stripes
_EDGE = (0.84, 0.08, 0.10)  # of a cut
_FAR_EDGE = 0.4  # opacity of the edge of a cut that is seen through the object
_WHITE = 0.35  # of an opaque cut


class Canvas:
    """A picture that objects are painted on: first all opaque parts, then membranes, far to near.

    Parameters
    ----------
    rows, columns : int
        Samples; a pixel has `supersample` of them along each side.
    supersample : int
    edges : float
        Opacity of the red edges of cuts.
    """

    def __init__(self, rows: int, columns: int, supersample: int, edges: float = 1.0) -> None:
        self.supersample = supersample
        self.edges = edges
        self.colors = np.ones((rows, columns, 3), np.float32)
        self.height = np.full((rows, columns), -np.inf, np.float32)

    def paint_opaque(self, layers: Layers, color: Color, corner: tuple[int, int] = (0, 0)) -> None:
        """Paint the opaque surface of an object; `corner`: its first row and column."""
        shown = layers, np.array(color), corner
        _paint_opaque(self.colors, self.height, *shown, (self.supersample, self.edges))

    def paint_membrane(
        self, layers: Layers, color: Color, corner: tuple[int, int] = (0, 0)
    ) -> None:
        """Paint the translucent surface of an object over all that is behind it."""
        shown = layers, np.array(color), corner
        _paint_membrane(self.colors, self.height, *shown, (self.supersample, self.edges))

    def paint_plane(self, image: NDArray[np.uint8], place: Floats) -> None:
        """Paint an opaque grey plane.

        Parameters
        ----------
        image
            (v, u) grey values.
        place
            As in :func:`hela_dask.kernels.raster.draw_flat`.
        """
        _paint_plane(self.colors, self.height, image, place)

    def paint_line(self, ends: Floats, color: Color, opacity: float) -> None:
        """Paint a straight line over all, one pixel wide; `ends`: (2, 2) rows and columns."""
        count = int(np.abs(ends[1] - ends[0]).max()) * 2 + 2
        places = np.linspace(ends[0], ends[1], count)
        wide = np.arange(self.supersample) - (self.supersample - 1) / 2
        spread = places[:, None] + np.array(np.meshgrid(wide, wide)).reshape(2, -1).T
        at = np.unique(np.floor(spread.reshape(-1, 2)).astype(int), axis=0)
        rows, columns = at[((at >= 0) & (at < self.height.shape)).all(axis=1)].T
        faded = self.colors[rows, columns] * (1 - opacity) + np.array(color) * opacity
        self.colors[rows, columns] = faded

    def pixels(self) -> NDArray[np.uint8]:
        """The picture: (rows, columns, 3), each pixel the mean of its samples."""
        return _mean_pixels(self.colors, self.supersample)

    def samples(self) -> NDArray[np.uint8]:
        """All samples: (rows, columns, 3)."""
        return _mean_pixels(self.colors, 1)


@compiled
def _mean_pixels(colors: Grey, by: int) -> NDArray[np.uint8]:
    rows, columns = colors.shape[0] // by, colors.shape[1] // by
    found = np.empty((rows, columns, 3), np.uint8)
    for row in range(rows):
        for column in range(columns):
            for part in range(3):
                total = 0.0
                for y in range(row * by, (row + 1) * by):
                    for x in range(column * by, (column + 1) * by):
                        total += colors[y, x, part]
                found[row, column, part] = int(min(max(total / (by * by), 0.0), 1.0) * 255 + 0.5)
    return found


@compiled
def _mix(colors: Grey, row: int, column: int, color: Floats, tone: float, opacity: float) -> None:
    for part in range(3):
        painted = min(color[part] * tone, 1.0)
        colors[row, column, part] += (painted - colors[row, column, part]) * opacity


@compiled
def _is_edge(layers: Layers, row: int, column: int, bit: int, width: int) -> bool:
    """Whether a sample of a cut is within `width` samples of the end of it."""
    rows, columns = layers.shape
    for y in range(row - width, row + width + 1):
        for x in range(column - width, column + width + 1):
            if y < 0 or x < 0 or y >= rows or x >= columns or layers[y, x].cut & bit == 0:
                return True
    return False


@compiled
def _striped(row: int, column: int, supersample: int) -> bool:
    return (row + column) % (_STRIPE * supersample) * 2 < _STRIPE * supersample


@compiled
def _paint_opaque(
    colors: Grey,
    heights: Grey,
    layers: Layers,
    color: Floats,
    corner: tuple[int, int],
    style: tuple[int, float],
) -> None:
    supersample, edges = style
    edge, pale = np.array(_EDGE), color * (1 - _WHITE) + _WHITE
    for row in range(layers.shape[0]):
        for column in range(layers.shape[1]):
            height, y, x = layers[row, column].height, row + corner[0], column + corner[1]
            if height == -np.inf or height <= heights[y, x]:
                continue
            heights[y, x] = height
            tone = layers[row, column].tone
            if layers[row, column].cut & OPAQUE_CUT == 0:
                _mix(colors, y, x, color, tone, 1.0)
            else:
                dark = _STRIPES if _striped(y, x, supersample) else 0.0
                _mix(colors, y, x, pale, tone * (1 - dark), 1.0)
                if _is_edge(layers, row, column, OPAQUE_CUT, supersample):
                    _mix(colors, y, x, edge, 1.0, edges)


@compiled
def _paint_membrane(
    colors: Grey,
    heights: Grey,
    layers: Layers,
    color: Floats,
    corner: tuple[int, int],
    style: tuple[int, float],
) -> None:
    supersample, edges = style
    edge = np.array(_EDGE)
    for row in range(layers.shape[0]):
        for column in range(layers.shape[1]):
            sample = layers[row, column]
            if sample.front == -np.inf:
                continue
            y, x = row + corner[0], column + corner[1]
            cut = sample.cut
            if sample.back > heights[y, x]:
                _mix(colors, y, x, color, sample.back_tone, _BACK)
                if cut & BACK_CUT and _is_edge(layers, row, column, BACK_CUT, supersample):
                    _mix(colors, y, x, edge, 1.0, _FAR_EDGE * edges)
            if sample.thickness == 0 or sample.front <= heights[y, x] - NEAR:
                continue
            opacity = 1.0 - np.exp(-sample.thickness / THICKNESS)
            if cut & FRONT_CUT == 0:
                _mix(colors, y, x, color, sample.front_tone, opacity)
                continue
            dark = _STRIPES if _striped(y, x, supersample) else 0.0
            opacity += (1 - opacity) * _CUT_FILM
            _mix(colors, y, x, color, sample.front_tone * (1 - dark), opacity)
            if _is_edge(layers, row, column, FRONT_CUT, supersample):
                _mix(colors, y, x, edge, 1.0, edges)


@compiled
def _paint_plane(colors: Grey, heights: Grey, image: NDArray[np.uint8], place: Floats) -> None:
    high, wide = image.shape
    det = place[1, 0] * place[2, 1] - place[2, 0] * place[1, 1]
    if abs(det) < 1e-12:
        return
    for row in range(heights.shape[0]):
        for column in range(heights.shape[1]):
            dy, dx = row + 0.5 - place[0, 0], column + 0.5 - place[0, 1]
            v = (dy * place[2, 1] - dx * place[2, 0]) / det
            u = (place[1, 0] * dx - place[1, 1] * dy) / det
            k, i = int(np.floor(v + 0.5)), int(np.floor(u + 0.5))
            if k < 0 or i < 0 or k >= high or i >= wide:
                continue
            height = place[0, 2] + v * place[1, 2] + u * place[2, 2]
            if height > heights[row, column]:
                heights[row, column] = height
                for part in range(3):
                    colors[row, column, part] = image[k, i] / 255
