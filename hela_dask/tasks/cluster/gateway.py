"""Workers from the server of dask-gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hela_dask.errors import ClusterError, InputError, MissingDependencyError
from hela_dask.formatting import similar_name
from hela_dask.tasks.cluster.reading import Cluster

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["gateway_client", "start_gateway"]

_CONNECTION = ("address", "proxy_address", "public_address", "auth")


def start_gateway(cluster: Cluster) -> Any:
    """Ask the server for a cluster with a fixed number of workers; it is removed when closed.

    Returns
    -------
    dask_gateway.GatewayCluster

    Raises
    ------
    MissingDependencyError
        When dask-gateway is not installed.
    InputError
        For an option that the server does not have, or a value that it refuses.
    ClusterError
        When the server cannot be reached, refuses the user, or cannot start the cluster.
    """
    try:
        from dask_gateway import Gateway, GatewayCluster
    except ImportError as error:
        raise MissingDependencyError(
            "running through a gateway needs dask-gateway: pip install 'hela_dask[gateway]'"
        ) from error
    address = cluster.options["address"]
    given = cluster.options.get("cluster_options", {})
    connection = {name: cluster.options[name] for name in _CONNECTION if name in cluster.options}
    try:
        with Gateway(**connection) as gateway:
            _check_options(given, list(gateway.cluster_options()), address)
        started = GatewayCluster(**connection, shutdown_on_close=True, **given)
    except (InputError, MissingDependencyError):
        raise
    except (ValueError, TypeError) as error:  # answers 404 and 422, and an unknown auth
        raise InputError(f"the gateway at {address} refuses the cluster: {_line(error)}") from error
    except Exception as error:  # of aiohttp and of the gateway: they share no base class
        raise ClusterError(
            f"the gateway at {address} does not start a cluster: {_line(error)}; check "
            "options.address, options.auth and the settings of dask (docs/clusters.md)"
        ) from error
    # By its fixed bounds, a worker that ends is replaced.
    started.adapt(minimum=cluster.workers, maximum=cluster.workers)
    started.waiting_text = lambda: f"the gateway at {address} has started none yet"
    return started


def gateway_client(started: Any) -> Client:
    """A client of the cluster: it needs the certificates that the server has made."""
    client: Client = started.get_client(set_as_default=False)
    return client


def _check_options(given: dict[str, Any], known: list[str], address: str) -> None:
    """Refuse options that the server does not have."""
    for name in given:
        if name not in known:
            raise InputError(
                f"options.cluster_options has {name!r}, which the gateway at {address} does not "
                f"have; {similar_name(name, known)}"
            )


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
