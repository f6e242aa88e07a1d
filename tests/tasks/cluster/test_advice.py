"""Advice for the refusals of schedulers, the states of jobs and the logs of workers."""

from __future__ import annotations

import pytest

from hela_dask.tasks.cluster import Cluster
from hela_dask.tasks.cluster.advice import (
    advice_for_log,
    advice_for_refusal,
    advice_for_state,
)


@pytest.mark.parametrize(
    ("system", "text", "advice"),
    [
        ("slurm", "invalid partition specified: gone", "options.queue to a queue of this cluster"),
        ("slurm", "No partition specified or system default partition", "options.queue"),
        ("slurm", "Invalid account or account/partition combination", "options.account"),
        ("slurm", "Memory specification can not be satisfied", "options.memory"),
        ("slurm", "CPU count per node can not be satisfied", "options.cores"),
        ("slurm", "Requested node configuration is not available", "options.memory"),
        ("slurm", "Requested time limit is invalid (missing or exceeds some limit)", "walltime"),
        ("slurm", "Invalid qos specification", "--qos=NAME"),
        ("slurm", "Required partition not available (inactive or drain)", "takes no jobs now"),
        ("slurm", "Unable to contact slurm controller (connect failure)", "login node"),
        ("slurm", "unrecognized option '--gpu'", "job_extra_directives"),
        (
            "slurm",
            "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
            "use fewer --workers, a shorter options.walltime, less options.memory, or another QOS",
        ),
        ("slurm", "QOSMaxSubmitJobPerUserLimit", "use fewer --workers"),
        ("slurm", "QOSMaxWallDurationPerJobLimit", "options.walltime shorter"),
        ("slurm", "Requested partition configuration not available now", "request less"),
        ("slurm", "More processors requested than permitted", "fewer options.cores"),
        ("slurm", "Invalid feature specification", "job_extra_directives"),
        ("slurm", "Access/permission denied", "ask the staff"),
        ("slurm", "Protocol authentication error", "ask the staff"),
        ("pbs", "Unknown queue", "qstat -q lists them"),
        ("pbs", "Invalid Account", "options.account"),
        ("pbs", "Job violates queue and/or server resource limits", "shorter options.walltime"),
        ("pbs", "Maximum number of jobs already in queue", "fewer --workers"),
        ("pbs", "would exceed queue generic's per-user limit", "fewer --workers"),
        ("pbs", "Unknown resource type  Resource_List.select", "correct options.resource_spec"),
        (
            "pbs",
            "Job exceeds queue resource limits MSG=cannot satisfy queue max mem requirement",
            "less options.memory",
        ),
        ("pbs", "Queue is not enabled", "takes no jobs now"),
        ("lsf", "gone: No such queue. Job not submitted", "bqueues lists them"),
        ("lsf", "MEMLIMIT: Cannot exceed queue's hard limit(s)", "options.memory"),
        ("lsf", "RUNLIMIT: Cannot exceed queue's hard limit(s)", "options.walltime"),
        ("lsf", "Project <x> does not exist", "options.project"),
        ("lsf", "PROCLIMIT: Too many processors requested. Job not submitted", "options.cores"),
        ("lsf", "Pending job threshold reached. Retrying in 60 seconds", "fewer --workers"),
        ("sge", 'Unable to run job: unknown resource "mem_free"', "correct options.resource_spec"),
        ("sge", "Unable to run job: error: no suitable queues", "request less"),
        ("sge", 'the requested parallel environment "smp" does not exist', "resource_spec and"),
        ("sge", "job rejected: Only 50 jobs are allowed per user", "fewer --workers"),
        ("sge", "Unable to run job: Job was rejected because it requests unknown queue", "qconf"),
        ("oar", "Queue gone does not exist", "options.queue"),
        ("oar", "There are not enough resources for your request", "request less"),
        ("htcondor", "Can't find address of local schedd", "cannot be reached"),
        ("htcondor", "Failed to connect to local queue manager", "cannot be reached"),
    ],
)
def test_a_refusal_is_explained(system: str, text: str, advice: str) -> None:
    found = advice_for_refusal(f"{system}: {text}", Cluster(system))
    assert advice in found and "{" not in found


@pytest.mark.parametrize(
    ("state", "never", "advice"),
    [
        ("PENDING (PartitionTimeLimit)", True, "options.walltime shorter"),
        ("PENDING (PartitionDown)", True, "options.queue to another one"),
        ("PENDING (JobHeldUser)", True, "the job is held"),
        ("PENDING (launch failed requeued held)", True, "the job is held"),
        ("PENDING (InvalidAccount)", True, "options.account"),
        ("PENDING (Job's account not known, so it can't use this partition)", True, "account"),
        ("PENDING (PartitionConfig)", True, "options.cores"),
        ("PENDING (QOSMaxJobsPerUserLimit)", False, "fewer --workers"),
        ("PENDING (AssocMaxJobsLimit)", False, "fewer --workers"),
        ("PENDING (QOSMaxCpuPerUserLimit)", False, "fewer --workers"),
        ("PENDING (AssocGrpCPUMinutesLimit)", False, "options.account"),
        ("PENDING (QOSMaxWallDurationPerJobLimit)", True, "options.walltime shorter"),
        ("PENDING (Resources)", False, ""),
        ("1 pod pending (ImagePullBackOff)", False, "options.image cannot be fetched"),
        ("1 pod pending (Unschedulable: 0/3 nodes)", False, "request less with options.memory"),
    ],
)
def test_states_that_never_end_are_known(state: str, never: bool, advice: str) -> None:
    found, never_starts = advice_for_state(state, Cluster("slurm"))
    assert never_starts is never
    assert found == advice or (advice and advice in found)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("ModuleNotFoundError: No module named 'hela_dask'", "has no hela_dask"),
        ("python: Error (ModuleNotFoundError: No module named 'distributed')", "options.python"),
        ("ImportError: libstdc++.so.6: version GLIBCXX not found", "does not work on the node"),
        ("line 9: /opt/none/bin/python: No such file or directory", "no such Python"),
        ("ValueError: 'ib9' is not a valid network interface", "no such interface"),
        ("PermissionError: [Errno 13] Permission denied: '/scratch/x'", "local_directory"),
        ("OSError: Timed out trying to connect to tls://10.0.0.1:8786", "cannot reach the sched"),
        ("ssl.SSLError: certificate is not yet valid", "synchronise the clocks"),
        ("bash: module: command not found", "job_script_prologue"),
        ("slurmstepd: error: Detected 1 oom_kill event", "request more with options.memory"),
        ("Error: No such option: --nonsense", "worker_extra_args"),
        ("Error: Unknown argument specified: %r Was click-configurable", "worker_extra_args"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
    ],
)
def test_a_log_is_explained(text: str, advice: str) -> None:
    found, line = advice_for_log(f"first\n{text}\nlast line", Cluster("slurm"))
    assert advice in found and line == text
