"""Versions of the packages that results depend on, and units computed with others."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
from collections.abc import Iterable, Mapping

from hela_dask.version import __version__

__all__ = ["MIXED", "compare_versions", "numeric_versions", "versions"]

MIXED = (
    "work that was finished earlier was computed with other versions ({versions}) and is kept: "
    "values may differ from those of one version; remove {done} to compute all again"
)
"""The warning of a run that continues under other versions."""

_NUMERIC = (
    *("dask-image", "edt", "numba", "numcodecs", "numpy", "scikit-image", "scipy", "zarr", "zarrs"),
)
_NETWORK = ("onnxruntime",)
_TRAINING = ("jax", "keras", "onnx", "tensorflow", "tensorflow-cpu", "torch")
_OTHERS = (
    *("dask", "distributed", "google-crc32c", "imagecodecs", "ome-zarr", "pandas", "pyarrow"),
    *("tifffile", "xarray"),
)


@functools.cache
def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _known(names: Iterable[str]) -> dict[str, str]:
    found = {name: _version(name) for name in names}
    return {name: version for name, version in found.items() if version is not None}


def numeric_versions(*, network: bool = False) -> dict[str, str]:
    """Of the packages that compute or store values; with that of networks if asked for."""
    return _known((*_NUMERIC, *_NETWORK) if network else _NUMERIC)


def versions(*, network: bool = False, training: bool = False) -> dict[str, str]:
    """Of this package, of Python, and of all packages that a run or a training uses, by name."""
    names = (*_NUMERIC, *_OTHERS, *(_NETWORK if network else ()), *(_TRAINING if training else ()))
    return {
        "hela_dask": __version__,
        "python": platform.python_version(),
        **_known(sorted(names)),
    }


def compare_versions(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Differences between the packages of both, as text; empty where nothing does.

    Examples
    --------
    >>> compare_versions({"numpy": "2.1.0", "numba": "0.61"}, {"numpy": "2.2.0", "numba": "0.61"})
    'numpy 2.1.0, now 2.2.0'
    """
    return "; ".join(
        f"{name} {before[name]}, now {now[name]}"
        for name in sorted(before.keys() & now.keys())
        if before[name] != now[name]
    )
