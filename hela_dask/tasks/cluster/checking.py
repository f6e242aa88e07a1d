"""Check a cluster with one worker: its start, its files, and the needs of a run."""

from __future__ import annotations

import contextlib
import logging
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hela_dask.errors import HelaDaskError, ParameterError
from hela_dask.storage.urls import StorePath, store_path
from hela_dask.tasks.cluster.advice import advice_for_log, advice_for_refusal, advice_for_state
from hela_dask.tasks.cluster.connecting import connect
from hela_dask.tasks.cluster.findings import ClusterCheck, Row
from hela_dask.tasks.cluster.measuring import measure
from hela_dask.tasks.cluster.probes import NOTE
from hela_dask.tasks.cluster.reading import Cluster, read_cluster
from hela_dask.tasks.cluster.requests import requests_memory
from hela_dask.tasks.cluster.systems import SYSTEMS
from hela_dask.tasks.cluster.walltimes import FORMS

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["check_cluster"]

log = logging.getLogger(__name__)

_POLL = 0.5  # seconds between looks for the worker
_NEWS = 10.0  # seconds between messages, and questions to the queueing system
_NO_WORKERS = 10.0  # seconds to wait at an address, where workers are there or not
_TRAP = (
    "hela_check={folder}",
    'if [ -n "$BASH_VERSION" ]; then touch "$hela_check/bash"; '
    'trap \'echo "$BASH_COMMAND" >> "$hela_check/prologue"\' ERR; fi',
)  # before the lines of the prologue: bash records each that fails, and continues
_NO_TRAP = 'if [ -n "$BASH_VERSION" ]; then trap - ERR; fi'  # after them


def check_cluster(
    cluster: str | Path = "local",
    store: str | StorePath | None = None,
    out: str | Path | None = None,
    *,
    memory: str | int | None = None,
    timeout: float = 300.0,
    progress: bool | Callable[[str], None] = True,
) -> ClusterCheck:
    """Start one worker of a cluster as a run would, and check all that a run needs.

    The job, its certificate and the files of the check are removed at the end.

    Parameters
    ----------
    cluster : str or path
        ``"local"``, the address of a scheduler, or a YAML file; as for :func:`hela_dask.run`.
    store : path or address, optional
        An OME-Zarr that the worker must see; its read speed is measured there.
    out : path, optional
        The run folder, or a folder for it, that both sides must be able to write; default: the
        folder of `store`, or the current one where there is none, or it is at an address.
    memory : str or int, optional
        Memory of a job, as for :func:`hela_dask.run`.
    timeout : float
        Seconds to wait for the worker.
    progress : bool or callable
        Log the state of the job while waiting; or a function that takes it as text.

    Returns
    -------
    ClusterCheck
        One row per property, with advice for each that failed; `ok` is the verdict.

    Raises
    ------
    ParameterError
        For a `timeout` that is not above 0, and for ``"runner"``, which has its workers already.

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.check_cluster("slurm.yaml", "hela.ome.zarr")  # doctest: +SKIP
    >>> found.ok  # doctest: +SKIP
    True
    """
    _check_arguments(cluster, timeout)
    report = progress if callable(progress) else log.info if progress else log.debug
    started = time.monotonic()
    found = _Check(str(cluster), report)
    with contextlib.suppress(_Stop), contextlib.ExitStack() as stack:
        request = found.read(cluster, memory)
        folder = stack.enter_context(found.shared_folder(store, out))
        if store is not None:
            found.store_here(store)
        client = stack.enter_context(found.connected(request, folder, timeout))
        found.prologue(request, folder)
        address = next(iter(client.nthreads()))
        found.rows += measure(client, address, request, store, folder)
    return ClusterCheck(str(cluster), tuple(found.rows), found.script, time.monotonic() - started)


def _check_arguments(cluster: str | Path, timeout: float) -> None:
    """Refuse ``"runner"``, and a time that is not above 0."""
    if not timeout > 0:
        raise ParameterError(f"--timeout must be more than 0 seconds, not {timeout:g}")
    if str(cluster) == "runner":
        raise ParameterError(
            "cluster check does not take 'runner': it starts one worker itself, and there srun or "
            "mpirun starts all; start the run in a small allocation, which reports other versions, "
            "too little memory, and a store or run folder that a worker cannot use"
        )


class _Stop(Exception):  # noqa: N818
    """A check failed that all further ones need."""


