"""The queueing systems of dask-jobqueue: their commands, states and logs.

A system is data. :mod:`hela_dask.tasks.cluster.jobs` submits and observes the jobs of any of them.
The states are those of the manual pages of ``squeue``, ``qstat``, ``bjobs``, ``oarstat``,
``checkjob`` and ``condor_q``.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["SYSTEMS", "System"]

Commands = Iterator[tuple[str, ...]]


@dataclass(frozen=True)
class System:
    """A queueing system.

    Attributes
    ----------
    name : str
        As in the file of a cluster, and the module of dask-jobqueue.
    title, cluster : str
        Its name in a sentence; its class in dask-jobqueue.
    submit, look : str
        The command that submits a job, and the one that shows jobs.
    states : callable
        From the numbers of jobs to the commands that show their states.
    read : callable
        From the output of such a command to pairs of a job's number and its state, as
        ``PENDING (Resources)``.
    over : frozenset of str
        First words of the states of jobs that have ended, or never run.
    unknown : str
        A regular expression, found in the errors of a command about jobs that the system has
        forgotten.
    logs : tuple of str
        Patterns of the names of a job's logs; ``{job}`` is its number.
    queues, accounts : str
        Commands that list the queues, and the accounts or projects of a user.
    account : str
        The option of the file for the account; empty where there is none.
    """

    name: str
    title: str
    cluster: str
    submit: str
    look: str
    states: Callable[[Sequence[str]], Commands]
    read: Callable[[str], Iterator[tuple[str, str]]]
    over: frozenset[str]
    unknown: str
    logs: tuple[str, ...]
    queues: str
    accounts: str = "the documentation of the cluster"
    account: str = "account"


def _squeue(jobs: Sequence[str]) -> Commands:
    yield "squeue", "--noheader", "--states=all", f"--jobs={','.join(jobs)}", "--format=%i %T (%r)"


def _read_squeue(out: str) -> Iterator[tuple[str, str]]:
    for line in out.splitlines():
        number, _, state = line.strip().partition(" ")
        yield number, state.removesuffix(" (None)")


def _qstat_full(jobs: Sequence[str]) -> Commands:
    yield "qstat", "-f", *jobs


_LETTERS = {
    "Q": "queued",
    "R": "running",
    "H": "held",
    "W": "waiting",
    "E": "exiting",
    "C": "completed",
    "F": "finished",
    "X": "finished",
    "S": "suspended",
    "T": "moving",
    "B": "begun",
    "M": "moved",
}


def _read_qstat_full(out: str) -> Iterator[tuple[str, str]]:
    """Blocks of ``qstat -f``: PBS Pro, OpenPBS and Torque; long lines continue after a tab."""
    for block in re.split(r"(?m)^Job Id: ", out.replace("\n\t", ""))[1:]:
        number = re.match(r"\d+", block)
        state = re.search(r"(?m)^\s*job_state = (\w)", block)
        if number and state:
            why = re.search(r"(?m)^\s*comment = (.+)$", block)
            word = _LETTERS.get(state[1], state[1])
            yield number[0], f"{word} ({why[1].strip()})" if why else word


def _bjobs(jobs: Sequence[str]) -> Commands:
    yield "bjobs", "-w", *jobs


def _read_bjobs(out: str) -> Iterator[tuple[str, str]]:
    for line in out.splitlines():
        words = line.split()
        if len(words) > 2 and words[0].isdecimal():
            yield words[0], words[2]


def _qstat_user(jobs: Sequence[str]) -> Commands:
    yield "qstat", "-u", getpass.getuser()


_GRID_ENGINE = {"qw": "waiting", "hqw": "held", "r": "running", "t": "starting"}


def _read_qstat_user(out: str) -> Iterator[tuple[str, str]]:
    for line in out.splitlines():
        words = line.split()
        if len(words) > 4 and words[0].isdecimal():
            letters = words[4]
            failed = f"error ({letters}, see qstat -j {words[0]})" if "E" in letters else letters
            yield words[0], _GRID_ENGINE.get(letters, failed)


def _oarstat(jobs: Sequence[str]) -> Commands:
    for job in jobs:
        yield "oarstat", "-s", "-j", job


def _read_oarstat(out: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"(?m)^\s*(\d+)\s*:\s*(\w+)", out):
        yield found[1], found[2]


def _checkjob(jobs: Sequence[str]) -> Commands:
    for job in jobs:
        yield "checkjob", job


def _read_checkjob(out: str) -> Iterator[tuple[str, str]]:
    number = re.search(r"(?m)^job \D*(\d+)", out)
    state = re.search(r"(?m)^State: (\w+)", out)
    if number and state:
        why = re.search(r"(?m)^(?:BLOCK MSG|NOTE): *(.+)$", out)
        yield number[1], f"{state[1]} ({why[1].strip()})" if why else state[1]


def _condor_q(jobs: Sequence[str]) -> Commands:
    yield "condor_q", *jobs, "-af:j", "JobStatus", "HoldReason"


_CONDOR = {
    "1": "idle",
    "2": "running",
    "3": "removed",
    "4": "completed",
    "5": "held",
    "6": "transferring",
    "7": "suspended",
}


def _read_condor_q(out: str) -> Iterator[tuple[str, str]]:
    for line in out.splitlines():
        number, _, rest = line.strip().partition(" ")
        letter, _, why = rest.partition(" ")
        if re.fullmatch(r"\d+\.\d+", number):
            word = _CONDOR.get(letter, letter)
            yield number, word if why in ("", "undefined") else f"{word} ({why.strip()})"


_PBS_LOGS = ("*.[eo]{job}", "{job}.*ER", "{job}.*OU")
_PBS = {
    "states": _qstat_full,
    "read": _read_qstat_full,
    "over": frozenset({"completed", "finished", "moved"}),
    "unknown": r"nknown Job|has finished",
}

SYSTEMS = {
    system.name: system
    for system in (
        System(
            "slurm",
            "SLURM",
            "SLURMCluster",
            "sbatch",
            "squeue",
            _squeue,
            _read_squeue,
            frozenset(
                {
                    *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "DEADLINE"),
                    *("OUT_OF_MEMORY", "BOOT_FAIL", "REVOKED"),
                }
            ),
            "nvalid job id",
            ("*-{job}.*", "slurm-{job}.out"),
            "sinfo",
            "sacctmgr show associations user=$USER",
        ),
        System(
            "pbs",
            "PBS",
            "PBSCluster",
            "qsub",
            "qstat",
            **_PBS,  # type: ignore[arg-type]
            logs=_PBS_LOGS,
            queues="qstat -q",
        ),
        System(
            "lsf",
            "LSF",
            "LSFCluster",
            "bsub",
            "bjobs",
            _bjobs,
            _read_bjobs,
            frozenset({"DONE", "EXIT", "ZOMBI"}),
            "is not found",
            ("*-{job}.*",),
            "bqueues",
            account="project",
        ),
        System(
            "sge",
            "Grid Engine",
            "SGECluster",
            "qsub",
            "qstat",
            _qstat_user,
            _read_qstat_user,
            frozenset({"error"}),
            "do not exist",
            ("*.[eo]{job}",),
            "qconf -sql",
            "qconf -sprjl",
            "project",
        ),
        System(
            "oar",
            "OAR",
            "OARCluster",
            "oarsub",
            "oarstat",
            _oarstat,
            _read_oarstat,
            frozenset({"Terminated", "Error"}),
            "(?i)no job|not found|unknown",
            ("*{job}.std*",),
            "oarstat --gantt, or the documentation of the cluster",
            account="project",
        ),
        System(
            "moab",
            "Moab",
            "MoabCluster",
            "msub",
            "checkjob",
            _checkjob,
            _read_checkjob,
            frozenset({"Completed", "Removed", "Vacated"}),
            "invalid job",
            _PBS_LOGS,
            "mdiag -c",
        ),
        System(
            "htcondor",
            "HTCondor",
            "HTCondorCluster",
            "condor_submit",
            "condor_q",
            _condor_q,
            _read_condor_q,
            frozenset({"removed", "completed", "held"}),
            "(?i)no such job",
            ("worker-{job}.*",),
            "condor_status",
            account="",
        ),
    )
}
"""By their names in the file of a cluster."""
