"""Folders of networks that earlier versions wrote, with a Keras file in place of an ONNX file."""

from __future__ import annotations

import zipfile
from pathlib import Path

from hela_dask.errors import InputError, MissingDependencyError
from hela_dask.storage.files import replaced
from hela_dask.unet.backend import keras
from hela_dask.unet.card import NETWORK, OLD_NETWORK
from hela_dask.unet.export import check_onnx, to_onnx

__all__ = ["convert_folder"]


def convert_folder(folder: Path) -> None:
    """Write the ONNX file of a model of an earlier version, from its Keras file.

    Raises
    ------
    MissingDependencyError
        Without Keras or ONNX.
    InputError
        When the Keras file is damaged, or of a version that Keras cannot read.
    """
    path = folder / OLD_NETWORK
    try:
        with zipfile.ZipFile(path) as archive:
            sound = archive.testzip() is None  # a checksum of each part
    except (OSError, zipfile.BadZipFile):
        sound = False
    if not sound:
        raise InputError(f"the network in {folder} cannot be read: {OLD_NETWORK} is damaged")
    try:
        check_onnx()
        network = keras().saving.load_model(path, compile=False)
    except MissingDependencyError as error:
        raise MissingDependencyError(
            f"the network in {folder} is of an earlier version and must be converted once, with "
            "Keras: pip install 'hela_dask[train]', then repeat the command"
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"the network in {folder} cannot be read: {OLD_NETWORK} is of another Keras"
        ) from error
    content = to_onnx(network)
    with replaced(folder / NETWORK) as temporary:
        temporary.write_bytes(content)
