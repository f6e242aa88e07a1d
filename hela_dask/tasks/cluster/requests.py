"""The memory of one job, as each queueing system is asked for it."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hela_dask.errors import InputError
from hela_dask.formatting import size_text

__all__ = ["check_request", "fill_spec", "request_memory", "requested_memory", "requests_memory"]

_MIB = 2**20
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}
_MEMORY_NAMES = r"mem|vmem|pmem|pvmem|h_vmem|s_vmem|h_rss|mem_free|m_mem_free|virtual_free"
_SPEC_MEMORY = re.compile(
    rf"\b(?P<name>{_MEMORY_NAMES})=(?:(?P<given>\d+(?:\.\d+)?)(?P<unit>[kmgtp]?)[bw]?\b|{{memory}})",
    re.IGNORECASE,
)
_PER_CORE = ("pmem", "pvmem")  # of PBS, per process
_WITHOUT = "not_applicable"  # dask-jobqueue's word where OAR has no property for memory


def fill_spec(spec: str, system: str, size: int, cores: int) -> str:
    """A ``resource_spec`` with ``{memory}`` and ``{cores}`` replaced.

    Parameters
    ----------
    spec : str
        As in the file of a cluster.
    system : str
        Name of the queueing system: Grid Engine counts memory per slot, so ``{memory}`` is there a
        core's share.
    size, cores : int
        Of one job; `size` in bytes.
    """
    share = size / cores if system == "sge" else size
    unit = "M" if system == "sge" else "mb"
    found = spec.replace("{memory}", f"{math.ceil(share / _MIB)}{unit}")
    return found.replace("{cores}", str(cores))


def requested_memory(spec: str, system: str, cores: int) -> int | None:
    """Bytes of memory that a ``resource_spec`` requests for one job; None where it names none."""
    amounts = []
    for found in _SPEC_MEMORY.finditer(spec):
        if found["given"] is None:
            continue
        each = system == "sge" or found["name"].lower() in _PER_CORE
        amount = float(found["given"]) * 1024 ** _POWERS[found["unit"].lower()]
        amounts.append(int(amount * (cores if each else 1)))
    return min(amounts, default=None)


def check_request(options: Mapping[str, Any], system: str, place: str, *, changed: bool) -> None:
    """Refuse a ``resource_spec`` that requests less memory than the workers of a job use.

    `options` have ``memory`` in bytes and ``cores``; `changed`: the memory is from ``--memory``.
    InputError names the numbers. Grid Engine needs a parallel environment for several cores.
    """
    spec, size, cores = options.get("resource_spec", ""), options["memory"], options["cores"]
    found = requested_memory(spec, system, cores)
    if found is not None and found < size:
        asked = "--memory" if changed else "options.memory"
        raise InputError(
            f"{place}: options.resource_spec requests {size_text(found)} per job, and {asked} is "
            f"{size_text(size)}: jobs would be ended for using it; write {{memory}} in "
            "options.resource_spec in place of the amount"
        )
    directives = options.get("job_extra_directives", ())
    if system == "sge" and cores > 1 and not any(item.startswith("-pe ") for item in directives):
        raise InputError(
            f"{place}: options.cores is {cores}, and Grid Engine gives a job one slot: add the "
            f'parallel environment of the cluster, as in job_extra_directives: ["-pe smp {cores}"]'
        )


def requests_memory(options: Mapping[str, Any], system: str) -> bool:
    """Whether the queueing system is asked for the memory of a job at all."""
    if system in ("pbs", "moab", "sge"):
        spec = options.get("resource_spec", "")
        return bool(_SPEC_MEMORY.search(spec)) or (system != "sge" and not spec)
    if system == "oar":
        return _oar_property(options) != _WITHOUT
    return True


def request_memory(options: dict[str, Any], system: str, size: int) -> None:
    """Write the request for `size` bytes per job into options of dask-jobqueue, in place."""
    if request := _REQUESTS.get(system):
        request(options, size)


def _slurm(options: dict[str, Any], size: int) -> None:
    mebibytes = math.ceil(size / _MIB)
    options["job_mem"] = f"{mebibytes // 1024}G" if mebibytes % 1024 == 0 else f"{mebibytes}M"


def _pbs(options: dict[str, Any], size: int) -> None:
    spec = options.get("resource_spec", "select=1:ncpus={cores}:mem={memory}")
    options["resource_spec"] = fill_spec(spec, "pbs", size, options["cores"])


def _moab(options: dict[str, Any], size: int) -> None:
    spec = options.get("resource_spec", "nodes=1:ppn={cores},mem={memory}")
    options["resource_spec"] = fill_spec(spec, "moab", size, options["cores"])


def _sge(options: dict[str, Any], size: int) -> None:
    if spec := options.get("resource_spec"):
        options["resource_spec"] = fill_spec(spec, "sge", size, options["cores"])


def _lsf(options: dict[str, Any], size: int) -> None:
    # dask-jobqueue divides by powers of 1000, and LSF counts in powers of 1024.
    unit = options.setdefault("lsf_units", _lsf_units()).lower()[0]
    options["mem"] = math.ceil(size / 1024 ** _POWERS[unit]) * 1000 ** _POWERS[unit]


def _oar(options: dict[str, Any], size: int) -> None:
    """One directive ``-p``: OAR obeys the last one only."""
    name = _oar_property(options)
    options["memory_per_core_property_name"] = _WITHOUT
    directives = list(options.get("job_extra_directives", ()))
    if logs := options.get("log_directory"):
        directives += [f"-O {logs}/%jobname%-%jobid%.stdout", f"-E {logs}/%jobname%-%jobid%.stderr"]
    if name != _WITHOUT:
        conditions = [f"{name}>={math.ceil(size / options['cores'] / _MIB)}"]
        for item in [item for item in directives if item.startswith("-p ")]:
            directives.remove(item)
            conditions.insert(0, " ".join(shlex.split(item)[1:]))
        directives.append(f"-p {shlex.quote(' AND '.join(conditions))}")
    options["job_extra_directives"] = directives


def _oar_property(options: Mapping[str, Any]) -> str:
    import dask

    name = options.get("memory_per_core_property_name")
    return str(
        name or dask.config.get("jobqueue.oar.memory-per-core-property-name", None) or _WITHOUT
    )


def _htcondor(options: dict[str, Any], size: int) -> None:
    directives = {
        "RequestMemory": math.ceil(size / _MIB),
        **options.get("job_extra_directives", {}),
    }
    options["job_extra_directives"] = directives
    options["disk"] = f"{options['disk']}B"


def _lsf_units() -> str:
    """The unit of memory in ``bsub -M`` here: LSF_UNIT_FOR_LIMITS in ``lsf.conf``, or kb."""
    folder = Path(os.environ.get("LSF_ENVDIR") or os.environ.get("LSF_CONFDIR") or "/etc")
    try:
        text = (folder / "lsf.conf").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "kb"
    found = re.findall(r"(?im)^\s*LSF_UNIT_FOR_LIMITS\s*=\s*[\"']?([KMGTPE])B?", text)
    return f"{found[-1].lower()}b" if found else "kb"


_REQUESTS: dict[str, Callable[[dict[str, Any], int], None]] = {
    "slurm": _slurm,
    "pbs": _pbs,
    "moab": _moab,
    "sge": _sge,
    "lsf": _lsf,
    "oar": _oar,
    "htcondor": _htcondor,
}
