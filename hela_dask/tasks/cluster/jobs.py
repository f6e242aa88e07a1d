"""Workers as jobs of a queueing system: encrypted, limited below the job's memory, replaced."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import math
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import dask
from distributed.core import Status
from distributed.security import Security

from hela_dask.errors import InputError, MissingDependencyError
from hela_dask.tasks.cluster.certificates import make_certificates
from hela_dask.tasks.cluster.file import worker_limit
from hela_dask.tasks.cluster.importing import signals_kept
from hela_dask.tasks.cluster.keeping import Keeper, fill, keep
from hela_dask.tasks.cluster.reading import Cluster
from hela_dask.tasks.cluster.requests import request_memory
from hela_dask.tasks.cluster.settings import ENVIRONMENT, PRELOAD, SETTINGS, variable
from hela_dask.tasks.cluster.systems import SYSTEMS, System
from hela_dask.tasks.cluster.walltimes import FORMS, lifetime_arguments

try:
    with signals_kept():
        from dask_jobqueue.core import Job, JobQueueCluster
except ImportError as _error:
    raise MissingDependencyError(
        "running on a queueing system needs dask-jobqueue: pip install 'hela_dask[hpc]'"
    ) from _error

__all__ = ["JobWorkers", "job_options", "job_text", "jobs_class", "start_jobs"]

_LOOK = 10  # seconds between questions to the queueing system
_LIMIT = 20  # seconds for its answer
_REST = 3  # times as long as the last question took, until the next one
_UNENCRYPTED = (
    ", or write security: false under options if all who reach this machine may run programs as you"
)
_TAIL = 20_000  # characters of a log that are read


class _Quoted:
    """The certificates of a run for the command line in a job script, which has none quoted."""

    def __init__(self, security: Security) -> None:
        self._security = security

    def get_tls_config_for_role(self, role: str) -> dict[str, str]:
        """Paths as a shell reads them, with spaces too."""
        found = self._security.get_tls_config_for_role(role)
        return {name: shlex.quote(path) for name, path in found.items() if path is not None}


class _Job(Job):
    """A job that knows when it is over, as dask requires when it closes one."""

    def __init__(self, *given: Any, **options: Any) -> None:
        if options.get("security"):
            options["security"] = _Quoted(options["security"])
        super().__init__(*given, **options)  # type: ignore[no-untyped-call]

    async def start(self) -> None:
        try:
            await super().start()  # type: ignore[no-untyped-call]
        except BaseException:
            self.status = Status.failed
            raise

    async def close(self) -> None:
        await super().close()  # type: ignore[no-untyped-call]
        self.status = Status.closed

    async def _submit_job(self, script_filename: str) -> Any:
        """Submit; with the errors of ``bsub``, which dask-jobqueue discards."""
        if not getattr(self, "use_stdin", False):
            return await super()._submit_job(script_filename)  # type: ignore[no-untyped-call]
        return await self._call(  # type: ignore[no-untyped-call]
            [f"{self.submit_command} < {shlex.quote(script_filename)}"], shell=True
        )


class JobWorkers(JobQueueCluster):
    """Jobs of a queueing system, each one or more workers; those that end are submitted again.

    Attributes
    ----------
    system : System
        The queueing system.
    keeper : Keeper or None
        Replaces jobs, once the first ones are submitted.
    ended_log : str
        The end of the log of the last job that ended before its worker joined.
    """

    system: System
    keeper: Keeper | None = None
    ended_log = ""
    _next: float = -math.inf  # the time of the next question
    _unknown: frozenset[str] | set[str] = frozenset()  # jobs that the system did not know

    async def ended_jobs(self, names: Iterable[Any]) -> dict[Any, str]:
        """Of jobs without a joined worker, those that the system has ended, with the reasons.

        The system is asked every ten seconds at most, and a quarter of the time. A job that it does
        not know has ended if it was unknown before, too: some systems show a new job only after a
        while.
        """
        start = time.monotonic()
        if start < self._next:
            return {}
        self._next = math.inf
        numbers = {name: str(self.workers[name].job_id) for name in names if name in self.workers}
        try:
            states = await self._states(list(numbers.values()))
        finally:
            # Some systems are asked per job, which takes long for many.
            self._next = time.monotonic() + max(_LOOK, _REST * (time.monotonic() - start))
        if states is None:
            return {}
        unknown = set(numbers.values()) - set(states)
        twice, self._unknown = unknown & self._unknown, unknown
        return {
            name: self._reason(number, states.get(number, "ended"))
            for name, number in numbers.items()
            if number in twice or states.get(number, "").partition(" ")[0] in self.system.over
        }

    def job_states(self) -> dict[str, str] | None:
        """State of each submitted job, by its number; None where the system does not answer."""
        numbers = [str(job.job_id) for job in list(self.workers.values()) if job.job_id]
        if not numbers:
            return {}
        states = self.sync(self._states, numbers)  # type: ignore[no-untyped-call]
        return None if states is None else {job: states.get(job, "ENDED") for job in numbers}

    def waiting_text(self) -> str:
        """The state of the jobs, for the waiting message: ``2 jobs pending (Resources)``."""
        states = self.job_states()
        if states is None:
            return f"{_count(len(self.workers))} submitted, and {self.system.look} does not answer"
        if not states:
            why = self.keeper.trouble if self.keeper else ""
            return f"no job is submitted ({why})" if why else "no job is submitted yet"
        kinds: dict[str, int] = {}
        for state in map(_state_text, states.values()):
            kinds[state] = kinds.get(state, 0) + 1
        found = ", ".join(f"{_count(many)} {state}" for state, many in sorted(kinds.items()))
        logs = self._logs() or "their folder"
        return f"{found}; see {self.system.look}, and the jobs' logs in {logs}"

    def log_text(self, number: str) -> str:
        """The end of the logs of a job, with the path of each; empty where it has written none."""
        texts = []
        for path in self._log_files(number):
            text = path.read_text(encoding="utf-8", errors="replace")[-_TAIL:].strip()
            if text:
                texts.append(f"{path}:\n{text}")
        return "\n".join(texts)

    async def _states(self, numbers: list[str]) -> dict[str, str] | None:
        """State and reason of each job that the system still has; None where it does not answer."""
        found: dict[str, str] = {}
        for command in self.system.states(numbers):
            answer = await _output(command)
            if answer is None:
                return None
            code, out, errors = answer
            if code and not re.search(self.system.unknown, errors + out):
                return None
            found.update(self.system.read(out))
        return found

    def _reason(self, number: str, state: str) -> str:
        """Why a job ended: the last line of its log, if it has one."""
        self.ended_log = self.log_text(number)
        ended = f"job {number} {_state_text(state)}"
        for path in self._log_files(number):
            lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            if lines:
                return f"{ended}, {path} ends with {lines[-1].strip()[:200]!r}"
        return f"{ended}; its log is empty"

    def _log_files(self, number: str) -> list[Path]:
        folders = [Path(self._logs())] if self._logs() else []
        return [
            path
            for folder in (*folders, Path.cwd())
            for pattern in self.system.logs
            for path in sorted(folder.glob(pattern.format(job=number)))
        ]

    def _logs(self) -> str:
        return str(self._job_kwargs.get("log_directory") or "")


@functools.cache
def jobs_class(name: str) -> type[JobWorkers]:
    """The cluster for a queueing system of :data:`~hela_dask.tasks.cluster.systems.SYSTEMS`."""
    system = SYSTEMS[name]
    base = getattr(importlib.import_module(f"dask_jobqueue.{name}"), system.cluster)
    job = type(f"{base.job_cls.__name__}", (_Job, base.job_cls), {})
    return type(
        f"{name.capitalize()}Workers", (JobWorkers, base), {"job_cls": job, "system": system}
    )


def start_jobs(cluster: Cluster, private: Path) -> JobWorkers:
    """Submit the jobs.

    `private` is a folder that all nodes see and only the user may read, for the certificates.
    MissingDependencyError when a package for encryption is not installed; InputError when the
    queueing system is not here or refuses the jobs, or dask-jobqueue the options.
    """
    assert cluster.workers is not None
    system = SYSTEMS[cluster.kind]
    if shutil.which(system.submit) is None:
        raise InputError(
            f"the command {system.submit} is not here: start on a machine that submits jobs to "
            f"{system.title}"
        )
    options = job_options(cluster, private)
    _check_interfaces(options)
    _check_logs(options)
    try:
        started = jobs_class(cluster.kind)(**options)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        text = " ".join(str(error.__cause__ or error).split())
        raise InputError(f"the cluster cannot be started with these options: {text}") from error

    async def submit() -> None:
        fill(started, cluster.workers or 1)
        await started

    try:
        started.sync(submit)  # type: ignore[no-untyped-call]
    except BaseException as error:
        started.close()
        if isinstance(error, RuntimeError | ValueError | OSError):
            raise InputError(f"{system.title} does not take the jobs: {_stderr(error)}") from error
        raise
    started.keeper = keep(started, cluster.workers)
    return started


def job_text(cluster: Cluster, private: Path) -> str:
    """The script of a job, for a scheduler that is not started; see :func:`start_jobs`."""
    options = job_options(cluster, private)
    _check_logs(options)
    options.pop("scheduler_options")
    kind: Any = jobs_class(cluster.kind)
    job = kind.job_cls("tls://SCHEDULER", name=f"{kind.__name__}-0", **options)
    return str(job.job_script()).strip()


def job_options(cluster: Cluster, private: Path) -> dict[str, Any]:
    """Options for the class of dask-jobqueue.

    The scheduler takes connections from workers with its certificate only; dashboards listen on
    this machine only. A file without a wall time has that of dask's settings, and workers leave
    before it. MissingDependencyError when a package for encryption is not installed.
    """
    options = dict(cluster.options)
    size, processes = options["memory"], options.get("processes", 1)
    options["memory"] = f"{worker_limit(size, processes) * processes}B"
    if logs := options.get("log_directory"):  # some systems start a job in another folder
        path = Path(os.path.expandvars(logs)).expanduser().absolute()
        options["log_directory"] = str(path)
    request_memory(options, cluster.kind, size)
    if cluster.kind in FORMS and "walltime" not in options:
        section = options.get("config_name", cluster.kind)
        options["walltime"] = dask.config.get(f"jobqueue.{section}.walltime", None) or ""
        options["worker_extra_args"] = lifetime_arguments(
            options, cluster.kind, "the cluster's file has no walltime, dask's settings have one"
        )
        options["walltime"] = options["walltime"] or None
    # Jobs start without this process's settings of dask.
    options["worker_extra_args"] = [
        *options.get("worker_extra_args", ()),
        *("--preload", PRELOAD),
        *("--dashboard-address", "127.0.0.1:0"),
    ]
    _quote(options, options.get("config_name", cluster.kind))
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


def _quote(options: dict[str, Any], section: str) -> None:
    """Quote paths with spaces that dask-jobqueue writes into the worker's command as they are.

    A folder may have variables, which the job replaces; a `python` may be several words, as with a
    container, unless it is a file.
    """
    for key, default in (("python", sys.executable), ("local_directory", None)):
        path = options.get(key) or dask.config.get(f"jobqueue.{section}.{key}", None) or default
        if path and (key != "python" or Path(path).exists()):
            spaces = any(sign.isspace() for sign in path)
            options[key] = f'"{path}"' if spaces and path[0] not in "'\"" else path


async def _output(command: Sequence[str]) -> tuple[int, str, str] | None:
    """Exit code, stdout and stderr of a command; None where it cannot start, or does not end."""
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    except OSError:
        return None
    try:
        out, errors = await asyncio.wait_for(process.communicate(), _LIMIT)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if isinstance(error, TimeoutError):
            return None
        raise
    return process.returncode or 0, out.decode(errors="replace"), errors.decode(errors="replace")


def _check_interfaces(options: dict[str, Any]) -> None:
    """Refuse a network interface that this machine does not have: the scheduler listens on it."""
    import psutil

    scheduler = options["scheduler_options"]
    name = scheduler.get("interface") or ("" if "host" in scheduler else options.get("interface"))
    known = sorted(psutil.net_if_addrs())
    if name and name not in known:
        raise InputError(
            f"options.interface {name!r} is not here: this machine has {', '.join(known)}; name "
            "one of them, or set scheduler_options.interface where nodes have another one"
        )


def _check_logs(options: dict[str, Any]) -> None:
    """Make the folder of the logs, and refuse one that cannot be written."""
    folder = options.get("log_directory")
    if not folder:
        return
    if any(sign.isspace() for sign in folder):
        raise InputError(
            f"options.log_directory {folder} has a space, which job scripts cannot name: name "
            "another folder"
        )
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"options.log_directory {folder} cannot be written: {error.strerror or error}; name a "
            "folder that this machine and all nodes can write"
        ) from error


def _dashboard(address: str) -> str:
    """Where the dashboard listens: on this machine only, unless a host is named."""
    host, _, port = address.rpartition(":")
    return f"{host or '127.0.0.1'}:{port or '0'}"


def _stderr(error: Exception) -> str:
    """The stderr of a command, or its stdout, from dask-jobqueue's error about it."""
    text = str(error)
    out, found, errors = text.partition("stderr:\n")
    if found:
        text = errors.strip() or out.partition("stdout:\n")[2].strip() or text
    return " ".join(text.split())


def _state_text(state: str) -> str:
    """A state with its reason, which is spelled as in the manuals: pending (Resources)."""
    word, space, reason = state.partition(" ")
    return f"{word.lower()}{space}{reason}"


def _count(many: int) -> str:
    return f"{many} job" if many == 1 else f"{many} jobs"
