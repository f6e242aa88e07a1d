"""Calls to a dask scheduler that may be gone: one sentence then, and nothing counted as failed."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hela_dask.errors import ClusterError, HelaDaskError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["is_connected", "lost", "reconnect", "scheduler_calls"]

_LOOK = 0.2  # seconds
_LOST = (OSError, TimeoutError, asyncio.CancelledError, concurrent.futures.CancelledError)


def is_connected(client: Client) -> bool:
    """Whether the client's scheduler is there, as far as the client has noticed."""
    return client.status == "running" and client.scheduler is not None


@contextlib.contextmanager
def scheduler_calls(client: Client) -> Iterator[None]:
    """Turn errors of calls to a lost scheduler into one sentence, a ClusterError."""
    address = _address(client)
    try:
        yield
    except HelaDaskError:
        raise
    except (Exception, asyncio.CancelledError) as error:
        # A client that has lost its scheduler has no attributes to call.
        if isinstance(error, _LOST) or not is_connected(client):
            raise lost(address) from error
        raise


def reconnect(client: Client, address: str) -> None:
    """Wait until a client that has lost its scheduler is connected again; dask tries for 30 s.

    A ClusterError names `address` when the scheduler does not return.
    """
    while client.status in ("connecting", "newly-created"):
        time.sleep(_LOOK)
    if not is_connected(client):
        raise lost(address)


def lost(address: str) -> ClusterError:
    """The error of a scheduler that is gone."""
    return ClusterError(
        f"the dask scheduler{address and ' at '}{address} is gone, and the work under way with "
        "it; what is finished is kept: start a scheduler with workers, and the same command again "
        "continues"
    )


def _address(client: Client) -> str:
    scheduler = client.scheduler
    return "" if scheduler is None else str(scheduler.address)
