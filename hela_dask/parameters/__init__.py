"""All parameters: one frozen dataclass per group, lengths in nm, areas in µm²; to and from TOML."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Self, TypeVar

from hela_dask.documents.shapes import shown
from hela_dask.errors import InputError, ParameterError
from hela_dask.formatting import similar_name
from hela_dask.pages import Card, Shown
from hela_dask.parameters.fields import ParameterGroup
from hela_dask.parameters.methods import (
    HybridParameters,
    MethodParameters,
    PropagateParameters,
    UnetParameters,
    VolumetricParameters,
)
from hela_dask.parameters.showing import parameters_card, parameters_text
from hela_dask.parameters.stages import (
    AssembleParameters,
    BackgroundParameters,
    DetectParameters,
    LinkParameters,
    MeasureParameters,
    QualityParameters,
    RegionParameters,
    WorkingParameters,
)

__all__ = [
    "AssembleParameters",
    "BackgroundParameters",
    "DetectParameters",
    "HybridParameters",
    "LinkParameters",
    "MeasureParameters",
    "MethodParameters",
    "Parameters",
    "PropagateParameters",
    "QualityParameters",
    "RegionParameters",
    "UnetParameters",
    "VolumetricParameters",
    "WorkingParameters",
    "method_groups",
]

Group = TypeVar("Group", bound=ParameterGroup)

_STAGES: dict[str, type[ParameterGroup]] = {
    "working": WorkingParameters,
    "background": BackgroundParameters,
    "detect": DetectParameters,
    "link": LinkParameters,
    "region": RegionParameters,
    "assemble": AssembleParameters,
    "quality": QualityParameters,
    "measure": MeasureParameters,
}


@functools.cache
def method_groups() -> dict[str, type[ParameterGroup]]:
    """The parameter groups of methods, by name, as packages register them.

    A package registers a group, a frozen dataclass that inherits from ``ParameterGroup``, as an
    entry point of the group ``hela_dask.parameters`` in its ``pyproject.toml``. Loading it must be
    quick.
    """
    found = entry_points(group="hela_dask.parameters")
    return {point.name: point.load() for point in sorted(found, key=lambda point: point.name)}


def _groups() -> dict[str, type[ParameterGroup]]:
    return {**_STAGES, **method_groups()}


def _unknown(kind: str, name: str, known: list[str]) -> ParameterError:
    return ParameterError(f"unknown {kind} {shown(name, 80)}; {similar_name(name, known)}")


def _toml(value: float | str) -> str:
    """As TOML, which writes numbers and texts as JSON does, except for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


