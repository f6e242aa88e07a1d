"""Which labels of a run stand for a class of the truth, by the class' name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hela_dask.errors import ParameterError
from hela_dask.evaluation.class_maps import class_kind
from hela_dask.evaluation.labels_input import Without
from hela_dask.storage.urls import StorePath, StoreUrl, store_path

__all__ = ["labels_for_class", "predictions_of"]


def predictions_of(folder: str | StorePath) -> dict[str, Any]:
    """The predicted labels of a run for each class, for :func:`.labels_input.open_labels`.

    `folder` is the run's ``labels``, with the groups ``nuclei``, ``cells``, ``envelope`` and
    ``background``. A ``cell`` has its nucleus, ``cytoplasm`` is the cell without it.
    """
    folder = store_path(folder)
    return {
        "nucleus": folder / "nuclei",
        "cell": folder / "cells",
        "cytoplasm": Without(folder / "cells", folder / "nuclei"),
        "envelope": folder / "envelope",
        "background": folder / "background",
    }


def labels_for_class(prediction: Any, name: str) -> Any:
    """The labels that a class is compared with.

    Parameters
    ----------
    prediction : path, array or mapping
        As :func:`hela_dask.evaluate` takes it. Of an image with a run's labels, a name with
        "envelope" in it means the envelope, "background" or "resin" the background, "cytoplasm",
        "without" or "excluding" the cell without its nucleus; a name that begins with "nucle" the
        nuclei, any other the cells with their nuclei.
    name : str
        Of the class; ParameterError where a mapping has nothing of that name.
    """
    if isinstance(prediction, Mapping):
        if name not in prediction:
            known = ", ".join(map(str, prediction))
            raise ParameterError(f"no prediction for class {name!r}; there is one for {known}")
        return prediction[name]
    if isinstance(prediction, str | Path | StoreUrl):
        place = store_path(prediction)
        for folder in (place / "labels", place):
            if (folder / "nuclei").is_dir() and (folder / "cells").is_dir():
                return predictions_of(folder)[class_kind(name)]
    return prediction
