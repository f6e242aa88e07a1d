"""Pictures of the steps of the method ``propagate`` in one slice: nothing of it is used later."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from hela_dask.kernels import morphology
from hela_dask.parameters import MethodParameters, PropagateParameters
from hela_dask.trace import Trace
from hela_dask.types import Grey, Labels, Mask, Pixel

__all__ = [
    "show_basins",
    "show_core",
    "show_majority",
    "show_nucleus",
    "show_outline",
    "show_pieces",
    "show_start",
]


def show_start(trace: Trace, z: int, own: Mask, disc: Mask, p: PropagateParameters) -> None:
    """The first slice: where the nucleus is looked for, and where its inside is measured."""
    trace.show(
        "own part of the slice",
        "The nucleus starts in this slice. It is looked for in the tissue around the cell's "
        "centre, up to where narrow places part it from neighbours.",
        own,
        z,
    )
    trace.show(
        "smoothest spot",
        f"The disc with the fewest membranes within {p.search / 1000:g} µm of the centre lies in "
        "the nucleus: the statistics inside the nucleus are measured in it.",
        disc,
        z,
    )


def show_pieces(
    trace: Trace,
    z: int,
    strength: Grey,
    free: Mask,
    previous: Mask | None,
    *,
    clearance: float,
    pixel: Pixel,
    p: PropagateParameters,
) -> None:
    """Membranes, and the super-pixels between them; `previous` is None in the first slice."""
    trace.show(
        "membrane strength",
        "Dark lines in the slice and dark sheets across slices, in deviations above what is "
        f"normal inside the nucleus; {p.membrane:g} or more is a membrane.",
        strength,
        z,
        unit="σ",
    )
    trace.show(
        "tissue without membranes",
        f"Tissue where the strength stays below {p.membrane:g}.",
        free,
        z,
    )
    where = "in the whole slice"
    if previous is not None:
        trace.show(
            "nucleus of the slices before",
            f"What was found in the last {p.memory:g} nm on the way from the first slice to here: "
            "the nucleus continues from it.",
            previous,
            z,
        )
        where = f"up to {p.reach:g} nm around the nucleus before"
    trace.show(
        "super-pixels",
        f"Pieces that keep {clearance:g} nm from every membrane, {where}; gaps of the envelope "
        "that are narrower than twice that are closed.",
        lambda _: _pieces(free, previous, clearance, pixel, p),
        z,
    )


def _pieces(
    free: Mask, previous: Mask | None, clearance: float, pixel: Pixel, p: PropagateParameters
) -> Labels:
    deep = morphology.depth_inside(free, pixel) > clearance
    if previous is not None:
        deep &= morphology.dilate(previous, p.reach, pixel)
    return ndimage.label(deep)[0].astype(np.int32)


def show_core(trace: Trace, z: int, core: Mask, p: PropagateParameters) -> None:
    """The selected super-pixels."""
    trace.show(
        "core of the nucleus",
        "The super-pixels that were taken (in the first slice the one at the smoothest spot, later "
        f"those with {p.share:.0%} of their area over the nucleus before), grown back, holes "
        "filled.",
        core,
        z,
    )


def show_outline(trace: Trace, z: int, nucleus: Mask, p: PropagateParameters) -> None:
    """From the core to the middle of the envelope."""
    trace.show(
        "middle of the envelope",
        f"The strongest line between {p.inside:g} nm inside the core and {p.outside:g} nm outside "
        "it, by a watershed of the membrane strength.",
        nucleus,
        z,
    )


def show_majority(trace: Trace, mask: Mask, what: str, p: MethodParameters) -> None:
    """A whole (z, y, x) mask after it was smoothed along z."""
    more = {
        "nucleus": "only what is connected to its first slice stays.",
        "cell": "the resin is taken off, the nucleus is added, and the largest piece stays.",
    }
    trace.show(
        f"{what}, smoothed along z",
        f"Majority of the slices within {p.smoothing:g} nm of height; {more[what]}",
        mask,
    )


def show_nucleus(
    trace: Trace, nucleus: Mask, start: int, voxel: tuple[float, ...], p: PropagateParameters
) -> None:
    """The whole (z, y, x) nucleus as it is delivered."""

    def caption(z: int) -> str:
        away = (z - start) * voxel[0] / 1000
        place = f"{abs(away):.2f} µm {'above' if away > 0 else 'below'} the first one"
        return (
            f"{p.envelope:g} nm are taken off, from the middle of the envelope to its inner face. "
            f"This slice is {place if away else 'the first one'}."
        )

    trace.show("nucleus", caption, nucleus)


def show_basins(
    trace: Trace,
    z: int,
    background: Mask,
    pieces: Labels,
    chosen: Callable[[int], Mask],
    cell: Mask,
    *,
    pixel: Pixel,
    p: MethodParameters,
) -> None:
    """Touching cells separated, and the parts that are this cell."""
    trace.show(
        "distance to the resin",
        "In the slice, in nm: each cell is a hill, and narrow places between cells are saddles.",
        lambda _: morphology.depth_inside(~background, pixel),
        z,
        unit="nm",
    )
    trace.show(
        "basins",
        f"The tissue, parted along saddles that lie {p.saddle:g} nm or more below the hills on "
        "both sides.",
        pieces,
        z,
    )
    trace.show(
        "basins of the cell",
        "Those with part of the nucleus, and those that the cell of the slice before covers by "
        f"{p.cover:.0%}; in the first slice without a nucleus, the one at the centre.",
        chosen,
        z,
    )
    trace.show(
        "without thin necks",
        f"Parts behind a neck under {2 * p.neck:g} nm are left out.",
        cell,
        z,
    )
