"""The processes that a launcher has started together, read from its environment variables."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["World", "has_allocation", "memory_share", "read_world"]

_MIB = 2**20


@dataclass(frozen=True)
class World:
    """One process among those of a job step (``srun``) or of ``mpirun``.

    Attributes
    ----------
    rank : int
        Number of this process, from 0.
    size : int
        Number of processes.
    local_size : int
        Number of processes on this node.
    name : str
        Names the processes that belong together: the same in each of them, and safe in a file name.
    """

    rank: int
    size: int
    local_size: int
    name: str


@dataclass(frozen=True)
class _Launcher:
    """The variables of a launcher; of several names, the first that is set counts."""

    rank: tuple[str, ...]
    size: tuple[str, ...]
    local_size: tuple[str, ...]
    names: tuple[str, ...]
    jobs: tuple[str, ...] = ()  # of the job, where each process gets them: mpirun_rsh gives none


_JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "COBALT_JOBID", "FLUX_JOB_ID")

# Those of MPI come first: mpirun inside of a job of SLURM also shows the variables of that job.
_LAUNCHERS = (
    _Launcher(  # Open MPI
        ("OMPI_COMM_WORLD_RANK",),
        ("OMPI_COMM_WORLD_SIZE",),
        ("OMPI_COMM_WORLD_LOCAL_SIZE",),
        ("OMPI_MCA_ess_base_jobid", "PMIX_NAMESPACE"),
    ),
    _Launcher(  # MVAPICH2
        ("MV2_COMM_WORLD_RANK",), ("MV2_COMM_WORLD_SIZE",), ("MV2_COMM_WORLD_LOCAL_SIZE",), ()
    ),
    _Launcher(  # MPICH, Intel MPI (Hydra), and PALS of HPE
        ("PMI_RANK", "PALS_RANKID"),
        ("PMI_SIZE", "PALS_SIZE"),
        ("MPI_LOCALNRANKS", "PMI_LOCAL_SIZE", "PALS_LOCAL_SIZE"),
        ("PALS_APID",),
        _JOBS,
    ),
)
_STEP = _Launcher(  # srun: the script of a job has no number of a step
    ("SLURM_PROCID",), ("SLURM_STEP_NUM_TASKS",), (), ("SLURM_JOB_ID", "SLURM_STEP_ID")
)


def read_world(environment: Mapping[str, str] | None = None) -> World | None:
    """The place of this process among those of its launcher; None where no launcher started it.

    Examples
    --------
    >>> read_world({"PMI_RANK": "1", "PMI_SIZE": "4", "PALS_APID": "7"})
    World(rank=1, size=4, local_size=4, name='7')
    """
    found = os.environ if environment is None else environment
    launchers = _LAUNCHERS if _number(found, ("SLURM_STEP_ID",)) is None else (*_LAUNCHERS, _STEP)
    for launcher in launchers:
        rank, size = _number(found, launcher.rank), _number(found, launcher.size)
        if rank is None or size is None or not 0 <= rank < size:
            continue
        local = _number(found, launcher.local_size)
        if launcher is _STEP:
            local = _step_tasks(found)
        given = [found[name] for name in launcher.names if found.get(name)]
        jobs = [found[name] for name in launcher.jobs if found.get(name)]
        name = re.sub(r"[^A-Za-z0-9.-]", "-", ".".join(given)) or _digest([*jobs, *sys.argv])
        return World(rank, size, min(local or size, size), name)
    return None


def has_allocation(environment: Mapping[str, str] | None = None) -> bool:
    """Whether this process runs in a job of a queueing system."""
    found = os.environ if environment is None else environment
    return any(found.get(name) for name in _JOBS)


def memory_share(world: World, environment: Mapping[str, str] | None = None) -> int | None:
    """Bytes of memory that SLURM gives to each process on this node; None where it sets no limit.

    The job's memory on the node is shared by all processes there, also by the first one, which
    schedules.
    """
    found = os.environ if environment is None else environment
    node = _number(found, ("SLURM_MEM_PER_NODE",))
    if not node:
        each = _number(found, ("SLURM_MEM_PER_CPU",))
        cores = _number(found, ("SLURM_CPUS_ON_NODE",))
        node = each * cores if each and cores else None
    return node * _MIB // world.local_size if node else None


def _number(environment: Mapping[str, str], names: Sequence[str]) -> int | None:
    for name in names:
        text = environment.get(name, "")
        if text.isdecimal():
            return int(text)
    return None


def _step_tasks(environment: Mapping[str, str]) -> int | None:
    """Tasks of the step on this node, from a text such as ``3(x2),1`` for three nodes."""
    counts: list[int] = []
    for part in environment.get("SLURM_STEP_TASKS_PER_NODE", "").split(","):
        if found := re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part):
            counts += [int(found[1])] * int(found[2] or 1)
    node = _number(environment, ("SLURM_NODEID",)) or 0
    return counts[node] if node < len(counts) else max(counts, default=None)


def _digest(arguments: Sequence[str]) -> str:
    """A name from the job and the command line, for a launcher that gives none."""
    text = "\0".join([str(Path.cwd()), *arguments])
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
