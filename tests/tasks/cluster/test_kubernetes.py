"""Kubernetes and Gateway: what is asked of them, by stand-ins with the real signatures."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import hela_dask as hd
from hela_dask.errors import ClusterError, InputError, MissingDependencyError, ParameterError
from hela_dask.tasks.cluster import Cluster, connect, read_cluster
from hela_dask.tasks.cluster.file import worker_limit
from hela_dask.tasks.progress import RunProgress
from hela_dask.tasks.session import Session

DEPLOY = Path(__file__).parents[3] / "deploy"


def make_cluster_spec(  # noqa: PLR0917 (its real signature)
    name: str,
    image: str = "ghcr.io/dask/dask:latest",
    n_workers: int | None = None,
    resources: Any = None,
    env: Any = None,
    worker_command: Any = "dask-worker",
    scheduler_service_type: str = "ClusterIP",
    idle_timeout: int = 0,
    jupyter: bool = False,
) -> dict[str, Any]:
    """The parts of that of dask-kubernetes which are changed afterwards."""
    envs = [{"name": key, "value": value} for key, value in env.items()]
    worker = {"name": "worker", "image": image, "args": worker_command, "env": envs}
    pods: dict[str, Any] = {
        "worker": {"replicas": n_workers, "spec": {"containers": [worker]}},
        "scheduler": {"spec": {"containers": [{"name": "scheduler", "image": image}]}},
    }
    return {"metadata": {"name": name}, "spec": {"idleTimeout": idle_timeout, **pods}}


class Started:
    """A cluster that is entered and closed."""

    closed = False
    status = None  # of distributed's clusters
    loop = None
    bounds: tuple[int, int] | None = None

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *given: object) -> None:
        self.closed = True

    def adapt(self, minimum: int, maximum: int) -> None:
        self.bounds = minimum, maximum


@pytest.fixture
def kubernetes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module ``dask_kubernetes.operator``, and what it was given."""
    found = SimpleNamespace(given={}, error=None, cluster=Started())

    def cluster(**given: Any) -> Any:
        found.given = given
        if found.error is not None:
            raise found.error
        found.cluster.name, found.cluster.namespace = "hela", given.get("namespace")
        return found.cluster

    module: Any = ModuleType("dask_kubernetes.operator")
    module.KubeCluster, module.make_cluster_spec = cluster, make_cluster_spec
    monkeypatch.setitem(sys.modules, "dask_kubernetes", ModuleType("dask_kubernetes"))
    monkeypatch.setitem(sys.modules, "dask_kubernetes.operator", module)
    return found


def test_the_example_for_kubernetes_describes_its_pods(kubernetes: Any) -> None:
    from hela_dask.tasks.cluster.kubernetes import start_kubernetes

    cluster = read_cluster(DEPLOY / "kubernetes.yaml", workers=3)
    assert (cluster.kind, cluster.memory) == ("kubernetes", worker_limit(16 * 2**30))
    start_kubernetes(cluster)
    spec = kubernetes.given.pop("custom_cluster_spec")
    assert kubernetes.given == {
        **{"quiet": True, "shutdown_on_close": True, "namespace": "default"},
        "resource_timeout": 120,
    }
    assert spec["metadata"]["name"].startswith("hela-dask-")
    worker = spec["spec"]["worker"]
    assert worker["replicas"] == 3
    assert [volume["name"] for volume in worker["spec"]["volumes"]] == ["data", "scratch"]
    (container,) = worker["spec"]["containers"]
    assert container["args"][:4] == ["dask", "worker", "--nthreads", "1"]
    assert f"{cluster.memory}B" in container["args"] and "/scratch" in container["args"]
    assert container["resources"] == {
        "requests": {"memory": str(16 * 2**30), "cpu": "1"},
        "limits": {"memory": str(16 * 2**30)},
    }
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/data", "/scratch"]
    names = {item["name"]: item["value"] for item in container["env"]}
    assert names["OMP_NUM_THREADS"] == names["MALLOC_ARENA_MAX"] == "1"
    assert names["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] == "1"
    assert spec["spec"]["scheduler"]["spec"]["containers"] == [
        {"name": "scheduler", "image": "registry.example.org/hela_dask:latest"}
    ]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ConnectionRefusedError(111, "Connection refused"),
            "Connection refused; check the context",
        ),
        (TimeoutError("not actioned after 60 seconds"), "not actioned after 60 seconds"),
        (RuntimeError("are the Custom\n Resource Definitions installed?"), "Custom Resource"),
    ],
)
def test_kubernetes_that_refuses_is_one_sentence(
    kubernetes: Any, error: Exception, message: str
) -> None:
    kubernetes.error = error
    cluster = read_cluster(DEPLOY / "kubernetes.yaml")
    with pytest.raises(ClusterError, match=message) as caught, connect(cluster):
        pytest.fail("there is no cluster")
    assert "\n" not in str(caught.value)


