"""Label groups: their owner, their folder, and the metadata for viewers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import DTypeLike
from zarr.storage import LocalStore

from hela_dask.errors import ExistsError, InputError, MissingInputError, StorageError
from hela_dask.storage.consolidated import refresh_consolidated
from hela_dask.storage.contents import find_foreign
from hela_dask.storage.files import hidden_name, remove_folder, storage_errors
from hela_dask.storage.groups import build_group, label_levels, note, ome_zarr_writer, planned
from hela_dask.storage.level import same_levels
from hela_dask.storage.manifest import metadata_faults
from hela_dask.storage.metadata import Image, local_path, read_image
from hela_dask.storage.nodes import read_node
from hela_dask.storage.places import relative_path, resolved, same_place
from hela_dask.storage.urls import StorePath, StoreUrl, store_path
from hela_dask.types import Triple

__all__ = ["LABEL_LOCK", "create_labels", "holds_no_labels", "write_label_metadata"]

LABEL_LOCK = ".lock"
"""In the folder ``labels`` of a store: who writes there; see :mod:`hela_dask.tasks.lock`."""

_VERSION = "0.5"
_GREY = [128, 128, 128, 255]  # for a label that has properties and no color


def create_labels(
    owner: str | StorePath,
    name: str,
    shape: Sequence[int],
    dtype: DTypeLike,
    voxel_size: Sequence[float],
    *,
    translation: Triple = (0.0, 0.0, 0.0),
    source_image: str | StorePath | None = None,
    run: str | Path | None = None,
    run_id: str = "",
    chunks: Sequence[int] | None = None,
    shards: Sequence[int] | None = None,
    overwrite: bool = False,
    attrs: Mapping[str, Any] | None = None,
) -> Image:
    """Create the label group ``labels/name`` in `owner`, empty and unfinished; register it.

    Parameters
    ----------
    owner : str or Path
        An OME-Zarr 0.5 image, the image of the labels; or another folder, made when it is not
        there, that holds nothing but labels. The labels have the axes, the units and the number of
        levels of the image that they belong to.
    shape, dtype, voxel_size, translation, chunks, shards, attrs
        As in :func:`hela_dask.storage.store.create_image`; `dtype` is an integer type. Of the same
        translation as the image, the labels lie over it.
    source_image : str, Path or StoreUrl, optional
        The image that the labels belong to, or its address; default: `owner`, where that is an
        image.
    run : str or Path, optional
        The run folder that makes these labels. It may have them again: existing labels of the
        same run and of the same shape, type and voxel size stay as they are, so that it can
        continue.
    run_id : str
        Of the run: it is the same run where this is the same, wherever it was moved. Without it,
        the place of the run folder counts.
    overwrite : bool
        Replace labels of that name that this package made, in whichever run, by empty ones.

    Raises
    ------
    ExistsError
        When another run made labels of that name, or something else than this package.
    StorageError
        When `owner` cannot be written to, or is not OME-Zarr 0.5.
    InputError, ParameterError
        When the name, type, voxel size, chunks or shards make no sense.
    """
    owner = local_path(owner)
    if np.dtype(dtype).kind not in "iu":
        raise InputError(f"labels are integers, not {np.dtype(dtype).name}")
    if not name or name in (".", "..") or any(sign in name for sign in '/\\:*?"<>|'):
        raise InputError(f"{name!r} cannot be the name of a label group")
    given = planned(shape, dtype, voxel_size, chunks, shards, translation=translation, tiled=True)
    source, image = _check_owner(owner, source_image)
    levels, units = given, ("nanometer", "nanometer", "nanometer")
    if image is not None:
        units = image.units
        levels = label_levels(
            image,
            dtype,
            shape=shape,
            voxel_size=voxel_size,
            translation=translation,
            chunks=chunks,
            shards=shards,
        )
    target = owner / "labels" / name
    if target.exists() and not overwrite:
        kept = _labels_of(target, run, run_id)
        same = same_levels(kept.levels, levels) and kept.dtype == np.dtype(dtype)
        if same and not metadata_faults(kept):
            return kept
    if os.path.lexists(target) and (foreign := find_foreign(target)) is not None:
        raise ExistsError(
            f"{foreign} was made by something else than hela_dask, so {target} is never replaced: "
            "write the labels elsewhere with --labels PATH"
        )
    with storage_errors(target):
        group = _labels_group(owner)
        # Beside the labels: files that a killed run leaves there are no part of the image.
        temporary = hidden_name(target)
        way = None if run is None else relative_path(run, target)
        notes = {**(attrs or {}), "complete": False, "run": way, "run_id": run_id}
        build_group(temporary, levels, dtype, name, notes, units)
        if target.exists():
            remove_folder(target)
        temporary.rename(target)
        link = "../../" if source == owner else _relative(source, target)
        _register(group, name, {} if link is None else {"source": {"image": link}})
    refresh_consolidated(owner / "labels")
    return read_image(target)


def write_label_metadata(
    path: str | StorePath,
    *,
    colors: Mapping[int, Sequence[int]] | None = None,
    properties: Sequence[Mapping[str, Any]] | None = None,
    source: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write the ``image-label`` metadata of the label group at `path`, replacing the existing ones.

    `colors` are red, green, blue and alpha (0 to 255) per label; each of `properties` has the key
    ``"label-value"``; `source` is the image, relative to the label group (default: the metadata of
    :func:`create_labels`); `extra` is JSON, added to the group's attribute ``hela_dask``.
    """
    image = read_image(path)
    with storage_errors(image.folder):
        group = _open(image.folder.parent)
        label = group[image.name]
        old: Any = label.attrs.asdict().get("ome", {})
        content = _image_label(colors, properties)
        if source is None:
            source = old.get("image-label", {}).get("source", {}).get("image")
        if source is not None:
            content["source"] = {"image": source}
        _register(group, image.name, content)
        if extra:
            note(image.folder, extra)
    refresh_consolidated(image.folder)


