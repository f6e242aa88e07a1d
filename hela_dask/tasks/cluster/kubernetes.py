"""Workers as pods of Kubernetes, by the operator of dask-kubernetes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from hela_dask.errors import ClusterError, MissingDependencyError
from hela_dask.tasks.cluster.file import worker_limit
from hela_dask.tasks.cluster.reading import Cluster
from hela_dask.tasks.cluster.settings import ENVIRONMENT, PRELOAD, SCHEDULER, SETTINGS, variable

__all__ = ["cluster_spec", "start_kubernetes"]

_PASSED = (
    *("namespace", "port_forward_cluster_ip", "scheduler_forward_port", "resource_timeout"),
    "scheduler_service_type",
)


def start_kubernetes(cluster: Cluster) -> Any:
    """Create the cluster, with its scheduler and workers as pods.

    The operator starts a pod again that ends. The cluster is deleted when it is closed.

    Returns
    -------
    dask_kubernetes.operator.KubeCluster
        With a method ``waiting_text()`` that gives the state of the pods.

    Raises
    ------
    MissingDependencyError
        When dask-kubernetes is not installed.
    ClusterError
        When Kubernetes cannot be reached, has no operator, or refuses the cluster.
    """
    try:
        from dask_kubernetes.operator import KubeCluster, make_cluster_spec
    except ImportError as error:
        raise MissingDependencyError(
            "running on Kubernetes needs dask-kubernetes: pip install 'hela_dask[kubernetes]'"
        ) from error
    spec = cluster_spec(cluster, make_cluster_spec)
    passed = {name: cluster.options[name] for name in _PASSED if name in cluster.options}
    try:
        started = KubeCluster(
            custom_cluster_spec=spec, quiet=True, shutdown_on_close=True, **passed
        )
    except Exception as error:  # of kr8s, httpx and the operator: they share no base class
        text = " ".join(" ".join(map(str, error.args)).split()) or type(error).__name__
        raise ClusterError(
            f"Kubernetes does not start the cluster: {text}; check the context of kubectl, the "
            "operator of dask-kubernetes, and the rights in the namespace (docs/clusters.md)"
        ) from error
    started.waiting_text = lambda: pods_text(started)
    return started


def cluster_spec(cluster: Cluster, make_cluster_spec: Any) -> dict[str, Any]:
    """The resource ``DaskCluster`` for the operator.

    `make_cluster_spec` is that of dask-kubernetes. Each worker is one pod with one process, limited
    below the memory of its pod. ``worker_template`` and ``scheduler_template`` are pod
    specifications; they are merged into those of the operator, and their first container into its
    container.
    """
    options = cluster.options
    command = [
        *("dask", "worker", "--nthreads", "1", "--preload", PRELOAD),
        *("--memory-limit", f"{worker_limit(options['memory'])}B"),
        *map(str, options.get("worker_extra_args", ())),
    ]
    settings = {variable(key): str(to) for key, to in {**SETTINGS, **SCHEDULER}.items()}
    env = {**ENVIRONMENT, **settings, **{k: str(v) for k, v in options.get("env", {}).items()}}
    spec: dict[str, Any] = make_cluster_spec(
        name=options.get("name") or f"hela-dask-{uuid.uuid4().hex[:8]}",
        image=options["image"],
        n_workers=cluster.workers,
        env=env,
        worker_command=command,
        scheduler_service_type=options.get("scheduler_service_type", "ClusterIP"),
        idle_timeout=options.get("idle_timeout", 0),
    )
    worker, scheduler = spec["spec"]["worker"], spec["spec"]["scheduler"]
    worker["spec"]["containers"][0]["resources"] = _resources(options)
    worker["spec"] = _merged(worker["spec"], options.get("worker_template", {}))
    scheduler["spec"] = _merged(scheduler["spec"], options.get("scheduler_template", {}))
    return spec


def pods_text(started: Any) -> str:
    """The state of the workers' pods: ``2 pods pending (Unschedulable)``."""
    import kr8s

    label = f"dask.org/cluster-name={started.name},dask.org/component=worker"
    kinds: dict[str, int] = {}
    try:
        for pod in kr8s.get("pods", namespace=started.namespace, label_selector=label):
            kind = _pod_state(pod.raw.get("status", {}))
            kinds[kind] = kinds.get(kind, 0) + 1
    except Exception as error:  # a message while waiting
        return f"the pods cannot be listed ({type(error).__name__}: {error})"
    if not kinds:
        return f"no pod is created yet; see kubectl get pods --selector {label}"
    found = ", ".join(f"{many} pod{'s'[: many > 1]} {kind}" for kind, many in sorted(kinds.items()))
    return f"{found}; see kubectl describe pods --selector {label}"


def _pod_state(status: Mapping[str, Any]) -> str:
    """The phase of a pod, and the reason why it does not run."""
    phase = str(status.get("phase", "unknown")).lower()
    for container in status.get("containerStatuses") or ():
        for state in ("waiting", "terminated"):
            if found := (container.get("state") or {}).get(state):
                return f"{phase} ({found.get('reason', state)})"
    for condition in status.get("conditions") or ():
        if condition.get("status") == "False" and condition.get("reason"):
            return f"{phase} ({condition['reason']}: {condition.get('message', '')})"
    return phase


def _resources(options: Mapping[str, Any]) -> dict[str, Any]:
    """Requests and limits of a worker's container: its memory and cores, or those given."""
    own = {"memory": str(options["memory"]), "cpu": str(options.get("cores", 1))}
    given = options.get("resources", {})
    return {
        "requests": {**own, **given.get("requests", {})},
        "limits": {"memory": own["memory"], **given.get("limits", {})},
    }


def _merged(spec: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A pod's specification with another one; lists of the first container are joined."""
    found = {**spec, **{key: to for key, to in more.items() if key != "containers"}}
    containers = [dict(item) for item in spec["containers"]]
    for at, container in enumerate(more.get("containers") or ()):
        if at == len(containers):
            containers.append({})
        old = containers[at]
        for key, to in container.items():
            both = isinstance(to, list) and isinstance(old.get(key), list)
            old[key] = [*old[key], *to] if both else to
    return {**found, "containers": containers}
