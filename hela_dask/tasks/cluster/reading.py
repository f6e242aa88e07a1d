"""The requested cluster, read and checked before anything is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hela_dask.errors import ParameterError
from hela_dask.tasks.cluster.sizes import parse_size

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Cluster", "check_client", "read_cluster"]


@dataclass(frozen=True)
class Cluster:
    """A cluster, known before anything is started."""

    kind: str  # "local", "runner", "address", or the scheduler that a file names
    workers: int | None = None  # to start; None for an address, with existing workers
    memory: int | None = None  # of one worker, bytes; None where not known before connecting
    address: str = ""  # of a running scheduler
    # Of the file; for a queueing system those of dask-jobqueue, ``memory`` of one job in bytes
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def from_file(self) -> bool:
        """Whether the nodes are those of many users: of a file, or of an allocation."""
        return self.kind not in ("local", "address")


def read_cluster(
    spec: str | Path = "local", *, workers: int | None = None, memory: str | int | None = None
) -> Cluster:
    """Read the request; start nothing.

    Parameters
    ----------
    spec : str or Path
        ``"local"``; ``"runner"``, in each process of an allocation; an address such as
        ``tcp://10.0.0.1:8786``; or a YAML file (see ``deploy``) with ``scheduler``, ``workers`` and
        ``options``.
    workers : int, optional
        Number of single-thread workers; default: one per core, or the value of the YAML file.
    memory : str or int, optional
        Memory of one worker, as ``"4GiB"`` or bytes; default: an even share of the machine's, or
        the value of the YAML file. For a YAML file: memory of one job or pod, of which the worker
        gets the part that :func:`hela_dask.tasks.cluster.file.worker_limit` leaves.

    Raises
    ------
    ParameterError
        For a number, size or address that makes no sense, or a scheduler that is not supported.
    ResourceError
        For an allocation with too little memory.
    MissingInputError, InputError
        For a YAML file that is not there or not understood.
    """
    if workers is not None and workers < 1:
        raise ParameterError(f"--workers must be at least 1, not {workers}")
    size = None if memory is None else parse_size(memory, "--memory")
    text = str(spec)
    if text == "local":
        count = workers or _cores()
        return Cluster("local", count, size or _machine_memory() // count)
    if text == "runner":
        from hela_dask.tasks.cluster.runner import runner_cluster

        others, limit = runner_cluster(workers, size)
        return Cluster("runner", others, limit, options={"memory": size})
    if "://" in text:
        from hela_dask.tasks.cluster.address import parse_address

        address = parse_address(text)
        if workers is not None or size is not None:
            raise ParameterError(
                f"--workers and --memory cannot change the cluster that runs at {text}"
            )
        return Cluster("address", address=address)
    if text.lower().endswith((".yaml", ".yml")):
        from hela_dask.tasks.cluster.file import read_cluster_file

        kind, count, share, options = read_cluster_file(Path(text), workers, size)
        return Cluster(kind, count, share, options=options)
    raise ParameterError(
        f"--cluster {text!r} is neither 'local', nor 'runner', nor an address (tcp://host:8786), "
        "nor a .yaml file"
    )


def check_client(
    client: Client | None, spec: str | Path, workers: int | None, memory: str | int | None
) -> None:
    """A client of the caller's own leaves no choice of cluster: ParameterError for both."""
    if client is not None and (spec != "local" or workers or memory):
        raise ParameterError("give either a client, or cluster, workers and memory")


def _cores() -> int:
    from dask.system import CPU_COUNT

    return max(1, int(CPU_COUNT))


def _machine_memory() -> int:
    from distributed.system import MEMORY_LIMIT

    return int(MEMORY_LIMIT)
