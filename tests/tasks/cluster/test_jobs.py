"""Jobs of each queueing system: their scripts, states, logs and refusals."""

from __future__ import annotations

import asyncio
import logging
import shlex
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import psutil
import pytest

from hela_dask.errors import InputError
from hela_dask.tasks.cluster import connect, read_cluster
from hela_dask.tasks.cluster.requests import requested_memory, requests_memory
from hela_dask.tasks.cluster.systems import SYSTEMS
from hela_dask.tasks.cluster.walltimes import seconds_of_walltime
from tests.tasks.cluster.queues import FORMS, fake_queue, write_queue_yaml

jobs = pytest.importorskip("hela_dask.tasks.cluster.jobs")
pytestmark = [
    pytest.mark.waiting,
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shells"),
]

DEPLOY = Path(__file__).parents[3] / "deploy"
MEMORY = {
    "slurm": "#SBATCH --mem=16G",
    "pbs": "#PBS -l select=1:ncpus=1:mem=16384mb",
    "moab": "#PBS -l nodes=1:ppn=1,mem=16384mb",
    "lsf": "#BSUB -M 16777216",
    "sge": "#$ -l mem_free=16384M",
    "oar": "#OAR -p 'memcore>=16384'",
    "htcondor": "RequestMemory = 16384",
}
WALLTIME = {
    "slurm": "#SBATCH -t 04:00:00",
    "pbs": "#PBS -l walltime=04:00:00",
    "moab": "#PBS -l walltime=04:00:00",
    "lsf": "#BSUB -W 04:00",
    "sge": "#$ -l h_rt=04:00:00",
    "oar": "#OAR -l /nodes=1/core=1,walltime=04:00:00",
    "htcondor": "RequestDisk",
}


def script(path: Path, tmp_path: Path, **options: Any) -> str:
    """The job script of a file, for a scheduler that is not started."""
    from hela_dask.tasks.cluster.jobs import job_options, jobs_class

    cluster = read_cluster(path)
    given = {**job_options(cluster, tmp_path), "interface": "lo", **options}
    given = {name: to for name, to in given.items() if name not in ("scheduler_options",)}
    kind: Any = jobs_class(cluster.kind)
    job = kind.job_cls("tls://10.0.0.1:8786", name="hela-0", **given)
    return str(job.job_script())


