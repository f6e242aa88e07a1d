"""The YAML file of a cluster: one shape, checked when it is read, each fault in one sentence."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from hela_dask.documents.reading import check_document, read_yaml
from hela_dask.errors import InputError, ParameterError
from hela_dask.formatting import similar_name, size_text
from hela_dask.tasks.cluster.requests import check_request
from hela_dask.tasks.cluster.shapes import (
    OPTIONS,
    ClusterFile,
    SchedulerOptions,
    file_shape,
    other_names,
)
from hela_dask.tasks.cluster.sizes import parse_size
from hela_dask.tasks.cluster.systems import SYSTEMS
from hela_dask.tasks.cluster.walltimes import lifetime_arguments

__all__ = ["LEAST", "read_cluster_file", "worker_limit"]

LEAST = 512 * 2**20
"""Bytes of the smallest job: below it, no task fits beside the process itself."""

_SHARE = 0.9  # of a job's memory: most systems end a job at once, dask checks ten times per second
_BASE = 128 * 2**20  # the nanny process that supervises the workers of a job


def read_cluster_file(
    path: Path, workers: int | None, memory: int | None
) -> tuple[str, int, int | None, dict[str, Any]]:
    """The scheduler, the number of workers, the memory of each in bytes, and the options.

    `workers` and `memory` replace the value in the file; memory (bytes) is that of one job or pod.
    The options are those of dask-jobqueue, dask-kubernetes or dask-gateway. The memory is None for
    a gateway, which does not report it in advance.
    MissingInputError when there is no such file; InputError or ParameterError for a fault in it,
    with its key.
    """
    found = read_yaml(path)
    if not isinstance(found, dict) or "scheduler" not in found:
        raise InputError(f"{path} does not name a scheduler: write 'scheduler: slurm'")
    _check_keys(found, ClusterFile.model_fields, f"{path}: ", {})
    scheduler = found["scheduler"]
    if not isinstance(scheduler, str) or scheduler not in OPTIONS:
        raise ParameterError(
            f"{path}: scheduler {scheduler!r} is not supported, only {', '.join(OPTIONS)} are; "
            "start a dask cluster on it yourself and give its address with --cluster"
        )
    shape = _check(found, scheduler, path)
    given = shape.options.model_dump(exclude_unset=True)
    count = workers or shape.workers
    if scheduler == "gateway":
        if memory is not None:
            raise ParameterError(
                f"--memory cannot change the workers of a gateway: set their memory in {path}, "
                "options.cluster_options"
            )
        if not given.get("address"):
            raise InputError(f"{path}: options.address (of the gateway, https://…) is missing")
        return scheduler, count, None, given
    _set_memory(given, memory, path)
    if scheduler in SYSTEMS:
        _check_jobs(given, scheduler, path, changed=memory is not None)
    elif not given.get("image"):
        raise InputError(
            f"{path}: options.image (a container image with hela_dask inside) is missing"
        )
    given["worker_extra_args"] = lifetime_arguments(given, scheduler, str(path))
    return scheduler, count, worker_limit(given["memory"], given.get("processes", 1)), given


def worker_limit(memory: int, processes: int = 1) -> int:
    """Bytes that each worker may use of one job's `memory` (bytes), shared by `processes` workers.

    SLURM kills a job that exceeds its memory, without a message to the worker; dask ends a worker
    at 95 % of its limit, and reports it. So dask's limit is nine tenths of the job's memory, less
    128 MiB for the nanny process, shared by the workers.
    """
    return int((_SHARE * memory - _BASE) / processes)


def _check(found: Mapping[Any, Any], scheduler: str, path: Path) -> ClusterFile:
    """The file with the options of its scheduler, checked."""
    shape = OPTIONS[scheduler]
    options = found.get("options")
    if isinstance(options, dict):
        names = (name for base in shape.__mro__ for name in getattr(base, "__annotations__", ()))
        known = [name for name in dict.fromkeys(names) if name in shape.model_fields]
        _check_keys(options, known, f"{path}: options.", other_names(scheduler))
        if isinstance(more := options.get("scheduler_options"), dict):
            place = f"{path}: options.scheduler_options."
            _check_keys(more, SchedulerOptions.model_fields, place, {})
        if isinstance(options.get("walltime"), int):
            raise InputError(
                f'{path}: options.walltime must be text such as "04:00:00", with the quotes, '
                f"not the number {options['walltime']}"
            )
    return check_document(found, file_shape(scheduler), str(path))


def _set_memory(given: dict[str, Any], memory: int | None, path: Path) -> None:
    """Set the memory of one job or pod, in bytes, and its cores and processes."""
    size = memory if memory is not None else given.get("memory")
    if size is None:
        raise InputError(f"{path}: options.memory (of one job, such as 16GiB) is missing")
    named = "--memory" if memory is not None else f"{path}: options.memory"
    given["memory"] = parse_size(size, named)
    processes = given.get("processes", 1)
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


def _check_jobs(given: dict[str, Any], system: str, path: Path, *, changed: bool) -> None:
    """Check the needs of the jobs of one queueing system beside their memory."""
    given.setdefault("processes", 1)
    check_request(given, system, str(path), changed=changed)
    if system == "htcondor":
        if "disk" not in given:
            raise InputError(f"{path}: options.disk (of one job, such as 4GiB) is missing")
        given["disk"] = parse_size(given["disk"], f"{path}: options.disk")


def _check_keys(
    found: Mapping[Any, Any], known: Collection[str], place: str, others: Mapping[str, str]
) -> None:
    """Name the first unknown key, and a similar known one."""
    for key in found:
        if key in known:
            continue
        if key in others:
            raise InputError(f"{place}{key} has another name: write {others[key]}")
        hint = similar_name(key, known)
        raise InputError(f"{place.removesuffix('.')} has no key {str(key)[:40]!r}; {hint}")
