"""Workers as jobs of SLURM: encrypted, with a memory limit below the job's, and replaced."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from distributed.core import Status

from hela_dask.errors import InputError, MissingDependencyError
from hela_dask.tasks.cluster.certificates import make_certificates
from hela_dask.tasks.cluster.file import worker_limit
from hela_dask.tasks.cluster.importing import signals_kept
from hela_dask.tasks.cluster.keeping import Keeper, fill, keep
from hela_dask.tasks.cluster.reading import Cluster
from hela_dask.tasks.cluster.settings import ENVIRONMENT, PRELOAD, SETTINGS, variable

try:
    with signals_kept():
        from dask_jobqueue.slurm import SLURMCluster, SLURMJob
except ImportError as _error:
    raise MissingDependencyError(
        "running on SLURM needs dask-jobqueue: pip install 'hela_dask[hpc]'"
    ) from _error

__all__ = ["SlurmWorkers", "job_options", "start_slurm"]

_LOOK = 10  # seconds between questions to SLURM
_OVER = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL")
_LIMIT = 20  # seconds for SLURM's answer
_UNENCRYPTED = (
    ", or write security: false under options if all who reach this machine may run programs as you"
)


class _Job(SLURMJob):
    """A job that knows when it is over, as dask requires when it closes one."""

    async def start(self) -> None:
        try:
            await super().start()  # type: ignore[no-untyped-call]
        except BaseException:
            self.status = Status.failed
            raise

    async def close(self) -> None:
        await super().close()  # type: ignore[no-untyped-call]
        self.status = Status.closed


class SlurmWorkers(SLURMCluster):
    """Jobs of SLURM, each one or more workers; those that end are submitted again."""

    job_cls = _Job
    keeper: Keeper | None = None  # set once the first jobs are submitted
    _looked: float = -math.inf

    async def ended_jobs(self, names: Iterable[Any]) -> dict[Any, str]:
        """Of jobs without a joined worker, those that SLURM has ended, with the reasons.

        SLURM is asked every ten seconds at most.
        """
        if time.monotonic() - self._looked < _LOOK:
            return {}
        self._looked = time.monotonic()
        numbers = {name: str(self.workers[name].job_id) for name in names if name in self.workers}
        states = await self._states(numbers.values())
        if states is None:
            return {}
        return {
            name: self._reason(number, states.get(number, "ended"))
            for name, number in numbers.items()
            if states.get(number, "COMPLETED").partition(" ")[0] in _OVER
        }

    def waiting_text(self) -> str:
        """The state of the jobs, for the waiting message: ``2 jobs pending (Resources)``."""
        numbers = [str(job.job_id) for job in list(self.workers.values()) if job.job_id]
        if not numbers:
            why = self.keeper.trouble if self.keeper else ""
            return f"no job is submitted ({why})" if why else "no job is submitted yet"
        states = self.sync(self._states, numbers)  # type: ignore[no-untyped-call]
        if states is None:
            return f"{_count(len(numbers))} submitted, and squeue does not answer"
        kinds: dict[str, int] = {}
        for number in numbers:
            state = _state_text(states.get(number, "ENDED"))
            kinds[state] = kinds.get(state, 0) + 1
        found = ", ".join(f"{_count(many)} {state}" for state, many in sorted(kinds.items()))
        return f"{found}; see squeue, and the jobs' logs in {self._logs() or 'their folder'}"

    async def _states(self, numbers: Iterable[str]) -> dict[str, str] | None:
        """State and reason of each job that SLURM still has; None where it does not answer."""
        command = ("squeue", "--noheader", f"--jobs={','.join(numbers)}", "--format=%i %T (%r)")
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            out, errors = await asyncio.wait_for(process.communicate(), _LIMIT)
        except (OSError, TimeoutError):
            return None
        if process.returncode and b"nvalid job id" not in errors:
            return None
        lines = (line.partition(" ") for line in out.decode(errors="replace").splitlines())
        return {number: state.removesuffix(" (None)") for number, _, state in lines}

    def _reason(self, number: str, state: str) -> str:
        """Why a job ended: the last line of its log, if it has one."""
        found = sorted(Path(self._logs()).glob(f"*-{number}.*")) if self._logs() else []
        found += sorted(Path.cwd().glob(f"slurm-{number}.out"))
        ended = f"job {number} {_state_text(state)}"
        for path in found:
            lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            if lines:
                return f"{ended}, {path} ends with {lines[-1].strip()[:200]!r}"
        return f"{ended}; its log is empty"

    def _logs(self) -> str:
        return str(self._dummy_job.log_directory or "")


def start_slurm(cluster: Cluster, private: Path) -> SlurmWorkers:
    """Submit the jobs.

    `private` is a folder that all nodes see and only the user may read, for the certificates.
    MissingDependencyError when a package for encryption is not installed; InputError when SLURM is
    not here or refuses the jobs.
    """
    assert cluster.workers is not None
    started = SlurmWorkers(**job_options(cluster, private))

    async def submit() -> None:
        fill(started, cluster.workers or 1)
        await started

    try:
        started.sync(submit)  # type: ignore[no-untyped-call]
    except BaseException as error:
        started.close()
        if isinstance(error, FileNotFoundError):
            raise InputError(
                "the command sbatch is not here: start on a machine that submits jobs to SLURM"
            ) from error
        if isinstance(error, RuntimeError):
            raise InputError(f"SLURM does not take the jobs: {_stderr(error)}") from error
        raise
    started.keeper = keep(started, cluster.workers)
    return started


def job_options(cluster: Cluster, private: Path) -> dict[str, Any]:
    """Options for ``dask_jobqueue.SLURMCluster``.

    The scheduler takes connections from workers with its certificate only; dashboards listen on
    this machine only. MissingDependencyError when a package for encryption is not installed.
    """
    options = dict(cluster.options)
    size, processes = options["memory"], options.get("processes", 1)
    options["memory"] = f"{worker_limit(size, processes) * processes}B"
    options.setdefault("job_mem", _slurm_size(size))
    # Jobs start without this process's settings of dask.
    options["worker_extra_args"] = [
        *options.get("worker_extra_args", ()),
        *("--preload", PRELOAD),
        *("--dashboard-address", "127.0.0.1:0"),
    ]
    environment = {**ENVIRONMENT, **{variable(key): to for key, to in SETTINGS.items()}}
    options["job_script_prologue"] = [
        *(f"export {name}={value}" for name, value in environment.items()),
        *options.get("job_script_prologue", ()),
    ]
    scheduler = dict(options.get("scheduler_options", {}))
    scheduler["dashboard_address"] = _dashboard(str(scheduler.get("dashboard_address", "")))
    options["scheduler_options"] = scheduler
    if options.pop("security", True):
        options["security"] = make_certificates(private.absolute(), _UNENCRYPTED)
        options["protocol"] = "tls://"
    return options


def _dashboard(address: str) -> str:
    """Where the dashboard listens: on this machine only, unless a host is named."""
    host, _, port = address.rpartition(":")
    return f"{host or '127.0.0.1'}:{port or '0'}"


def _slurm_size(size: int) -> str:
    """Bytes as SLURM takes them, rounded up to MiB."""
    mebibytes = math.ceil(size / 2**20)
    return f"{mebibytes // 1024}G" if mebibytes % 1024 == 0 else f"{mebibytes}M"


def _stderr(error: Exception) -> str:
    """The stderr of a command, from dask-jobqueue's error about it."""
    text = str(error).partition("stderr:")[2] or str(error)
    return " ".join(text.split())


def _state_text(state: str) -> str:
    """A state with its reason, which is spelled as in the manual of squeue: pending (Resources)."""
    word, space, reason = state.partition(" ")
    return f"{word.lower()}{space}{reason}"


def _count(many: int) -> str:
    return f"{many} job" if many == 1 else f"{many} jobs"
