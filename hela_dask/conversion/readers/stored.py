"""One array of a container (HDF5, Imaris, N5) as a volume: its axes, its type, its reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hela_dask.conversion.readers.lengths import Calibration
from hela_dask.conversion.readers.source import Source
from hela_dask.errors import HelaDaskError, InputError
from hela_dask.storage.level_array import read_zyx
from hela_dask.types import Triple

__all__ = ["StoredVolume", "axis_names", "choose", "stored_source"]

_NAMED = 8  # arrays that an error names
_COLOURS = (3, 4)  # samples of a pixel


class _Array(Protocol):
    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> Any: ...


@dataclass(frozen=True)
class StoredVolume:
    """An array of a container, its metadata checked, its voxels not yet read."""

    path: Path  # of the source, with the place in the container
    kind: str
    shape: tuple[int, ...]  # as stored
    dtype: np.dtype[Any]
    axes: tuple[str, ...]  # names of the stored axes
    # Reads a part by one slice per stored axis; opens the file itself
    read: Callable[[tuple[slice, ...]], NDArray[Any]]
    calibration: Calibration
    files: tuple[Path, ...]
    translation: Triple = (0.0, 0.0, 0.0)
    remarks: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Reader:
    """The stored array for :func:`hela_dask.storage.level_array.read_zyx`."""

    volume: StoredVolume

    def __getitem__(self, selection: Any) -> NDArray[Any]:
        keys = selection if isinstance(selection, tuple) else (selection,)
        keys += (slice(None),) * (len(self.volume.shape) - len(keys))
        try:
            return self.volume.read(keys)
        except HelaDaskError:
            raise
        except Exception as error:  # libraries of a dozen codecs raise any error
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise InputError(
                f"{self.volume.path} cannot be read and is probably damaged ({reason}): copy it "
                "again"
            ) from error


def stored_source(volume: StoredVolume) -> Source:
    """The source of an array; an InputError for values that are no numbers."""
    if volume.dtype.kind not in "biuf":
        raise InputError(f"{volume.path} holds {volume.dtype} values; a volume holds numbers")
    lengths = dict(zip(volume.axes, volume.shape, strict=True))
    remarks = list(volume.remarks)
    there = [axis for axis in volume.axes if axis in "zyx"]
    if there != [axis for axis in "zyx" if axis in there]:
        remarks.append(f"its axes are stored in the order {' '.join(there)}, and read as z y x")
    return Source(
        path=volume.path,
        kind=volume.kind,
        shape=(lengths.get("z", 1), lengths["y"], lengths["x"]),
        dtype=volume.dtype.newbyteorder("="),
        sizes=volume.calibration.sizes,
        files=volume.files,
        reader=lambda z0, z1: read_zyx(_Reader(volume), volume.axes, slice(z0, z1)),
        translation=volume.translation,
        remarks=tuple(
            f"{volume.path}: {remark}" for remark in (*remarks, *volume.calibration.remarks)
        ),
        size_origins=volume.calibration.origins,
        facts=dict(volume.facts),
    )


def axis_names(
    path: Path, shape: tuple[int, ...], stated: Sequence[str] | None = None
) -> tuple[str, ...]:
    """The name of each stored axis; z, y and x where the file does not state other names.

    Axes of length one beside these three are left out when the array is read. An InputError
    names the axes of an array that is no volume: with several channels or time points, with
    colours, empty, or with fewer than two axes.
    """
    shown = " x ".join(map(str, shape)) or "no axes"
    if 0 in shape:
        raise InputError(f"{path} is empty: its shape is {shown}")
    if stated is not None:
        names = tuple(name.strip().lower() for name in stated)
        if len(names) == len(shape) and {"y", "x"} <= set(names) and len(set(names)) == len(names):
            _check_others(path, names, shape, shown)
            return names
        raise InputError(
            f"{path} has {len(shape)} axes ({shown}), and its metadata name them "
            f"{', '.join(names)}: z, y and x are needed, each once"
        )
    long = [number for number, length in enumerate(shape) if length > 1]
    if len(shape) < 2:
        raise InputError(f"{path} has the shape {shown}; a volume is (z, y, x) or (y, x)")
    if len(long) > 3:
        colour = ", the last of them probably of colours" if shape[-1] in _COLOURS else ""
        raise InputError(
            f"{path} has {len(long)} axes longer than one ({shown}){colour}: save one channel of "
            "one time point as an array (z, y, x)"
        )
    if len(shape) > 2 and shape[-1] in _COLOURS:
        raise InputError(
            f"{path} has the shape {shown}, and is probably a colour image: save it as grey values"
        )
    kept = long if len(long) == 3 else list(range(len(shape)))[-3:]
    known = dict(zip(kept, "zyx"[-len(kept) :], strict=True))
    return tuple(known.get(number, f"axis {number}") for number in range(len(shape)))


def _check_others(path: Path, names: tuple[str, ...], shape: tuple[int, ...], shown: str) -> None:
    for name, length in zip(names, shape, strict=True):
        if name not in ("z", "y", "x") and length > 1:
            what = {"c": "channels", "t": "time points"}.get(name, f"positions along {name!r}")
            raise InputError(
                f"{path} has {length} {what} ({shown}; {', '.join(names)}): save one of them "
                "alone, as an array (z, y, x)"
            )


def choose(container: Path, found: Mapping[str, _Array], what: str) -> str:
    """The place of the only volume of a container, or an InputError that names all there are.

    `found`: the arrays of the container, by their places; `what`: their name in the format.
    """
    volumes = {name: item for name, item in found.items() if len(item.shape) >= 3}
    if len(volumes) == 1:
        return next(iter(volumes))
    known = volumes or {name: item for name, item in found.items() if len(item.shape) == 2}
    if not known:
        raise InputError(f"{container} holds no {what} of numbers with two or more axes")
    items = [
        f"{container}::/{name.strip('/')} ({' x '.join(map(str, item.shape))}, {item.dtype})"
        for name, item in list(known.items())[:_NAMED]
    ]
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    how_many = f"{len(known)} volumes" if volumes else f"no volume, but 2-D {what}s"
    raise InputError(f"{container} holds {how_many}; name one of them: {', '.join(items)}{more}")
