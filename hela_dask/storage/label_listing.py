"""The list of label groups in ``labels/zarr.json``: viewers show no label group without it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import zarr
from zarr.storage import LocalStore

from hela_dask.errors import HelaDaskError, InputError
from hela_dask.storage.files import storage_errors
from hela_dask.storage.metadata import listed_labels, read_image

__all__ = ["label_folders", "list_again", "listing_problem"]


def label_folders(owner: Path) -> list[str]:
    """Names of the label groups that this package made in a store, listed or not."""
    folder = owner / "labels"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [name for name in names if not name.startswith(".") and _is_ours(folder / name)]


def listing_problem(owner: Path, names: Iterable[str]) -> str:
    """The fault of a store's list of label groups, which should name these; empty: nothing."""
    try:
        listed = listed_labels(owner / "labels")
    except InputError as error:
        return f"cannot be read ({error})"
    if listed is None:
        return "is missing"
    unlisted = sorted(set(names) - set(listed))
    return f"does not list {unlisted[0]}, which viewers do not find" if unlisted else ""


def list_again(owner: Path, names: Iterable[str]) -> None:
    """Write the list of label groups anew, with those of this package that are there.

    Listed groups that can be read stay listed.
    """
    folder = owner / "labels"
    try:
        listed = listed_labels(folder)
    except InputError:
        listed = None
        with storage_errors(folder):
            (folder / "zarr.json").unlink()
    with storage_errors(folder):
        group = zarr.open_group(LocalStore(folder), mode="a", zarr_format=3, use_consolidated=False)
        known = list(listed or ())
        known += [name for name in (*label_folders(owner), *names) if name not in known]
        old = group.attrs.asdict().get("ome", {})
        kept = old if isinstance(old, dict) else {}
        group.attrs["ome"] = {"version": "0.5", **kept, "labels": list(dict.fromkeys(known))}


def _is_ours(path: Path) -> bool:
    try:
        return bool(path.is_dir() and read_image(path, unknown_scale=True).attributes)
    except HelaDaskError:
        return False
