"""A SLURM of one node for tests: its daemons, its configuration and its logs in one folder.

``python -m tests.slurm.node`` starts one and prints the variable that its commands need; Ctrl-C
stops it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

__all__ = ["PROGRAMS", "NodeError", "SlurmNode", "missing_programs"]

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
"""The packages munge, slurmctld, slurmd and slurm-client of Debian and Ubuntu."""

_PREFIX = "hela-slurm-"
_SBIN = ("/usr/sbin", "/usr/local/sbin", "/sbin")
_LOOPBACK = "NoCtldInAddrAny,NoInAddrAny"  # they listen at the address of this machine's name
_START = 30  # seconds for the daemons to start
_CPUS, _MEMORY = 8, 64_000  # more than the machine has, so that several jobs run at a time; MiB
_CONF = """
ClusterName=hela
SlurmctldHost={name}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
CommunicationParameters={listen}
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.txt
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
SlurmdParameters=config_overrides
KillWait=5
InactiveLimit=0
MinJobAge=600
NodeName={name} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=cpu Nodes={name} Default=YES MaxTime=INFINITE State=UP
PartitionName=closed Nodes={name} MaxTime=INFINITE State=DOWN
PartitionName=short Nodes={name} MaxTime=5 State=UP
PartitionName=lab Nodes={name} AllowAccounts=lab State=UP
"""


class NodeError(RuntimeError):
    """A daemon does not start; the message ends with the last lines of its log."""


def missing_programs() -> list[str]:
    """The programs of SLURM that are not installed here."""
    return [name for name in PROGRAMS if _program(name) is None]


@dataclass
class SlurmNode:
    """The daemons, started by :meth:`start` and ended by :meth:`stop`.

    Four partitions: ``cpu`` runs jobs at once, ``closed`` holds them in the queue, ``short`` those
    of more than five minutes, and ``lab`` takes those of the account ``lab`` only.

    Attributes
    ----------
    folder : Path
        Holds everything that the daemons write; removed by :meth:`stop`.
    """

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix=_PREFIX)))
    _daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def conf(self) -> Path:
        """The configuration, for the variable ``SLURM_CONF``."""
        return self.folder / "slurm.conf"

    def start(self) -> None:
        """Start the daemons and wait until the node takes jobs.

        Raises
        ------
        NodeError
            When one of them ends, or the node is not ready within 30 s.
        """
        _remove_stale()
        (self.folder / "owner").write_text(f"{os.getpid()} {psutil.Process().create_time()}")
        self.folder.chmod(0o755)
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.touch(mode=0o400)
        key.chmod(0o600)
        key.write_bytes(secrets.token_bytes(1024))
        self.conf.write_text(
            _CONF.format(
                name=socket.gethostname().partition(".")[0],
                user=pwd.getpwuid(os.getuid()).pw_name,
                folder=self.folder,
                listen=_LOOPBACK if _has_address() else "EnableIPv4",
                ports=_free_ports(2),
                cpus=_CPUS,
                memory=_MEMORY,
            )
        )
        files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "seed-file": "seed"}
        options = [f"--{option}={self.folder}/munge.{end}" for option, end in files.items()]
        self._daemon("munged", "--foreground", "--force", *options)
        self._until((self.folder / "munge.socket").exists, "munged")
        self._daemon("slurmctld", "-D", "-f", str(self.conf))
        self._until(lambda: self.ask("scontrol", "ping").startswith("Slurmctld"), "slurmctld")
        self._daemon("slurmd", "-D", "-f", str(self.conf))
        self._until(lambda: "idle" in self.ask("sinfo", "--noheader", "-p", "cpu"), "slurmd")

    def stop(self) -> None:
        """Cancel the jobs, end the daemons and remove the folder."""
        if self._daemons and self._daemons[-1].poll() is None:
            user = pwd.getpwuid(os.getuid()).pw_name
            self.ask("scancel", f"--user={user}")
            with contextlib.suppress(NodeError):
                self._until(lambda: not self.jobs(), "slurmd")
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, *command: str) -> str:
        """What a command of SLURM prints; empty where it fails."""
        done = subprocess.run(
            command,
            env={**os.environ, "SLURM_CONF": str(self.conf)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    def jobs(self) -> dict[str, str]:
        """State and reason of each job in the queue, by its number."""
        lines = self.ask("squeue", "--noheader", "--format=%i %T (%r)").splitlines()
        return {number: state for number, _, state in (line.partition(" ") for line in lines)}

    def ended(self) -> dict[str, str]:
        """The state in which each job ended, by its number."""
        path, found = self.folder / "jobs.txt", {}
        for line in path.read_text().splitlines() if path.exists() else ():
            facts = dict(part.split("=", 1) for part in line.split() if "=" in part)
            found[facts["JobId"]] = facts["JobState"]
        return found

    def log_text(self) -> str:
        """The last lines of each daemon's log, on one line."""
        parts = []
        for path in sorted(self.folder.glob("*.log")):
            lines = path.read_text(errors="replace").strip().splitlines()[-3:]
            parts += [f"{path.name}: {line.strip()}" for line in lines]
        return "; ".join(parts)

    def _daemon(self, name: str, *options: str) -> None:
        program = _program(name)
        if program is None:
            raise NodeError(f"{name} is not installed")
        with (self.folder / f"{name}.log").open("wb") as log:
            self._daemons.append(
                subprocess.Popen(
                    [program, *options],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,
                    env={**os.environ, "SLURM_CONF": str(self.conf)},
                    start_new_session=True,
                )
            )

    def _until(self, met: Callable[[], bool], daemon: str) -> None:
        end = time.monotonic() + _START
        while not met():
            ended = any(process.poll() is not None for process in self._daemons)
            if ended or time.monotonic() > end:
                why = "ended" if ended else f"is not ready after {_START} s"
                raise NodeError(f"{daemon} {why}: {self.log_text()}")
            time.sleep(0.1)


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(_SBIN))


def _has_address() -> bool:
    """Whether the name of this machine has an address; in some containers it has none."""
    try:
        return bool(socket.gethostbyname(socket.gethostname()))
    except OSError:
        return False


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in sockets]


def _remove_stale() -> None:
    """End the daemons of killed tests, and remove their folders."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            number, _, started = (folder / "owner").read_text().partition(" ")
            alive = abs(psutil.Process(int(number)).create_time() - float(started)) < 1
        except (OSError, ValueError):
            continue  # of another user, or being made
        except psutil.NoSuchProcess:
            alive = False
        if alive:
            continue
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("SLURM_CONF") == str(folder / "slurm.conf"):
                    process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    node = SlurmNode()
    try:
        node.start()
        os.write(1, f"export SLURM_CONF={node.conf}\n".encode())
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        pass
    finally:
        node.stop()
