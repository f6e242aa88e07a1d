"""Which process holds a lock, and whether it still lives: by start ticks, never by the clock.

A process id is used again after a while, clocks are set, machines reboot, and containers count
their processes anew. So a process is identified by its machine, the boot of that machine, the
namespace of its id, its id, and the time since the boot at which it started (proc(5), field 22 of
``stat``). Where there is no ``/proc`` (macOS, Windows) the system keeps the start time of a process
as it was, and psutil reads it.
"""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

__all__ = ["ProcessName", "is_alive", "process_text", "read_name", "this_process"]

_PROC = Path("/proc")
_MACHINE = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_JOB = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")  # of SLURM, PBS, LSF, SGE
_DEAD = ("Z", "X", "x")  # states of a process that has ended and was not waited for


@dataclass(frozen=True)
class ProcessName:
    """A process of any machine; texts are empty if the system does not provide them."""

    pid: int
    host: str  # name of the machine
    machine: str = ""  # its id
    boot: str = ""  # id of the machine's boot
    space: str = ""  # namespace of process ids: each container has its own
    started: str = ""  # when it started, as the system counts it
    job: str = ""  # number of its job in a queue

    def to_dict(self) -> dict[str, Any]:
        """For a file; :func:`read_name` reads it."""
        return asdict(self)


def read_name(found: dict[str, Any]) -> ProcessName | None:
    """The process that a file names; None where it names none."""
    values = {item.name: found.get(item.name, "") for item in fields(ProcessName)}
    pid = values.pop("pid")
    texts = all(isinstance(value, str) for value in values.values())
    if not isinstance(pid, int) or isinstance(pid, bool) or not 0 < pid < 2**31 or not texts:
        return None
    return ProcessName(pid, **values) if values["host"] else None


def this_process() -> ProcessName:
    """The current process."""
    pid = os.getpid()
    return ProcessName(
        pid=pid,
        host=socket.gethostname(),
        machine=next(filter(None, map(_text, _MACHINE)), ""),
        boot=_text(_PROC / "sys" / "kernel" / "random" / "boot_id"),
        space=_space(),
        started=_started(pid) or "",
        job=next(filter(None, (os.environ.get(name, "") for name in _JOB)), ""),
    )


def process_text(name: ProcessName) -> str:
    """A process in a sentence.

    Examples
    --------
    >>> process_text(ProcessName(812, "node7", job="4711"))
    'process 812 on node7 (job 4711)'
    """
    return f"process {name.pid} on {name.host}" + (f" (job {name.job})" if name.job else "")


def is_alive(name: ProcessName, me: ProcessName) -> bool | None:
    """Whether a process is alive, as far as `me` can see; None if that is unknown here.

    A stopped process (SIGSTOP) is alive.
    """
    if name.boot and me.boot:
        if name.boot != me.boot:
            same = name.machine == me.machine != "" and name.host == me.host
            return False if same else None
        if name.space != me.space:
            return None
    elif name.host != me.host:
        return None
    started = _started(name.pid)
    if started is None:
        # It may be there and hidden from other users (mount option hidepid).
        return None if _exists(name.pid) else False
    return started in (name.started, "") or not name.started


def _started(pid: int) -> str | None:
    """When a process started, in the system's own count; None where none is seen, "" unknown."""
    if (_PROC / "self" / "stat").is_file():
        try:
            stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in _DEAD else fields[19]
    import psutil

    try:
        process = psutil.Process(pid)
        ended = process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        return None if ended else repr(process.create_time())
    except psutil.AccessDenied:
        return ""
    except psutil.NoSuchProcess:
        return None


def _exists(pid: int) -> bool:
    """Whether there is a process of that id that ``/proc`` does not show."""
    if (_PROC / str(pid)).is_dir():
        return False  # seen, and ended
    import psutil

    return bool(psutil.pid_exists(pid))


def _space() -> str:
    try:
        return str((_PROC / "self" / "ns" / "pid").readlink())
    except OSError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
