"""Statistics of nuclei, envelopes and cell ends: ``python -m benchmarks.accuracy likeness``.

Measured in the same way on the labelled slices of the real cell and on phantoms. The constants of
the lobulated phantom were fitted to the figures of the real cell; the table shows how close it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import convex_hull_image

from benchmarks.stacks import Stack

__all__ = ["ENDS", "FIGURES", "statistics"]

Array = NDArray[Any]
Mask = NDArray[np.bool_]

ENVELOPE, NUCLEUS, RESIN, CYTOPLASM = 1, 2, 4, 5
_ISLAND = 0.02  # smallest island of a nucleus, µm²
_PIECE = 0.05  # smallest piece of tissue, µm²
_DEPTHS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)  # distances from a pole, µm
_LAGS = 40
ENDS = (0.02, 0.18)
"""Slices with so much of the largest area of a cell are its ends."""
_STEP = 40.0  # nm, of profiles across the envelope
_TILTS = (("steep", 0.0, 0.35), ("oblique", 0.5, 0.8), ("flat", 0.8, 1.01))
_INSIDE = 250.0  # nm from the envelope: nucleoplasm alone
_DARK = 5.0  # grey levels below the slice's nucleoplasm: a nucleolus


FIGURES: dict[str, tuple[str, int]] = {
    "grey_nucleus_sd": ("nucleoplasm: standard deviation of the grey values", 1),
    "grey_cytoplasm": ("cytoplasm: grey value, nucleoplasm is 0", 1),
    "grey_cytoplasm_sd": ("cytoplasm: standard deviation", 1),
    "grey_envelope": ("envelope class: grey value", 1),
    "chromatin_sd": ("chromatin: standard deviation that adjacent slices share", 1),
    "chromatin_length": ("chromatin: correlation length in the plane, nm", 0),
    "chromatin_length_z": ("chromatin: correlation length along z, nm", 0),
    "dark_share": ("nucleoli and dark chromatin: share of the nucleoplasm", 2),
    "rim_grey": ("chromatin 100-300 nm from the envelope: grey value, the inner one is 0", 1),
    "envelope_steep": (
        "envelope at 70 to 90 degrees to the slices: depth below the nucleoplasm",
        1,
    ),
    "envelope_steep_width": ("the same: width, nm", 0),
    "envelope_oblique": ("envelope at 37 to 60 degrees to the slices: depth", 1),
    "envelope_oblique_width": ("the same: width, nm", 0),
    "envelope_flat": ("envelope within 37 degrees of the slices: depth", 1),
    "envelope_flat_width": ("the same: width, nm", 0),
    "area_0.25": ("area of the nucleus 0.25 µm from its pole, share of the largest", 3),
    "area_0.5": ("0.5 µm from its pole", 3),
    "area_1": ("1 µm", 3),
    "area_1.5": ("1.5 µm", 3),
    "area_2": ("2 µm", 3),
    "area_3": ("3 µm", 3),
    "islands": ("islands of the nucleus per slice, last 1 µm", 1),
    "islands_most": ("islands in one slice, most, last 2 µm", 1),
    "islands_slices": ("share of slices with several islands, last 2 µm", 2),
    "solidity_pole": ("area over convex hull, 0.5-2 µm from the pole", 2),
    "envelope_area_pole": ("envelope, share of the area of nucleus and envelope, last 1 µm", 2),
    "envelope_area_middle": ("the same, in the middle", 2),
    "end_pieces": ("pieces of tissue near the cell per slice of its ends", 1),
    "end_largest": ("the largest of them, share of their area", 2),
}
"""Title and decimals of each figure, in the order of the table."""


def statistics(stack: Stack, missing: Mask | None = None) -> dict[str, float]:
    """Figures of a nucleus, of its envelope near the poles and of the ends of its cell.

    Parameters
    ----------
    stack : Stack
        With the five published classes. A pole counts where the stack has a slice without nucleus
        beyond it; an end of the cell are the slices with 2 to 18 % of its largest area.
    missing : ndarray of bool, (z, y, x), optional
        Pixels of which the grey value is not known.

    Returns
    -------
    dict
        Figures by name; lengths in nm, areas in µm², grey levels.
    """
    box = _around(np.isin(stack.truth, (ENVELOPE, NUCLEUS)), 40)
    image, truth = stack.image[box].astype(np.float32), stack.truth[box]
    distance = _signed_distance(truth == NUCLEUS, stack.voxel)
    level = _levelled(image, truth)
    known = np.ones(level.shape, bool) if missing is None else ~missing[box]
    return {
        **_grey(level, truth, known),
        **_chromatin(level, distance, stack.voxel),
        **_envelope(level, distance, known, stack.voxel),
        **_poles(stack),
        **_ends(stack),
    }


def _around(mask: Mask, margin: int) -> tuple[slice, ...]:
    (found,) = ndimage.find_objects(mask.astype(np.uint8))
    assert found is not None
    return tuple(
        slice(max(0, part.start - margin), min(size, part.stop + margin))
        for part, size in zip(found, mask.shape, strict=True)
    )


def _signed_distance(mask: Mask, voxel: tuple[float, float, float]) -> Array:
    """Distance to the surface in nm, negative inside."""
    outside = ndimage.distance_transform_edt(~mask, sampling=voxel)
    inside = ndimage.distance_transform_edt(mask, sampling=voxel)
    return np.asarray(outside - inside, dtype=np.float32)


def _levelled(image: Array, truth: Array) -> Array:
    """Grey values relative to the median of the slice's nucleus; without one, of its cell."""
    out = np.empty(image.shape, np.float32)
    for plane, labels, target in zip(image, truth, out, strict=True):
        core = ndimage.binary_erosion(labels == NUCLEUS, iterations=5)
        if np.count_nonzero(core) < 500:
            core = labels == CYTOPLASM
        target[...] = plane - (np.median(plane[core]) if core.any() else plane.mean())
    return out


