"""The packages of extras are imported only where they are used."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from hela_dask.environment.packages import Needed

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

_BLOCKED = """
import contextlib, importlib, io, pkgutil, sys
sys.modules.update(dict.fromkeys(sys.argv[1:]))
import hela_dask as hd
from hela_dask.cli import main
for name in hd.__all__:
    getattr(hd, name)
shown = io.StringIO()
with contextlib.redirect_stdout(shown):
    assert main(["--help"]) == 0
words = {line.split()[1] for line in shown.getvalue().splitlines() if line[:2] in ("| ", "│ ")}
found = sorted(word for word in words if word.isalpha() and word.islower())
with contextlib.redirect_stdout(io.StringIO()):
    for name in found:
        assert main([name, "--help"]) == 0, name
# Modules beside a package of an extra, which are loaded with it. Others name the extra.
beside = ("hela_dask.napari", "hela_dask.unet.backends")
for module in pkgutil.walk_packages(hd.__path__, "hela_dask."):
    if not module.name.startswith(beside) and not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except hd.MissingDependencyError as error:
            assert "pip install 'hela_dask[" in str(error), module.name
print(len(found))
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
    done = subprocess.run(
        [sys.executable, "-c", _BLOCKED, *sorted(modules)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 15
