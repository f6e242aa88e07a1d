"""The options of each kind of cluster, as its YAML file has them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from hela_dask.documents.reading import Document

__all__ = ["OPTIONS", "ClusterFile", "SchedulerOptions", "file_shape", "other_names"]

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
# Of a description of a job that dask-jobqueue writes for HTCondor.
_Directive = Literal["batch_name", "RequestCpus", "RequestMemory", "RequestDisk"]


class SchedulerOptions(Document):
    """Of dask's scheduler, which runs in the process of the run."""

    host: Text = ""
    interface: Text = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    dashboard_address: str | int = ""
    dashboard: bool = True
    contact_address: Text = ""
    idle_timeout: str | int = ""


class _Jobs(Document):
    """Of every class of dask-jobqueue."""

    job_name: Text = ""
    cores: Count = 1
    processes: Count = 1
    memory: str | int = ""
    worker_extra_args: list[str | int | float] = Field(default_factory=list)
    job_script_prologue: list[str] = Field(default_factory=list)
    job_directives_skip: list[str] = Field(default_factory=list)
    local_directory: Text = ""
    log_directory: Text = ""
    shared_temp_directory: Text = ""
    interface: Text = ""
    scheduler_options: SchedulerOptions = SchedulerOptions()
    security: bool = True
    death_timeout: str | int | float = 60
    nanny: bool = True
    python: Text = ""
    shebang: Text = ""
    worker_command: Text = ""
    config_name: Text = ""


class _Batch(_Jobs):
    """Of the systems with queues, wall times and directives in the job script."""

    queue: Text = ""
    walltime: Text = ""
    job_extra_directives: list[str] = Field(default_factory=list)


class _Slurm(_Batch):
    account: Text = ""
    job_cpu: Count = 1


class _Pbs(_Batch):
    account: Text = ""
    resource_spec: Text = ""


class _Sge(_Batch):
    project: Text = ""
    resource_spec: Text = ""


class _Lsf(_Batch):
    project: Text = ""
    ncpus: Count = 1
    lsf_units: Annotated[str, Field(pattern="^[kmgtpeKMGTPE][bB]$")] = "mb"
    use_stdin: bool = True


class _Oar(_Batch):
    project: Text = ""
    resource_spec: Text = ""
    memory_per_core_property_name: Text = ""


class _HTCondor(_Jobs):
    job_directives_skip: list[_Directive] = Field(default_factory=list)  # type: ignore[assignment]
    disk: str | int = ""
    job_extra_directives: dict[str, str | int | float | bool] = Field(default_factory=dict)
    submit_command_extra: list[str] = Field(default_factory=list)
    cancel_command_extra: list[str] = Field(default_factory=list)


class _Resources(Document):
    """Of a container: amounts by name, as Kubernetes writes them."""

    requests: dict[str, str | int | float] = Field(default_factory=dict)
    limits: dict[str, str | int | float] = Field(default_factory=dict)


class _Kubernetes(Document):
    """Of ``dask_kubernetes.operator.KubeCluster`` and the pods that it starts."""

    image: Text = ""
    name: Text = ""
    namespace: Text = ""
    memory: str | int = ""
    cores: Count = 1
    resources: _Resources = _Resources()
    env: dict[str, str | int | float] = Field(default_factory=dict)
    worker_extra_args: list[str | int | float] = Field(default_factory=list)
    worker_template: dict[str, Any] = Field(default_factory=dict)
    scheduler_template: dict[str, Any] = Field(default_factory=dict)
    scheduler_service_type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    port_forward_cluster_ip: bool = True
    scheduler_forward_port: Annotated[int, Field(ge=1, le=65535)] = 1
    idle_timeout: Annotated[int, Field(ge=0)] = 0
    resource_timeout: Count = 60


class _Gateway(Document):
    """Of ``dask_gateway.Gateway``; `cluster_options` are those of the server."""

    address: Text = ""
    proxy_address: str | int = ""
    public_address: Text = ""
    auth: Text = ""
    cluster_options: dict[str, Any] = Field(default_factory=dict)


OPTIONS: dict[str, type[Document]] = {
    "slurm": _Slurm,
    "pbs": _Pbs,
    "lsf": _Lsf,
    "sge": _Sge,
    "oar": _Oar,
    "moab": _Pbs,
    "htcondor": _HTCondor,
    "kubernetes": _Kubernetes,
    "gateway": _Gateway,
}
"""The options of a cluster by ``scheduler`` in its file."""


class ClusterFile(Document):
    """The file without its options."""

    scheduler: str
    workers: Count = 1
    options: Document = Document()


def file_shape(scheduler: str) -> type[ClusterFile]:
    """The shape of a file with the options of one scheduler."""
    shape = OPTIONS[scheduler]
    return create_model("ClusterFile", __base__=ClusterFile, options=(shape, shape()))


_OTHERS = {
    "extra": "worker_extra_args",
    "env_extra": "job_script_prologue",
    "header_skip": "job_directives_skip",
    "job_extra": "job_extra_directives",
    "dashboard_address": "scheduler_options.dashboard_address",
    "host": "scheduler_options.host",
    "n_workers": "workers, beside options",
    "workers": "workers, beside options",
    "partition": "queue",
    "time": "walltime",
    "job_mem": "memory",
    "mem": "memory",
    "worker_memory": "memory",
}


def other_names(scheduler: str) -> dict[str, str]:
    """Keys that people write, and the keys that the file has for them."""
    known = OPTIONS[scheduler].model_fields
    if scheduler == "gateway":
        return {name: f"cluster_options: {{{name}: …}}" for name in (*_OTHERS, "image", "memory")}
    pairs = {**_OTHERS, "account": "project", "project": "account"}
    return {
        name: to
        for name, to in pairs.items()
        if name not in known and (to.partition(".")[0] in known or "beside" in to)
    }
