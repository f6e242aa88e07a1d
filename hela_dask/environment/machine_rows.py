"""Rows about this machine: system, processors, memory, disks, threads, text, GPU, viewers."""

from __future__ import annotations

import importlib.util
import locale
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path

from hela_dask.formatting import size_text
from hela_dask.tasks.machine import (
    file_system_kind,
    measure_writing,
    memory_limits,
    resource_limit,
    usable_cpus,
)
from hela_dask.tasks.rows import Row
from hela_dask.version import __version__

__all__ = ["machine_rows"]

_MEMORY = 4 * 2**30  # bytes with which a run of the default method works
_FREE = 2 * 2**30  # bytes
_SLOW = 20e6  # bytes per second
_FILES = 1024  # open files
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_PATIENCE = 3  # seconds for another program


def machine_rows(folder: Path, blas: str, *, disk: bool) -> Iterator[Row]:
    """All rows; one that cannot be found is a row as well.

    `folder` is the one for runs, `blas` the library of numpy; `disk`: measure its speed.
    """
    parts: dict[str, Callable[[], Row]] = {
        "hela_dask": _package,
        "Python": _python,
        "system": _system,
        "processors": _processors,
        "memory": _memory,
        "disk": lambda: _disk(folder, disk=disk),
        "temporary folder": _temporary,
        "threads": lambda: _threads(blas),
        "open files": _files,
        "text": _text,
        "GPU": _gpu,
        "viewers": _viewers,
    }
    for name, part in parts.items():
        try:
            yield part()
        except Exception as error:  # a part that is broken is reported as such
            text = " ".join(f"cannot be found ({type(error).__name__}: {error})".split())
            yield Row(name, "warning", text)


def _package() -> Row:
    return Row("hela_dask", "ok", f"{__version__}, {Path(__file__).parents[1]}")


def _python() -> Row:
    text = f"{platform.python_version()}, {sys.executable}"
    return Row("Python", "ok", text)


def _system() -> Row:
    return Row("system", "ok", f"{platform.platform()}, {platform.machine()}")


def _processors() -> Row:
    usable, all_of_them = usable_cpus(), os.cpu_count() or 1
    text = f"{usable} usable" + (f" of {all_of_them}" if usable != all_of_them else "")
    quota = _quota()
    if quota is not None and quota < usable:
        text += f", of which a container may use {quota:g} at a time"
        return Row("processors", "warning", text, f"run with --workers {max(1, int(quota))}")
    return Row("processors", "ok", text)


def _quota() -> float | None:
    """Processors that a container (cgroup 2) may use at a time; None where it has no limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _memory() -> Row:
    import psutil

    limits = dict(memory_limits())
    name, least = min(limits.items(), key=lambda item: item[1])
    free = int(psutil.virtual_memory().available)
    text = f"{size_text(limits['memory of the node'])}, {size_text(free)} available now"
    if name != "memory of the node":
        text += f"; limited to {size_text(least)} by {name}"
    if min(least, free) < _MEMORY:
        advice = f"a run needs about {size_text(_MEMORY)}: hela-dask plan STORE has the number"
        return Row("memory", "warning", text, advice)
    return Row("memory", "ok", text)


def _disk(folder: Path, *, disk: bool) -> Row:
    free, kind = shutil.disk_usage(folder).free, file_system_kind(folder)
    kinds = {"shared": ", a network file system", "memory": ", in memory"}
    text = f"{folder}{kinds.get(kind, '')}: {size_text(free)} free"
    rate = None
    if disk and free > _FREE:
        try:
            found = measure_writing(folder)
        except OSError as error:
            text += f"; cannot be written ({error.strerror or error})"
            advice = "start commands in a folder that you may write, or name one with --out"
            return Row("disk", "warning", text, advice)
        rate = found["bytes"] / max(found["seconds"], 1e-6)
        text += f", writes {rate / 1e6:.0f} MB/s"
    elif not os.access(folder, os.W_OK):
        text += "; cannot be written"
        return Row("disk", "warning", text, "name a folder that you may write with --out")
    if free < _FREE:
        return Row("disk", "warning", text, "make room there: labels need about the image's size")
    if rate is not None and rate < _SLOW:
        return Row("disk", "warning", text, "a run waits for this disk: use a faster one")
    return Row("disk", "ok", text)


def _temporary() -> Row:
    folder = Path(tempfile.gettempdir())  # an error where none can be written
    free = shutil.disk_usage(folder).free
    text = f"{folder}: {size_text(free)} free"
    if free < _FREE:
        return Row("temporary folder", "warning", text, "set TMPDIR to a folder with more room")
    return Row("temporary folder", "ok", text)


def _threads(blas: str) -> Row:
    found = [f"{name}={os.environ[name]}" for name in _THREADS if name in os.environ]
    text = ", ".join(found) or "no variable limits them"
    return Row("threads", "ok", f"{text}; BLAS of numpy: {blas or 'not known'}")


def _files() -> Row:
    limit = resource_limit("RLIMIT_NOFILE")
    text = "no limit is known" if limit is None else f"a process may open {limit}"
    if limit is not None and limit < _FILES:
        return Row("open files", "warning", text, f"raise the limit: ulimit -n {_FILES}")
    return Row("open files", "ok", text)


def _text() -> Row:
    """Encodings, which names of files and the symbols of tables need."""
    encodings = {
        "files": sys.getfilesystemencoding(),
        "locale": locale.getpreferredencoding(do_setlocale=False),
        "screen": getattr(sys.stdout, "encoding", None) or "not known",
    }
    text = ", ".join(f"{name} {encoding}" for name, encoding in encodings.items())
    poor = [name for name, encoding in encodings.items() if "utf" not in encoding.lower()]
    if poor:
        return Row("text", "warning", text, "set PYTHONUTF8=1, or LC_ALL=C.UTF-8")
    return Row("text", "ok", text)


def _gpu() -> Row:
    """GPUs of NVIDIA, and those of Apple's processors; training uses them."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return Row("GPU", "ok", "of the Apple processor; train uses it with jax or torch only")
    if (program := shutil.which("nvidia-smi")) is None:
        return Row("GPU", "ok", "none found; run needs none, train is faster with one")
    command = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_PATIENCE, check=False, errors="replace"
    )
    names = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if done.returncode or not names:
        reason = " ".join((done.stderr or done.stdout).split())[:200]
        text = f"nvidia-smi fails ({reason or f'exit code {done.returncode}'})"
        return Row("GPU", "warning", text, "see the driver of the GPU; run needs none")
    return Row("GPU", "ok", f"{'; '.join(names)}; train uses it")


def _viewers() -> Row:
    there = "installed" if importlib.util.find_spec("napari") else "not installed"
    try:
        webbrowser.get()
        browser = "a browser is found, for pages and neuroglancer"
    except webbrowser.Error:
        browser = "no browser is found here: open pages and neuroglancer on another machine"
    screen = ""
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        screen = "; no screen is found"
    return Row("viewers", "ok", f"napari is {there}; {browser}{screen}")
