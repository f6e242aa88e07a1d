"""Pictures of the steps of the method ``unet`` in one slice: nothing of it is used later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.parameters import UnetParameters
from hela_dask.trace import Trace
from hela_dask.unet.card import Card

__all__ = ["show_fused", "show_nuclei", "show_outputs", "show_own", "show_watershed"]

Planes = Callable[[int], NDArray[Any]]  # of a slice

_EXTRA = {
    "boundary": "How sure the network is that cells touch here.",
    "distance": "How far the network takes the nearest border of its cell to be, up to 1 µm.",
}


def show_outputs(trace: Trace, z: int, card: Card, found: NDArray[np.uint8], cost: Planes) -> None:
    """The outputs of the network in the slice, and the values derived from them."""
    classes, outputs = len(card.classes), list(card.outputs)
    trace.show(
        "classes",
        f"The likeliest class of each pixel, of {', '.join(card.classes)}; the network sees "
        f"{card.slices} slices at a time, at {card.voxel_size[1]:g} nm.",
        lambda _: found[..., :classes].argmax(-1).astype(np.int32) + 1,
        z,
    )
    if "nucleus" in outputs:
        caption = "How sure the network is of a nucleus."
        trace.show("nucleus, as sure", caption, found[..., outputs.index("nucleus")], z)
    for name in (name for name in _EXTRA if name in outputs):
        trace.show(name, _EXTRA[name], found[..., outputs.index(name)], z)
    trace.show(
        "cost",
        "From 0 in the middle of a cell to 255 where cells touch: the tissue is given to the "
        "nuclei by a flood that is slow where this is high.",
        cost,
        z,
    )


def show_nuclei(trace: Trace, nuclei: Planes, p: UnetParameters) -> None:
    """All nuclei in view."""
    trace.show(
        "nuclei",
        f"Pieces in space of what is likeliest a nucleus, parted where they touch in less than "
        f"{2 * p.neck:g} nm, from {p.smallest_nucleus:g} µm³ on: the seeds.",
        lambda z: nuclei(z).astype(np.int32),
    )


def show_own(trace: Trace, nucleus: NDArray[np.bool_], p: UnetParameters) -> None:
    """The delivered nucleus."""
    trace.show(
        "the cell's nucleus",
        f"The piece nearest to the cell's centre; holes under {p.smallest_hole:g} µm² are filled.",
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


def show_watershed(
    trace: Trace, tissue: NDArray[np.bool_], shares: Planes, cell: NDArray[np.bool_]
) -> None:
    """The tissue of each label, and the cell after cleaning."""
    trace.show(
        "tissue",
        "All pixels outside the background.",
        tissue,
    )
    trace.show(
        "shares",
        "The tissue, flooded from all nuclei at once and from what lies deep in it at the "
        "window's sides: there are neighbours whose nuclei are not in view.",
        lambda z: shares(z).astype(np.int32),
    )
    trace.show(
        "cell",
        "The basin of the nucleus, without parts behind a thin neck, smoothed along z; one piece.",
        cell,
    )