def test_each_example_is_for_a_scheduler_and_each_scheduler_has_one() -> None:
    found = {path.stem: read_cluster(path) for path in DEPLOY.glob("*.yaml")}
    assert {name: cluster.kind for name, cluster in found.items()} == {
        name: name for name in (*SYSTEMS, "kubernetes", "gateway")
    }
    assert all(cluster.workers == 16 for cluster in found.values())


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_job_script_of_each_example_has_what_its_comments_promise(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LSF_ENVDIR", raising=False)
    text = script(DEPLOY / f"{name}.yaml", tmp_path)
    assert MEMORY[name] in text
    assert WALLTIME[name] in text
    assert "--nthreads 1 --memory-limit 14.27GiB --nanny" in text
    assert "--local-directory /tmp" in text
    assert "--lifetime 225m --lifetime-stagger 10m" in text
    assert "--preload hela_dask.tasks.worker_preload" in text
    assert f"--tls-key {tmp_path / 'key.pem'}" in text
    assert "export OMP_NUM_THREADS=1" in text
    assert "export MALLOC_ARENA_MAX=1" in text
    assert str(tmp_path / f"{name}-logs") in text, "logs are in the folder of the submission"


@pytest.mark.parametrize("name", SYSTEMS)
def test_jobs_are_submitted_seen_waiting_seen_ended_and_removed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_LOOK", 0)
    monkeypatch.setattr(jobs, "_REST", 0)
    monkeypatch.setattr("hela_dask.tasks.cluster.keeping._PAUSES", (600,))
    folder = fake_queue(name, tmp_path / "queue", monkeypatch)
    waiting, failed = FORMS[name].states
    with connect(read_cluster(write_queue_yaml(name, tmp_path)), tmp_path) as client:
        cluster: Any = client.cluster
        (number,) = cluster.job_states()
        assert cluster.job_states() == {number: waiting}
        assert cluster.waiting_text().lower().startswith(f"1 job {waiting.lower()}; see ")
        log = next(iter(SYSTEMS[name].logs)).replace("*", "x").replace("[eo]", "e")
        (tmp_path / "logs").mkdir(exist_ok=True)
        (tmp_path / "logs" / log.format(job=number)).write_text("first\nmodule: not found\n")
        (folder / "failed").touch()
        names = list(cluster.workers)
        ended = cluster.sync(cluster.ended_jobs, names) or cluster.sync(cluster.ended_jobs, names)
        why = next(iter(ended.values()), cluster.keeper.trouble)
        assert f"job {number} {failed.lower()}" in why.lower()
        assert "ends with 'module: not found'" in why
        assert "first" in cluster.ended_log
    assert not list(folder.glob("job-*")), "the job is cancelled"


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_refused_job_is_one_sentence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = fake_queue(name, tmp_path / "queue", monkeypatch)
    (folder / "refuse").write_text("no such queue: cqu")
    cluster = read_cluster(write_queue_yaml(name, tmp_path))
    form = FORMS[name]
    message = f"{SYSTEMS[name].title} does not take the jobs: {form.submit}: error: no such queue"
    with pytest.raises(InputError, match=message) as caught, connect(cluster, tmp_path):
        pytest.fail("there are no workers")
    assert "\n" not in str(caught.value)
    assert not [item for item in caplog.records if item.levelno >= logging.ERROR]


def test_a_job_of_lsf_is_read_from_standard_input_and_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_queue("lsf", tmp_path / "queue", monkeypatch)
    (folder / "run").touch()
    run = tmp_path / "Zelle 1's.run"  # of the certificates
    run.mkdir()
    with connect(read_cluster(write_queue_yaml("lsf", tmp_path)), run) as client:
        assert client.submit(sum, [1, 2]).result(timeout=60) == 3
    assert "#BSUB -W 00:10" in (folder / "1.sh").read_text()


def test_a_job_that_is_unknown_once_has_not_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_LOOK", 0)
    monkeypatch.setattr(jobs, "_REST", 0)
    folder = fake_queue("lsf", tmp_path / "queue", monkeypatch)
    with connect(read_cluster(write_queue_yaml("lsf", tmp_path)), tmp_path) as client:
        cluster: Any = client.cluster
        cluster.keeper.stop()
        names = list(cluster.workers)
        bjobs = (folder / "bjobs").read_text()
        (folder / "bjobs").write_text("#!/bin/sh\necho 'Job <1> is not found' >&2\nexit 255\n")
        assert cluster.sync(cluster.ended_jobs, names) == {}
        (folder / "bjobs").write_text(bjobs)
        assert cluster.sync(cluster.ended_jobs, names) == {}
        (folder / "bjobs").write_text("#!/bin/sh\necho 'Job <1> is not found' >&2\nexit 255\n")
        assert cluster.sync(cluster.ended_jobs, names) == {}
        assert "job 1 ended" in str(cluster.sync(cluster.ended_jobs, names))


def test_without_a_wall_time_workers_leave_before_that_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "pbs.yaml"
    path.write_text("scheduler: pbs\noptions: {memory: 2GiB, security: false}\n")
    text = script(path, tmp_path, security=None)
    assert "walltime=00:30:00" in text and "--lifetime 1620s --lifetime-stagger 90s" in text
    with dask.config.set({"jobqueue.pbs.walltime": "01:00:00"}):
        assert "--lifetime 3240s" in script(path, tmp_path, security=None)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("pbs", "partition: a", "options.partition has another name: write queue"),
        ("lsf", "account: a", "options.account has another name: write project"),
        ("slurm", "project: a", "options.project has another name: write account"),
        ("slurm", "resource_spec: a", "options has no key 'resource_spec'"),
        ("sge", "job_mem: 1GiB", "options.job_mem has another name: write memory"),
        ("lsf", 'walltime: "04:00:00"', 'a time of LSF such as "04:00" (hours and minutes)'),
        ("pbs", "walltime: 1-12", "options.walltime must be a time of PBS"),
        ("htcondor", 'walltime: "04:00"', "options has no key 'walltime'"),
        ("htcondor", "queue: a", "options has no key 'queue'"),
        ("htcondor", "disk: much", "options.disk must be a size such as 4GiB"),
        ("htcondor", "job_directives_skip: [RequestDisc]", "must be 'batch_name', 'RequestCpus'"),
        ("htcondor", "job_extra_directives: [a]", "job_extra_directives must be a table"),
        ("lsf", "lsf_units: mega", "options.lsf_units must be"),
        ("lsf", "use_stdin: maybe", "options.use_stdin must be true or false"),
        ("pbs", "resource_spec: 'select=1:mem=1gb'", "options.resource_spec requests 1.0 GiB"),
        ("sge", "resource_spec: h_rss=1.5G", "write {memory} in options.resource_spec"),
        ("sge", "cores: 4", "-pe smp 4"),
    ],
)
def test_options_are_those_of_the_scheduler(
    name: str, options: str, message: str, tmp_path: Path
) -> None:
    more = "disk: 1GiB, " if name == "htcondor" and "disk" not in options else ""
    path = tmp_path / "cluster.yaml"
    path.write_text(f"scheduler: {name}\noptions: {{memory: 2GiB, {more}{options}}}\n")
    with pytest.raises(ValueError, match=r"cluster\.yaml") as caught:
        read_cluster(path)
    assert message in str(caught.value)


