"""Segment cells and nuclei of volume-EM stacks larger than memory: the public names, loaded late.

Importing the package loads none of dask, xarray, zarr or scikit-image; the first use of a name
loads the module it is from.

Examples
--------
>>> import hela_dask as hd
>>> volume = hd.open_volume("hela.ome.zarr", resolution=40)  # doctest: +SKIP
>>> result = hd.run("hela.ome.zarr")  # doctest: +SKIP
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hela_dask._predict import predict
    from hela_dask._run import RunResult, run
    from hela_dask.conversion.convert import convert
    from hela_dask.conversion.describe import describe
    from hela_dask.errors import (
        ExistsError,
        HelaDaskError,
        InputError,
        MissingDependencyError,
        MissingInputError,
        NothingToDoError,
        ParameterError,
        ResourceError,
        StorageError,
    )
    from hela_dask.evaluation.evaluate import evaluate
    from hela_dask.explaining.explain import Explanation, explain
    from hela_dask.operators.classify import classify
    from hela_dask.operators.lazy import background, distance, gaussian
    from hela_dask.parameters import (
        BackgroundParameters,
        DetectParameters,
        LinkParameters,
        Parameters,
        PropagateParameters,
        QualityParameters,
        RegionParameters,
    )
    from hela_dask.phantom import make_phantom
    from hela_dask.planning.plan import Plan, plan
    from hela_dask.report import write_report
    from hela_dask.running.opening import open_run
    from hela_dask.steps.detect import detect_cells
    from hela_dask.steps.link import link_cells
    from hela_dask.steps.regions import Region, cell_regions
    from hela_dask.steps.segment import segment_cell
    from hela_dask.unet.training import train
    from hela_dask.verification.verify import Finding, Verification, verify
    from hela_dask.volume.greys import GreyLevels, grey_levels
    from hela_dask.volume.opening import open_volume

__version__ = "0.1.0"

__all__ = [
    "BackgroundParameters",
    "DetectParameters",
    "ExistsError",
    "Explanation",
    "Finding",
    "GreyLevels",
    "HelaDaskError",
    "InputError",
    "LinkParameters",
    "MissingDependencyError",
    "MissingInputError",
    "NothingToDoError",
    "ParameterError",
    "Parameters",
    "Plan",
    "PropagateParameters",
    "QualityParameters",
    "Region",
    "RegionParameters",
    "ResourceError",
    "RunResult",
    "StorageError",
    "Verification",
    "__version__",
    "background",
    "cell_regions",
    "classify",
    "convert",
    "describe",
    "detect_cells",
    "distance",
    "evaluate",
    "explain",
    "gaussian",
    "grey_levels",
    "link_cells",
    "make_phantom",
    "open_run",
    "open_volume",
    "plan",
    "predict",
    "run",
    "segment_cell",
    "train",
    "verify",
    "write_report",
]

_NAMES_OF_MODULE = {
    "convert": ["convert"],
    "describe": ["describe"],
    "detect": ["detect_cells"],
    "errors": [
        "ExistsError",
        "HelaDaskError",
        "InputError",
        "MissingDependencyError",
        "MissingInputError",
        "NothingToDoError",
        "ParameterError",
        "ResourceError",
        "StorageError",
    ],
    "evaluate": ["evaluate"],
    "explain": ["Explanation", "explain"],
    "greys": ["GreyLevels", "grey_levels"],
    "lazy": ["background", "distance", "gaussian"],
    "link": ["link_cells"],
    "parameters": [
        "BackgroundParameters",
        "DetectParameters",
        "LinkParameters",
        "Parameters",
        "PropagateParameters",
        "QualityParameters",
        "RegionParameters",
    ],
    "phantom": ["make_phantom"],
    "plan": ["Plan", "plan"],
    "predict": ["predict"],
    "regions": ["Region", "cell_regions"],
    "report": ["write_report"],
    "run": ["RunResult", "run"],
    "running.opening": ["open_run"],
    "segment": ["segment_cell"],
    "unet.lazily": ["classify"],
    "unet.training": ["train"],
    "verify": ["Finding", "Verification", "verify"],
    "volume": ["open_volume"],
}
_MODULE_OF_NAME = {name: module for module, names in _NAMES_OF_MODULE.items() for name in names}


class _Package(ModuleType):
    """The package, with its public names loaded at first use.

    Some functions are called like the module they live in (``run``, ``convert``, ``evaluate``);
    the import system would bind the module over the function, so that binding is left out here.
    """

    def __getattr__(self, name: str) -> object:
        if name not in _MODULE_OF_NAME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{__name__}.{_MODULE_OF_NAME[name]}"), name)
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _MODULE_OF_NAME or not isinstance(value, ModuleType):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted(__all__)


sys.modules[__name__].__class__ = _Package