class _Check:
    """The rows so far, and the job script."""

    def __init__(self, name: str, report: Callable[[str], None]) -> None:
        self.name, self.report = name, report
        self.rows: list[Row] = []
        self.script = ""

    def ok(self, name: str, text: str) -> None:
        self.rows.append(Row(name, "ok", text))

    def warn(self, name: str, text: str, advice: str) -> None:
        self.rows.append(Row(name, "warning", text, advice))

    def fail(self, name: str, text: str, advice: str) -> None:
        self.rows.append(Row(name, "failed", " ".join(text.split()), advice))

    def read(self, cluster: str | Path, memory: str | int | None) -> Cluster:
        """The request, for the workers of one job."""
        try:
            request = read_cluster(cluster, memory=memory)
        except HelaDaskError as error:
            self.fail("options", str(error), "correct the file, or --cluster as it is named")
            raise _Stop from error
        if request.kind == "local":
            request = replace(request, workers=1)
            self.ok("options", "this machine")
        elif request.kind == "address":
            self.ok("options", f"the scheduler at {request.address}")
        else:
            request = replace(request, workers=request.options.get("processes", 1))
            self.ok("options", f"{request.kind}: all keys are known")
        if request.kind in SYSTEMS and not requests_memory(request.options, request.kind):
            self.warn(
                "memory request",
                f"jobs do not ask {SYSTEMS[request.kind].title} for memory",
                "request it as deploy/ shows for this system: other jobs on the node may need "
                "the memory of the workers",
            )
        return request

    @contextlib.contextmanager
    def shared_folder(
        self, store: str | StorePath | None, out: str | Path | None
    ) -> Iterator[Path]:
        """A folder for certificates and notes, where a run would have its folder."""
        place = None if store is None else store_path(store)
        base = Path(out) if out is not None else Path.cwd()
        if out is None and isinstance(place, Path):
            base = place.absolute().parent
        while not base.is_dir() and base != base.parent:
            base = base.absolute().parent  # a run makes its folder
        try:
            made = tempfile.TemporaryDirectory(
                prefix=".hela-dask-check-", dir=base, ignore_cleanup_errors=True
            )
        except OSError as error:
            text = f"{base} cannot be written here: {error.strerror or error}"
            self.fail("run folder", text, "name another folder with --out")
            raise _Stop from error
        with made as name:
            folder = Path(name).absolute()
            (folder / "here").write_text(NOTE, encoding="ascii")
            yield folder

    def store_here(self, store: str | StorePath) -> None:
        """Whether this machine can open the store."""
        from hela_dask.storage.metadata import read_image

        try:
            read_image(store)
        except (HelaDaskError, OSError) as error:
            self.fail("store here", str(error), "name the OME-Zarr that runs will read")
        else:
            self.ok("store here", f"{store} is read")

    @contextlib.contextmanager
    def connected(self, request: Cluster, folder: Path, timeout: float) -> Iterator[Client]:
        """A client with one worker."""
        checked = request
        if request.kind in SYSTEMS:
            checked = self._jobs(request, folder)
        name = "submission" if request.from_file else "scheduler"
        with contextlib.ExitStack() as stack:
            start = time.monotonic()
            try:
                client = stack.enter_context(connect(checked, folder))
            except HelaDaskError as error:
                text = str(error)
                self.fail(name, text, advice_for_refusal(text, request) or _general(request))
                raise _Stop from error
            address = client.scheduler.address if client.scheduler else "unknown"
            self.ok(name, f"the scheduler is at {address}")
            self._wait(client, request, timeout)
            self.ok("worker", f"joined after {time.monotonic() - start:.0f} s")
            yield client

    def prologue(self, request: Cluster, folder: Path) -> None:
        """Lines of the prologue that failed on the node, which the job script ignores."""
        if not request.options.get("job_script_prologue"):
            return
        file = folder / "prologue"
        if not file.exists() and not (folder / "bash").exists():
            text = "failures are not recorded: the shell of the job is not bash"
            self.rows.append(Row("prologue", "skipped", text))
            return
        if not file.exists():
            self.ok("prologue", "its commands succeed on the node")
            return
        failed = "; ".join(file.read_text(encoding="utf-8", errors="replace").split("\n"))
        self.fail(
            "prologue",
            f"on the node, these commands fail: {failed.strip('; ')}",
            "correct options.job_script_prologue: its commands run in a shell that is not a login "
            "shell",
        )

    def _jobs(self, request: Cluster, folder: Path) -> Cluster:
        """The request with a prologue that records its failures; the job script, the lifetime."""
        from hela_dask.tasks.cluster.jobs import job_text

        private = folder / "script"
        private.mkdir(mode=0o700)
        try:
            self.script = job_text(request, private)
        except (HelaDaskError, OSError, ValueError, KeyError) as error:
            advice = advice_for_refusal(str(error), request) or "correct the file"
            self.fail("job script", str(error), advice)
            raise _Stop from error
        if "--lifetime" in self.script:
            wall = request.options.get("walltime", "that of dask's settings")
            words = self.script.split()
            life = words[words.index("--lifetime") + 1] if "--lifetime" in words else "set"
            text = f"workers retire after {life}"
            self.ok("lifetime", f"{text}; wall time {wall}" if request.kind in FORMS else text)
        else:
            self.warn(
                "lifetime",
                "workers have none",
                'set worker_extra_args: ["--lifetime", "225m", "--lifetime-stagger", "10m"], below '
                "the time after which the cluster ends jobs",
            )
        lines = request.options.get("job_script_prologue", [])
        name, trap = _TRAP
        before = [name.format(folder=shlex.quote(str(folder))), trap]
        recorded = [*before, *lines, _NO_TRAP] if lines else []
        return replace(request, options={**request.options, "job_script_prologue": recorded})

    def _wait(self, client: Client, request: Cluster, timeout: float) -> None:
        """Wait for the worker, and report the state of its job."""
        cluster: Any = client.cluster
        start = time.monotonic()
        limit = min(timeout, _NO_WORKERS) if request.kind == "address" else timeout
        news = start + _NEWS / 5
        while not client.nthreads():
            trouble = str(getattr(getattr(cluster, "keeper", None), "trouble", ""))
            if trouble:
                advice, line = advice_for_log(
                    f"{getattr(cluster, 'ended_log', '')}\n{trouble}", request
                )
                more = "" if line[:80] in trouble else f"; its log has {line[:200]!r}"
                self.fail("worker", f"{trouble}{more}", advice or _no_log(trouble))
                raise _Stop
            waited = time.monotonic() - start
            if waited >= limit:
                self._late(client, request, waited)
            if time.monotonic() >= news and hasattr(cluster, "waiting_text"):
                news = time.monotonic() + _NEWS
                state = str(cluster.waiting_text())
                self.report(f"waiting for the worker since {waited:.0f} s: {state}")
                advice, never_starts = advice_for_state(_states(cluster), request)
                if never_starts:
                    self.fail("worker", f"the job never starts: {state}", advice)
                    raise _Stop
            time.sleep(_POLL)

    def _late(self, client: Client, request: Cluster, waited: float) -> None:
        """No worker has joined in time."""
        cluster: Any = client.cluster
        if request.kind == "address":
            address = request.address
            advice = f"start one there: dask worker {address} --nthreads 1 (docs/clusters.md)"
            self.fail("worker", f"the scheduler at {address} has no worker", advice)
            raise _Stop
        state = str(cluster.waiting_text()) if hasattr(cluster, "waiting_text") else "no state"
        logs = ""
        if hasattr(cluster, "log_text"):
            logs = "\n".join(cluster.log_text(number) for number in cluster.job_states() or ())
        advice = advice_for_log(logs, request)[0] or advice_for_state(_states(cluster), request)[0]
        if not advice and "running" in _states(cluster).lower():
            advice = (
                "the job runs, and its worker does not reach the scheduler on this machine: name "
                "another network in options.interface, ask for open ports from nodes to this "
                "machine, or give it more time with --timeout"
            )
        self.fail(
            "worker",
            f"no worker has joined within {waited:.0f} s: {state}",
            advice
            or "wait longer with --timeout, or request less memory and time, so that the "
            "job starts sooner",
        )
        raise _Stop


def _states(cluster: Any) -> str:
    """The states of the jobs, without the words around them."""
    if hasattr(cluster, "job_states"):
        return "; ".join((cluster.job_states() or {}).values())
    return str(cluster.waiting_text()) if hasattr(cluster, "waiting_text") else ""


def _general(request: Cluster) -> str:
    """Advice for an error with an unknown text."""
    if request.kind in SYSTEMS:
        return f"try it with {SYSTEMS[request.kind].submit} alone, and correct the file"
    return "correct --cluster, or start the scheduler"


def _no_log(trouble: str) -> str:
    """Advice for a job that ended, and its log explains nothing."""
    if "log is empty" in trouble:
        return (
            "the job has left no log: set options.log_directory to a folder that all nodes can "
            "write, and see the reason in the system's own records"
        )
    return "read the log of the job, and correct the file"