@dataclass(frozen=True)
class Parameters(Shown):
    """All parameters of a run, one attribute per group.

    Examples
    --------
    >>> import hela_dask as hd
    >>> parameters = hd.Parameters.from_dict({"detect": {"spacing": 500.0}})
    >>> parameters.detect.spacing
    500.0
    >>> parameters
    Parameters: 1 value not the default
      [detect] spacing = 500.0 (default 1000.0)
    """

    working: WorkingParameters = field(default_factory=WorkingParameters)
    background: BackgroundParameters = field(default_factory=BackgroundParameters)
    detect: DetectParameters = field(default_factory=DetectParameters)
    link: LinkParameters = field(default_factory=LinkParameters)
    region: RegionParameters = field(default_factory=RegionParameters)
    assemble: AssembleParameters = field(default_factory=AssembleParameters)
    quality: QualityParameters = field(default_factory=QualityParameters)
    measure: MeasureParameters = field(default_factory=MeasureParameters)
    methods: tuple[ParameterGroup, ...] = field(
        default_factory=lambda: tuple(kind() for kind in method_groups().values())
    )

    def __str__(self) -> str:
        return parameters_text(self.groups())

    def _card(self) -> Card:
        return parameters_card(self.groups())

    def group(self, kind: type[Group]) -> Group:
        """The parameters of a method, by their class.

        Raises
        ------
        KeyError
            When no package registers such a group.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.Parameters().group(hd.VolumetricParameters) == hd.VolumetricParameters()
        True
        """
        for stage in self.methods:
            if type(stage) is kind:
                return stage
        raise KeyError(kind)

    def with_group(self, stage: ParameterGroup) -> Self:
        """The same with other parameters of a method.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.Parameters().with_group(hd.VolumetricParameters(hole=3.0)).volumetric.hole
        3.0
        """
        self.group(type(stage))
        kept = (stage if type(other) is type(stage) else other for other in self.methods)
        return dataclasses.replace(self, methods=tuple(kept))

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and (kind := method_groups().get(name)) is not None:
            return self.group(kind)
        raise AttributeError(f"there is no parameter group {name!r}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Parameters from nested dictionaries; missing parameters keep their defaults.

        Raises
        ------
        ParameterError
            For an unknown stage or parameter, a wrong type or a value out of range.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.Parameters.from_dict({"link": {"gap": 2}}).link.gap
        2
        """
        if not isinstance(values, Mapping):
            raise ParameterError(
                "parameters are a mapping of groups, as {'detect': {'spacing': 500}}, not "
                f"{type(values).__name__}"
            )
        groups, stages, methods = _groups(), {}, []
        for stage, given in values.items():
            if stage not in groups:
                raise _unknown("parameter group", stage, list(groups))
            if not isinstance(given, dict):
                raise ParameterError(f"parameter group {stage!r} must be a table, not {given!r}")
            known = [item.name for item in dataclasses.fields(groups[stage])]  # type: ignore[arg-type]
            for name in given:
                if name not in known:
                    raise _unknown(f"parameter in [{stage}]:", name, known)
            if stage in _STAGES:
                stages[stage] = groups[stage](**given)
            else:
                methods.append(groups[stage](**given))
        found = cls(**stages)  # type: ignore[arg-type]
        for group in methods:
            found = found.with_group(group)
        return found

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Parameters from a TOML file as :meth:`to_toml` writes it, whole or in part.

        Raises
        ------
        MissingInputError
            When there is no such file.
        ParameterError
            When it is not TOML, or as in :meth:`from_dict`.

        Examples
        --------
        >>> import hela_dask as hd
        >>> from pathlib import Path
        >>> length = Path("mine.toml").write_text(hd.Parameters().to_toml(), encoding="utf-8")
        >>> hd.Parameters.from_toml("mine.toml") == hd.Parameters()
        True
        """
        from hela_dask.documents.reading import read_toml

        try:
            return cls.from_dict(read_toml(path))
        except InputError as error:
            raise ParameterError(str(error)) from error
        except ParameterError as error:
            raise ParameterError(f"{path}: {error}") from error

    def groups(self) -> dict[str, ParameterGroup]:
        """All groups by name, those of the methods last.

        Examples
        --------
        >>> import hela_dask as hd
        >>> list(hd.Parameters().groups())[:3]
        ['working', 'background', 'detect']
        """
        return {name: getattr(self, name) for name in _groups()}

    def to_dict(self) -> dict[str, dict[str, float | str]]:
        """Nested dictionaries, as :meth:`from_dict` takes them.

        Examples
        --------
        >>> import hela_dask as hd
        >>> hd.Parameters().to_dict()["working"]
        {'resolution': 40.0}
        """
        return {name: dataclasses.asdict(stage) for name, stage in self.groups().items()}  # type: ignore[call-overload]

    def to_toml(self) -> str:
        """A TOML text with every parameter, its unit and its meaning as comments.

        Examples
        --------
        >>> import hela_dask as hd
        >>> print(hd.Parameters().to_toml().splitlines()[1])
        [working]
        """
        lines: list[str] = []
        for name, stage in self.groups().items():
            lines += [f"# {(stage.__doc__ or '').splitlines()[0]}", f"[{name}]"]
            lines += [
                f"{item.name} = {_toml(getattr(stage, item.name))}  # {item.metadata['doc']}"
                for item in dataclasses.fields(stage)  # type: ignore[arg-type]
            ]
            lines.append("")
        return "\n".join(lines)
