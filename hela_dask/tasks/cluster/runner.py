"""A run inside one allocation: its first process schedules, all others are workers.

Every process of the allocation executes the same line, as ``srun`` and ``mpirun`` start it.
"""

from __future__ import annotations

import sys

from hela_dask.errors import ParameterError, ResourceError
from hela_dask.formatting import counted, size_text
from hela_dask.tasks.cluster.meeting import host_meeting
from hela_dask.tasks.cluster.world import World, has_allocation, memory_share, read_world
from hela_dask.tasks.interrupting import interrupt_at_signals

__all__ = ["enter_allocation", "runner_cluster"]

_PAGE = "see docs/clusters.md"


def enter_allocation() -> None:
    """Begin a command with this cluster: a process other than the first works and ends here.

    It ends with SystemExit, and reads none of the arguments: so an error in them is reported once,
    by the first process. Nothing happens outside of an allocation.
    """
    world = read_world()
    if world is not None and world.size > 1:
        _part(world)


def runner_cluster(workers: int | None, memory: int | None) -> tuple[int, int]:
    """The number of workers, and the memory of each in bytes; for the first process.

    `memory` is that of ``--memory``. A process of another rank works here, and ends with SystemExit
    when the first process has ended.

    Raises
    ------
    ParameterError
        Outside of an allocation, in one of a single process, and with `workers`: the allocation
        fixes their number.
    ResourceError
        When a process has less memory than a worker needs.
    """
    world = read_world()
    if world is None:
        hint = "put srun or mpirun before the command" if has_allocation() else _PAGE
        raise ParameterError(
            "--cluster runner needs an allocation in which srun or mpirun starts the same command "
            f"in every process, and neither has started this one: {hint}"
        )
    if world.size < 2:
        raise ParameterError(
            "--cluster runner needs at least 2 processes, as the first one schedules and the "
            "others compute, and this is the only one: ask for one more than the workers that you "
            "want, as in srun --ntasks=9 or mpirun -n 9 for 8 workers"
        )
    _part(world)
    if workers is not None:
        raise ParameterError(
            f"--workers cannot change an allocation, and this one has "
            f"{counted(world.size - 1, 'worker')}: leave it out, or start {workers + 1} processes "
            f"for {counted(workers, 'worker')}"
        )
    from hela_dask.tasks.cluster.file import LEAST

    limit = memory or _limit(world)
    if limit < LEAST // 2:
        raise ResourceError(
            f"each of the {world.local_size} processes on this node has too little memory: ask for "
            f"at least {size_text(LEAST)} for each (srun --mem-per-cpu), or start fewer"
        )
    return world.size - 1, limit


def _part(world: World) -> None:
    """Work, in a process other than the first; open the meeting, in the first one."""
    if world.rank == 0:
        host_meeting(world)
        interrupt_at_signals()
        return
    from hela_dask.tasks.cluster.ranks import work

    sys.exit(work(world, _limit(world)))


def _limit(world: World) -> int:
    """Bytes for the worker of this process."""
    from hela_dask.tasks.cluster.file import worker_limit

    share = memory_share(world)
    if share is None:
        from distributed.system import MEMORY_LIMIT

        share = int(MEMORY_LIMIT) // world.local_size
    return worker_limit(share)
