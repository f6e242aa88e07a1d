"""The cells of a run in space: the picture of each, and one of the whole volume.

The tasks that measure the cells have drawn them (:mod:`hela_dask.running.portraits`). The picture
of the volume is painted one cell at a time, so its memory does not grow with their number.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imread, imsave
from numpy.typing import NDArray

from hela_dask.figures import draw_space
from hela_dask.figures.printing import Print
from hela_dask.formatting import counted
from hela_dask.geometry import Geometry
from hela_dask.kernels.blending import Canvas
from hela_dask.report.reading import open_view
from hela_dask.running.portraits import painted, picture_path, read_sprite, volume_extent
from hela_dask.running.reading import RunFolder
from hela_dask.steps.portrait import SUPERSAMPLE, VOLUME_VIEWS, Sprite, place_plane, volume_frames
from hela_dask.tasks.markers import Markers
from hela_dask.tasks.units import Row
from hela_dask.types import Floats, Triple

__all__ = ["CellPicture", "cell_pictures", "draw_volume", "drawn_cells"]

_WHOLE = 40  # cells with pictures of all pixels inside the page
_INSIDE = 400  # cells with pictures inside the page, half as wide; more are files beside it
_NUMBERED = 150  # cells at most with their numbers in the picture of the volume
_QUALITY = 85  # of JPEG
_SLICE_PIXELS = 1000
_CUT_EDGES = 0.4  # opacity of the red edges of cuts
_GREY = (0.60, 0.60, 0.60)


@dataclass(frozen=True)
class CellPicture:
    """The picture of a cell in the page."""

    label: int
    address: str  # of the image: ``data:``, or the file relative to the page
    file: str  # relative to the page


def drawn_cells(folder: RunFolder) -> dict[int, Row]:
    """The cells that this run has drawn, by label: rows about their pictures."""
    parameters = folder.facts.get("parameters") or {}
    if not (parameters.get("measure") or {}).get("in_runs") or folder.cells.empty:
        return {}
    markers, found = Markers(folder.path / "done"), {}
    for label in sorted(folder.segmented()["label"].tolist()):
        marker = markers.read("measure", f"{label:05d}")
        picture = marker.result.get("picture") if marker is not None else None
        if picture and picture_path(folder.path, label).is_file():
            found[label] = picture
    return found


def cell_pictures(folder: RunFolder) -> list[CellPicture]:
    """The picture of each cell, by label.

    They are inside the page, smaller ones where there are many; those of more than 400 cells are
    files beside it, which a browser loads when they are looked at.
    """
    labels, found = list(drawn_cells(folder)), []
    for label in labels:
        path = picture_path(folder.path, label)
        file = path.relative_to(folder.path).as_posix()
        address = (
            file if len(labels) > _INSIDE else _inside(path, 1 if len(labels) <= _WHOLE else 2)
        )
        found.append(CellPicture(label, address, file))
    return found


def _inside(path: Path, by: int) -> str:
    """A picture as a ``data:`` address, each pixel a mean of `by` x `by`."""
    pixels: NDArray[np.float32] = imread(path)[..., :3]  # of a PNG: 0 to 1
    rows, columns = (length // by for length in pixels.shape[:2])
    blocks = pixels[: rows * by, : columns * by].reshape(rows, by, columns, by, 3)
    small = np.rint(255 * blocks.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)
    jpeg = io.BytesIO()
    imsave(jpeg, small, format="jpeg", pil_kwargs={"quality": _QUALITY})
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode("ascii")


def draw_volume(
    folder: RunFolder,
    path: Path,
    *,
    chosen: Collection[int] | None = None,
    numbered: bool = True,
    width: float | None = None,
    printed: Print | None = None,
) -> str:
    """Write the picture of all cells; gives its caption, empty where there are none.

    `chosen` are labels of the cells to show; up to 150 cells have their numbers if `numbered`.
    `width` and `printed` are of a figure for print, which has every sample of the picture as a
    pixel.
    """
    cells, labels = drawn_cells(folder), folder.labels("cells")
    if chosen is not None:
        cells = {label: row for label, row in cells.items() if label in chosen}
    if not cells or labels is None:
        path.unlink(missing_ok=True)
        return ""
    extent = volume_extent(labels.parent)
    frames = volume_frames(extent)
    canvases = [Canvas(rows, columns, SUPERSAMPLE, _CUT_EDGES) for _, rows, columns in frames]
    shown = _slice(folder, sorted(cells))
    for (frame, *_), canvas in zip(frames, canvases, strict=True):
        for ends, is_far in _box(frame.place(_corners(extent)), frame.axes):
            if is_far:
                canvas.paint_line(ends, _GREY, 0.8)
        if shown is not None:
            canvas.paint_plane(shown[1], place_plane(shown[2], frame))
    numbers = _paint(folder, cells, extent, canvases)
    for (frame, *_), canvas in zip(frames, canvases, strict=True):
        for ends, is_far in _box(frame.place(_corners(extent)), frame.axes):
            if not is_far:
                canvas.paint_line(ends, _GREY, 0.8)
    by = SUPERSAMPLE if printed is None else 1
    draw_space(
        [canvas.pixels() if printed is None else canvas.samples() for canvas in canvases],
        frames[0][0].sample * by,
        [view.axes for view in VOLUME_VIEWS],
        path,
        title=counted(len(cells), "cell"),
        numbers=[
            {name: (row / by, column / by) for name, (row, column) in places.items()}
            for places in numbers
        ]
        if numbered and len(cells) <= _NUMBERED
        else (),
        width=width,
        printed=printed,
    )
    return (
        f"{counted(len(cells), 'cell')} in the volume, from opposite sides: nuclei are solid, "
        "membranes transparent, in the colours of the labels; where the volume cuts a cell, the "
        "cut is striped and has a red edge."
        + (f" Grey: slice {shown[0]}, the lowest with a cell, at its place." if shown else "")
    )


def _paint(
    folder: RunFolder, cells: dict[int, Row], extent: Triple, canvases: list[Canvas]
) -> list[dict[str, tuple[float, float]]]:
    """Paint all cells: nuclei, then membranes from far to near; gives their middles (samples)."""
    middles: list[dict[str, tuple[float, float]]] = []
    for view, canvas in enumerate(canvases):
        order, places = [], {}
        for label, sprite in _sprites(folder, cells, list(cells), extent, view):
            canvas.paint_opaque(sprite.layers, painted(label)[1], sprite.corner)
            height, (row, column) = _middle(sprite)
            order.append((height, label))
            places[str(label)] = row, column
        queue = [label for _, label in sorted(order)]
        for label, sprite in _sprites(folder, cells, queue, extent, view):
            canvas.paint_membrane(sprite.layers, painted(label)[0], sprite.corner)
        middles.append(places)
    return middles


def _sprites(
    folder: RunFolder, cells: dict[int, Row], labels: list[int], extent: Triple, view: int
) -> Iterator[tuple[int, Sprite]]:
    for label in labels:
        yield label, read_sprite(folder.path, label, cells[label], extent, view)


def _middle(sprite: Sprite) -> tuple[float, tuple[float, float]]:
    """The mean height (nm) of the nearest membrane, and the middle of the nucleus, or the cell."""
    layers = sprite.layers
    opaque, front = np.isfinite(layers["height"]), np.isfinite(layers["front"])
    rows, columns = np.nonzero(opaque if opaque.any() else front)
    heights = layers["front"][front] if front.any() else layers["height"][opaque]
    if not len(rows):
        return 0.0, (float(sprite.corner[0]), float(sprite.corner[1]))
    middle = float(rows.mean()) + sprite.corner[0], float(columns.mean()) + sprite.corner[1]
    return float(heights.mean(dtype=np.float64)), middle


def _corners(extent: Triple) -> Floats:
    """The corners of the volume, nm."""
    found: Floats = np.array(list(np.ndindex(2, 2, 2))) * np.array(extent)
    return found


def _box(points: Floats, axes: Floats) -> Iterator[tuple[Floats, bool]]:
    """The edges of the volume in a view: ends, and whether all of its content lies before them."""
    corners = list(np.ndindex(2, 2, 2))
    farthest = corners[int(points[:, 2].argmin())]
    for a, first in enumerate(corners):
        for b, second in enumerate(corners[a + 1 :], a + 1):
            if sum(p != q for p, q in zip(first, second, strict=True)) == 1:
                yield points[[a, b], :2], farthest in (first, second)


def _slice(folder: RunFolder, labels: list[int]) -> tuple[int, NDArray[np.uint8], Floats] | None:
    """The lowest slice with a cell: its number, grey values, and place (z, y, x; nm).

    The place is that of the first pixel, with the steps along rows and columns.
    """
    if folder.store is None or "first_slice" not in folder.cells:
        return None
    rows = folder.cells[folder.cells["label"].isin(labels)]
    view = open_view(folder.store, None, None, pixels=_SLICE_PIXELS)
    number = int(min(max(1, rows["first_slice"].min()), view.image.sizes["z"]))
    grey = view.plane(z=number - 1)[0].astype(np.float32)
    low, high = np.percentile(grey, (0.5, 99.5))
    image = np.clip((grey - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)
    whole: Any = Geometry.of(open_view(folder.store, None, None).image)
    first = [
        float(view.image[axis][at]) - origin + size / 2
        for axis, at, origin, size in zip(
            "zyx", (number - 1, 0, 0), whole.origin, whole.voxel_size, strict=True
        )
    ]
    height, width = view.pixel
    return number, image, np.array([first, [0, height, 0], [0, 0, width]])
