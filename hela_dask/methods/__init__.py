"""The methods: one region in, the masks of its nucleus and cell out, all with one signature."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from hela_dask.errors import InputError, MissingInputError, ParameterError
from hela_dask.kernels.levels import GreyLevels
from hela_dask.parameters import Parameters
from hela_dask.statuses import SEGMENTED
from hela_dask.trace import Trace

if TYPE_CHECKING:
    from hela_dask.unet.card import Card
    from hela_dask.unet.model import Model

__all__ = [
    "CLASSICAL",
    "DEFAULT_METHOD",
    "METHODS",
    "NO_RESIN_SEEN",
    "Masks",
    "Method",
    "Trace",
    "find_network",
    "get_method",
    "load_network",
]

NO_RESIN_SEEN = "no resin is visible in the region, so the cell's outline cannot be found"
"""Why a cell has the status ``no_resin``."""

_TRAIN_HYBRID = "hela-dask train STORE LABELS --model hybrid --out MODEL"
# What the network of a method must tell.
_NEEDED_CLASSES = {"unet": ("resin", "cell", "nucleus")}

# Name of a method: the module here that has a function of the same name.
CLASSICAL = ("volumetric", "propagate")  # they need no network
METHODS = (*CLASSICAL, "unet", "hybrid")
DEFAULT_METHOD = METHODS[0]


@dataclass(frozen=True)
class Masks:
    """What a method finds in a region.

    Attributes
    ----------
    nucleus, cell : ndarray of bool, (z, y, x)
        Of the region's shape; the cell includes its nucleus.
    envelope : ndarray of bool, (z, y, x)
        The nuclear envelope: in the cell, outside the nucleus.
    status, reason : str
        As in the cells table: ``segmented`` or ``no_resin``. The reason says why something is
        missing: the cell, its nucleus (flag ``no_nucleus``) or a second nucleus.
    flags : tuple of str
        Keys of :data:`hela_dask.steps.confidence.EXPLANATIONS`.
    outline : ndarray of bool, (z, y, x), or None
        The nucleus up to the middle of its envelope, which is what is refined where the image's
        own pixels are smaller; None: the nucleus itself.
    """

    nucleus: NDArray[np.bool_]
    cell: NDArray[np.bool_]
    envelope: NDArray[np.bool_]
    status: str = SEGMENTED
    reason: str = ""
    flags: tuple[str, ...] = ()
    outline: NDArray[np.bool_] | None = None


class Method(Protocol):
    """The signature of every method."""

    def __call__(
        self,
        image: NDArray[Any],
        background: NDArray[np.bool_],
        voxel: tuple[float, float, float],
        centre: tuple[int, int, int],
        parameters: Parameters,
        *,
        trace: Trace | None = None,
        levels: GreyLevels | None = None,
    ) -> Masks:
        """Segment the cell at `centre` (z, y, x in voxels) of a region.

        Parameters
        ----------
        image
            (z, y, x) grey values.
        background
            (z, y, x), true in the resin.
        voxel
            Voxel size (z, y, x) in nm.
        centre
            z, y, x of the cell's centre, voxels of the region.
        parameters
            All knobs.
        trace
            Told what each step makes of one slice, for pictures; None for nobody.
        levels
            Of the whole volume, by which networks see its grey values; None: the region's own.
        """


def find_network(name: str, parameters: Parameters) -> tuple[Path, Card, str] | None:
    """Where the network of a method is, its card, and its fingerprint; None if it has none.

    Raises
    ------
    MissingDependencyError
        When the method has one, and TensorFlow is not installed.
    MissingInputError, InputError
        When there is no such model, it is broken, or it does not tell what the method needs.
    """
    folder = getattr(getattr(parameters, name), "model", None)
    if folder is None:
        return None
    from hela_dask.unet.backend import check_installed
    from hela_dask.unet.model import find_model

    check_installed()
    if name == "hybrid" and not folder:
        raise MissingInputError(
            f"method hybrid needs a model for the cell, and none comes with hela_dask: train one "
            f"with {_TRAIN_HYBRID}, and name it with --model MODEL"
        )
    found = find_model(folder)
    needed = _NEEDED_CLASSES.get(name, ())
    if missing := [item for item in needed if item not in found[1].classes]:
        raise InputError(
            f"the model in {found[0]} does not tell {missing[0]}: method {name} needs the classes "
            f"{', '.join(needed)}"
        )
    if name == "hybrid" and (found[1].classes, found[1].channels) != (("cell",), "binary"):
        raise InputError(
            f"the model in {found[0]} tells {', '.join(found[1].classes)}, and method hybrid needs "
            f"one that tells the cell from what is darker than resin: {_TRAIN_HYBRID} writes it"
        )
    return found


def load_network(name: str, parameters: Parameters) -> Model:
    """The network of a method, once a process.

    Raises
    ------
    HelaDaskError
        As :func:`find_network`, and when it cannot be loaded.
    """
    from hela_dask.unet.model import load_model

    find_network(name, parameters)  # tells what the method needs
    return load_model(getattr(parameters, name).model)


def get_method(name: str) -> Method:
    """The method of a name.

    Raises
    ------
    ParameterError
        When there is no such method; the message lists those that there are.
    """
    if name not in METHODS:
        raise ParameterError(f"unknown method {name!r}; known: {', '.join(METHODS)}")
    module = importlib.import_module(f"hela_dask.methods.{name}")
    return cast(Method, getattr(module, name))
