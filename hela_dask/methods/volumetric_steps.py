"""Steps of the method ``volumetric`` kept for pictures; no result depends on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.core import Core
from hela_dask.methods.slices import disc_around
from hela_dask.parameters import VolumetricParameters
from hela_dask.trace import Trace
from hela_dask.types import Mask

__all__ = [
    "show_core",
    "show_filled",
    "show_free",
    "show_nucleus",
    "show_outline",
    "show_spot",
    "show_strength",
]


def show_spot(
    trace: Trace,
    spot: tuple[int, int, int],
    shape: tuple[int, ...],
    voxel: tuple[float, float, float],
    p: VolumetricParameters,
) -> None:
    """Where the inside of the nucleus is measured."""

    def radius(z: int) -> float:
        away = abs(z - spot[0]) * voxel[0]
        return float(np.sqrt(max(p.spot**2 - away**2, 0.0)))

    def caption(z: int) -> str:
        return (
            f"The ball of {p.spot / 1000:g} µm with the fewest membranes near the cell's "
            f"centre ({_beside(spot[0] - z)}) lies in the nucleus: what is normal inside a "
            "nucleus is measured in it."
            + ("" if radius(z) > 0 else " It does not reach into this slice.")
        )

    def plane(z: int) -> Mask:
        if radius(z) > 0:
            return disc_around(shape[1:], spot[1:], radius(z), voxel[1:])
        return np.zeros(shape[1:], dtype=bool)

    trace.show("smoothest spot", caption, plane)


def show_strength(
    trace: Trace, strength: NDArray[np.uint8], unit: int, p: VolumetricParameters
) -> None:
    """Membrane strength, `unit` a deviation."""
    trace.show(
        "membrane strength",
        "Dark lines in the slice and dark sheets across slices, in deviations above what "
        f"is normal inside the nucleus; {p.membrane:g} or more is a membrane.",
        lambda z: strength[z].astype(np.float32) / unit,
        unit="σ",
    )


def show_free(trace: Trace, free: Mask) -> None:
    """Tissue without membranes."""
    trace.show(
        "tissue without membranes",
        "Neither resin nor membrane. The nucleus is one 3-D component of it.",
        free,
    )


def show_core(trace: Trace, core: Core, p: VolumetricParameters) -> None:
    """The core as it grew."""
    trace.show(
        "core of the nucleus",
        "The space that a ball reaches from the seed, through all slices, without touching a "
        f"membrane: {core.clearance:.0f} nm is the smallest clearance before it leaks "
        f"into tissue where membranes take over {p.density:.0%}.",
        core.mask,
    )


def show_filled(trace: Trace, core: Mask) -> None:
    """The core with its holes filled."""
    trace.show(
        "core without holes",
        "Nucleoli have faint rims and are filled; a channel of cytoplasm has the envelope "
        "around it and stays a hole.",
        core,
    )


def show_outline(trace: Trace, nucleus: Mask, p: VolumetricParameters) -> None:
    """Up to the middle of the envelope."""
    trace.show(
        "to the middle of the envelope",
        f"The strongest surface of membrane within {p.outside:g} nm of the core, in space, "
        "and what of it is one piece with the core.",
        nucleus,
    )


def show_nucleus(trace: Trace, nucleus: Mask, p: VolumetricParameters) -> None:
    """The final nucleus."""
    trace.show(
        "nucleus",
        f"The nucleus ends {p.envelope:g} nm inside the middle of its envelope. "
        "Where the image's own pixels are smaller, the line is moved to the "
        "strongest one near it when the labels are written, and the area is kept.",
        nucleus,
    )


def _beside(slices: int) -> str:
    """Position of a slice relative to the one that is shown; the first slice is the bottom."""
    if slices == 0:
        return "in this slice"
    count = f"{abs(slices)} slice{'s' * (abs(slices) > 1)}"
    return f"{count} {'above' if slices > 0 else 'below'} this one"
