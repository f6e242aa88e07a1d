"""Method ``volumetric``: nucleus and cell from evidence in three dimensions, without a network.

Membranes are detected in the plane and across slices at once, the nucleus is one connected volume
between them, and its outline is the envelope's surface; see ``docs/method.md``.
"""

from __future__ import annotations

import numpy as np

from hela_dask.kernels.nucleus import envelope_ring
from hela_dask.methods.base import BaseMethod
from hela_dask.methods.cells import segment_slices
from hela_dask.methods.enclosed import enclosed_nucleus
from hela_dask.methods.method import Masks, Window
from hela_dask.methods.slices import nearest_filled_slice, window_memory
from hela_dask.parameters import Parameters, VolumetricParameters
from hela_dask.trace import NO_TRACE, Trace

__all__ = ["METHOD", "Volumetric"]


class Volumetric(BaseMethod):
    """Nucleus and cell from evidence in three dimensions; needs no training."""

    parameters = VolumetricParameters

    def memory(self, shape: tuple[int, int, int], itemsize: int) -> int:
        """Masks and membranes of the window, and filters of some slices at a time."""
        return window_memory(shape, itemsize + 8, 19)

    def __call__(self, window: Window, parameters: Parameters, *, trace: Trace = NO_TRACE) -> Masks:
        """As :meth:`hela_dask.methods.method.Method.__call__`."""
        image, background, voxel = window.image, window.background, window.voxel
        p = parameters.group(VolumetricParameters)
        centre = (nearest_filled_slice(image, window.centre[0]), *window.centre[1:])
        found = enclosed_nucleus(image, background, voxel, centre, p, trace)
        nucleus, outline = found.nucleus, found.outline
        if not background.any():
            ring = envelope_ring(nucleus, ~nucleus, p.envelope_width, voxel)
            return Masks.without_resin(nucleus, ring, outline)
        cell = segment_slices(image, nucleus, background, voxel, centre, p, trace=trace)
        nucleus &= cell
        if not nucleus.any():
            nothing = np.zeros_like(nucleus)
            return Masks(nucleus, cell, nothing, reason=found.reason, flags=("no_nucleus",))
        ring = envelope_ring(nucleus, cell, p.envelope_width, voxel)
        twins = [cell[tuple(int(at) for at in place)] for place in found.others]
        if any(twins):
            why = f"{sum(twins) + 1} nuclei in one cell; the one nearest its centre is outlined"
            return Masks(nucleus, cell, ring, reason=why, flags=("two_nuclei",), outline=outline)
        return Masks(nucleus, cell, ring, outline=outline)


METHOD = Volumetric()
