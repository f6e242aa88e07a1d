"""Every knob: one frozen dataclass a stage, lengths in nm, areas in µm²; to and from TOML."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from hela_dask.errors import InputError, ParameterError
from hela_dask.parameters.knobs import Stage
from hela_dask.parameters.methods import (
    HybridParameters,
    MethodParameters,
    PropagateParameters,
    UnetParameters,
    VolumetricParameters,
)
from hela_dask.parameters.stages import (
    AssembleParameters,
    BackgroundParameters,
    DetectParameters,
    LinkParameters,
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
    "MethodParameters",
    "Parameters",
    "PropagateParameters",
    "QualityParameters",
    "RegionParameters",
    "UnetParameters",
    "VolumetricParameters",
    "WorkingParameters",
]

_STAGES: dict[str, type[Stage]] = {
    "working": WorkingParameters,
    "background": BackgroundParameters,
    "detect": DetectParameters,
    "link": LinkParameters,
    "region": RegionParameters,
    "volumetric": VolumetricParameters,
    "propagate": PropagateParameters,
    "unet": UnetParameters,
    "hybrid": HybridParameters,
    "assemble": AssembleParameters,
    "quality": QualityParameters,
}


def _stage_name(kind: type[Stage]) -> str:
    return next(name for name, stage in _STAGES.items() if stage is kind)


def _unknown(kind: str, name: str, known: list[str]) -> ParameterError:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
    return ParameterError(f"unknown {kind} {name!r}; {hint}")


def _toml(value: float | str) -> str:
    """As TOML, which writes numbers and texts as JSON does, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


@dataclass(frozen=True)
class Parameters:
    """All knobs of a run, one attribute a stage.

    Examples
    --------
    >>> Parameters.from_dict({"detect": {"spacing": 500.0}}).detect.spacing
    500.0
    """

    working: WorkingParameters = field(default_factory=WorkingParameters)
    background: BackgroundParameters = field(default_factory=BackgroundParameters)
    detect: DetectParameters = field(default_factory=DetectParameters)
    link: LinkParameters = field(default_factory=LinkParameters)
    region: RegionParameters = field(default_factory=RegionParameters)
    volumetric: VolumetricParameters = field(default_factory=VolumetricParameters)
    propagate: PropagateParameters = field(default_factory=PropagateParameters)
    unet: UnetParameters = field(default_factory=UnetParameters)
    hybrid: HybridParameters = field(default_factory=HybridParameters)
    assemble: AssembleParameters = field(default_factory=AssembleParameters)
    quality: QualityParameters = field(default_factory=QualityParameters)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Parameters from nested dictionaries; what is not named keeps its default.

        Raises
        ------
        ParameterError
            For an unknown stage or parameter, a wrong type or a value out of range.
        """
        if not isinstance(values, Mapping):
            raise ParameterError(
                "parameters are a mapping of groups, as {'detect': {'spacing': 500}}, not "
                f"{type(values).__name__}"
            )
        stages: dict[str, Any] = {}
        for stage, knobs in values.items():
            if stage not in _STAGES:
                raise _unknown("parameter group", str(stage), list(_STAGES))
            if not isinstance(knobs, dict):
                raise ParameterError(f"parameter group {stage!r} must be a table, not {knobs!r}")
            known = [item.name for item in dataclasses.fields(_STAGES[stage])]  # type: ignore[arg-type]
            for name in knobs:
                if name not in known:
                    raise _unknown(f"parameter in [{stage}]:", str(name), known)
            stages[stage] = _STAGES[stage](**knobs)
        return cls(**stages)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Parameters from a TOML file as :meth:`to_toml` writes it, whole or in part.

        Raises
        ------
        MissingInputError
            When there is no such file.
        ParameterError
            When it is not TOML, or as in :meth:`from_dict`.
        """
        from hela_dask.documents.reading import read_toml

        try:
            return cls.from_dict(read_toml(path))
        except InputError as error:
            raise ParameterError(str(error)) from error
        except ParameterError as error:
            raise ParameterError(f"{path}: {error}") from error

    def to_dict(self) -> dict[str, dict[str, float | str]]:
        """Nested dictionaries, as :meth:`from_dict` takes them."""
        return dataclasses.asdict(self)

    def to_toml(self) -> str:
        """A TOML text with every parameter, its unit and its meaning as comments."""
        lines: list[str] = []
        for name, kind in _STAGES.items():
            lines += [f"# {(kind.__doc__ or '').splitlines()[0]}", f"[{name}]"]
            stage = getattr(self, name)
            lines += [
                f"{item.name} = {_toml(getattr(stage, item.name))}  # {item.metadata['doc']}"
                for item in dataclasses.fields(stage)
            ]
            lines.append("")
        return "\n".join(lines)