def _grey(level: Array, truth: Array, known: Mask) -> dict[str, float]:
    slices = (truth == NUCLEUS).sum((1, 2)) > 2000
    level, truth = level[slices], truth[slices]
    core = ndimage.binary_erosion(truth == NUCLEUS, np.ones((1, 9, 9), bool))
    own = truth == CYTOPLASM
    return {
        "grey_nucleus_sd": float(level[core].std()),
        "grey_cytoplasm": float(level[own].mean()),
        "grey_cytoplasm_sd": float(level[own].std()),
        "grey_envelope": float(level[(truth == ENVELOPE) & known[slices]].mean()),
    }


def _chromatin(
    level: Array, distance: Array, voxel: tuple[float, float, float]
) -> dict[str, float]:
    """Slow grey differences in the nucleoplasm; adjacent slices share no noise."""
    core = distance < -_INSIDE
    value = np.where(core, level, 0.0)
    shared = _covariance(value, core, (1, 0, 0))
    smooth = ndimage.gaussian_filter(level, (0, 120 / voxel[1], 120 / voxel[2]))
    rim = (distance < -100) & (distance >= -300)
    return {
        "chromatin_sd": float(np.sqrt(max(shared, 0.0))),
        "chromatin_length": _half_lag(value, core, (0, 0, 1)) * voxel[2],
        "chromatin_length_z": _half_lag(value, core, (1, 0, 0)) * voxel[0],
        "dark_share": float((smooth[core] < -_DARK).mean()),
        "rim_grey": float(level[rim].mean() - level[distance < -1000].mean()),
    }


def _covariance(value: Array, mask: Mask, lag: tuple[int, ...]) -> float:
    """Mean product of voxels of a mask that lie a lag apart."""
    ends = tuple(n - k for n, k in zip(value.shape, lag, strict=True))
    first, other = tuple(slice(0, n) for n in ends), tuple(slice(k, None) for k in lag)
    both = mask[first] & mask[other]
    return float((value[first] * value[other])[both].mean()) if both.any() else 0.0


def _half_lag(value: Array, mask: Mask, step: tuple[int, ...]) -> float:
    """Lag at which the covariance is half of that of adjacent slices, interpolated."""
    before = whole = _covariance(value, mask, (1, 0, 0))
    for k in range(1, _LAGS):
        now = _covariance(value, mask, (1 + k * step[0], k * step[1], k * step[2]))
        if now < whole / 2:
            return k - (whole / 2 - now) / (before - now)
        before = now
    return float(_LAGS)


