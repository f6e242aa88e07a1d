"""Start or reach a cluster, and stop it again."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hela_dask.tasks.cluster.reading import Cluster
from hela_dask.tasks.cluster.settings import client_settings
from hela_dask.tasks.cluster.systems import SYSTEMS

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["connect"]

_CLOSING = {  # least levels of messages while a cluster is stopped
    "distributed.nanny": logging.ERROR,
    "distributed.core": logging.CRITICAL,
    "distributed.scheduler": logging.CRITICAL,
}
_CERTIFICATES = ".tls-"  # prefix of their folders, in a run folder


@contextlib.contextmanager
def connect(
    cluster: Cluster, shared: Path | None = None, imports: Sequence[str] = ()
) -> Iterator[Client]:
    """Start or reach the cluster; a started cluster is stopped again, also on an error.

    `shared` is a folder that all nodes see, for certificates (default: the current one); `imports`
    are modules that the tasks need.

    Raises
    ------
    ClusterError
        When no scheduler answers at the address, or Kubernetes or a gateway starts none.
    InputError
        When the address needs certificates that there are not, or a scheduler refuses the jobs.
    MissingDependencyError
        When the package for the scheduler, or cryptography, is not installed.
    ResourceError
        When no worker can be started here.
    """
    if cluster.kind == "address":
        from hela_dask.tasks.cluster.address import reach

        with reach(cluster.address) as client:
            yield client
        return
    import dask
    from distributed import Client

    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(client_settings()))
        for name in _CLOSING:
            stack.enter_context(_level_kept(name))
        started = stack.enter_context(_started(cluster, shared, imports))
        if cluster.kind == "gateway":
            from hela_dask.tasks.cluster.gateway import gateway_client

            client = stack.enter_context(gateway_client(started))
        else:
            client = stack.enter_context(Client(started, set_as_default=False))
        try:
            yield client
        finally:
            # A busy worker that is killed when all are stopped is not logged, nor a scheduler that
            # still has calls from an interrupted client.
            for name, level in _CLOSING.items():
                logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def _started(cluster: Cluster, shared: Path | None, imports: Sequence[str]) -> Iterator[Any]:
    if cluster.kind in SYSTEMS:
        with _jobs(cluster, shared) as jobs:
            yield jobs
        return
    if cluster.kind == "kubernetes":
        from hela_dask.tasks.cluster.kubernetes import start_kubernetes

        started = start_kubernetes(cluster)
    elif cluster.kind == "gateway":
        from hela_dask.tasks.cluster.gateway import start_gateway

        started = start_gateway(cluster)
    elif cluster.kind == "runner":
        from hela_dask.tasks.cluster.allocation import start_allocation

        started = start_allocation(cluster.options["memory"])
    else:
        from hela_dask.tasks.cluster.local import start_local

        started = start_local(cluster, imports)
    with started:
        yield started


@contextlib.contextmanager
def _jobs(cluster: Cluster, shared: Path | None) -> Iterator[Any]:
    from hela_dask.tasks.cluster.jobs import start_jobs

    here = shared or Path.cwd()
    # Those of a killed run: no other run uses this folder while this run holds it.
    for folder in here.glob(f"{_CERTIFICATES}*") if shared else ():
        shutil.rmtree(folder, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(
            prefix=_CERTIFICATES, dir=here, ignore_cleanup_errors=True
        ) as private,
        start_jobs(cluster, Path(private)) as jobs,
    ):
        yield jobs


@contextlib.contextmanager
def _level_kept(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    level = logger.level
    try:
        yield
    finally:
        logger.setLevel(level)
