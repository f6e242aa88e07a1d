"""Method ``inner``: the nucleus is the part of a cell far enough from the cell's surface."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

import hela_dask as hd


@dataclass(frozen=True)
class InnerParameters(hd.ParameterGroup):
    """The nucleus as the inner part of a cell, for cells that do not touch."""

    depth: float = hd.parameter(
        1000.0, "distance from the cell's surface to its nucleus, nm", low=1.0
    )
    envelope_width: float = hd.parameter(80.0, "thickness of the nuclear envelope, nm")


class Inner(hd.BaseMethod):
    """The connected tissue at the cell's centre, and the inner part of it."""

    parameters = InnerParameters

    def memory(self, shape: tuple[int, int, int], itemsize: int) -> int:
        """Bytes: grey values, labels, masks, and what scipy's distance transform takes."""
        return math.prod(shape) * (itemsize + 80)

    def __call__(
        self, window: hd.Window, parameters: hd.Parameters, *, trace: hd.Trace = hd.NO_TRACE
    ) -> hd.Masks:
        """Segment the cell at the centre of a window."""
        p = parameters.group(InnerParameters)
        pieces, _ = ndimage.label(~window.background)
        own = pieces[window.centre]
        cell = (pieces == own) & (own > 0)
        depth = np.asarray(ndimage.distance_transform_edt(cell, sampling=window.voxel))
        nucleus = depth > p.depth
        envelope = cell & (depth > p.depth - p.envelope_width) & ~nucleus
        flags = () if nucleus.any() else ("no_nucleus",)
        return hd.Masks(nucleus, cell, envelope, flags=flags)


METHOD = Inner()
