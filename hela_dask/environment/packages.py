"""The packages that are needed, and whether each can be imported here."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hela_dask.tasks.rows import Row

__all__ = ["EXTRAS", "Needed", "extra_rows", "import_packages", "needed_packages", "package_rows"]

EXTRAS = {
    "hpc": "run --cluster with a queueing system (SLURM, PBS, LSF, …), metrics of runs",
    "kubernetes": "run --cluster with Kubernetes",
    "gateway": "run --cluster with a dask-gateway",
    "fast": "faster reading of slices; every command works without it",
    "formats": "sources in HDF5, Imaris, N5, dm3 and dm4",
    "gcs": "volumes at gs:// addresses",
    "meshes": "meshes",
    "napari": "view, and view --review",
    "tiff": "sources in TIFF with LZW, JPEG or ZSTD, or with 12 bits per pixel",
    "train": "train",
}
"""The commands that need each extra."""

_ELSEWHERE = {"pooch": "sample", "mrcfile": "convert, for MRC files"}
"""Packages that a run does not need, with the command that does."""

# Modules that load the compiled parts, where the package alone does not.
_MODULES = {
    "dask": "dask.array",
    "dask-image": "dask_image.ndfilters",
    "pyyaml": "yaml",
    "pyside6-essentials": "PySide6",
    "scikit-image": "skimage.measure",
    "scipy": "scipy.ndimage",
    "tensorflow-cpu": "tensorflow",
    "dracopy": "DracoPy",
}
# Imported by two processes at a time: those of the second one share little with the first one's.
_SECOND = {
    *("bokeh", "cloudpickle", "dask", "distributed", "fsspec", "jinja2", "matplotlib", "ome-zarr"),
    *("pandas", "pyarrow", "pydantic", "xarray", "zarr"),
}
_TIMEOUT = 120  # seconds
_IMPORT = """
import importlib, json, sys
for name in sys.argv[1:]:
    print(json.dumps(["begins", name]), flush=True)
    try:
        importlib.import_module(name)
        fault = ""
    except BaseException as error:
        fault = " ".join(f"{type(error).__name__}: {error}".split())
    print(json.dumps(["ended", name, fault]), flush=True)
blas = ""
try:
    import numpy
    found = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    blas = f"{found['name']} {found['version']}"
except BaseException:
    pass
print(json.dumps(["blas", blas]), flush=True)
"""


@dataclass(frozen=True)
class Needed:
    """A package that the metadata of hela_dask name."""

    name: str
    required: str  # as for pip: "numpy>=2.0"
    extra: str = ""  # the extra that it belongs to; empty where it is always needed

    @property
    def version(self) -> str | None:
        """The installed version; None where it is not installed."""
        try:
            return importlib.metadata.version(self.name)
        except importlib.metadata.PackageNotFoundError:
            return None

    @property
    def module(self) -> str:
        """The module to import."""
        key = self.name.lower().replace("_", "-")
        return _MODULES.get(key, key.replace("-", "_"))

    @property
    def fits(self) -> bool:
        """Whether the installed version is one of those that are required."""
        try:
            from packaging.requirements import Requirement

            return self.version is not None and Requirement(self.required).specifier.contains(
                self.version, prereleases=True
            )
        except Exception:  # packaging may be the broken package
            return self.version is not None


def needed_packages() -> list[Needed]:
    """All packages that hela_dask needs on this system, with those of its extras.

    Empty where hela_dask is not installed, but only a folder of its files is used.
    """
    try:
        lines = importlib.metadata.requires("hela_dask") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [found for line in lines if (found := _needed(line)) is not None]


def _needed(line: str) -> Needed | None:
    """A line of the metadata; None where it is for another system."""
    text, _, marker = (part.strip() for part in line.partition(";"))
    extra = re.search(r"""extra\s*==\s*['"]([\w-]+)['"]""", marker)
    name = re.match(r"[\w.-]+", text)
    if name is None:
        return None
    if marker:
        try:
            from packaging.markers import Marker

            if not Marker(marker).evaluate({"extra": extra[1] if extra else ""}):
                return None
        except Exception:  # packaging may be the broken package
            if extra is None:
                return None
    return Needed(name[0], text, extra[1] if extra else "")


