"""A dask client from "local", a scheduler's address, a YAML file, or the caller's own."""

from __future__ import annotations

from hela_dask.tasks.cluster.connecting import connect
from hela_dask.tasks.cluster.reading import Cluster, check_client, read_cluster

__all__ = ["Cluster", "check_client", "connect", "read_cluster"]
