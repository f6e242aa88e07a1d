"""The pictures of cells in a run folder: files of the units that measure their shapes.

Each cell has a picture by itself, ``figures/cells/00007.png``, and its part of the pictures of the
whole volume, ``coarse/space-00007``, which the report joins.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.blending import Color
from hela_dask.kernels.packed_layers import PACKED, pack_layers, unpack_layers
from hela_dask.steps.assemble import label_colors
from hela_dask.steps.portrait import (
    PIXELS,
    VIEWS,
    Solid,
    Sprite,
    draw_cell,
    draw_sprite,
    make_solid,
    volume_frames,
)
from hela_dask.steps.shape import ShapedObject
from hela_dask.storage import store
from hela_dask.storage.files import remove_folder
from hela_dask.storage.metadata import read_image
from hela_dask.storage.records import Records
from hela_dask.tasks.markers import Markers, fingerprint
from hela_dask.tasks.units import Row, Unit
from hela_dask.types import Triple

if TYPE_CHECKING:
    from hela_dask.figures.printing import Print
    from hela_dask.running.stages import Job

__all__ = [
    "draw_pictures",
    "drop_pictures",
    "painted",
    "picture_path",
    "read_sprite",
    "volume_extent",
    "write_portrait",
]

_SIDES = (("first slice", "last slice"), ("low y", "high y"), ("low x", "high x"))


def picture_path(run: Path, label: int) -> Path:
    """Where a run keeps the picture of a cell."""
    return run / "figures" / "cells" / f"{label:05d}.png"


def _sprite_path(run: Path, label: int) -> Path:
    return run / "coarse" / f"space-{label:05d}"


def volume_extent(labels: Path) -> Triple:
    """The extent (z, y, x) of the volume of a folder of label groups, nm."""
    level = read_image(labels / "cells").levels[0]
    z, y, x = (n * size for n, size in zip(level.shape, level.voxel_size, strict=True))
    return z, y, x


def painted(label: int) -> tuple[Color, Color]:
    """The colours of the membrane of a cell and of its nucleus, as viewers show their labels."""
    found = [label_colors([label], pale=pale)[label] for pale in (True, False)]
    membrane, nucleus = [(r / 255, g / 255, b / 255) for r, g, b, _ in found]
    return membrane, nucleus


def draw_pictures(
    job: Job,
    unit: Unit,
    found: tuple[ShapedObject | None, ShapedObject | None],
    origin: Triple,
    extent: Triple,
) -> tuple[Row, Records]:
    """Write the pictures of a cell, unless the same are there: a row about them, and records.

    `found` are the surfaces of the cell and of its nucleus, in a box with its outer corner at
    `origin`; `extent` is that of the volume (z, y, x), nm.
    """
    cell, nucleus = found
    label, cut = unit.what.label, unit.what.cut
    if cell is None and nucleus is None:
        job.claim(unit)
        remove_pictures(job.run, label)
        return {}, {}
    content = [None if part is None else _content(part) for part in found]
    key = fingerprint(unit.what.code, label, cut, origin, extent, content)
    marker = job.markers.read(unit.stage, unit.name)
    kept = (marker.result.get("picture") or {}) if marker is not None else {}
    if marker is not None and kept.get("key") == key and not job.markers.mismatches(marker):
        return kept, marker.files
    solids = [None if part is None else make_solid(part, cut, origin) for part in found]
    job.claim(unit)
    write_portrait(picture_path(job.run, label), label, solids[0], solids[1])
    frames = volume_frames(extent)
    sprites = [
        draw_sprite(solids[0], solids[1], frame, (rows, columns)) for frame, rows, columns in frames
    ]
    files = job.markers.record(picture_path(job.run, label))
    files |= _write_sprites(
        job.run, label, sprites, [frame.heights(extent) for frame, *_ in frames]
    )
    corners = [list(sprite.corner) for sprite in sprites]
    shapes = [list(sprite.layers.shape) for sprite in sprites]
    return {"key": key, "corners": corners, "shapes": shapes}, files


def _content(found: ShapedObject) -> list[Any]:
    """A checksum of the form of an object."""
    check = 0
    for plane in found.fraction:
        check = google_crc32c.extend(check, plane.tobytes())
    return [check, found.fraction.shape, found.origin, found.sigma]


def write_portrait(
    path: Path,
    label: int,
    cell: Solid | None,
    nucleus: Solid | None,
    *,
    numbered: bool = True,
    width: float | None = None,
    printed: Print | None = None,
) -> None:
    """Write the picture of a cell from two sides; `width` and `printed`: of a figure for print.

    One of the two solids may be None. Where it is not `numbered`, the title has no number.
    """
    from hela_dask.figures import draw_space

    pixels = PIXELS
    if width is not None and printed is not None:
        pixels = int(width / len(VIEWS) / 100 * printed.dpi)
    pictures, pixel = draw_cell(cell, nucleus, *painted(label), pixels=pixels)
    solid = nucleus if cell is None else cell
    assert solid is not None
    sides = [_SIDES[axis][upper] for axis, upper in solid.cut_sides]
    title = f"cell {label}" * numbered
    if cell is None:
        title = f"{title}: nucleus" if numbered else "nucleus"
    draw_space(
        pictures,
        pixel,
        [view.axes for view in VIEWS],
        path,
        title=title,
        cut=f"cut: {', '.join(sides)}" if sides else "",
        note="no nucleus in the labels" if nucleus is None else "",
        width=width,
        printed=printed,
    )


def _write_sprites(
    run: Path, label: int, sprites: list[Sprite], heights: list[tuple[float, float]]
) -> Records:
    path = _sprite_path(run, label)
    parts = [
        pack_layers(sprite.layers, span) for sprite, span in zip(sprites, heights, strict=True)
    ]
    rows, columns = (max(part.shape[axis] for part in parts) for axis in (1, 2))
    data = np.zeros((sum(map(len, parts)), rows, columns), np.uint16)
    first = 0
    for part in parts:
        data[first : first + len(part), : part.shape[1], : part.shape[2]] = part
        first += len(part)
    if path.exists():
        remove_folder(path)
    store.create_scratch(path, data.shape, data.dtype, (PACKED, rows, columns))
    written = store.write_scratch(path, data)
    place = path.relative_to(run).as_posix()
    return {f"run/{place}/{name}": record for name, record in written.items()}


def read_sprite(run: Path, label: int, picture: Row, extent: Triple, view: int) -> Sprite:
    """The part of a cell in a view of the volume; `picture` is the row about its pictures."""
    frame, *_ = volume_frames(extent)[view]
    (rows, columns), (row, column) = picture["shapes"][view], picture["corners"][view]
    stored = store.read_scratch(_sprite_path(run, label))
    first = view * PACKED
    packed: NDArray[np.uint16] = stored[first : first + PACKED, :rows, :columns]
    return Sprite(unpack_layers(packed, frame.heights(extent)), (row, column))


def drop_pictures(run: Path, markers: Markers, kept: Collection[str]) -> None:
    """Remove the pictures of all cells but those of the units `kept`, and the markers of others.

    They are of cells that are gone, that could not be measured, or are too large to be.
    """
    pictures, sprites = picture_path(run, 0).parent, _sprite_path(run, 0).parent
    found = {path.stem for path in pictures.glob("*.png") if path.stem.isdecimal()}
    found |= {path.name.removeprefix("space-") for path in sprites.glob("space-*")}
    for name in found - set(kept):
        markers.forget("measure", name)
        remove_pictures(run, int(name))


def remove_pictures(run: Path, label: int) -> None:
    """Remove the pictures of a cell, as far as they are there."""
    picture_path(run, label).unlink(missing_ok=True)
    if _sprite_path(run, label).is_dir():
        remove_folder(_sprite_path(run, label))
