"""The packages of extras are imported only where they are used."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from hela_dask.environment.packages import Needed
from tests.cli.test_cli import PROMISED

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

_BLOCKED = """
import contextlib, importlib, io, json, pkgutil, sys
modules, commands = map(json.loads, sys.argv[1:])
sys.modules.update(dict.fromkeys(modules))
import hela_dask as hd
from hela_dask.cli import main
for name in hd.__all__:
    getattr(hd, name)
with contextlib.redirect_stdout(io.StringIO()):
    for name in ("", *commands):
        assert main([*name.split(), "--help"]) == 0, name
# Modules beside a package of an extra, which are loaded with it. Others name the extra.
beside = ("hela_dask.napari", "hela_dask.unet.backends")
for module in pkgutil.walk_packages(hd.__path__, "hela_dask."):
    if not module.name.startswith(beside) and not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except hd.MissingDependencyError as error:
            assert "pip install 'hela_dask[" in str(error), module.name
"""


def _modules() -> set[str]:
    """The modules of all packages that only extras name."""
    always = {Requirement(line).name for line in PROJECT["dependencies"]}
    return {
        Needed(name, name).module
        for lines in PROJECT["optional-dependencies"].values()
        for name in (Requirement(line).name for line in lines)
        if name not in always
    }


def test_every_module_and_the_help_of_every_command_load_without_the_extras() -> None:
    modules = _modules()
    assert {"imagecodecs", "h5py", "tensorflow", "napari", "dask_jobqueue"} <= modules
    given = [json.dumps(sorted(names)) for names in (modules, PROMISED)]
    done = subprocess.run(
        [sys.executable, "-c", _BLOCKED, *given], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
