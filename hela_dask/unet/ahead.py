"""Batches of patches in their order, made ahead by threads or by processes."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import psutil
from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT

from hela_dask.errors import HelaDaskError, ParameterError, WorkerError
from hela_dask.unet.patch_worker import save_patches
from hela_dask.unet.patches import Batch, Patches

__all__ = ["PatchesAhead", "check_processes", "default_processes"]

_THREADS = min(2, os.cpu_count() or 1)  # without processes
_MOST = 16  # processes, unless more are asked for
_MEMORY = 2**30  # bytes for each process: libraries, blocks, and batches on their way
_AHEAD = 12  # batches, at least: more than are trained on in one call
_KILLED = 137  # exit code in some containers
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def default_processes(*, accelerator: bool) -> int:
    """How many processes make patches, unless a number is asked for.

    0 where the network learns on the CPU: steps then take longer than patches, and need the cores.
    Else one per core but one, 16 at most, and one per GiB of free memory at most. Limits of a job
    or a container count.
    """
    if not accelerator:
        return 0
    free = min(psutil.virtual_memory().available, MEMORY_LIMIT)
    return max(1, min(CPU_COUNT - 1, _MOST, int(free // _MEMORY)))


def check_processes(processes: int) -> None:
    """ParameterError for a number of processes that is negative, or that the memory is not for."""
    if processes < 0:
        raise ParameterError(f"processes must be 0 or more, not {processes}")
    most = max(1, int(MEMORY_LIMIT // _MEMORY))
    if processes > most:
        raise ParameterError(
            f"{processes} processes need about {processes} GiB of memory, and there are {most}: "
            "give fewer"
        )


class PatchesAhead:
    """Batches of some epochs, made ahead also while an epoch is validated.

    The batches are the same for any number of processes. To be used in a ``with`` statement, which
    ends the processes.

    Parameters
    ----------
    patches : Patches
    epochs : range
        The batches of these are made, in their order.
    steps : int
        Batches of an epoch.
    processes : int
        0: threads of this process.
    """

    def __init__(self, patches: Patches, epochs: range, steps: int, *, processes: int = 0) -> None:
        self._patches, self._steps, self._processes = patches, steps, processes
        self._next = iter([(epoch, number) for epoch in epochs for number in range(steps)])
        self._ahead: deque[Future[Batch]] = deque()
        self._stack = ExitStack()
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            if self._processes:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hela_dask-")))
                save_patches(self._patches, folder)
                for _ in range(self._processes):
                    self._workers.append(_Worker(folder))
                    stack.callback(self._workers[-1].end)
            threads = self._processes or _THREADS
            free = deque(self._workers)
            mine = threading.local()

            def take_worker() -> None:  # each thread has one
                mine.worker = free.popleft() if free else None

            pool = ThreadPoolExecutor(threads, "patches", take_worker)
            stack.callback(self._end, pool)

            def make(epoch: int, number: int) -> Batch:
                worker: _Worker | None = mine.worker
                return self._patches.one(epoch, number, worker.make if worker else None)

            self._pool, self._make = pool, make
            self._depth = max(2 * threads, _AHEAD)
            self._fill()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def epoch(self) -> Iterator[Batch]:
        """The batches of the next epoch."""
        for _ in range(self._steps):
            batch = self._ahead.popleft().result()
            self._fill()
            yield batch

    def _fill(self) -> None:
        while len(self._ahead) < self._depth and (wanted := next(self._next, None)) is not None:
            self._ahead.append(self._pool.submit(self._make, *wanted))

    def _end(self, pool: ThreadPoolExecutor) -> None:
        """End the processes first: threads that wait for one then stop."""
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.end()
        pool.shutdown()


class _Worker:
    """A process of :mod:`hela_dask.unet.patch_worker`."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, **dict.fromkeys(_ONE_THREAD, "1")}
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "hela_dask.unet.patch_worker", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )

    def make(self, epoch: int, number: int) -> Any:
        """The batch of a number; WorkerError where the process has ended."""
        requests, results = self._process.stdin, self._process.stdout
        assert requests is not None
        assert results is not None
        try:
            pickle.dump((epoch, number), requests)
            requests.flush()
            made = pickle.load(results)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
            code = self._process.wait()
            killed = "perhaps for lack of memory: give fewer --processes"
            why = killed if code < 0 or code == _KILLED else "the reason is printed above"
            raise WorkerError(
                f"a process that makes patches has ended (exit code {code}), {why}; the same "
                "command continues after the last epoch"
            ) from error
        if isinstance(made, HelaDaskError):
            made.__notes__.clear()  # the input's fault, which the message names
        if isinstance(made, Exception):
            raise made
        return made

    def end(self) -> None:
        """End the process at once: it keeps nothing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # a request that was not sent
                pipe.close()
