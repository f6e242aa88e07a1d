"""Wall times as queueing systems write them, and lifetimes of workers that end before them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dask.utils import parse_timedelta

from hela_dask.documents.shapes import shown
from hela_dask.errors import InputError
from hela_dask.tasks.cluster.systems import SYSTEMS

__all__ = ["FORMS", "lifetime_arguments", "seconds_of_walltime"]

_LONGEST_TIME = 20  # characters
_DAYS = r"(?P<d>\d+)-(?P<h>\d+)(:(?P<m>\d+)(:(?P<s>\d+))?)?"
_MINUTES = r"(?P<m>\d+)(:(?P<s>\d+))?"
_HOURS = r"(?P<h>\d+):(?P<m>\d+):(?P<s>\d+)"
_SECONDS = r"((?P<m>\d+):)?(?P<s>\d+)"

FORMS: dict[str, tuple[tuple[str, ...], str]] = {
    "slurm": ((_MINUTES, _HOURS, _DAYS), '"04:00:00" or "1-12:00:00"'),
    "pbs": ((_SECONDS, _HOURS), '"04:00:00"'),
    "moab": ((_SECONDS, _HOURS, r"(?P<d>\d+):(?P<h>\d+):(?P<m>\d+):(?P<s>\d+)"), '"04:00:00"'),
    "lsf": ((r"((?P<h>\d+):)?(?P<m>\d+)",), '"04:00" (hours and minutes)'),
    "sge": ((r"(?P<s>\d+)", _HOURS), '"04:00:00"'),
    "oar": ((r"(?P<h>\d+)(:(?P<m>\d+)(:(?P<s>\d+))?)?",), '"04:00:00"'),
}
"""Regular expressions and examples by the name of the system; HTCondor has no wall time."""


def seconds_of_walltime(text: str, system: str = "slurm") -> int | None:
    """Seconds of a time as a queueing system writes it; None where it is none.

    Examples
    --------
    >>> seconds_of_walltime("04:00:00"), seconds_of_walltime("1-12"), seconds_of_walltime("90")
    (14400, 129600, 5400)
    >>> seconds_of_walltime("90", "pbs"), seconds_of_walltime("04:00", "lsf")
    (90, 14400)
    """
    if len(text) > _LONGEST_TIME:
        return None
    for form in FORMS[system][0]:
        if found := re.fullmatch(form, text.strip(), re.ASCII):
            parts = {name: int(value or 0) for name, value in found.groupdict().items()}
            units = {"d": 86400, "h": 3600, "m": 60, "s": 1}
            return sum(units[name] * value for name, value in parts.items())
    return None


def lifetime_arguments(options: Mapping[str, Any], system: str, place: str) -> list[str]:
    """Arguments of the workers of a job; with a lifetime that ends before the job does.

    A worker that leaves in order hands over its work; a worker of a killed job does not.

    Parameters
    ----------
    options : mapping
        ``worker_extra_args`` and ``walltime``, where they are given.
    system : str
        Name of the queueing system.
    place : str
        The file, for errors.

    Raises
    ------
    InputError
        For a time that is none, and a lifetime that is longer than the wall time.
    """
    given = [str(item) for item in options.get("worker_extra_args", ())]
    wall = _wall(str(options.get("walltime", "")), system, place)
    life = _duration(given, "--lifetime", place)
    stagger = _duration(given, "--lifetime-stagger", place)
    if life is None:
        if wall is None:
            return given
        margin = min(max(wall * 0.05, 60), wall * 0.2)
        lifetime = ["--lifetime", f"{wall - 2 * margin:.0f}s"]
        return [*given, *lifetime, "--lifetime-stagger", f"{margin:.0f}s"]
    if wall is not None and life + (stagger or 0) >= wall:
        raise InputError(
            f"{place}: --lifetime and --lifetime-stagger in options.worker_extra_args add up to "
            f"{life + (stagger or 0):.0f} s, and options.walltime is {wall} s: jobs would be ended "
            "in the middle of their work; make the lifetime shorter, or leave it out"
        )
    return given


def _wall(text: str, system: str, place: str) -> int | None:
    """Seconds of ``walltime``; None where there is none."""
    if not text:
        return None
    wall = seconds_of_walltime(text, system)
    if not wall:
        raise InputError(
            f"{place}: options.walltime must be a time of {SYSTEMS[system].title} such as "
            f"{FORMS[system][1]}, not {shown(text)}"
        )
    return wall


def _duration(arguments: list[str], name: str, place: str) -> float | None:
    """Seconds of an option among the arguments of a worker."""
    for at, item in enumerate(arguments):
        if item == name or item.startswith(f"{name}="):
            value = item.partition("=")[2] or (arguments[at + 1] if at + 1 < len(arguments) else "")
            try:
                seconds = float(parse_timedelta(value))
            except (ValueError, KeyError, TypeError, IndexError, OverflowError):
                seconds = 0.0
            if seconds <= 0:
                raise InputError(
                    f"{place}: {name} in options.worker_extra_args must be a time such as 225m, "
                    f"not {shown(value)}"
                )
            return seconds
    return None