def test_htcondor_needs_the_size_of_its_disk(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("scheduler: htcondor\noptions: {memory: 2GiB}\n")
    with pytest.raises(InputError, match=r"options\.disk .* is missing"):
        read_cluster(path)


def test_memory_of_the_command_line_is_checked_against_the_resources(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("scheduler: pbs\noptions: {memory: 2GiB, resource_spec: 'select=1:mem=2gb'}\n")
    assert read_cluster(path).options["memory"] == 2 * 2**30
    with pytest.raises(InputError, match=r"--memory is 4\.0 GiB"):
        read_cluster(path, memory="4GiB")


@pytest.mark.parametrize(
    ("text", "system", "cores", "size"),
    [
        ("select=1:ncpus=4:mem=16gb", "pbs", 4, 16 * 2**30),
        ("nodes=1:ppn=4,pmem=4gb", "moab", 4, 16 * 2**30),
        ("h_vmem=4G", "sge", 4, 16 * 2**30),
        ("mem_free={memory}", "sge", 1, None),
        ("select=1:ncpus=4", "pbs", 4, None),
    ],
)
def test_memory_in_a_specification_of_resources(
    text: str, system: str, cores: int, size: int | None
) -> None:
    assert requested_memory(text, system, cores) == size


def test_a_system_that_is_not_asked_for_memory_is_known() -> None:
    assert requests_memory({}, "slurm") and requests_memory({}, "pbs")
    assert not requests_memory({"resource_spec": "select=1"}, "pbs")
    assert not requests_memory({}, "sge") and not requests_memory({}, "oar")
    assert requests_memory({"resource_spec": "h_rss={memory}"}, "sge")


def test_lsf_counts_memory_in_the_unit_of_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lsf.conf").write_text("LSF_UNIT_FOR_LIMITS = MB  # of limits\n")
    monkeypatch.setenv("LSF_ENVDIR", str(tmp_path))
    assert "#BSUB -M 16384\n" in script(DEPLOY / "lsf.yaml", tmp_path)


def test_oar_gets_one_condition_for_the_properties_of_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "oar.yaml"
    path.write_text(
        "scheduler: oar\noptions:\n  memory: 4GiB\n  cores: 2\n  security: false\n"
        "  memory_per_core_property_name: memcore\n"
        "  job_extra_directives: [\"-p gpu='NO'\", -t besteffort]\n"
    )
    text = script(path, tmp_path, security=None)
    (line,) = [line for line in text.splitlines() if line.startswith("#OAR -p")]
    assert shlex.split(line)[2] == "gpu=NO AND memcore>=2048"


@pytest.mark.parametrize(
    ("text", "system", "seconds"),
    [
        ("90", "pbs", 90),
        ("1:30", "pbs", 90),
        ("1:00:00:00", "moab", 86400),
        ("90", "lsf", 5400),
        ("3600", "sge", 3600),
        ("2", "oar", 7200),
        ("2:30", "oar", 9000),
    ],
)
def test_times_of_each_system(text: str, system: str, seconds: int) -> None:
    assert seconds_of_walltime(text, system) == seconds


def test_an_interface_that_is_not_here_is_named_before_anything_is_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_queue("slurm", tmp_path / "queue", monkeypatch)
    path = write_queue_yaml("slurm", tmp_path)
    path.write_text(path.read_text().replace("interface: lo", "interface: ib9"))
    message = "options.interface 'ib9' is not here: this machine has .*lo"
    with pytest.raises(InputError, match=message), connect(read_cluster(path), tmp_path):
        pytest.fail("there is no such interface")


def test_a_folder_of_logs_with_a_space_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_queue("slurm", tmp_path / "queue", monkeypatch)
    path = write_queue_yaml("slurm", tmp_path)
    path.write_text(path.read_text().replace("/logs\n", "/my logs\n"))
    message = r"options\.log_directory .*/my logs has a space"
    with pytest.raises(InputError, match=message), connect(read_cluster(path), tmp_path):
        pytest.fail("its jobs have no logs")


def test_paths_with_spaces_are_quoted_and_commands_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "my env" / "python"
    python.parent.mkdir()
    python.touch()
    monkeypatch.setattr(sys, "executable", str(python))
    path = tmp_path / "slurm.yaml"
    text = "scheduler: slurm\noptions:\n  memory: 2GiB\n  local_directory: $TMPDIR/my files\n"
    path.write_text(text)
    found = script(path, tmp_path)
    assert f'"{python}" -m distributed.cli.dask_worker' in found
    assert '--local-directory "$TMPDIR/my files" ' in found
    command = "apptainer exec hela.sif python"
    path.write_text(f"{text}  python: {command}\n")
    assert f"\n{command} -m distributed.cli.dask_worker" in script(path, python.parent)


@pytest.mark.parametrize("name", SYSTEMS)
def test_variables_of_a_local_directory_are_replaced_in_the_job(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", "/of/the/login/node")
    folder = "$_CONDOR_SCRATCH_DIR" if name == "htcondor" else "${TMPDIR:-/tmp}"
    path = write_queue_yaml(name, tmp_path, f'  local_directory: "{folder}"\n')
    assert f"--local-directory {folder} " in script(path, tmp_path)


def test_a_folder_of_logs_that_cannot_be_made_is_an_error_of_the_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_queue("slurm", tmp_path / "queue", monkeypatch)
    (tmp_path / "logs").touch()
    path = write_queue_yaml("slurm", tmp_path)
    path.write_text(path.read_text().replace("/logs\n", "/logs/deep\n"))
    message = r"options\.log_directory .*/logs/deep cannot be written: Not a directory"
    with pytest.raises(InputError, match=message), connect(read_cluster(path), tmp_path):
        pytest.fail("there is no such folder")


def test_a_command_that_does_not_answer_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_LIMIT", 0.3)
    noted = tmp_path / "pid"
    command = ("sh", "-c", f"echo $$ > {noted}; exec sleep 60")
    assert asyncio.run(jobs._output(command)) is None
    number = int(noted.read_text())
    until = time.monotonic() + 5
    while psutil.pid_exists(number) and time.monotonic() < until:
        time.sleep(0.05)
    assert not psutil.pid_exists(number)


def test_a_system_that_answers_slowly_is_asked_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = 0.0, []

    async def states(_: Any, numbers: list[str]) -> dict[str, str]:
        nonlocal now
        asked.append(now)
        now += 30.0
        return dict.fromkeys(numbers, "PENDING")

    monkeypatch.setattr("hela_dask.tasks.cluster.jobs.time.monotonic", lambda: now)
    kind = jobs.jobs_class("slurm")
    monkeypatch.setattr(kind, "_states", states)
    found: Any = SimpleNamespace(_next=0.0, workers={}, _unknown=frozenset(), system=kind.system)
    found._states = states.__get__(found)
    for _ in range(30):
        assert asyncio.run(kind.ended_jobs(found, [])) == {}
        now += 10.0
    assert asked == [0.0, 120.0, 240.0, 360.0]
