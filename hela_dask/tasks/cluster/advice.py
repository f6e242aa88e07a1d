"""Advice for the faults of a cluster, found by the texts of schedulers, jobs and workers."""

from __future__ import annotations

import re

from hela_dask.tasks.cluster.reading import Cluster
from hela_dask.tasks.cluster.systems import SYSTEMS

__all__ = ["advice_for_log", "advice_for_refusal", "advice_for_state"]

_REFUSALS = (
    (
        r"options\.interface",
        "set options.interface to a network that this machine and the nodes have",
    ),
    (
        r"options\.log_directory",
        "set options.log_directory to a folder that this machine and all nodes can write",
    ),
    # Sentences about limits that name an account, a queue or a resource as well: before those.
    (
        r"MaxWall",
        "make options.walltime shorter: your account, QOS or queue limits it",
    ),
    (
        r"violates accounting|MaxSubmit|MaxJobs|QOSMax",
        "the jobs are above a limit of your account or QOS: use fewer --workers, a shorter "
        "options.walltime, less options.memory, or another QOS, as in job_extra_directives: "
        '["--qos=NAME"]',
    ),
    (
        r"(violates|exceeds) queue",
        "the job is above a limit of the queue or the server: use a shorter options.walltime, "
        "less options.memory or fewer options.cores; {queues} lists the limits of each queue",
    ),
    (
        r"would exceed|(maximum )?number of jobs|jobs are allowed|pending job|temporarily unable",
        "the cluster limits jobs per user: use fewer --workers, or wait until others have ended",
    ),
    (
        r"PROCLIMIT|TASKLIMIT|more processors|CPU count",
        "request fewer options.cores, or another queue: {queues} lists them",
    ),
    (
        r"no suitable queue|partition configuration|not enough resources",
        "no queue can run such a job: request less with options.memory, options.cores or "
        "options.walltime, or another queue: {queues} lists them",
    ),
    (
        r"unknown resource|parallel environment",
        "the cluster has no resource of this name: correct options.resource_spec and "
        "options.job_extra_directives",
    ),
    (
        r"fail(ed|ure)? to (contact|connect|communicate)|(unable to|cannot|can't) (contact|connect)"
        r"|can't find address|connect failure|unreachable|timed out|no response|does not answer",
        "the scheduler cannot be reached: submit from a login node, or try again later",
    ),
    (
        r"invalid (feature|gres|generic resource|license)",
        "correct options.job_extra_directives: the cluster has no feature or resource of this name",
    ),
    (
        r"account|project|allocation|not.{0,20}member of|charge",
        "set options.{account} to one that you may use: {accounts} lists them",
    ),
    (
        r"(time|wall|run) ?limit|walltime|RUNLIMIT|h_rt|max(imum)? (wall|run) ?time",
        "make options.walltime shorter: {queues} lists the limits of each queue",
    ),
    (
        r"memory|mem_free|vmem|MEMLIMIT|configuration is not available|RequestMemory|rusage",
        "request less with options.memory (or --memory), or another queue: {queues} lists them",
    ),
    (
        r"disabled|closed|not enabled|inactive|not accepting|\bdown\b|drain",
        "the queue takes no jobs now: set options.queue to another one ({queues} lists them)",
    ),
    (
        r"partition|queue|class|no default",
        "set options.queue to a queue of this cluster: {queues} lists them",
    ),
    (
        r"qos|quality of service",
        'name a QOS that you may use, as in job_extra_directives: ["--qos=NAME"]',
    ),
    (
        r"limit|quota|too many|maximum number",
        "the cluster limits jobs per user: use fewer --workers, or wait until others have ended",
    ),
    (
        r"unauthori[sz]ed|not authori[sz]ed|access denied|permission|credential|forbidden|munge"
        r"|authentication|no submit host",
        "ask the staff of the cluster for the right to submit jobs from this machine",
    ),
    (
        r"invalid option|unrecognized option|illegal|syntax|directive|parse",
        "correct options.job_extra_directives and options.resource_spec, or remove the rejected "
        "line with options.job_directives_skip",
    ),
)
_STATES = (
    (
        r"TimeLimit|AssocMaxWall|QOSMaxWall",
        "make options.walltime shorter: {queues} lists the limits of each queue",
    ),
    (
        r"(QOS|Assoc)Max(Jobs|Submit)|Per(User|Account)",
        "your jobs reach a limit of your account or QOS: wait until others have ended, or use "
        "fewer --workers or another QOS",
    ),
    (
        r"NodeLimit|PartitionConfig|BadConstraints|MaxMem|MaxCpu|MaxNode|MinMem|never run|can never"
        r"|Unschedulable",
        "no node has so much: request less with options.memory or options.cores, or another "
        "options.queue",
    ),
    (
        r"PartitionDown|PartitionInactive|[Qq]ueue.*(not started|stopped|closed|inactive)",
        "the queue starts no jobs now: set options.queue to another one ({queues} lists them)",
    ),
    (
        r"[Aa]ccount|QOS|AssocGrp|InvalidAcc",
        "set options.{account} to one that may use this queue and has resources left: "
        "{accounts} lists them",
    ),
    (
        r"[Hh]eld|[Hh]old|PSUSP|launch failed",
        "the job is held: see {look} for the reason, release it, or ask the staff of the cluster",
    ),
    (
        r"ErrImagePull|ImagePullBackOff|InvalidImageName",
        "options.image cannot be fetched: check its name, and imagePullSecrets in "
        "options.worker_template",
    ),
    (
        r"CrashLoopBackOff|terminated|Error\b",
        "the container ends: see kubectl logs; the image needs dask and hela_dask",
    ),
    (r"ReqNodeNotAvail|Reserved|maintenance", "nodes are reserved: try again later"),
)
_NEVER = re.compile(
    r"TimeLimit|AssocMaxWall|QOSMaxWall|NodeLimit|BadConstraints|PartitionDown|PartitionInactive"
    r"|[Hh]eld|PSUSP|InvalidAccount|InvalidQOS|AccountNotAllowed|never run|can never"
    r"|PartitionConfig|account not (known|permitted)"
    r"|InvalidImageName"
)
_LOGS = (
    (
        r"No module named '?(hela_dask|dask|distributed)\b",
        "the Python of the nodes has no hela_dask: install it there, or name the Python of this "
        "environment in options.python, on a file system that all nodes see",
    ),
    (
        r"ModuleNotFoundError|ImportError|cannot open shared object|GLIBC|Illegal instruction"
        r"|Exec format",
        "the environment does not work on the node: install it for the nodes, or activate it in "
        "options.job_script_prologue",
    ),
    (
        r"not a valid (network )?interface|KeyError: 'ib|No such device|interface .{0,40}not",
        "the node has no such interface: set options.interface to one of the nodes, and "
        "scheduler_options.interface to one of this machine",
    ),
    (
        r"module: command not found|Unable to locate a modulefile|Lmod|unknown module"
        r"|module.{0,40}not (known|found)|conda: command not found|activate: No such file",
        "correct options.job_script_prologue: its commands must work in a shell that is not a "
        "login shell",
    ),
    (
        r"python[\d.]*:? (command )?not found|/python\S*: No such file|can't open file|"
        r"/python\S*: not found",
        "there is no such Python on the node: name another one in options.python",
    ),
    (
        r"Timed out|timed out|Connection refused|No route to host|[Nn]etwork is unreachable"
        r"|CommClosedError|Could not connect|failed to connect",
        "the node cannot reach the scheduler on this machine: name another network in "
        "options.interface, or ask the staff to open the ports from nodes to this machine "
        "(scheduler_options.port fixes the port)",
    ),
    (
        r"certificate verify failed|CERTIFICATE_VERIFY|certificate is not|No such file.{0,80}\.pem"
        r"|not.{0,40}\.pem",
        "the node does not accept the certificate of the run: synchronise the clocks, and put the "
        "run folder on a file system that all nodes see",
    ),
    (
        r"(Permission denied|Read-only file system|No such file or directory|Not a directory)",
        "a folder cannot be written on the node: set options.local_directory to a local disk "
        "of the node, and options.log_directory to a folder that all nodes see",
    ),
    (r"No space left|Disk quota", "the disk is full: free some, or name another local_directory"),
    (
        r"[Oo]ut of memory|oom[-_ ]kill|OUT_OF_MEMORY|MemoryError|exceeded memory",
        "the job exceeds its memory while it starts: request more with options.memory",
    ),
    (r"DUE TO TIME LIMIT|TIMEOUT", "options.walltime is too short: a worker needs minutes"),
    (
        r"[Nn]o such option|Unknown argument|unexpected extra argument|Invalid value for",
        "correct options.worker_extra_args, and install the same version of dask everywhere",
    ),
    (
        r"Version mismatch|unsupported pickle|deserializ",
        "install the same versions on the nodes as here",
    ),
)


