"""Pictures of the steps of the method ``unet`` in one slice: nothing of it is used later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.parameters import UnetParameters
from hela_dask.trace import Trace

__all__ = ["show_fused", "show_nuclei", "show_own", "show_probability"]

Planes = Callable[[int], NDArray[Any]]  # of a slice


def show_probability(trace: Trace, probability: NDArray[np.uint8]) -> None:
    """The output of the network."""
    caption = "The network's probability of a nucleus; white is 1."
    trace.show("probability of a nucleus", caption, probability)


def show_nuclei(trace: Trace, nuclei: Planes, p: UnetParameters) -> None:
    """All nuclei in view."""
    trace.show(
        "nuclei",
        f"Pieces in space of what is likeliest a nucleus, parted where they touch in less than "
        f"{2 * p.neck:g} nm, from {p.smallest_nucleus:g} µm³ on.",
        lambda z: nuclei(z).astype(np.int32),
    )


def show_own(trace: Trace, nucleus: NDArray[np.bool_], p: UnetParameters) -> None:
    """The delivered nucleus."""
    trace.show(
        "the cell's nucleus",
        f"The piece nearest to the cell's centre; holes under {p.smallest_hole:g} µm² are filled. "
        "Empty where none is near, or the volume shows no resin: then membranes decide alone.",
        nucleus,
    )


def show_fused(trace: Trace, nucleus: NDArray[np.bool_]) -> None:
    """The fused nucleus."""
    trace.show(
        "nucleus, weighed",
        "How sure the network is, weighed against how deep inside the membranes' own nucleus a "
        "pixel lies.",
        nucleus,
    )
