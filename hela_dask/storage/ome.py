"""The shape of OME-Zarr metadata (0.4 and 0.5): axes, levels, transformations, versions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from hela_dask.documents.reading import Document, check_document
from hela_dask.errors import InputError
from hela_dask.units import unit_name

__all__ = ["Axes", "Dataset", "Multiscale", "Transformation", "find_multiscale", "ome_content"]

_READ = re.compile(r"0\.[45](\.\d+)?$")
_UNSAFE = re.compile(r"\\|\0|^[A-Za-z]:|[^/]{256}|^.{1024}")  # no name, or too long a one
_KINDS = ("scale", "translation", "identity")


def _named(axis: Any) -> Any:
    """An axis given by its name only, as drafts of the format had it."""
    return {"name": axis} if isinstance(axis, str) else axis


class Axis(Document):
    """One axis of the stored arrays."""

    name: str = Field(max_length=100)
    type: str | None = Field(default=None, max_length=100)
    unit: str | None = Field(default=None, max_length=100)


class Transformation(Document):
    """One step from voxels to lengths: a scale, a translation, or the identity."""

    type: str
    scale: list[float] | None = None
    translation: list[float] | None = None

    @model_validator(mode="after")
    def _known(self) -> Transformation:
        if self.type not in _KINDS:
            raise ValueError(
                f"is of the type {self.type[:40]!r}; scale, translation and identity are read"
            )
        if self.type != "identity" and getattr(self, self.type) is None:
            raise ValueError(f"has no list of numbers {self.type!r}")
        return self

    @property
    def values(self) -> list[float]:
        """Its numbers, one an axis; none of the identity."""
        return self.scale if self.type == "scale" else self.translation or []  # type: ignore[return-value]


class Dataset(Document):
    """One level of a pyramid."""

    path: str
    coordinateTransformations: list[Transformation] | None = None  # noqa: N815

    @model_validator(mode="after")
    def _inside(self) -> Dataset:
        parts = PurePosixPath(self.path).parts
        if not parts or ".." in parts or parts[0] == "/" or _UNSAFE.search(self.path):
            raise ValueError(f"has the path {self.path[:80]!r}, which names no array of the group")
        return self

    @property
    def name(self) -> str:
        """The path in its shortest form."""
        return str(PurePosixPath(self.path))


class Multiscale(Document):
    """A pyramid: its axes, and its levels."""

    axes: list[Annotated[Axis, BeforeValidator(_named)]]
    datasets: Annotated[list[Dataset], Field(min_length=1)]
    coordinateTransformations: list[Transformation] | None = None  # noqa: N815


@dataclass(frozen=True)
class Axes:
    """The axes of the stored arrays, in their order."""

    names: tuple[str, ...]  # lower case; z may be missing
    units: Mapping[str, str | None]  # the unit of each of z, y and x as it is stated

    def unit(self, axis: str) -> str | None:
        """The specification's name of the unit of z, y or x; None where none is known."""
        return unit_name(self.units.get(axis, self.units["y"]))

    def unknown(self) -> str:
        """Which axes have no unit of length, as part of a sentence; empty where all have one."""
        wrong = [axis for axis in self.units if self.unit(axis) is None]
        stated = sorted({repr(self.units[axis]) for axis in wrong if self.units[axis]})
        if not wrong:
            return ""
        what = (
            f"{' and '.join(stated)}, which is no unit of length known here" if stated else "none"
        )
        return f"its unit along {', '.join(wrong)} is {what}"

    @staticmethod
    def read(axes: Sequence[Axis], source: str) -> Axes:
        """Which axes are z, y and x.

        InputError where y or x are missing, a name stands twice, or another type is given to them.
        """
        names = [axis.name.strip().lower() for axis in axes]
        shown = ", ".join(names) or "none"
        if not {"y", "x"} <= set(names):
            raise InputError(f"{source} must have the axes z, y, x; it has: {shown}")
        if len(set(names)) < len(names):
            raise InputError(f"{source} has two axes of one name: {shown}")
        for name, axis in zip(names, axes, strict=True):
            if name in "zyx" and axis.type not in (None, "", "space"):
                raise InputError(f"{source} calls its axis {name} one of {axis.type}, not of space")
        units = {name: axis.unit for name, axis in zip(names, axes, strict=True) if name in "zyx"}
        return Axes(tuple(names), {axis: units[axis] for axis in "zyx" if axis in units})

    def place(self, steps: Sequence[Transformation], source: str) -> Place:
        """The coordinate transformations, in their order: the dataset's, then the whole image's."""
        scale, shift, known = [1.0] * len(self.names), [0.0] * len(self.names), False
        for step in steps:
            if step.type == "identity":
                continue
            if len(step.values) != len(self.names):
                raise InputError(
                    f"{source} has a {step.type} of {len(step.values)} numbers for "
                    f"{len(self.names)} axes"
                )
            if step.type == "scale":
                known = True
                scale = [a * b for a, b in zip(scale, step.values, strict=True)]
                shift = [a * b for a, b in zip(shift, step.values, strict=True)]
            else:
                shift = [a + b for a, b in zip(shift, step.values, strict=True)]
        sizes = dict(zip(self.names, scale, strict=True))
        starts = dict(zip(self.names, shift, strict=True))
        for axis in self.units:
            if known and not (math.isfinite(sizes[axis]) and sizes[axis] > 0):
                unit = self.units[axis] or "units"
                raise InputError(
                    f"{source} states a voxel size of {sizes[axis]:g} {unit} along {axis}"
                )
            if not math.isfinite(starts[axis]):
                raise InputError(f"{source} states no finite translation along {axis}")
        return Place(
            {axis: sizes[axis] for axis in self.units} if known else None,
            {axis: starts[axis] for axis in self.units},
        )


@dataclass(frozen=True)
class Place:
    """Voxel size and place of a level in the units of its axes; None: no scale is stated."""

    scale: Mapping[str, float] | None
    shift: Mapping[str, float]


def ome_content(attributes: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """The part of a group's attributes that is OME's: below ``ome`` from 0.5 on."""
    found = attributes.get("ome", attributes)
    if not isinstance(found, Mapping):
        raise InputError(f"{source} has unreadable zarr metadata: its 'ome' is no table")
    return found


def find_multiscale(
    attributes: Mapping[str, Any], source: str
) -> tuple[str, Multiscale, tuple[str, ...]] | None:
    """Version, first pyramid and remarks; None where the group lists no pyramid.

    InputError where the version is not read here, or the metadata have another shape.
    """
    content = ome_content(attributes, source)
    found = content.get("multiscales")
    if not found:
        return None
    if not isinstance(found, list) or not isinstance(found[0], Mapping):
        raise InputError(f"{source} has unreadable zarr metadata: its 'multiscales' is no list")
    below = "ome" in attributes
    stated = content.get("version", found[0].get("version"))
    remarks = []
    if stated is None:
        stated = "0.5" if below else "0.4"
    version = str(stated)
    if not _READ.match(version):
        raise InputError(
            f"{source} is OME-Zarr {version[:20]}; versions 0.4 and 0.5 are read: "
            "convert it with a program that writes one of these, or export it as TIFF"
        )
    if len(found) > 1:
        remarks.append(f"{source} lists {len(found)} pyramids (multiscales); the first is used")
    multiscale = check_document(
        found[0], Multiscale, f"{source} has unreadable zarr metadata: multiscales[0]"
    )
    return version[:3], multiscale, tuple(remarks)
