"""The nucleus in one slice: its first slice, its continuation from slice to slice, its outline."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from hela_dask.kernels import morphology
from hela_dask.kernels.subpixel import outset
from hela_dask.parameters import MethodParameters, PropagateParameters
from hela_dask.types import Grey, Mask

__all__ = [
    "envelope_ring",
    "outline_nucleus",
    "propagate_nucleus",
    "smoothest_spot",
    "start_nucleus",
]


def smoothest_spot(
    ridge: Grey,
    tissue: Mask,
    centre: tuple[int, int],
    pixel: tuple[float, float],
    parameters: MethodParameters,
    *,
    known: Mask | None = None,
) -> tuple[int, int] | None:
    """The pixel of the tissue near a cell's centre with the lowest membrane strength around it.

    Nuclei are large and smooth, and cytoplasm is full of membranes, so it lies in the nucleus.

    Parameters
    ----------
    ridge
        (y, x) strength of dark lines, as from ``ridge_plane``.
    tissue
        (y, x), false in the resin.
    centre
        y, x of the cell's centre, pixels.
    pixel
        Pixel size (y, x) in nm.
    parameters
        ``search`` and ``spot`` are used.
    known
        (y, x), most of the nucleus, where it is known approximately: the pixel lies in it, if it
        has one of the tissue. Lines around it count too.

    Returns
    -------
    (int, int) or None
        None where there is no tissue near the centre.
    """
    # The mean varies slowly, so a coarse grid is enough.
    step = tuple(max(1, int(parameters.spot / 20 / size)) for size in pixel)
    coarse = tuple(size * length for size, length in zip(pixel, step, strict=True))
    ridge, tissue = ridge[:: step[0], :: step[1]], tissue[:: step[0], :: step[1]]
    sigma = (parameters.spot / 2 / coarse[0], parameters.spot / 2 / coarse[1])
    weight = ndimage.gaussian_filter(tissue.astype(np.float32), sigma, mode="constant")
    lines = ndimage.gaussian_filter(np.maximum(ridge, 0) * tissue, sigma, mode="constant")
    rows, columns = np.ogrid[: ridge.shape[0], : ridge.shape[1]]
    away = np.hypot(
        rows * coarse[0] - centre[0] * pixel[0], columns * coarse[1] - centre[1] * pixel[1]
    )
    # If half of the surroundings are resin, the mean is unreliable.
    allowed = tissue & (away <= parameters.search) & (weight > 0.5)
    if known is not None and (inside := allowed & known[:: step[0], :: step[1]]).any():
        allowed = inside
    if not allowed.any():
        return None
    mean = np.where(allowed, lines / np.maximum(weight, np.float32(1e-6)), np.inf)
    y, x = np.unravel_index(int(np.argmin(mean)), mean.shape)
    return int(y) * step[0], int(x) * step[1]


def start_nucleus(
    free: Mask,
    own: Mask,
    spot: tuple[int, int],
    pixel: tuple[float, float],
    parameters: PropagateParameters,
) -> tuple[Mask, float]:
    """The component at the seed of the first slice (method A.6), without leaks.

    Components are those of the pixels of `free` that keep a clearance from every membrane. A
    nucleus that reaches the border of the region has leaked through a gap of its envelope, or is
    cut by the border: the clearance is raised up to 2.5 times to stop a leak, and else left as it
    is.

    Parameters
    ----------
    free
        (y, x) tissue without membranes.
    own
        (y, x) the cell's own part of the slice, roughly; most of the nucleus lies in it.
    spot
        y, x that the nucleus is nearest to, pixels.
    pixel, parameters
        Pixel size (y, x) in nm; ``clearance`` and ``smallest_nucleus`` are used.

    Returns
    -------
    mask, float
        The core of the nucleus, empty where none is large enough, and the clearance in nm.
    """
    p = parameters
    depth = morphology.depth_inside(free, pixel)
    fallback = np.zeros(free.shape, dtype=bool)
    for factor in (1.0, 1.3, 1.6, 2.0, 2.5):
        clearance = p.clearance * factor
        piece, cut = _nearest_piece(depth > clearance, own, spot, pixel, p.smallest_nucleus / 2)
        core = morphology.fill(morphology.dilate(piece, clearance, pixel) & free)
        if core.sum() * pixel[0] * pixel[1] * 1e-6 < p.smallest_nucleus:
            break
        if not cut:
            return core, clearance
        if factor == 1.0:
            fallback = core
    return fallback, p.clearance


def _nearest_piece(
    mask: Mask, own: Mask, spot: tuple[int, int], pixel: tuple[float, float], area: float
) -> tuple[Mask, bool]:
    """The cell's component over `area` nearest to the seed, and whether it touches the border."""
    pieces, count = ndimage.label(mask)
    inside = np.bincount(pieces[own], minlength=count + 1)
    large = morphology.areas(pieces, pixel) >= area
    large &= inside > np.bincount(pieces.ravel(), minlength=count + 1) / 2
    large[0] = False
    if not large.any():
        return np.zeros(mask.shape, dtype=bool), False
    rows, columns = np.nonzero(large[pieces])
    away = np.hypot((rows - spot[0]) * pixel[0], (columns - spot[1]) * pixel[1])
    nearest = int(np.argmin(away))
    label = pieces[rows[nearest], columns[nearest]]
    return pieces == label, bool(label in morphology.touching_border(pieces))


