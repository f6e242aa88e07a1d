"""The board of Grafana shows metrics that dask's scheduler and workers serve."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from hela_dask.tasks.dashboard import Dashboard, find_dashboard
from hela_dask.tasks.progress import RunProgress

DEPLOY = Path(__file__).parents[2] / "deploy" / "monitoring"


def expressions() -> list[str]:
    board = json.loads((DEPLOY / "grafana.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_each_metric_of_the_board_is_served_by_scheduler_or_worker() -> None:
    pytest.importorskip("prometheus_client", reason="metrics need prometheus_client")
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            processes=False,
            n_workers=1,
            threads_per_worker=1,
            protocol="tcp",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        label = "segment (1 cells)-00007-abc-0"
        assert client.submit(sum, [1, 2], key=label).result() == 3
        display = RunProgress(False)
        display.show(find_dashboard(client.dashboard_link, started_here=True))
        display.see_workers(client.scheduler_info(n_workers=-1)["workers"])
        served = {target: _served(target) for target in display._facts.to_dict()["metrics"]}
    assert len(served) == 2, "scheduler and worker"
    text = "\n".join(served.values())
    named = {name for line in expressions() for name in re.findall(r"dask_\w+", line)}
    assert len(named) >= 7
    assert sorted(name for name in named if not re.search(rf"^{name}[ {{]", text, re.M)) == []
    # The stages are found by the names that units have.
    done = r'dask_scheduler_prefix_state_totals_total\{state="memory",task_prefix_name="(.+)"\} 1'
    (stage,) = set(re.findall(done, text))
    selector = {found for line in expressions() for found in re.findall(r'name=~"(.+?)"', line)}
    assert stage == "segment (1 cells)" and all(re.fullmatch(item, stage) for item in selector)


def test_dashboards_on_loopback_are_served_to_this_machine_only() -> None:
    workers: dict[str, dict[str, Any]] = {
        "tls://10.0.0.5:41": {"services": {"dashboard": 8001}},
        "tls://10.0.0.6:42": {"services": {"dashboard": 8002}},  # of another machine
        "tls://10.0.0.5:43": {"services": {}},
    }
    link, here = "http://10.0.0.5:8787/status", "http://127.0.0.1:8787/status"
    for found, served in [
        (Dashboard(link, here, "ssh"), ["127.0.0.1:8787", "127.0.0.1:8001"]),
        (Dashboard(link, "/user/me/proxy/8787/status"), ["127.0.0.1:8787", "127.0.0.1:8001"]),
        (Dashboard(link, link), ["10.0.0.5:8787", "10.0.0.5:8001", "10.0.0.6:8002"]),
        (Dashboard("/my/link", "/my/link"), ["10.0.0.5:8001", "10.0.0.6:8002"]),
    ]:
        display = RunProgress(False)
        display.show(found)
        display.see_workers(workers)
        assert display._facts.to_dict()["metrics"] == served


def _served(target: str) -> str:
    with urllib.request.urlopen(f"http://{target}/metrics", timeout=10) as page:
        return str(page.read().decode())


def test_the_configuration_of_prometheus_reads_the_targets_of_a_run() -> None:
    found: Any = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text())
    (job,) = found["scrape_configs"]
    assert job["file_sd_configs"] == [{"files": ["targets.json"]}]
    assert job["metrics_path"] == "/metrics"
