"""Grey values of a phantom: the appearance of each compartment, and the effects of the microscope.

The constants were fitted, by numbers and by eye, to HeLa cells at 50 x 40 x 40 nm
(EMPIAR-10094): mean grey of the classes, local deviation, profile of the envelope, noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hela_dask.phantom.geometry import Shapes
from hela_dask.phantom.lattice import Field, Grid, grain, normal, uniform
from hela_dask.phantom.organelles import Debris, coverage, stamp_debris, stamp_organelles
from hela_dask.phantom.plan import PhantomSpec

__all__ = ["paint"]

_RESIN, _CYTOSOL, _NUCLEOPLASM = 222.0, 168.0, 167.0
_MEMBRANE = 24.0  # darker than the cytosol
_ENVELOPE = 36.0  # darker than the nucleoplasm, where it is whole
_STREAM = 301


def _band(distance: Field, low: float, high: float, pixel: float) -> Field:
    """How much of a pixel lies between two distances."""
    return coverage(distance - np.float32(high), pixel) - coverage(
        distance - np.float32(low), pixel
    )


def _resin(grid: Grid, spec: PhantomSpec, clear: Field | None, debris: Debris) -> Field:
    """Bright resin with slow gradients, charging artefacts far from tissue, and debris."""
    key = (spec.seed, _STREAM)
    across = np.float32(7.0 * (2 * float(uniform(*key, 90)) - 1) / 20000.0)
    down = np.float32(7.0 * (2 * float(uniform(*key, 91)) - 1) / 20000.0)
    slope = np.clip(across * grid.x + down * grid.y, -14, 14)
    grey = grid.field((3000.0, 5000.0, 5000.0), *key, 0)
    grey *= np.float32(4.0)
    grey += slope + np.float32(_RESIN)
    # Charging: flames with one sharp and one soft side, and a dull halo around them.
    flame = grid.field((1500.0, 2600.0, 2600.0), *key, 1)
    where = grid.field((2500.0, 6000.0, 6000.0), *key, 2)
    away = 1.0 if clear is None else np.clip((clear - 700.0) / 1400.0, 0, 1)
    gate = np.clip((where - np.float32(0.4)) * np.float32(0.8), 0, 1) * away
    width = np.where(flame > 0, np.float32(0.55), np.float32(0.28))
    ridge = np.clip(np.float32(1) - np.abs(flame) / width, 0, 1)
    ridge *= ridge * (np.float32(3) - np.float32(2) * ridge)
    grey -= gate * (np.float32(110.0) * ridge)
    dull = np.clip(flame * np.float32(1.5) + np.float32(0.3), 0, 1)
    dull *= np.clip(gate * np.float32(4), 0, 1) * (np.float32(1) - debris.halo)
    grey -= np.float32(24.0) * dull
    grey -= np.float32(62.0) * _filaments(grid, spec, clear)
    grey += debris.tint
    return np.maximum(grey, np.float32(52.0))


def _filaments(grid: Grid, spec: PhantomSpec, clear: Field | None) -> Field:
    """Microvilli and threads: lines where two random fields are 0, thick close to cells."""
    key = (spec.seed, _STREAM)
    a, slope = grid.sloped_field(420.0, *key, 80)
    a /= slope + np.float32(0.2 / 420.0)
    b, slope = grid.sloped_field((600.0, 420.0, 420.0), *key, 81)
    b /= slope + np.float32(0.2 / 420.0)
    a *= a
    b *= b
    a += b
    patch = grid.field((900.0, 1300.0, 1300.0), *key, 82)
    if clear is not None:
        patch += np.clip(np.float32(1.3) - clear * np.float32(1 / 1500.0), 0, np.float32(1.3))
    width = np.clip(patch * np.float32(70.0) + np.float32(66.0), 0, np.float32(95.0))
    line = coverage(np.sqrt(a) - width, grid.voxel_size[2])
    line *= width > 0
    return line


def _cytoplasm(grid: Grid, spec: PhantomSpec, shapes: Shapes, rough: Field) -> Field:
    """Cytosol with reticulum, mitochondria, vesicles and granules."""
    key = (spec.seed, _STREAM)
    pixel = grid.voxel_size[2]
    crowd = np.clip(np.float32(0.55) + np.float32(0.6) * shapes.polar, 0, 1)
    deep = np.clip((-shapes.hull - np.float32(150.0)) / np.float32(900.0), 0, 1)
    tint = np.zeros(grid.shape, np.float32)
    for k, (spacing, dark) in enumerate(((330.0, 38.0), (620.0, 40.0))):
        sheet, slope = grid.sloped_field(spacing, *key, 10 + k)
        slope += np.float32(0.25 / spacing)
        np.abs(sheet, out=sheet)
        sheet /= slope
        line = coverage(sheet - np.float32(22.0), pixel)
        shown = grid.field(1.5 * spacing, *key, 20 + k) + crowd * np.float32(1.1)
        shown -= np.float32(0.15)
        line *= np.clip(shown * np.float32(2.5), 0, 1) * (
            np.float32(0.25) + np.float32(0.75) * deep
        )
        tint -= np.float32(dark) * line
    stamp_organelles(grid, spec, tint, rough)
    tone = grid.field((700.0, 900.0, 900.0), *key, 30)
    tint += np.float32(2.5) * tone
    fine = grid.field((60.0, 110.0, 110.0), *key, 31)
    tint += np.float32(4.2) * fine
    dots = grid.field((80.0, 75.0, 75.0), *key, 32)
    dots -= np.float32(2.0)
    tint -= np.float32(44.0) * np.clip(dots, 0, 1)
    tint += np.float32(_CYTOSOL)
    tint -= np.float32(5.0) * crowd * deep
    return tint


def _nucleoplasm(grid: Grid, spec: PhantomSpec, shapes: Shapes) -> Field:
    """Smooth grain, slow shades, and darker nucleoli well inside."""
    key = (spec.seed, _STREAM)
    grey = grid.field((400.0, 350.0, 350.0), *key, 40)
    grey *= np.float32(2.2)
    slow = grid.field((1800.0, 2000.0, 2000.0), *key, 41)
    grey += np.float32(2.6) * slow
    spot = grid.field((1500.0, 1100.0, 1100.0), *key, 42)
    spot -= np.float32(1.25)
    spot *= np.float32(2.5)
    np.clip(spot, 0, 1, out=spot)
    spot *= np.clip((-shapes.nucleus - np.float32(350.0)) / np.float32(500.0), 0, 1)
    grey -= np.float32(11.0) * spot
    grey += np.float32(_NUCLEOPLASM)
    return grey


def _chromatin(grid: Grid, spec: PhantomSpec, shapes: Shapes) -> Field:
    """Measured grain, large dark nucleoli, and patches of heterochromatin at the envelope."""
    key = (spec.seed, _STREAM)
    grey = grid.field((280.0, 240.0, 240.0), *key, 45)
    grey *= np.float32(3.0)
    slow = grid.field((1100.0, 1100.0, 1100.0), *key, 46)
    grey += np.float32(2.4) * slow
    spot = grid.field((1100.0, 1000.0, 1000.0), *key, 47)
    spot -= np.float32(0.95)
    spot *= np.float32(3.0)
    spot += np.float32(0.25) * grid.field(250.0, *key, 48)
    np.clip(spot, 0, 1, out=spot)
    spot *= np.clip((-shapes.nucleus - np.float32(250.0)) / np.float32(400.0), 0, 1)
    grey -= np.float32(15.0) * spot
    patch = np.clip(grid.field(500.0, *key, 49) - np.float32(1.0), 0, 1)
    patch *= np.clip(np.float32(1.6) + shapes.nucleus / np.float32(200.0), 0, 1)
    grey -= np.float32(6.0) * patch
    grey += np.float32(_NUCLEOPLASM - 1.0)
    return grey


def _oblique_envelope(grid: Grid, spec: PhantomSpec, shapes: Shapes) -> Field:
    """Darkness of the envelope of a lobulated nucleus: smeared where it lies flat in the slice.

    A slice shows all that lies in its thickness. The reticulum around the nucleus follows the
    envelope, in broken lines.
    """
    key = (spec.seed, _STREAM)
    flat = shapes.flat
    depth, width = np.float32(grid.voxel_size[0]), np.float32(grid.voxel_size[2])
    pixel = np.hypot(
        width * np.sqrt(np.maximum(1 - flat * flat, 0)), np.float32(1.3) * depth * flat
    )
    line = np.clip((np.float32(58.0) - shapes.nucleus) / pixel + np.float32(0.5), 0, 1)
    line -= np.clip((-3 - np.float32(40.0) * flat - shapes.nucleus) / pixel + np.float32(0.5), 0, 1)
    whole = grid.field(420.0, *key, 50)
    whole += np.float32(1.25)
    whole -= flat * np.clip(grid.field(1800.0, *key, 51) + np.float32(0.2), 0, 1)
    np.clip(whole, np.float32(0.12), np.float32(1), out=whole)
    line *= whole
    around = np.abs(shapes.nucleus - np.float32(230.0) - 70 * grid.field(600.0, *key, 52))
    shown = np.clip(np.float32(3) * grid.field(700.0, *key, 53) - np.float32(0.3), 0, 1)
    line += np.float32(0.7) * shown * coverage(around - np.float32(24.0), grid.voxel_size[2])
    return np.asarray(line * np.float32(_ENVELOPE), dtype=np.float32)


def _envelope(grid: Grid, spec: PhantomSpec, shapes: Shapes) -> Field:
    """Darkness of the nuclear envelope: a line of about 55 nm, faint or gone in places."""
    key = (spec.seed, _STREAM)
    line = _band(shapes.nucleus, -3.0, 52.0, grid.voxel_size[2])
    whole = grid.field(420.0, *key, 50)
    whole += np.float32(1.25)
    np.clip(whole, np.float32(0.12), np.float32(1), out=whole)
    line *= whole
    return line * np.float32(_ENVELOPE)


def _tissue(grid: Grid, spec: PhantomSpec, shapes: Shapes, rough: Field) -> Field:
    """Everything inside the cells, with membranes."""
    pixel = grid.voxel_size[2]
    grey = _cytoplasm(grid, spec, shapes, rough)
    core = coverage(shapes.nucleus, pixel)
    if core.any():
        inside = _chromatin if spec.lobulated else _nucleoplasm
        envelope = _oblique_envelope if spec.lobulated else _envelope
        grey += core * (inside(grid, spec, shapes) - grey)
        grey -= envelope(grid, spec, shapes)
    skin = _band(shapes.cell, -42.0, 6.0, pixel)
    contact = coverage(shapes.other - np.float32(34.0), pixel)
    grey -= np.float32(_MEMBRANE) * np.maximum(skin * np.float32(0.7), contact * np.float32(1.5))
    return grey


def _camera(grid: Grid, spec: PhantomSpec, grey: Field, tissue: Field) -> NDArray[np.uint8]:
    """Jumps between slices, uneven scan lines, correlated noise; then 8 bit."""
    key = (spec.seed, _STREAM)
    z = grid.origin[0] + np.arange(grid.z.size)
    shared, own = normal(*key, 60, z), normal(*key, 61, z)
    rows = normal(*key, 62, z[None, :], grid.origin[1] + np.arange(grid.y.size)[:, None])
    resin_jump, tissue_jump = 3.2 * shared, 4.0 * shared + 2.6 * own
    jump = (tissue_jump - resin_jump)[None, :, None] * tissue
    grey += jump + resin_jump[None, :, None]
    grey += np.float32(1.1) * rows[:, :, None]
    pixel = float(np.sqrt(grid.voxel_size[1] * grid.voxel_size[2]))
    # Measured: deviation 9.2 and blur 0.95 pixels at 10 nm, 6.9 and 0.47 at 40 nm.
    deviation = min(14.0, 9.2 * (pixel / 10.0) ** -0.21)
    noise = grain(grid, spec.seed, 0.95 * (pixel / 10.0) ** -0.5)
    noise *= np.float32(deviation * 0.5) + np.float32(deviation * 0.42) * tissue
    grey += noise
    np.clip(grey, 0, 255, out=grey)
    return (grey + np.float32(0.5)).astype(np.uint8)


def paint(
    grid: Grid, spec: PhantomSpec, shapes: Shapes | None
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The image of a tile and the mask of loose pieces in the resin, (y, z, x)."""
    rough = grid.field((220.0, 200.0, 200.0), spec.seed, _STREAM, 70)
    debris = stamp_debris(grid, spec, rough)
    pixel = grid.voxel_size[2]
    solid = debris.solid
    if shapes is None:
        tissue = coverage(solid, pixel)
        grey = _resin(grid, spec, None, debris)
        inner = np.full(grid.shape, _CYTOSOL, np.float32)
    else:
        solid = np.where(shapes.cell < 120.0, np.float32(1e6), solid)
        surface = np.minimum(shapes.cell, solid)
        tissue = coverage(surface, pixel)
        grey = _resin(grid, spec, shapes.hull, debris)
        if (shapes.cell < pixel).any():
            inner = _tissue(grid, spec, shapes, rough)
        else:
            inner = np.full(grid.shape, _CYTOSOL, np.float32)
    if (solid < pixel).any():
        skin = _band(solid, -42.0, 6.0, pixel)
        dots = np.clip(grid.field((80.0, 75.0, 75.0), spec.seed, _STREAM, 32) - 2, 0, 1)
        lump = np.float32(_CYTOSOL - 3.0) + 4 * rough - 13 * skin - 28 * dots + debris.inner
        inner = np.where(solid < pixel, lump, inner)
    grey += tissue * (inner - grey)
    return _camera(grid, spec, grey, tissue), (solid < 0) & debris.drawn
