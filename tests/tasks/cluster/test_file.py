"""The YAML file of a cluster: each fault is one sentence that names the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hela_dask.errors import HelaDaskError, InputError
from hela_dask.tasks.cluster import read_cluster
from hela_dask.tasks.cluster.file import worker_limit
from hela_dask.tasks.cluster.walltimes import seconds_of_walltime

GIB = 2**30


def write(folder: Path, text: str) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def slurm(options: str, **more: object) -> str:
    rows = [f"{key}: {value}" for key, value in more.items()]
    return "\n".join(["scheduler: slurm", *rows, f"options: {{{options}}}"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (slurm('memory: 1GiB, worker_extra_args: "--lifetime 3m"'), "worker_extra_args must be"),
        (slurm("memory: 1GiB, job_script_prologue: module load x"), "job_script_prologue must be"),
        (slurm("memory: 1GiB, job_extra_directives: --qos=a"), "job_extra_directives must be a"),
        (slurm("memory: 1GiB, job_directives_skip: -t"), "job_directives_skip must be a list"),
        (slurm("memory: 1GiB, job_script_prologue: [[a]]"), "job_script_prologue[0] must be text"),
        (slurm("memory: 1GiB, cores: [1]"), "options.cores must be a whole number, not a list"),
        (slurm("memory: 1GiB, cores: two"), "options.cores must be a whole number, not 'two'"),
        (slurm("memory: 1GiB, cores: null"), "options.cores must be a whole number, not null"),
        (slurm("memory: 1GiB, cores: 1.5"), "options.cores must be a whole number, not 1.5"),
        (slurm("memory: 1GiB, cores: 0"), "options.cores must be at least 1, not 0"),
        (slurm("memory: 1GiB, processes: true"), "options.processes must be a whole number"),
        (slurm("memory: 9GiB, processes: 2"), "cores (1) must be at least options.processes (2)"),
        (slurm("memory: 1GiB, queue: [cpu]"), "options.queue must be text, not a list of 1"),
        (slurm("memory: 1GiB, account: 7"), "options.account must be text, not 7"),
        (slurm("memory: 1GiB, account:"), "options.account must be text, not null"),
        (slurm("memory: 1GiB, walltime: 240"), 'options.walltime must be text such as "04:00:00"'),
        (slurm("memory: 1GiB, walltime: 4 hours"), "options.walltime must be a time of SLURM"),
        (slurm('memory: 1GiB, walltime: "00:00:00"'), "options.walltime must be a time of SLURM"),
        (slurm("memory: [1GiB]"), "options.memory must be"),
        (slurm("memory: null"), "options.memory must be"),
        (slurm("memory: 16"), "options.memory is 0 KiB (16)"),
        (slurm("memory: 300MiB"), "a job needs at least 512 MiB"),
        (slurm("memory: 1GiB, cores: 4, processes: 4"), "at least 512 MiB for each process"),
        (slurm("memory: 16 gigs"), "options.memory must be a size such as 4GiB, not '16 gigs'"),
        (slurm("memory: .inf"), "options.memory must be"),
        (slurm("memory: 1e400GiB"), "options.memory must be a size"),
        (slurm("memory: -4GiB"), "options.memory must be"),
        (slurm("memory: 1GiB, colour: red"), "options has no key 'colour'; known: account"),
        (slurm("memory: 1GiB, quue: cpu"), "options has no key 'quue'; did you mean 'queue'?"),
        (slurm("memory: 1GiB, 3: cpu"), "options has no key '3'"),
        (slurm("memory: 1GiB, project: p"), "options.project has another name: write account"),
        (slurm("memory: 1GiB, env_extra: [a]"), "write job_script_prologue"),
        (slurm("memory: 1GiB, host: h"), "write scheduler_options.host"),
        (
            slurm("memory: 1GiB, scheduler_options: {prot: 1}"),
            "scheduler_options has no key 'prot'",
        ),
        (slurm("memory: 1GiB, scheduler_options: {port: x}"), "scheduler_options.port must be a"),
        (slurm("memory: 1GiB, scheduler_options: [1]"), "options.scheduler_options must be a"),
        (slurm("memory: 1GiB, security: please"), "options.security must be true or false"),
        (slurm("memory: 1GiB", workers="[2]"), "workers must be a whole number, not a list"),
        (slurm("memory: 1GiB", workers="0"), "workers must be at least 1, not 0"),
        (slurm("memory: 1GiB", workers="true"), "workers must be a whole number, not true"),
        ("scheduler: slurm\noptions: null", "options must be a table, not null"),
        ("scheduler: slurm\noptions: [1]", "options must be a table, not a list of 1"),
        ("scheduler: null", "scheduler None is not supported"),
        ("scheduler: [slurm]", "is not supported"),
        ("scheduler: slurm\nscheduler: slurm", "twice"),
        ("- slurm", "does not name a scheduler"),
        ("", "does not name a scheduler"),
        ("!!python/object/apply:os.system [id]", "is not a YAML file"),
        (slurm("memory: 1GiB, worker_extra_args: [--lifetime, soon]"), "a time such as 225m"),
        (slurm("memory: 1GiB, worker_extra_args: [--lifetime]"), "--lifetime in options"),
        (slurm("memory: 1GiB, worker_extra_args: [--lifetime=0s]"), "a time such as 225m"),
        (
            slurm('memory: 1GiB, walltime: "01:00:00", worker_extra_args: [--lifetime, 60m]'),
            "make the lifetime shorter",
        ),
    ],
)
def test_a_fault_is_one_sentence_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(HelaDaskError) as caught:
        read_cluster(path)
    sentence = str(caught.value)
    assert message in sentence
    assert str(path) in sentence
    assert "\n" not in sentence and len(sentence) < 700


def test_nothing_is_taken_apart_into_letters(tmp_path: Path) -> None:
    text = slurm('memory: 1GiB, worker_extra_args: [--resources, "GPU=1", --nthreads, 2]')
    options = read_cluster(write(tmp_path, text)).options
    assert options["worker_extra_args"] == ["--resources", "GPU=1", "--nthreads", "2"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("90:30", 5430),
        ("04:00:00", 14400),
        ("1-12", 129600),
        ("1-12:30", 131400),
        ("2-00:00:01", 172801),
        ("4h", None),
        ("1:2:3:4", None),
        ("-1", None),
    ],
)
def test_times_of_slurm(text: str, seconds: int | None) -> None:
    assert seconds_of_walltime(text) == seconds


@pytest.mark.parametrize(
    ("walltime", "arguments"),
    [
        ("04:00:00", ["--lifetime", "12960s", "--lifetime-stagger", "720s"]),
        ("00:10:00", ["--lifetime", "480s", "--lifetime-stagger", "60s"]),
        ("00:01:00", ["--lifetime", "36s", "--lifetime-stagger", "12s"]),
    ],
)
def test_workers_leave_before_their_job_is_ended(
    tmp_path: Path, walltime: str, arguments: list[str]
) -> None:
    cluster = read_cluster(write(tmp_path, slurm(f'memory: 1GiB, walltime: "{walltime}"')))
    assert cluster.options["worker_extra_args"] == arguments
    life, stagger = (float(arguments[at].removesuffix("s")) for at in (1, 3))
    seconds = seconds_of_walltime(walltime)
    assert seconds is not None and life + stagger < seconds


@pytest.mark.parametrize(
    ("memory", "processes", "limit"),
    [
        (16 * GIB, 1, int(14.4 * GIB) - 2**27),
        (16 * GIB, 4, int((14.4 * GIB - 2**27) / 4)),
        (GIB, 1, int(0.9 * GIB) - 2**27),
    ],
)
def test_the_limit_of_a_worker_is_under_that_of_its_job(
    tmp_path: Path, memory: int, processes: int, limit: int
) -> None:
    assert worker_limit(memory, processes) == pytest.approx(limit, abs=2)
    assert worker_limit(memory, processes) * processes < 0.9 * memory
    text = slurm(f"memory: {memory}, cores: {processes}, processes: {processes}")
    assert read_cluster(write(tmp_path, text)).memory == worker_limit(memory, processes)


@pytest.mark.parametrize("value", ["1MB", 1000, "4 GB of it", "nan", ""])
def test_memory_of_the_command_line_is_checked_too(tmp_path: Path, value: Any) -> None:
    with pytest.raises(HelaDaskError, match="--memory"):
        read_cluster(write(tmp_path, slurm("memory: 1GiB")), memory=value)


def test_a_folder_or_a_pipe_is_no_cluster_file(tmp_path: Path) -> None:
    import os

    folder, pipe = tmp_path / "a.yaml", tmp_path / "b.yaml"
    folder.mkdir()
    with pytest.raises(InputError, match="is a folder"):
        read_cluster(folder)
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
        with pytest.raises(InputError, match="named pipe"):
            read_cluster(pipe)
