"""Weights that a network starts from: a file of the user's, or ImageNet's where Keras has them."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

from hela_dask.errors import InputError, MissingInputError, ParameterError
from hela_dask.unet.backend import keras
from hela_dask.unet.export import copy_weights

__all__ = ["IMAGENET", "imagenet_encoder", "load_initial_weights"]

IMAGENET = "imagenet"


def load_initial_weights(
    network: Any, weights: str | Path | None, encoder: Any = None, *, imagenet: bool = False
) -> Any:
    """The network, with weights from a file.

    Parameters
    ----------
    weights : path or None
        An ``.onnx`` file of this network from training, or of other software that begins with the
        convolutions of the encoder, as of VGG16; a ``.keras`` file of the whole network or
        of its encoder, or an ``.h5`` file of weights, of the encoder where there is one (as
        keras.applications writes them, without top).
    encoder : keras.Model, optional
        The part that may be trained beforehand.
    imagenet : bool
        Whether Keras has ImageNet's weights of it. The network then has them where they were
        wanted.

    Raises
    ------
    MissingInputError, InputError, ParameterError
        When the file does not exist; when it is of another architecture, or cannot be read; for
        ImageNet's weights where there are none.
    """
    if weights is None or (imagenet and str(weights) == IMAGENET):
        return network
    if str(weights) == IMAGENET:
        raise ParameterError(f"there are no ImageNet weights for the model {network.name}")
    path = Path(weights)
    if not path.is_file():
        raise MissingInputError(f"no weights at {path}")
    if path.suffix == ".onnx":
        copy_weights(path, network, encoder)
        return network
    targets = [network] if encoder is None else [network, encoder]
    try:
        if path.suffix == ".keras":
            _copy(keras().saving.load_model(path, compile=False), targets, path)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # of layers without weights in the file
                targets[-1].load_weights(path)
    except InputError:
        raise
    except (
        *(OSError, ValueError, TypeError, KeyError, IndexError),
        *(UserWarning, zipfile.BadZipFile),
    ) as error:
        first = str(error).strip().partition("\n")[0]
        what = network.name if encoder is None else f"the encoder of {network.name}"
        raise InputError(f"{path} does not hold weights of {what}: {first}") from error
    return network


def _copy(source: Any, targets: list[Any], path: Path) -> None:
    """Copy the weights into the first of the targets of the same shape."""
    shapes = [tuple(weight.shape) for weight in source.weights]
    for target in targets:
        if [tuple(weight.shape) for weight in target.weights] == shapes:
            target.set_weights(source.get_weights())
            return
    raise InputError(
        f"{path} is of another architecture than {targets[0].name}: name the --model that it is of"
    )


def imagenet_encoder(application: str, title: str, weights: str | Path | None, image: Any) -> Any:
    """An encoder of keras.applications on an input, with ImageNet's weights if they are wanted.

    MissingInputError where they cannot be downloaded.
    """
    wanted = IMAGENET if str(weights) == IMAGENET else None
    make = getattr(keras().applications, application)
    try:
        return make(include_top=False, weights=wanted, input_tensor=image)
    except Exception as error:  # of urllib, of http, or none's
        if wanted is None:
            raise
        raise MissingInputError(
            f"the ImageNet weights of {title} cannot be downloaded here: fetch the file without "
            "top from keras.io/api/applications and name it with --weights FILE.h5"
        ) from error