def test_the_state_of_pods_is_named_while_a_run_waits(
    kubernetes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hela_dask.tasks.cluster.kubernetes import start_kubernetes

    full = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full"}
    image = {"state": {"waiting": {"reason": "ImagePullBackOff"}}}
    states = [
        {"phase": "Pending", "conditions": [full]},
        {"phase": "Pending", "containerStatuses": [image]},
        {"phase": "Running"},
    ]
    module: Any = ModuleType("kr8s")
    module.get = lambda *_, **__: [SimpleNamespace(raw={"status": state}) for state in states]
    monkeypatch.setitem(sys.modules, "kr8s", module)
    text = start_kubernetes(read_cluster(DEPLOY / "kubernetes.yaml")).waiting_text()
    assert (
        "1 pod pending (ImagePullBackOff), 1 pod pending (Unschedulable: full), 1 pod run" in text
    )


def test_pods_are_checked_as_jobs_are(
    kubernetes: Any, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kubernetes.cluster.scheduler_address = client.scheduler.address
    found = hd.check_cluster(DEPLOY / "kubernetes.yaml", progress=False)
    rows = {row.name: row for row in found.rows}
    assert rows["submission"].state == rows["worker"].state == rows["run folder"].state == "ok"
    assert "the job requests 16.0 GiB" in rows["memory"].found
    assert kubernetes.given["custom_cluster_spec"]["spec"]["worker"]["replicas"] == 1
    assert kubernetes.cluster.closed and not list(tmp_path.iterdir())
    kubernetes.error = ConnectionRefusedError("Connection refused")
    (row,) = [item for item in hd.check_cluster(DEPLOY / "kubernetes.yaml").rows if item.advice]
    assert row.name == "submission" and "Connection refused" in row.found


class FakeGateway:
    """The server: it has two options."""

    error: Exception | None = None
    refused: Exception | None = None
    made: Any = None
    given: Any = None

    def __init__(self, **given: Any) -> None:
        if FakeGateway.error is not None:
            raise FakeGateway.error

    def __enter__(self) -> FakeGateway:
        return self

    def __exit__(self, *given: object) -> None:
        pass

    def cluster_options(self) -> dict[str, Any]:
        return {"worker_cores": 1, "worker_memory": 2, "image": ""}


def new_gateway_cluster(**given: Any) -> Any:
    if FakeGateway.refused is not None:
        raise FakeGateway.refused
    FakeGateway.given, FakeGateway.made = given, Started()
    return FakeGateway.made


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> type[FakeGateway]:
    module: Any = ModuleType("dask_gateway")
    module.Gateway, module.GatewayCluster = FakeGateway, new_gateway_cluster
    monkeypatch.setitem(sys.modules, "dask_gateway", module)
    for name in ("error", "refused", "made", "given"):
        monkeypatch.setattr(FakeGateway, name, None)
    return FakeGateway


def test_the_example_for_a_gateway_asks_for_a_fixed_number(
    gateway: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = read_cluster(DEPLOY / "gateway.yaml", workers=5)
    assert (cluster.kind, cluster.memory) == ("gateway", None)
    asked = []

    class Shared:
        def __enter__(self) -> Any:
            return client

        def __exit__(self, *given: object) -> None:
            pass

    def get_client(_: Any, set_as_default: bool = True) -> Any:
        asked.append(set_as_default)
        return Shared()

    monkeypatch.setattr(Started, "get_client", get_client, raising=False)
    with connect(cluster) as mine:
        assert mine.submit(sum, [1, 2]).result() == 3
    assert gateway.made.waiting_text().startswith("the gateway at https://gateway.example.org has")
    assert asked == [False]
    assert gateway.made.bounds == (5, 5) and gateway.made.closed
    assert gateway.given == {
        **{"address": "https://gateway.example.org", "auth": "jupyterhub"},
        **{"worker_cores": 1, "worker_memory": 16, "shutdown_on_close": True},
        "image": "registry.example.org/hela_dask:latest",
    }


@pytest.mark.parametrize(
    ("where", "error", "kind", "message"),
    [
        ("error", ConnectionRefusedError("refused"), ClusterError, "does not start a cluster: ref"),
        ("error", TypeError("Unknown auth value"), InputError, "refuses the cluster: Unknown auth"),
        ("refused", ValueError("worker_memory > 8"), InputError, "refuses the cluster: worker_mem"),
        ("refused", RuntimeError("failed to\nstart"), ClusterError, "failed to start; check opt"),
    ],
)
def test_a_gateway_that_refuses_is_one_sentence(
    gateway: Any, where: str, error: Exception, kind: type[Exception], message: str
) -> None:
    setattr(gateway, where, error)
    with pytest.raises(kind, match=message), connect(read_cluster(DEPLOY / "gateway.yaml")):
        pytest.fail("there is no cluster")


def test_an_option_that_the_gateway_lacks_is_named(gateway: Any, tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(
        "scheduler: gateway\noptions: {address: https://g, cluster_options: {worker_core: 2}}"
    )
    message = "options.cluster_options has 'worker_core', .*did you mean 'worker_cores'"
    with pytest.raises(InputError, match=message), connect(read_cluster(path)):
        pytest.fail("there is no cluster")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scheduler: kubernetes\noptions: {memory: 2GiB}", "options.image"),
        ("scheduler: kubernetes\noptions: {image: a}", "options.memory"),
        ("scheduler: kubernetes\noptions: {imge: a}", "did you mean 'image'"),
        ("scheduler: kubernetes\noptions: {image: a, mem: 2GiB}", "write memory"),
        ("scheduler: kubernetes\noptions: {image: a, resources: [1]}", "resources must be a table"),
        ("scheduler: gateway\noptions: {}", "options.address"),
        ("scheduler: gateway\noptions: {adress: a}", "did you mean 'address'"),
        ("scheduler: gateway\noptions: {memory: 2GiB}", "write cluster_options: {memory: …}"),
    ],
)
def test_options_are_checked_when_the_file_is_read(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"cluster\.yaml") as caught:
        read_cluster(path)
    assert message in str(caught.value)


def test_memory_of_the_command_line_does_not_change_a_gateway() -> None:
    with pytest.raises(ParameterError, match=r"options\.cluster_options"):
        read_cluster(DEPLOY / "gateway.yaml", memory="2GiB")


@pytest.mark.parametrize(
    ("kind", "package", "extra"),
    [
        ("kubernetes", "dask_kubernetes.operator", "kubernetes"),
        ("gateway", "dask_gateway", "gateway"),
    ],
)
def test_without_the_package_a_sentence_names_it(
    kind: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    cluster: Cluster = read_cluster(DEPLOY / f"{kind}.yaml")
    with pytest.raises(MissingDependencyError, match=rf"hela_dask\[{extra}\]"), connect(cluster):
        pytest.fail("there is no cluster")


def test_an_asynchronous_client_is_refused(tmp_path: Path) -> None:
    given: Any = SimpleNamespace(asynchronous=True)
    with RunProgress(False) as progress, pytest.raises(ParameterError, match="not asynchronous"):
        Session(
            given,
            Cluster("local"),
            store=tmp_path,
            run=tmp_path,
            needs=[],
            progress=progress,
            begin=lambda: None,
        )


def test_the_signatures_of_dask_kubernetes() -> None:
    operator = pytest.importorskip("dask_kubernetes.operator")
    from hela_dask.tasks.cluster.kubernetes import cluster_spec

    known = inspect.signature(operator.KubeCluster.__init__).parameters
    for name in ("custom_cluster_spec", "quiet", "shutdown_on_close", "namespace"):
        assert name in known
    for name in ("port_forward_cluster_ip", "scheduler_forward_port", "resource_timeout"):
        assert name in known
    cluster = read_cluster(DEPLOY / "kubernetes.yaml")
    spec = cluster_spec(cluster, operator.make_cluster_spec)
    (container,) = spec["spec"]["worker"]["spec"]["containers"]
    assert (
        container["args"][:2] == ["dask", "worker"] and "$(DASK_WORKER_NAME)" in container["args"]
    )
    assert "livenessProbe" in spec["spec"]["scheduler"]["spec"]["containers"][0]
    assert list(inspect.signature(make_cluster_spec).parameters) == list(
        inspect.signature(operator.make_cluster_spec).parameters
    )


def test_the_signatures_of_dask_gateway() -> None:
    package = pytest.importorskip("dask_gateway")
    for kind in (package.Gateway, package.GatewayCluster):
        known = inspect.signature(kind.__init__).parameters
        assert {"address", "proxy_address", "public_address", "auth"} <= set(known)
    assert "shutdown_on_close" in inspect.signature(package.GatewayCluster.__init__).parameters
    adapt = inspect.signature(package.GatewayCluster.adapt).parameters
    assert {"minimum", "maximum"} <= set(adapt)
    assert "set_as_default" in inspect.signature(package.GatewayCluster.get_client).parameters
    assert hasattr(package.Gateway, "cluster_options")
