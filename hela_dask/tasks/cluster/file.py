"""The YAML file of a cluster: one shape, checked when it is read, each fault in one sentence."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

from dask.utils import parse_timedelta
from pydantic import Field

from hela_dask.documents.reading import Document, check_document, read_yaml
from hela_dask.documents.shapes import shown
from hela_dask.errors import InputError, ParameterError
from hela_dask.formatting import size_text
from hela_dask.tasks.cluster.sizes import parse_size

__all__ = ["LEAST", "read_cluster_file", "seconds_of_walltime", "worker_limit"]

LEAST = 512 * 2**20
"""Bytes of the smallest job: below it, no task fits beside the process itself."""

_SHARE = 0.9  # of a job's memory: SLURM ends a job at once, dask checks ten times per second
_BASE = 128 * 2**20  # the nanny process that supervises the workers of a job
_MOVED = {
    "project": "account",
    "extra": "worker_extra_args",
    "env_extra": "job_script_prologue",
    "header_skip": "job_directives_skip",
    "job_extra": "job_extra_directives",
    "dashboard_address": "scheduler_options.dashboard_address",
    "host": "scheduler_options.host",
    "n_workers": "workers, beside options",
}
_WALLTIMES = (  # of SLURM
    r"(?P<m>\d+)(:(?P<s>\d+))?",
    r"(?P<h>\d+):(?P<m>\d+):(?P<s>\d+)",
    r"(?P<d>\d+)-(?P<h>\d+)(:(?P<m>\d+)(:(?P<s>\d+))?)?",
)

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]


class _SchedulerOptions(Document):
    """Of dask's scheduler, which runs in the process of the run."""

    host: Text = ""
    interface: Text = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    dashboard_address: str | int = ""
    dashboard: bool = True
    contact_address: Text = ""
    idle_timeout: str | int = ""


class _Options(Document):
    """Of ``dask_jobqueue.SLURMCluster``."""

    queue: Text = ""
    account: Text = ""
    job_name: Text = ""
    cores: Count = 1
    processes: Count = 1
    memory: str | int = ""
    job_cpu: Count = 1
    walltime: Text = ""
    worker_extra_args: list[str | int | float] = Field(default_factory=list)
    job_script_prologue: list[str] = Field(default_factory=list)
    job_extra_directives: list[str] = Field(default_factory=list)
    job_directives_skip: list[str] = Field(default_factory=list)
    local_directory: Text = ""
    log_directory: Text = ""
    shared_temp_directory: Text = ""
    interface: Text = ""
    scheduler_options: _SchedulerOptions = _SchedulerOptions()
    security: bool = True
    death_timeout: str | int | float = 60
    nanny: bool = True
    python: Text = ""
    shebang: Text = ""
    worker_command: Text = ""
    config_name: Text = ""


class _ClusterFile(Document):
    scheduler: str
    workers: Count = 1
    options: _Options = _Options()


def read_cluster_file(
    path: Path, workers: int | None, memory: int | None
) -> tuple[int, int, dict[str, Any]]:
    """The workers, the memory of each in bytes, and the options for dask-jobqueue.

    `workers` and `memory` replace the value in the file; memory (bytes) is that of one job.
    MissingInputError when there is no such file; InputError or ParameterError for a fault in it,
    with its key.
    """
    found = read_yaml(path)
    if not isinstance(found, dict) or "scheduler" not in found:
        raise InputError(f"{path} does not name a scheduler: write 'scheduler: slurm'")
    _check_keys(found, _ClusterFile.model_fields, f"{path}: ")
    if found["scheduler"] != "slurm":
        raise ParameterError(
            f"{path}: scheduler {found['scheduler']!r} is not supported yet, only 'slurm' is; "
            "start a dask cluster on it yourself and give its address with --cluster"
        )
    if isinstance(options := found.get("options"), dict):
        _check_keys(options, _Options.model_fields, f"{path}: options.")
        if isinstance(more := options.get("scheduler_options"), dict):
            _check_keys(more, _SchedulerOptions.model_fields, f"{path}: options.scheduler_options.")
        if isinstance(options.get("walltime"), int):
            raise InputError(
                f'{path}: options.walltime must be text such as "04:00:00", with the quotes, '
                f"not the number {options['walltime']}"
            )
    shape = check_document(found, _ClusterFile, str(path))
    given = shape.options.model_dump(exclude_unset=True)
    size = memory if memory is not None else given.get("memory")
    if size is None:
        raise InputError(f"{path}: options.memory (of one job, such as 16GiB) is missing")
    named = "--memory" if memory is not None else f"{path}: options.memory"
    given["memory"] = parse_size(size, named)
    processes = given.setdefault("processes", 1)
    if given.setdefault("cores", 1) < processes:
        raise InputError(
            f"{path}: options.cores ({given['cores']}) must be at least options.processes "
            f"({processes}): each process needs a core"
        )
    if given["memory"] < LEAST * processes:
        raise InputError(
            f"{named} is {size_text(given['memory'])} ({size!r}): a job needs at least "
            f"{size_text(LEAST)} for each process; write it with its unit, such as 16GiB"
        )
    given["worker_extra_args"] = _arguments(given, path)
    return workers or shape.workers, worker_limit(given["memory"], processes), given


