"""Where a run writes: folders that are new, empty or its own, outside the volume."""

from __future__ import annotations

import os
from pathlib import Path

from hela_dask.errors import ExistsError, ParameterError, StorageError
from hela_dask.kernels.packed_labels import INSTANCES
from hela_dask.running.broken import damaged_metadata, is_broken
from hela_dask.running.identity import (
    check_run_folder,
    maker_of,
    owns_labels,
    read_id,
    recorded_store,
)
from hela_dask.running.provenance import read_run
from hela_dask.storage.label_groups import holds_no_labels
from hela_dask.storage.metadata import Image, local_path
from hela_dask.storage.places import enclosing_store, is_within, resolved, same_place
from hela_dask.storage.urls import StorePath, StoreUrl, local_folder

__all__ = [
    "LABELS",
    "check_folder",
    "check_labels_place",
    "check_owner",
    "label_owner",
    "run_folder",
]

LABELS = ("background", *INSTANCES)
_OWN = ("coarse", "done", "explain", "figures", "made", "organelles")  # folders in a run folder


def run_folder(store: StorePath, out: str | Path | None, suffix: str = "run") -> Path:
    """The run folder: as asked for, or the store's name with ``.run``, beside it.

    Of a remote store: in the current folder. Of an image in a collection, such as
    ``plate.zarr/0``: ``plate.0.run``, beside the collection.
    """
    if out is not None:
        return local_path(out)
    if isinstance(store, StoreUrl):
        return Path(f"{_stem(store.name)}.{suffix}")
    store = store.absolute()
    outer = enclosing_store(store)
    if outer is not None:
        inner = resolved(store).relative_to(outer).parts
        return outer.with_name(".".join((_stem(outer.name), *map(_stem, inner), suffix)))
    return store.with_name(f"{_stem(store.name)}.{suffix}")


def _stem(name: str) -> str:
    for ending in (".ome.zarr", ".zarr"):
        name = name.removesuffix(ending)
    return name


def label_owner(store: StorePath, labels: str | Path | None, folder: Path) -> tuple[Path, bool]:
    """The store that gets the labels, and whether it is another one than the image.

    Labels of a remote image, which is only read, lie beside the run folder `folder` by default:
    ``NAME.labels.ome.zarr`` for ``NAME.run``.
    """
    if labels is None and isinstance(store, StoreUrl):
        return folder.with_name(f"{folder.name.removesuffix('.run')}.labels.ome.zarr"), True
    if labels is None or same_place(local_path(labels), store):
        return local_folder(store), False
    return local_path(labels), True


def check_folder(folder: Path, store: StorePath, source: str, overwrite: bool) -> None:
    """A run folder is new, empty, or this volume's; anything else is not written into."""
    if not check_run_folder(folder):
        return
    facts = read_run(folder)
    made_for = recorded_store(folder, facts)
    if made_for is not None and same_place(made_for, store):
        return
    written_at = (facts.get("places") or {}).get("run")
    moved = made_for is None or (written_at and not same_place(written_at, folder))
    if moved and facts.get("fingerprint") == source:
        return  # moved or copied with its volume
    name = made_for or facts.get("store")
    if name and not overwrite:
        raise ExistsError(
            f"{folder} is the run of {name}, not of {store}: choose another --out, or "
            "replace that run with --overwrite"
        )


def check_owner(image: Image, owner: Path, separate: bool, folder: Path, overwrite: bool) -> None:
    """Labels have an owner: rule 6."""
    advice = "write the labels to another store with --labels PATH"
    if not separate:
        if image.version != "0.5" or image.zarr_format != 3:
            raise StorageError(f"{owner} is OME-Zarr {image.version}, which is only read: {advice}")
        if not os.access(owner, os.W_OK):
            raise StorageError(f"{owner} cannot be written to: {advice}")
    elif owner.is_symlink() and not owner.exists():
        raise ExistsError(f"{owner} is a link to nowhere: choose another --labels")
    elif owner.exists():
        if not owner.is_dir() or not ((owner / "zarr.json").exists() or holds_no_labels(owner)):
            raise ExistsError(f"{owner} exists and is not an OME-Zarr: choose another --labels")
        if not os.access(owner, os.W_OK):
            raise StorageError(f"{owner} cannot be written to: choose another --labels")
    run_id = read_id(folder)
    for name in LABELS:
        target = owner / "labels" / name
        if os.path.lexists(target) and not owns_labels(folder, run_id, target):
            _check_others_labels(target, folder, overwrite)


def _check_others_labels(target: Path, folder: Path, overwrite: bool) -> None:
    """A label group that does not name this run is its own and broken, or may be replaced."""
    if is_broken(folder, target):
        return
    maker = maker_of(target)
    if target.is_dir() and (problem := damaged_metadata(target)):
        raise ExistsError(
            f"{target} cannot be read ({problem}): restore it from a copy, remove it, or write "
            "the labels elsewhere with --labels PATH"
        )
    if not maker.ours:
        raise ExistsError(
            f"{target} was made by something else than hela_dask, so it is never replaced: "
            "write the labels elsewhere with --labels PATH"
        )
    if not overwrite:
        free = folder.with_name(f"{_stem(folder.name).removesuffix('.run')}.ome.zarr")
        elsewhere = "PATH" if free.exists() else free
        raise ExistsError(
            f"{target} exists, made by {maker}: replace it with --overwrite, or write the "
            f"labels to another store with --labels {elsewhere}"
        )


def check_labels_place(folder: Path, owner: Path) -> None:
    """Labels in a separate store are neither the run folder nor one of its folders."""
    if same_place(owner, folder):
        raise ParameterError(f"{owner} cannot be both the run folder and --labels")
    if is_within(folder, owner):
        raise ParameterError(f"--labels {owner} holds the run folder {folder}: choose another")
    if any(is_within(owner, folder / name) for name in _OWN):
        raise ParameterError(
            f"--labels {owner} lies where {folder} keeps its own files: choose another"
        )
