"""Method ``hybrid``: the cell by a U-Net on the pixels darker than resin, its nucleus by edges.

The method of Hosangadi et al., on the slices of one region; see ``docs/method.md``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hela_dask.errors import InputError, MissingInputError
from hela_dask.kernels import stack
from hela_dask.kernels.edges import NucleusSteps, nucleus_plane, preprocess_plane
from hela_dask.kernels.nucleus import envelope_ring
from hela_dask.kernels.subpixel import outset_planes
from hela_dask.methods.base import BaseMethod
from hela_dask.methods.method import Masks, Network, Window
from hela_dask.methods.slices import is_blank, window_memory
from hela_dask.parameters import HybridParameters, Parameters
from hela_dask.trace import NO_TRACE, Trace
from hela_dask.types import Mask, Voxel
from hela_dask.unet.engine import NETWORK_MEMORY, check_installed
from hela_dask.unet.inference import predict_block
from hela_dask.unet.model import check_model, load_model

__all__ = ["CELL", "METHOD", "Hybrid"]

_TRAIN = "hela-dask train STORE LABELS --model hybrid --out MODEL"


CELL = 128
"""Of 255: where the U-Net's output is at least a half, there is the cell."""


class Hybrid(BaseMethod):
    """The cell by a trained binary U-Net, its nucleus by edges, as published."""

    parameters = HybridParameters

    def memory(self, shape: tuple[int, int, int], itemsize: int) -> int:
        """Masks of the window, and a network at work."""
        return NETWORK_MEMORY + window_memory(shape, itemsize + 8)

    def check(self, parameters: Parameters) -> Network:
        """A network that predicts the cell from the pixels darker than resin."""
        check_installed()
        folder = parameters.group(HybridParameters).model
        if not folder:
            raise MissingInputError(
                "method hybrid needs a model for the cell, and none comes with hela_dask: train "
                f"one with {_TRAIN}, and name it with --model MODEL"
            )
        found = check_model(folder)
        if (found[1].classes, found[1].channels) != (("cell",), "binary"):
            raise InputError(
                f"the model in {found[0]} predicts {', '.join(found[1].classes)}, and method "
                "hybrid needs one that predicts the cell from the pixels darker than resin: "
                f"{_TRAIN} writes it"
            )
        return found

    def __call__(self, window: Window, parameters: Parameters, *, trace: Trace = NO_TRACE) -> Masks:
        """As :meth:`hela_dask.methods.method.Method.__call__`.

        Raises
        ------
        HelaDaskError
            As :meth:`check`.
        """
        image, background, voxel = window.image, window.background, window.voxel
        centre = window.centre
        p = parameters.group(HybridParameters).chosen()
        if not background.any():
            nucleus = _nuclei(image, np.ones_like(background), voxel, p, trace, centre[1:])
            ring = envelope_ring(nucleus, ~nucleus, p.envelope_width, voxel)
            return Masks.without_resin(nucleus, ring, outset_planes(nucleus, p.envelope, voxel))
        cell = _cell(image, background, voxel, centre, parameters, trace)
        nucleus = _nuclei(image, cell, voxel, p, trace)
        nucleus &= cell
        if not nucleus.any():
            why = "no piece between edges in the cell has the size, place and shape of a nucleus"
            return Masks(nucleus, cell, np.zeros_like(nucleus), reason=why, flags=("no_nucleus",))
        ring = envelope_ring(nucleus, cell, p.envelope_width, voxel)
        return Masks(nucleus, cell, ring, outline=outset_planes(nucleus, p.envelope, voxel))


METHOD = Hybrid()


def _cell(
    image: NDArray[Any],
    background: Mask,
    voxel: Voxel,
    centre: tuple[int, int, int],
    parameters: Parameters,
    trace: Trace,
) -> Mask:
    """The cell predicted by the U-Net, without resin, in one piece."""
    own = parameters.group(HybridParameters)
    METHOD.check(parameters)
    p, model = own.chosen(), load_model(own.model)
    tissue = np.stack([preprocess_plane(plane, voxel[1:], p) for plane in image])
    predicted = predict_block(model, tissue, voxel, (0.0, 1.0))[..., 0]
    trace.show(
        "darker than resin",
        "The blurred slice below Otsu's threshold, without small pieces: all that the U-Net sees.",
        tissue,
    )
    trace.show("U-Net", "Probability of the cell; the threshold is half of the range.", predicted)
    cell: Mask = (predicted >= CELL) & ~background
    lost = [z for z, plane in enumerate(image) if is_blank(plane)]
    cell[lost] = False
    stack.bridge_gaps(cell)
    stack.keep_component(cell, centre)
    cell[lost] = False
    trace.show("cell", "That without resin, and of it the piece at the cell's centre.", cell)
    return cell


def _nuclei(
    image: NDArray[Any],
    cell: Mask,
    voxel: Voxel,
    p: HybridParameters,
    trace: Trace,
    middle: tuple[int, int] | None = None,
) -> Mask:
    """The nucleus of each slice, independently."""
    nucleus = np.zeros_like(cell)
    for z, plane in enumerate(image):
        steps = nucleus_plane(plane, cell[z], voxel[1:], p, middle)
        nucleus[z] = steps.nucleus
        _show(trace, z, steps, p)
    return nucleus


def _show(trace: Trace, z: int, steps: NucleusSteps, p: HybridParameters) -> None:
    """Keep the steps to the nucleus of a slice."""
    trace.show(
        "texture",
        f"How much grey values vary within {p.texture:g} nm: little inside a nucleus.",
        steps.texture,
        z,
    )
    trace.show(
        "between edges",
        f"Its edges are widened by {p.gap:g} nm; these are the pieces between them.",
        steps.pieces,
        z,
    )
    trace.show(
        "candidate",
        f"The largest piece within {p.distance / 1000:g} µm of the cell's middle that lies in the "
        "cell and has the shape of a nucleus.",
        steps.candidate,
        z,
    )
    band = "94 to 130" if p.published else f"the quantiles {p.darkest:g} to {p.brightest:g}"
    trace.show(
        "refined by grey values",
        f"What lies in the cell's grey values from {band}, where a piece of it is like the "
        "candidate in size and place; otherwise the candidate.",
        steps.refined,
        z,
    )
    trace.show("nucleus", "Grown to the envelope, without holes.", steps.nucleus, z)