def propagate_nucleus(
    free: Mask,
    previous: Mask,
    clearance: float,
    pixel: tuple[float, float],
    parameters: PropagateParameters,
) -> Mask:
    """The components of a slice that continue the nucleus of the slice before (method A.6).

    Each has to lie over the previous nucleus with most of its area, so islands that are connected
    in z stay and others go; none reaches further than ``reach`` beyond it.

    Parameters
    ----------
    free
        (y, x) tissue without membranes.
    previous
        (y, x) core of the nucleus in the slice before.
    clearance
        Clearance of components from membranes, nm.
    pixel, parameters
        Pixel size (y, x) in nm; ``reach``, ``overlap`` and ``share`` are used.
    """
    p = parameters
    near = morphology.dilate(previous, p.reach, pixel)
    pieces, count = ndimage.label((morphology.depth_inside(free, pixel) > clearance) & near)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    shared = np.bincount(pieces[previous], minlength=count + 1)
    keep = (shared * pixel[0] * pixel[1] * 1e-6 > p.overlap) & (shared >= p.share * sizes)
    keep[0] = False
    if not keep.any():
        return np.zeros(free.shape, dtype=bool)
    core = morphology.dilate(keep[pieces], clearance, pixel) & free & near
    return morphology.fill(core)


def outline_nucleus(
    strength: Grey,
    core: Mask,
    background: Mask,
    pixel: tuple[float, float],
    parameters: PropagateParameters,
) -> Mask:
    """The nucleus up to the middle of its envelope: the strongest line around the core.

    A watershed of the membrane strength between the inside of the core and the pixels farther than
    ``outside`` from it; holes are filled, as in the published method.

    Parameters
    ----------
    strength
        (y, x) membrane strength.
    core
        (y, x) from :func:`start_nucleus` or :func:`propagate_nucleus`.
    background
        (y, x) true in the resin.
    pixel, parameters
        Pixel size (y, x) in nm; ``inside`` and ``outside`` are used.
    """
    p = parameters
    inside = morphology.erode(core, p.inside, pixel)
    # An island too thin for that is its own marker.
    inside |= morphology.pieces_without(core, inside)
    markers = np.zeros(core.shape, dtype=np.int32)
    markers[morphology.distance_to(core, pixel) > p.outside] = 2
    markers[background] = 2
    markers[inside] = 1
    return morphology.fill(watershed(strength, markers) == 1)


def envelope_ring(nucleus: Mask, cell: Mask, width: float, voxel: tuple[float, ...]) -> Mask:
    """The nuclear envelope of each slice: the part of the cell within `width` of the nucleus.

    Parameters
    ----------
    nucleus, cell
        (z, y, x) masks; the cell holds the nucleus.
    width
        Thickness of the envelope in the plane, nm.
    voxel
        Voxel size (z, y, x) in nm.
    """
    ring = np.zeros_like(nucleus)
    for found, inside, around in zip(ring, nucleus, cell, strict=True):
        if inside.any():
            found[:] = outset(inside, width, voxel[1:]) & around & ~inside
    return ring
