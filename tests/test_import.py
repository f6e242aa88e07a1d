"""Importing is light, and every public name is there."""

from __future__ import annotations

import json
import subprocess
import sys
from types import ModuleType

import pytest

import hela_dask as hd

HEAVY = (
    "dask",
    "distributed",
    "xarray",
    "zarr",
    "ome_zarr",
    "skimage",
    "scipy",
    "numpy",
    "pandas",
    "matplotlib",
    "tensorflow",
    "keras",
    "onnx",
    "onnxruntime",
)


MOST = 450
"""Modules that a light start may load, the 70 of Python's own start among them; numpy adds 116."""


def loaded(code: str) -> list[str]:
    """The modules that some code loads in a new interpreter."""
    probe = (
        "import contextlib, io, json, sys\n"
        f"with contextlib.redirect_stdout(io.StringIO()):\n    {code}\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )
    names: list[str] = json.loads(found.stdout)
    return names


@pytest.mark.parametrize(
    "code",
    [
        "import hela_dask",
        "import hela_dask.errors, hela_dask.parameters",
        "from hela_dask.cli import main; assert main(['--help']) == 0",
        "from hela_dask.cli import main; assert main(['run', '--help']) == 0",
        "from hela_dask.cli import main; assert main(['params']) == 0",
        "from hela_dask.cli import main; assert main(['status', 'tests']) == 1",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_used(code: str) -> None:
    names = loaded(code)
    assert not set(HEAVY) & {name.partition(".")[0] for name in names}
    assert len(names) < MOST


@pytest.mark.parametrize("name", hd.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(hd, name)
    assert not isinstance(value, ModuleType)
    assert name == "__version__" or value.__doc__


def test_a_submodule_does_not_replace_the_function_of_its_name() -> None:
    # In a new interpreter: the module first, the public name afterwards.
    code = (
        "import hela_dask.evaluation.evaluate, hela_dask as hd; assert callable(hd.evaluate); "
        "from hela_dask.evaluation.evaluate import parse_slices; assert callable(hd.evaluate)"
    )
    assert "hela_dask.evaluation.evaluate" in loaded(code)


def test_an_unknown_name_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match="segmnt"):
        _ = hd.segmnt  # type: ignore[attr-defined]
    assert not hasattr(hd, "nothing")


def test_completion_in_a_notebook_shows_the_public_names() -> None:
    assert dir(hd) == sorted(hd.__all__)
    assert not {"sys", "import_module", "ModuleType"} & set(dir(hd))