def worker_limit(memory: int, processes: int = 1) -> int:
    """Bytes that each worker may use of one job's `memory` (bytes), shared by `processes` workers.

    SLURM kills a job that exceeds its memory, without a message to the worker; dask ends a worker
    at 95 % of its limit, and reports it. So dask's limit is nine tenths of the job's memory, less
    128 MiB for the nanny process, shared by the workers.
    """
    return int((_SHARE * memory - _BASE) / processes)


_LONGEST_TIME = 20  # characters


def seconds_of_walltime(text: str) -> int | None:
    """Seconds of a time as SLURM writes it; None where it is none.

    Examples
    --------
    >>> seconds_of_walltime("04:00:00"), seconds_of_walltime("1-12"), seconds_of_walltime("90")
    (14400, 129600, 5400)
    """
    if len(text) > _LONGEST_TIME:
        return None
    for form in _WALLTIMES:
        if found := re.fullmatch(form, text.strip()):
            parts = {name: int(value or 0) for name, value in found.groupdict().items()}
            units = {"d": 86400, "h": 3600, "m": 60, "s": 1}
            return sum(units[name] * value for name, value in parts.items())
    return None


def _arguments(options: Mapping[str, Any], path: Path) -> list[str]:
    """Arguments of the workers; with a life-time that ends before the job does.

    A worker that leaves in order hands over its work; a worker of a killed job does not.
    """
    given = [str(item) for item in options.get("worker_extra_args", ())]
    walltime = options.get("walltime", "")
    wall = seconds_of_walltime(walltime) if walltime else None
    if walltime and not wall:
        raise InputError(
            f'{path}: options.walltime must be a time of SLURM such as "04:00:00" or '
            f'"1-12:00:00", not {shown(walltime)}'
        )
    life, stagger = (
        _duration(given, "--lifetime", path),
        _duration(given, "--lifetime-stagger", path),
    )
    if life is None:
        if wall is None:
            return given
        margin = min(max(wall * 0.05, 60), wall * 0.2)
        lifetime = ["--lifetime", f"{wall - 2 * margin:.0f}s"]
        return [*given, *lifetime, "--lifetime-stagger", f"{margin:.0f}s"]
    if wall is not None and life + (stagger or 0) >= wall:
        raise InputError(
            f"{path}: --lifetime and --lifetime-stagger in options.worker_extra_args add up to "
            f"{life + (stagger or 0):.0f} s, and options.walltime is {wall} s: jobs would be ended "
            "in the middle of their work; make the life-time shorter, or leave it out"
        )
    return given


def _duration(arguments: list[str], name: str, path: Path) -> float | None:
    """Seconds of an option among the arguments of a worker."""
    for at, item in enumerate(arguments):
        if item == name or item.startswith(f"{name}="):
            value = item.partition("=")[2] or (arguments[at + 1] if at + 1 < len(arguments) else "")
            try:
                seconds = float(parse_timedelta(value))
            except (ValueError, KeyError, TypeError, IndexError, OverflowError):
                seconds = 0.0
            if seconds <= 0:
                raise InputError(
                    f"{path}: {name} in options.worker_extra_args must be a time such as 225m, "
                    f"not {shown(value)}"
                )
            return seconds
    return None


def _check_keys(found: Mapping[Any, Any], known: Collection[str], place: str) -> None:
    """Name the first unknown key, and a similar known one."""
    for key in found:
        if key in known:
            continue
        if key in _MOVED and place.endswith("options."):
            raise InputError(f"{place}{key} has another name: write {_MOVED[key]}")
        close = difflib.get_close_matches(str(key), known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
        raise InputError(f"{place.removesuffix('.')} has no key {str(key)[:40]!r}{hint}")