def holds_no_labels(owner: Path) -> bool:
    """Whether a folder is empty, except for the lock of labels before the first write."""
    names = {path.name for path in owner.iterdir()}
    folder = owner / "labels"
    if not names <= {folder.name} or not (folder.is_dir() or not names):
        return False
    return not names or all(path.name.startswith(LABEL_LOCK) for path in folder.iterdir())


def _check_owner(
    owner: Path, source_image: str | StorePath | None
) -> tuple[StorePath | None, Image | None]:
    """The image that labels in `owner` belong to, after a check that they may be written there."""
    advice = "write the labels to another store with --labels PATH"
    source = None if source_image is None else store_path(source_image)
    if not owner.exists():
        return source, _described(source)
    if (owner / ".zgroup").exists() or (owner / ".zattrs").exists():
        raise StorageError(f"{owner} is OME-Zarr 0.4, which is only read: {advice}")
    if not owner.is_dir() or not ((owner / "zarr.json").exists() or holds_no_labels(owner)):
        raise StorageError(f"{owner} is not an OME-Zarr store: {advice}")
    probe = hidden_name(owner / "probe")
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise StorageError(f"{owner} cannot be written to ({error.strerror}): {advice}") from error
    if source is None:
        image = _described(owner)  # None: a store of nothing but labels
        return None if image is None else owner, image
    return owner if same_place(source, owner) else source, _described(source)


def _described(source: StorePath | None) -> Image | None:
    """The metadata of an image; None where none is readable there."""
    if source is None:
        return None
    try:
        return read_image(source, unknown_scale=True)
    except (InputError, MissingInputError):
        return None


def _labels_of(target: Path, run: str | Path | None, run_id: str) -> Image:
    """The labels at `target`, if it was this run that wrote them."""
    try:
        found = read_image(target)
    except (InputError, MissingInputError):
        found = None
    noted = {} if found is None else found.attributes
    way, maker = noted.get("run"), noted.get("run_id")
    place = target / way if isinstance(way, str) and way else None
    mine = maker == run_id if maker else run is not None and place is not None
    if mine and not maker and run is not None and place is not None:
        mine = same_place(place, run)
    if found is None or not mine:
        by = f"made by {resolved(place)}" if place else "not made by this run"
        raise ExistsError(
            f"{target} exists, {by}: replace it with --overwrite, or write the labels "
            "elsewhere with --labels PATH"
        )
    return found


def _labels_group(owner: Path) -> zarr.Group:
    """The group ``labels`` in `owner`, made where it is not there."""
    owner.mkdir(parents=True, exist_ok=True)
    if not (owner / "zarr.json").exists():
        zarr.create_group(LocalStore(owner), zarr_format=3)
    if read_node(owner / "labels") is None:
        _open(owner).create_group("labels")
    return _open(owner / "labels")


def _open(folder: Path) -> zarr.Group:
    """A group that is written to; never through a copy of its metadata, which may be stale."""
    node = read_node(folder)
    if node is None or node.is_array or node.zarr_format != 3:
        raise StorageError(f"{folder} is no group of an OME-Zarr 0.5")
    return zarr.open_group(LocalStore(folder), mode="r+", zarr_format=3, use_consolidated=False)


def _register(labels: zarr.Group, name: str, content: Mapping[str, Any]) -> None:
    """List the label group and write its ``image-label``, by ome-zarr, which forgets a version."""
    old: Any = labels.attrs.asdict().get("ome", {})
    names = [item for item in old.get("labels", []) if item != name]
    labels.attrs["ome"] = {**old, "version": _VERSION, "labels": names}
    label = labels[name]
    known: Any = label.attrs.asdict().get("ome", {})
    label.attrs["ome"] = {key: item for key, item in known.items() if key != "image-label"}
    ome_zarr_writer().write_label_metadata(labels, name, **dict(content))


def _image_label(
    colors: Mapping[int, Sequence[int]] | None, properties: Sequence[Mapping[str, Any]] | None
) -> dict[str, Any]:
    """Colors and properties as the format has them; where both are given, of the same labels."""
    content: dict[str, Any] = {}
    if properties is not None:
        rows = {int(item["label-value"]): dict(item) for item in properties}
        for value in sorted(set(colors or ()) - set(rows)):
            rows[int(value)] = {"label-value": int(value)}
        content["properties"] = list(rows.values())
    if colors is not None:
        shown = {item["label-value"]: _GREY for item in content.get("properties", ())}
        shown |= {int(value): [int(part) for part in rgba] for value, rgba in colors.items()}
        content["colors"] = [
            {"label-value": value, "rgba": rgba} for value, rgba in sorted(shown.items())
        ]
    return content


def _relative(source: StorePath | None, target: Path) -> str | None:
    """`source` as seen from `target`, or its whole path where they are on different drives."""
    if source is None or isinstance(source, StoreUrl):
        return None if source is None else str(source)
    try:
        return Path(os.path.relpath(source.absolute(), target.absolute())).as_posix()
    except ValueError:
        return source.absolute().as_posix()
