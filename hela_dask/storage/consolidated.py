"""The copy that groups may keep of all metadata inside, made again after labels have changed.

Readers that trust the copy (xarray, spatialdata, ngff-zarr) would not see new labels without it.
This package itself never reads it.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import zarr
from zarr.storage import LocalStore

from hela_dask.errors import HelaDaskError
from hela_dask.storage.nodes import is_node, read_node

__all__ = ["refresh_consolidated"]

log = logging.getLogger(__name__)

_ABOVE = 4  # groups around an image, in collections and plates
_INSIDE = 4  # groups inside one another that are looked through
_TEXT_COLUMNS: set[Path] = set()  # once for each, not for every label group


def refresh_consolidated(folder: Path) -> None:
    """Make the copies of metadata again in the group `folder` and in those around it.

    Groups without a copy get none. A copy that cannot be written is named in a warning: the
    labels are there all the same.
    """
    here = folder.absolute()
    for around in (here, *list(here.parents)[:_ABOVE]):
        if not is_node(around):
            return
        try:
            node = read_node(around)
            if node is not None and node.consolidated and node.zarr_format == 3:
                _check_inside(around, _INSIDE)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # that this is no part of the specification
                    zarr.consolidate_metadata(LocalStore(around), zarr_format=3)
        except (HelaDaskError, OSError, ValueError, TypeError, KeyError) as error:
            if around in _TEXT_COLUMNS:
                continue
            _TEXT_COLUMNS.add(around)
            log.warning(
                "the consolidated metadata of %s are out of date: %s; readers that use them do "
                "not see the new labels",
                around,
                " ".join(str(error).split()),
            )


def _check_inside(folder: Path, depth: int) -> None:
    """Look at all metadata files that zarr is about to read."""
    for item in folder.iterdir():
        if is_node(item):
            node = read_node(item)
            if node is not None and not node.is_array and depth > 1:
                _check_inside(item, depth - 1)