def _envelope(
    level: Array, distance: Array, known: Mask, voxel: tuple[float, float, float]
) -> dict[str, float]:
    """Darkness across the envelope where it is steep, and where it lies flat in the slice."""
    smooth = ndimage.gaussian_filter(distance, (1.0, 1.5, 1.5))
    slope = np.stack([np.gradient(smooth, size, axis=k) for k, size in enumerate(voxel)])
    flat = np.abs(slope[0]) / np.maximum(np.sqrt((slope**2).sum(0)), 1e-6)
    found = {}
    for name, low, high in _TILTS:
        here = (flat >= low) & (flat < high)
        inside = level[here & known & (distance < -160) & (distance >= -300)].mean()
        near = [
            level[here & known & (np.abs(distance - at) <= _STEP / 2)]
            for at in np.arange(-4, 5) * _STEP
        ]
        depth = inside - np.array([values.mean() for values in near if values.size])
        found[f"envelope_{name}"] = float(depth.max())
        found[f"envelope_{name}_width"] = float(depth.sum() / depth.max() * _STEP)
        found[f"envelope_{name}_share"] = float((here & (np.abs(distance) < 60)).sum())
    total = sum(value for key, value in found.items() if key.endswith("_share"))
    return {k: v / total if k.endswith("_share") else v for k, v in found.items()}


def _poles(stack: Stack) -> dict[str, float]:
    """How the nucleus narrows and splits towards its poles."""
    nucleus, envelope = stack.truth == NUCLEUS, stack.truth == ENVELOPE
    pixel = stack.voxel[1] * stack.voxel[2] / 1e6
    area = nucleus.sum((1, 2)) * pixel
    rows: dict[str, list[float]] = {}
    for order in _pole_orders(area):
        for depth in _DEPTHS:
            at = order[min(len(order) - 1, round(1000 * depth / stack.voxel[0]))]
            rows.setdefault(f"area_{depth:g}", []).append(float(area[at] / area.max()))
        last = order[: round(1000 / stack.voxel[0])]
        two = order[: round(2000 / stack.voxel[0])]
        count = [_pieces(nucleus[z], _ISLAND / pixel) for z in two]
        rows.setdefault("islands", []).append(float(np.mean(count[: len(last)])))
        rows.setdefault("islands_most", []).append(float(max(count)))
        rows.setdefault("islands_slices", []).append(float(np.mean([n > 1 for n in count])))
        share = envelope[last].sum() / (envelope[last] | nucleus[last]).sum()
        rows.setdefault("envelope_area_pole", []).append(float(share))
        hull = [nucleus[z].sum() / convex_hull_image(nucleus[z]).sum() for z in two[10:]]
        rows.setdefault("solidity_pole", []).append(float(np.mean(hull)))
    middle = area > 0.9 * area.max()
    share = envelope[middle].sum() / (envelope[middle] | nucleus[middle]).sum()
    found = {name: float(np.mean(values)) for name, values in rows.items()}
    return {**found, "envelope_area_middle": float(share)}


def _pole_orders(area: Array) -> Iterator[Array]:
    """Slices from each pole that the stack shows to the middle of the nucleus."""
    there = np.flatnonzero(area)
    middle = int(area.argmax())
    if there[0] > 0:
        yield np.arange(there[0], middle)
    if there[-1] < len(area) - 1:
        yield np.arange(there[-1], middle, -1)


def _pieces(mask: Mask, least: float) -> int:
    pieces, _ = ndimage.label(mask)
    return int((np.bincount(pieces.ravel())[1:] >= least).sum())


def _ends(stack: Stack) -> dict[str, float]:
    """Pieces of tissue, of any cell, that float within 2 µm of the cell in its end slices."""
    pixel = stack.voxel[1] * stack.voxel[2] / 1e6
    cell = np.isin(stack.truth, (ENVELOPE, NUCLEUS, CYTOPLASM))
    area = cell.sum((1, 2)) * pixel
    largest = area.max()
    pieces: list[int] = []
    share: list[float] = []
    for z in np.flatnonzero((area > ENDS[0] * largest) & (area < ENDS[1] * largest)):
        number, part = _floating(stack.truth[z] != RESIN, cell[z], pixel)
        pieces.append(number)
        share.append(part)
    return {"end_pieces": float(np.mean(pieces)), "end_largest": float(np.mean(share))}


def _floating(tissue: Mask, cell: Mask, pixel: float) -> tuple[int, float]:
    """Number of pieces near a cell and inside the window, and the largest one's share of area."""
    labels, number = ndimage.label(tissue)
    sizes = np.bincount(labels.ravel(), minlength=number + 1) * pixel
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    near = ndimage.binary_dilation(cell, iterations=round(2000 / 40))
    kept = np.setdiff1d(np.unique(labels[near & tissue]), np.append(edge, 0))
    kept = kept[sizes[kept] >= _PIECE]
    if not kept.size:
        return 0, 1.0
    return int(kept.size), float(sizes[kept].max() / sizes[kept].sum())
