"""What the method ``volumetric`` shows of one slice, for pictures: nothing of it is used later."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hela_dask.kernels.core import Core
from hela_dask.methods.slices import disc_around
from hela_dask.parameters import VolumetricParameters
from hela_dask.trace import Trace, traces

__all__ = ["Shown"]

Mask = NDArray[np.bool_]


class Shown:
    """Shows planes of the slice that is looked at.

    Parameters
    ----------
    trace : Trace or None
        None: nothing is shown.
    """

    def __init__(self, trace: Trace | None) -> None:
        self._traces = traces(trace)

    def spot(
        self,
        spot: tuple[int, int, int],
        shape: tuple[int, ...],
        voxel: tuple[float, float, float],
        p: VolumetricParameters,
    ) -> None:
        """Where the inside of the nucleus is measured."""
        for trace in self._traces:
            away = abs(trace.z - spot[0]) * voxel[0]
            radius = float(np.sqrt(max(p.spot**2 - away**2, 0.0)))
            trace.show(
                "smoothest spot",
                f"The ball of {p.spot / 1000:g} µm with the fewest membranes near the cell's "
                f"centre ({_beside(spot[0] - trace.z)}) lies in the nucleus: what is normal "
                "inside a nucleus is measured in it."
                + ("" if radius > 0 else " It does not reach into this slice."),
                disc_around(shape[1:], spot[1:], radius, voxel[1:])
                if radius > 0
                else np.zeros(shape[1:], dtype=bool),
                trace.z,
            )

    def strength(self, strength: NDArray[np.uint8], unit: int, p: VolumetricParameters) -> None:
        """Membrane strength, and what is without membranes."""
        for trace in self._traces:
            trace.show(
                "membrane strength",
                "Dark lines in the slice and dark sheets across slices, in deviations above what "
                f"is normal inside the nucleus; {p.membrane:g} or more is a membrane.",
                strength[trace.z].astype(np.float32) / unit,
                trace.z,
            )

    def free(self, free: Mask) -> None:
        """Tissue without membranes."""
        for trace in self._traces:
            trace.show(
                "tissue without membranes",
                "What is neither resin nor membrane. The nucleus is one piece of it in space.",
                free[trace.z],
                trace.z,
            )

    def core(self, core: Core, p: VolumetricParameters) -> None:
        """The core as it grew."""
        for trace in self._traces:
            trace.show(
                "core of the nucleus",
                "What a ball reaches from the smooth spot, through all slices, without touching a "
                f"membrane: {core.clearance:.0f} nm is the smallest clearance before it leaks "
                f"into tissue where membranes take over {p.density:.0%}.",
                core.mask[trace.z],
                trace.z,
            )

    def filled(self, core: Mask) -> None:
        """The core with its holes filled."""
        for trace in self._traces:
            trace.show(
                "core without holes",
                "Nucleoli have faint rims and are filled; a channel of cytoplasm has the envelope "
                "around it and stays a hole.",
                core[trace.z],
                trace.z,
            )

    def outline(self, nucleus: Mask, p: VolumetricParameters) -> None:
        """Up to the middle of the envelope."""
        for trace in self._traces:
            trace.show(
                "to the middle of the envelope",
                f"The strongest surface of membrane within {p.outside:g} nm of the core, in space, "
                "and what of it is one piece with the core.",
                nucleus[trace.z],
                trace.z,
            )

    def nucleus(self, nucleus: Mask, p: VolumetricParameters) -> None:
        """The final nucleus."""
        inner = f" and {p.envelope:g} nm more" if p.envelope else ""
        for trace in self._traces:
            trace.show(
                "nucleus",
                f"The pixels that the middle of the envelope runs through{inner} are envelope, "
                "not nucleus. Where the image's own pixels are smaller, the line is moved to the "
                "strongest one near it when the labels are written.",
                nucleus,
            )


def _beside(slices: int) -> str:
    """Where a slice lies, as seen from the one that is shown; the first slice is the bottom."""
    if slices == 0:
        return "in this slice"
    count = f"{abs(slices)} slice{'s' * (abs(slices) > 1)}"
    return f"{count} {'above' if slices > 0 else 'below'} this one"
