"""Colours of pictures: where they are, and how colour-blind readers see them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

__all__ = ["near", "seen"]

# G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, "A physiologically-based model for simulation
# of color vision deficiency", IEEE TVCG 2009: severity 1, linear RGB.
_BLIND = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
}


def near(image: NDArray[Any], colour: str, most: int = 40) -> NDArray[np.bool_]:
    """Pixels of (rows, columns, 3) that differ from a colour by at most so many grey values."""
    wanted = np.array(to_rgb(colour)) * 255
    return np.asarray(np.abs(image.astype(float) - wanted).max(axis=2) <= most)


def seen(colour: str | tuple[float, float, float], deficiency: str) -> NDArray[np.float64]:
    """A colour as a colour-blind reader sees it: lightness L and a, b of CIELAB."""
    from skimage.color import rgb2lab

    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    mixed = np.clip(np.array(_BLIND[deficiency]) @ linear, 0, 1)
    shown = np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055)
    return np.asarray(rgb2lab(shown[None, None])[0, 0], np.float64)
