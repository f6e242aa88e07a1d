"""The methods of runs in sentences for a paper, from their facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hela_dask.formatting import by_axis, counted, listed, were
from hela_dask.parameters import Parameters
from hela_dask.running.reading import RunFolder
from hela_dask.statuses import CUT_BY_VOLUME, SEGMENTED
from hela_dask.storage.files import plain

__all__ = ["run_text", "segmentation_text", "surfaces_text"]

_Facts = Mapping[str, Any]  # ``run.json``

_SOURCE = (
    " The software follows the method of Karabağ, Jones and Reyes-Aldasoro (Journal of Imaging "
    "7:93, 2021, doi:10.3390/jimaging7060093)."
)


def run_text(folder: RunFolder) -> list[str]:
    """Paragraphs on the segmentation, the cells and their measures; empty for an unfinished run."""
    if folder.facts.get("state") != "finished" or folder.cells.empty:
        return []
    counts = folder.cells["status"].value_counts()
    whole, cut = int(counts.get(SEGMENTED, 0)), int(counts.get(CUT_BY_VOLUME, 0))
    extent = (folder.facts.get("image") or {}).get("extent")
    size = (
        f" of {by_axis([round(side / 1000, 1) for side in extent])} µm (z, y, x)" if extent else ""
    )
    cells = (
        f"{counted(whole + cut, 'cell')} {were(whole + cut)} outlined in a "
        f"volume{size}: {whole} completely in it, and {cut} cut by its sides, to be left out of "
        "statistics."
    )
    if "cell_area" in folder.cells:
        cells += surfaces_text([folder.facts])
    return [segmentation_text([folder.facts]) + _SOURCE, cells]


def segmentation_text(runs: Sequence[_Facts]) -> str:
    """Software, methods, voxel sizes, changed parameters and edits of runs."""
    versions = _each((run.get("versions") or {}).get("hela_dask", "unknown") for run in runs)
    methods = _named("method", (run.get("method", "unknown") for run in runs))
    volumes = "a volume" if len(runs) == 1 else "volumes"
    text = (
        f"Cells and nuclei were segmented with hela_dask {versions}, {methods}, in "
        f"{volumes} with voxels of {_each(_voxel(run) for run in runs)} nm (z, y, x)."
    )
    networks = [str(run["network"])[:12] for run in runs if run.get("network")]
    if networks:
        several = "s" * (len(set(networks)) > 1)
        text += f" The segmentation used the {_named('network', networks)} (fingerprint{several})."
    changed = list(dict.fromkeys(item for run in runs for item in _changed(run)))
    if changed:
        text += f" Parameters other than the defaults: {'; '.join(changed)}."
    else:
        text += " All parameters had their defaults."
    edited = sum(bool(run.get("edits")) for run in runs)
    if edited:
        where = "" if len(runs) == 1 else f" in {counted(edited, 'volume')}"
        text += f" Labels were corrected by people{where}."
    return text


def surfaces_text(runs: Sequence[_Facts]) -> str:
    """How areas and shapes were measured; empty where no run states it."""
    measured = [_parameters(run).get("measure") or {} for run in runs]
    sigmas = _each(f"{item['smoothing']:g}" for item in measured if "smoothing" in item)
    if not sigmas:
        return ""
    return (
        " Surfaces were measured by marching cubes after Gaussian smoothing with a sigma of "
        f"{sigmas} nm, at the level that encloses the volume of the object."
    )


def _changed(run: _Facts) -> list[str]:
    """Parameters of a run that differ from the defaults of this version, of groups it has."""
    defaults = plain(Parameters().to_dict())
    return [
        f"[{group}] {name} = {value}"
        for group, values in _parameters(run).items()
        for name, value in values.items()
        if name != "model" and defaults.get(group, {}).get(name, value) != value
    ]


def _parameters(run: _Facts) -> Mapping[str, Mapping[str, Any]]:
    return run.get("parameters") or {}


def _voxel(run: _Facts) -> str:
    size = (run.get("image") or {}).get("voxel_size")
    return by_axis(size) if size else "unknown size"


def _each(values: Iterable[Any]) -> str:
    """The different values, joined."""
    return listed(list(dict.fromkeys(map(str, values))))


def _named(noun: str, values: Iterable[Any]) -> str:
    """The different values after their noun: method a, methods a and b."""
    different = list(dict.fromkeys(map(str, values)))
    return f"{noun}{'s' * (len(different) > 1)} {listed(different)}"
