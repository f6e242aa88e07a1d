"""Files of remote arrays that are not there: the fill value, unless they were written, or are lost.

A server that lost a disk answers "not found" for each file, as it does for a chunk that was never
written because all of its values are 0.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable

from hela_dask.errors import StorageError
from hela_dask.storage.marks import read_slab_marks
from hela_dask.storage.nodes import open_array, read_node
from hela_dask.storage.records import Records
from hela_dask.storage.remote import METADATA, check_there
from hela_dask.storage.urls import StoreUrl

__all__ = ["check_absent"]

_FRESH = 600.0  # seconds for which the list of written files is kept


def check_absent(array: StoreUrl, names: Iterable[str]) -> None:
    """Look whether files of an array are rightly absent.

    `names` are relative to the array. StorageError where the whole store is gone meanwhile, or
    where this package wrote the store and lists one of the files as written.
    """
    metadata = [array / name for name in METADATA if (array / name).exists()]
    if not metadata or not check_there(str(metadata[0])):
        raise StorageError(
            f"{array} cannot be read: its metadata are not there any more, so that absent chunks "
            "would be read as 0; restore the store, then start the same command again"
        )
    written = _written(array.parent, int(time.monotonic() // _FRESH))
    for name in sorted(names):
        if written.get(f"{array.name}/{name}") is not None:
            raise StorageError(
                f"{array / name} is not there, although it was written: copy it to the server "
                "again, then start the same command again"
            )


@functools.lru_cache(maxsize=64)
def _written(group: StoreUrl, time_of_day: int) -> Records:
    """The files that this package wrote into a group; empty where it keeps no list."""
    node = read_node(group)
    if node is None or node.is_array or "hela_dask" not in node.attributes:
        return {}
    finest = group / "0"  # the name that this package gives
    if not finest.is_dir():
        return {}
    array = open_array(finest)
    depth = int((array.shards or array.chunks)[-3])
    found: Records = {}
    for _, records in read_slab_marks(finest / ".slabs", range(0, array.shape[-3], depth)):
        found.update(records or {})
    return found
