"""Queueing systems of shell scripts: the commands of each, in the form that they really have."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["FORMS", "fake_queue", "write_queue_yaml"]


@dataclass(frozen=True)
class Form:
    """Commands of a queueing system, and their outputs: ``$n`` is the number of a job."""

    submit: str
    answer: str  # of the submission
    cancel: str
    show: str  # the command
    waiting: str  # its output for a job that waits, and for one that has failed
    failed: str
    states: tuple[str, str]  # as they are read
    options: str = ""  # of the cluster's file


FORMS = {
    "slurm": Form(
        "sbatch",
        "Submitted batch job $n",
        "scancel",
        "squeue",
        "$n PENDING (Resources)",
        "$n FAILED (NonZeroExitCode)",
        ("PENDING (Resources)", "FAILED (NonZeroExitCode)"),
    ),
    "pbs": Form(
        "qsub",
        "$n.pbs1",
        "qdel",
        "qstat",
        "Job Id: $n.pbs1\\n    job_state = Q\\n    comment = Not Running: too few\\n\\tnodes",
        "Job Id: $n.pbs1\\n    job_state = F\\n    Exit_status = 1",
        ("queued (Not Running: too fewnodes)", "finished"),
    ),
    "moab": Form(
        "msub",
        "\\n$n",
        "canceljob",
        "checkjob",
        "job $n\\n\\nAName: dask\\nState: Idle\\nBLOCK MSG: job hold active",
        "job $n\\n\\nState: Completed",
        ("Idle (job hold active)", "Completed"),
    ),
    "lsf": Form(
        "bsub",
        "Job <$n> is submitted to queue <normal>.",
        "bkill",
        "bjobs",
        "JOBID USER STAT QUEUE\\n$n me PEND normal",
        "JOBID USER STAT QUEUE\\n$n me EXIT normal",
        ("PEND", "EXIT"),
        '  walltime: "00:10"\n',
    ),
    "sge": Form(
        "qsub",
        'Your job $n ("dask-worker") has been submitted',
        "qdel",
        "qstat",
        "job-ID prior name user state at\\n---\\n $n 0.5 dask-worker me qw 11/28/2026",
        "job-ID prior name user state at\\n---\\n $n 0.5 dask-worker me Eqw 11/28/2026",
        ("waiting", "error (Eqw, see qstat -j 1)"),
    ),
    "oar": Form(
        "oarsub",
        "[ADMISSION RULE] default\\nOAR_JOB_ID=$n",
        "oardel",
        "oarstat",
        "$n: Waiting",
        "$n: Error",
        ("Waiting", "Error"),
    ),
    "htcondor": Form(
        "condor_submit",
        "Submitting job(s).\\n1 job(s) submitted to cluster $n.",
        "condor_rm",
        "condor_q",
        "$n.0 1 undefined",
        "$n.0 5 Error: cannot write the log",
        ("idle", "held (Error: cannot write the log)"),
        "  disk: 1GiB\n",
    ),
}

_SUBMIT = """#!/bin/sh
cd {folder}
if [ -e refuse ]; then echo "{submit}: error: $(cat refuse)" >&2; exit 1; fi
n=1  # several are submitted at once
until mkdir job-$n 2>/dev/null; do n=$((n + 1)); done
for last; do :; done
if [ "$#" -gt 0 ] && [ -e "$last" ]; then cp "$last" $n.sh; else cat > $n.sh; fi
if [ -e run ]; then (setsid sh $n.sh > $n.out 2>&1 & echo $! > $n.pid) > /dev/null 2>&1; fi
printf "{answer}\\n"
"""
_SHOW = """#!/bin/sh
cd {folder}
for job in job-*; do
  [ -d $job ] || continue
  n=${{job#job-}}
  if [ -e failed ]; then printf "{failed}\\n"; else printf "{waiting}\\n"; fi
done
"""
_CANCEL = """#!/bin/sh
cd {folder}
for last; do :; done
n=${{last%.0}}
rmdir job-$n
if [ -e $n.pid ]; then kill -- -$(cat $n.pid) 2>/dev/null; fi
true
"""


def fake_queue(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the commands of a queueing system first on the path.

    Files in the folder are obeyed: ``refuse`` (the text of an error), ``failed`` (all jobs have),
    ``run`` (jobs are processes of this machine; otherwise they wait).
    """
    folder.mkdir(exist_ok=True)
    form = FORMS[name]
    texts = {form.submit: _SUBMIT, form.show: _SHOW, form.cancel: _CANCEL}
    for command, text in texts.items():
        path = folder / command
        values = {"submit": form.submit, "answer": form.answer.replace('"', '\\"')}
        path.write_text(
            text.format(folder=folder, waiting=form.waiting, failed=form.failed, **values)
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def write_queue_yaml(name: str, folder: Path, options: str = "") -> Path:
    """The file of a cluster for it, with one worker."""
    path = folder / f"{name}.yaml"
    path.write_text(
        f"scheduler: {name}\noptions:\n  memory: 2GiB\n  interface: lo\n"
        f"  log_directory: {folder}/logs\n  python: {sys.executable}\n"
        f"{FORMS[name].options}{options}"
    )
    return path
