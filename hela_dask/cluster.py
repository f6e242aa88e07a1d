"""A dask client from "local", a scheduler's address, a YAML file for SLURM, or the caller's own."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hela_dask.errors import (
    InputError,
    MissingDependencyError,
    MissingInputError,
    ParameterError,
    ResourceError,
)

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

__all__ = ["Cluster", "check_client", "connect", "read_cluster", "slurm_cluster"]

_KEYS = ("scheduler", "workers", "options")
_PRELOAD = "hela_dask.running.worker_preload"
# Of glibc's heaps only the first gives back what is free at its end: with one for each thread that
# reads chunks, a worker would keep some hundred MiB. And numpy asks for pages of 2 MiB where it has
# arrays of 4 MiB and more: what comes to lie there later takes such a page for each few bytes.
_ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "NUMPY_MADVISE_HUGEPAGE": "0"}
# For the dashboard a worker takes a profile a second, and by default keeps a thousand: some 100 MiB
# by and by. Here it keeps those of the last quarter of an hour.
_SETTINGS = {
    "distributed.worker.profile.interval": "500ms",
    "distributed.worker.profile.cycle": "10s",
    "distributed.admin.low-level-log-length": 100,
}


@dataclass(frozen=True)
class Cluster:
    """What to compute on, known before anything is started.

    Parameters
    ----------
    kind : str
        ``"local"``, ``"address"`` or ``"slurm"``.
    workers : int or None
        Number of workers to start; None for an address, whose workers are there already.
    memory : int or None
        Memory of one worker in bytes; None where it is not known before connecting.
    address : str
        Of a running scheduler.
    options : dict
        For ``dask_jobqueue.SLURMCluster``.
    """

    kind: str
    workers: int | None = None
    memory: int | None = None
    address: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def read_cluster(
    spec: str | Path = "local", *, workers: int | None = None, memory: str | int | None = None
) -> Cluster:
    """Read what the user asked for; start nothing.

    Parameters
    ----------
    spec : str or Path
        ``"local"``; an address such as ``tcp://10.0.0.1:8786``; or a YAML file (see
        ``deploy/slurm.yaml``) with ``scheduler: slurm``, ``workers`` and ``options``.
    workers : int, optional
        Number of single-thread workers; default: one a core, or what the YAML says.
    memory : str or int, optional
        Memory of one worker, as ``"4GiB"`` or bytes; default: an even share of the machine's,
        or what the YAML says.

    Raises
    ------
    ParameterError
        For a number or size that makes no sense, or a scheduler that is not supported.
    MissingInputError, InputError
        For a YAML file that is not there or not understood.
    """
    if workers is not None and workers < 1:
        raise ParameterError(f"--workers must be at least 1, not {workers}")
    size = None if memory is None else _bytes(memory, "--memory")
    text = str(spec)
    if text == "local":
        count = workers or _cores()
        return Cluster("local", count, size or _machine_memory() // count)
    if text.lower().endswith((".yaml", ".yml")):
        return _read_yaml(Path(text), workers, size)
    if "://" in text:
        if workers is not None or size is not None:
            raise ParameterError(
                f"--workers and --memory cannot change the cluster that runs at {text}"
            )
        return Cluster("address", address=text)
    raise ParameterError(
        f"--cluster {text!r} is neither 'local', nor an address (tcp://host:8786), nor a .yaml file"
    )


def check_client(
    client: Client | None, spec: str | Path, workers: int | None, memory: str | int | None
) -> None:
    """A client of the caller's own leaves no choice of cluster.

    Raises
    ------
    ParameterError
        When both are given.
    """
    if client is not None and (spec != "local" or workers or memory):
        raise ParameterError("give either a client of your own, or cluster, workers and memory")


@contextlib.contextmanager
def connect(cluster: Cluster) -> Iterator[Client]:
    """Start or reach the cluster; what was started is stopped again, also on an error.

    Raises
    ------
    InputError
        When no scheduler answers at the address.
    MissingDependencyError
        For SLURM without dask-jobqueue.
    ResourceError
        When no worker can be started here.
    """
    from distributed import Client

    if cluster.kind == "address":
        try:
            client = Client(cluster.address, timeout="15s", set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(f"no dask scheduler answers at {cluster.address}: {error}") from error
        with client:
            yield client
        return
    import dask

    # A task that breaks its worker twice will break every worker: name its cell and go on.
    settings = {
        "distributed.scheduler.allowed-failures": 1,
        "distributed.worker.preload": [_PRELOAD],
        **_SETTINGS,
        **{f"distributed.nanny.pre-spawn-environ.{key}": to for key, to in _ENVIRONMENT.items()},
    }
    with dask.config.set(settings):
        if cluster.kind == "slurm":
            started = slurm_cluster(cluster)
            started.scale(cluster.workers)
        else:
            started = _local(cluster)
        nanny = logging.getLogger("distributed.nanny")
        level = nanny.level
        try:
            with started, Client(started, set_as_default=False) as client:
                try:
                    yield client
                finally:
                    # That a busy worker has to be killed, when all are stopped, is no news.
                    nanny.setLevel(logging.ERROR)
        finally:
            nanny.setLevel(level)


def _local(cluster: Cluster) -> LocalCluster:
    """Workers on this machine."""
    from distributed import LocalCluster

    try:
        return LocalCluster(
            n_workers=cluster.workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=cluster.memory,
            dashboard_address=":0",
        )
    except RuntimeError as error:
        raise ResourceError(
            "no worker could be started: each begins by reading the script that started it, which "
            'must do its work under `if __name__ == "__main__":`; if it does, see the error above'
        ) from error


def slurm_cluster(cluster: Cluster) -> Any:
    """A ``dask_jobqueue.SLURMCluster`` without jobs yet; ``job_script()`` shows what it submits.

    Raises
    ------
    MissingDependencyError
        When dask-jobqueue is not installed.
    InputError
        For an option it does not know.
    """
    try:
        from dask_jobqueue.core import Job, JobQueueCluster
        from dask_jobqueue.slurm import SLURMCluster, SLURMJob
    except ImportError as error:
        raise MissingDependencyError(
            "running on SLURM needs dask-jobqueue: pip install 'hela_dask[hpc]'"
        ) from error
    takers = (Job, SLURMJob, JobQueueCluster)
    known = {name for taker in takers for name in inspect.signature(taker.__init__).parameters}
    if unknown := sorted(set(cluster.options) - known):
        close = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise InputError(f"dask_jobqueue.SLURMCluster has no option {unknown[0]!r}{hint}")
    options = dict(cluster.options)
    # Jobs begin without this process's settings of dask.
    options["worker_extra_args"] = [*options.get("worker_extra_args", ()), "--preload", _PRELOAD]
    environment = {**_ENVIRONMENT, **{_variable(key): to for key, to in _SETTINGS.items()}}
    options["job_script_prologue"] = [
        *(f"export {name}={value}" for name, value in environment.items()),
        *options.get("job_script_prologue", ()),
    ]
    return SLURMCluster(**options)


def _variable(setting: str) -> str:
    """The environment variable in which dask looks for a setting; a shell takes no hyphens."""
    return f"DASK_{setting.upper().replace('.', '__').replace('-', '_')}"


def _read_yaml(path: Path, workers: int | None, memory: int | None) -> Cluster:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise MissingInputError(f"no cluster file at {path}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a YAML file: {error}") from error
    if not isinstance(found, dict) or "scheduler" not in found:
        raise InputError(f"{path} does not name a scheduler: write 'scheduler: slurm'")
    if unknown := sorted(set(found) - set(_KEYS)):
        raise InputError(f"{path}: unknown key {unknown[0]!r}; known: {', '.join(_KEYS)}")
    if found["scheduler"] != "slurm":
        raise ParameterError(
            f"{path}: scheduler {found['scheduler']!r} is not supported yet, only 'slurm' is; "
            "start a dask cluster on it yourself and give its address with --cluster"
        )
    options = dict(found.get("options") or {})
    if memory is not None:
        options["memory"] = f"{memory}B"
    if "memory" not in options:
        raise InputError(f"{path}: options.memory (of one job, such as 16GiB) is missing")
    options.setdefault("cores", 1)
    options.setdefault("processes", 1)
    count = workers or found.get("workers", 1)
    if not isinstance(count, int) or count < 1:
        raise InputError(f"{path}: workers must be a whole number of at least 1, not {count!r}")
    share = _bytes(options["memory"], f"{path}: options.memory") // int(options["processes"])
    return Cluster("slurm", count, share, options=options)


def _bytes(text: str | int, culprit: str) -> int:
    from dask.utils import parse_bytes

    try:
        size = int(parse_bytes(text if str(text).strip() else "nothing"))
    except (ValueError, OverflowError) as error:
        raise ParameterError(f"{culprit} must be a size such as 4GiB, not {text!r}") from error
    if size < 1:
        raise ParameterError(f"{culprit} must be more than 0, not {text!r}")
    return size


def _cores() -> int:
    from dask.system import CPU_COUNT

    return max(1, int(CPU_COUNT))


def _machine_memory() -> int:
    from distributed.system import MEMORY_LIMIT

    return int(MEMORY_LIMIT)
