"""Small pictures for cards: of masks in memory, and of pictures on disk."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.image import imread, imsave

from hela_dask.types import Mask, Plane

__all__ = ["masks_picture", "shrink_picture"]

SIDE = 260  # pixels at most
_STRENGTH = 0.45  # of a tint


def masks_picture(image: Plane | None, masks: Sequence[tuple[Mask, str]]) -> bytes:
    """A slice tinted by masks as a PNG of at most 260 pixels along each side.

    Parameters
    ----------
    image : (y, x) or None
        Grey values; None: grey everywhere.
    masks : sequence of ((y, x) of bool, colour)
        A later one covers those before it.
    """
    shape = np.shape(image) if image is not None else masks[0][0].shape
    step = max(1, -(-max(shape) // SIDE))
    thin = (slice(None, None, step), slice(None, None, step))
    if image is None:
        grey = np.full(np.empty(shape, np.bool_)[thin].shape, 0.6)
    else:
        part = np.asarray(image[thin], float)
        low, high = np.percentile(part, (0.5, 99.5)) if part.size else (0.0, 1.0)
        grey = np.clip((part - low) / max(high - low, 1e-9), 0, 1)
    colours = np.repeat(grey[..., None], 3, axis=2)
    for mask, name in masks:
        inside = np.asarray(mask[thin], bool)
        tinted = (1 - _STRENGTH) * grey[inside, None] + _STRENGTH * np.array(to_rgb(name))
        colours[inside] = tinted
    return _png(colours)


def shrink_picture(path: str | Path, side: int = 2 * SIDE) -> bytes:
    """A PNG or JPEG as a JPEG of at most `side` pixels along each side."""
    pixels = np.asarray(imread(path))
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    pixels = pixels[..., :3] if pixels.dtype == np.uint8 else pixels[..., :3] * 255
    step = max(1, -(-max(pixels.shape[:2]) // side))
    rows, columns = (length // step * step for length in pixels.shape[:2])
    blocks = pixels[:rows, :columns].reshape(rows // step, step, columns // step, step, 3)
    out = io.BytesIO()
    small = blocks.mean(axis=(1, 3)).round().astype(np.uint8)
    imsave(out, small, format="jpeg", pil_kwargs={"quality": 85})
    return out.getvalue()


def _png(colours: Plane) -> bytes:
    out = io.BytesIO()
    imsave(out, colours, format="png")
    return out.getvalue()