def import_packages(packages: Sequence[Needed]) -> tuple[dict[str, str], str]:
    """The fault of each package that cannot be imported, by its name, and the BLAS of numpy.

    The imports run in other processes, so that one which ends its process is a fault like any
    other.
    """
    halves = [
        [item for item in packages if (item.name.lower() in _SECOND) is second]
        for second in (False, True)
    ]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(_import_in_process, halves))
    blas = next((text for _, text in found if text), "")
    return {**found[0][0], **found[1][0]}, blas


def _import_in_process(packages: Sequence[Needed]) -> tuple[dict[str, str], str]:
    """As :func:`import_packages`, by one process after the other: each ends at a crash."""
    names = {item.module: item.name for item in packages if item.version is not None}
    faults = {item.name: "is not installed" for item in packages if item.version is None}
    blas, left = "", list(names)
    while left:
        # -P: a file of the current folder with the name of a package is not imported.
        command = [sys.executable, "-P", "-W", "ignore", "-c", _IMPORT, *left]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT, check=False)
            output, reason = done.stdout, f"ends the process (exit code {done.returncode})"
        except subprocess.TimeoutExpired as error:
            output, reason = error.stdout or b"", f"is not imported after {_TIMEOUT} s"
        except OSError as error:
            return {**faults, **dict.fromkeys(names.values(), f"cannot be tested: {error}")}, ""
        running = ""
        for kind, *values in _messages(output):
            if kind == "begins":
                running = values[0]
            elif kind == "ended":
                running = ""
                left.remove(values[0])
                if values[1]:
                    faults[names[values[0]]] = values[1]
            elif kind == "blas":
                blas = values[0]
        if running:
            faults[names[running]] = reason
            left.remove(running)
        elif left:
            return {**faults, **{names[module]: reason for module in left}}, blas
    return faults, blas


def _messages(output: bytes) -> Iterator[list[str]]:
    """Lines of :data:`_IMPORT`; packages may print others."""
    for line in output.decode("utf-8", "replace").splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, list) and found and found[0] in ("begins", "ended", "blas"):
            yield found


def package_rows(packages: Sequence[Needed], faults: Mapping[str, str]) -> Iterator[Row]:
    """A row for each package that is missing, broken or too old, and one for all others."""
    needed = [item for item in packages if not item.extra]
    good = 0
    for item in needed:
        elsewhere = _ELSEWHERE.get(item.name.lower(), "")
        why = f" (only for {elsewhere})" if elsewhere else ""
        again = "--force-reinstall " if item.version else ""
        if fault := faults.get(item.name):
            shown = f"{item.version}: {fault}" if item.version else fault
            advice = f"pip install {again}'{item.required}'"
            yield Row(item.name, "warning" if elsewhere else "failed", shown + why, advice)
        elif not item.fits:
            text = f"{item.version}, but {item.required} is required{why}"
            yield Row(item.name, "warning", text, f"pip install '{item.required}'")
        else:
            good += 1
    if needed:
        yield Row("packages", "ok", f"{good} of {len(needed)} that are always needed work")
    else:
        yield Row(
            "packages",
            "warning",
            "hela_dask is not installed, so that the packages it needs are not known",
            "pip install . in its folder",
        )


def extra_rows(packages: Sequence[Needed]) -> Iterator[Row]:
    """A row per extra: the commands that need it, and the line of pip where it is missing."""
    for extra in sorted({item.extra for item in packages} - {""}):
        items = [item for item in packages if item.extra == extra]
        what = f"for {EXTRAS.get(extra, 'additional commands')}"
        missing = [item.name for item in items if item.version is None]
        old = [f"{item.name} {item.version}" for item in items if item.version and not item.fits]
        line = f"pip install 'hela_dask[{extra}]'"
        if missing:
            text = f"not installed: {', '.join(missing)}; {what}"
            yield Row(f"[{extra}]", "skipped", text, line)
        elif old:
            text = f"of another version than required: {', '.join(old)}; {what}"
            yield Row(f"[{extra}]", "warning", text, line)
        else:
            versions = ", ".join(f"{item.name} {item.version}" for item in items)
            yield Row(f"[{extra}]", "ok", f"{versions}; {what}")