def _find(
    table: tuple[tuple[str, str], ...], text: str, cluster: Cluster, flags: int
) -> tuple[str, str]:
    """The first advice of a table for a text, and the line that it fits; empty where none fits."""
    system = SYSTEMS.get(cluster.kind)
    names = {
        "queues": system.queues if system else "the documentation of the cluster",
        "accounts": system.accounts if system else "the documentation of the cluster",
        "account": (system.account if system else "") or "job_extra_directives",
        "look": system.look if system else "the cluster",
    }
    for pattern, advice in table:
        if fits := re.search(pattern, text, flags):
            start, end = text.rfind("\n", 0, fits.start()) + 1, text.find("\n", fits.end())
            line = text[start : end if end >= 0 else len(text)]
            return re.sub(r"\{(\w+)\}", lambda found: names[found[1]], advice), line.strip()
    return "", ""


def advice_for_refusal(text: str, cluster: Cluster) -> str:
    """The change where a scheduler refuses a job with this text; empty where unknown."""
    return _find(_REFUSALS, text.partition("does not take the jobs:")[2] or text, cluster, re.I)[0]


def advice_for_state(text: str, cluster: Cluster) -> tuple[str, bool]:
    """The change where jobs wait in this state, and whether waiting is of no use."""
    return _find(_STATES, text, cluster, 0)[0], bool(_NEVER.search(text))


def advice_for_log(text: str, cluster: Cluster) -> tuple[str, str]:
    """The change that the log of a job asks for, and the line of it; empty where unknown."""
    return _find(_LOGS, text, cluster, 0)
