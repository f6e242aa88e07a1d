"""The pages of the Python interface: the groups of public names, rendered from docstrings."""

from __future__ import annotations

from dataclasses import dataclass

import hela_dask as hd

__all__ = ["GROUPS", "Group", "api_pages", "ungrouped"]


@dataclass(frozen=True)
class Group:
    """A page of the interface.

    Attributes
    ----------
    title : str
        Its heading.
    text : str
        A sentence below it.
    names : tuple of str
        The public names, in order.
    """

    title: str
    text: str
    names: tuple[str, ...]


GROUPS = {
    "volumes": Group(
        "Volumes",
        "Open, convert and filter volumes. Filters are lazy: nothing is read before `.compute()`.",
        (
            *("open_volume", "convert", "describe", "gaussian", "background", "distance"),
            *("classify", "grey_levels", "GreyLevels", "make_phantom"),
        ),
    ),
    "steps": Group(
        "Single steps",
        "The steps of a run on volumes in memory or lazy ones, for notebooks.",
        (
            *("detect_cells", "link_cells", "cell_regions", "Region", "segment_cell"),
            *("plot_masks", "save_regions", "measure_cells"),
        ),
    ),
    "runs": Group(
        "Runs",
        "All stages for all cells of a store: the plan, the run, its progress and its result.",
        (
            *("plan", "Plan", "run", "RunResult", "detect", "open_run", "status", "Status"),
            *("check_cluster", "ClusterCheck", "write_report", "verify", "Verification"),
            *("Finding", "explain", "Explanation"),
        ),
    ),
    "results": Group(
        "After a run",
        "Measures, comparisons, pictures, and files for other programs.",
        (
            *("assign", "Assignment", "measure", "Measurement", "compare", "Comparison"),
            *("evaluate", "view", "review", "neuroglancer", "NeuroglancerView"),
            *("neuroglancer_state", "export", "Export", "meshes", "scene", "figure"),
        ),
    ),
    "networks": Group(
        "Networks",
        "Train a network on labelled slices, and predict classes.",
        ("train", "predict"),
    ),
    "methods": Group(
        "Methods",
        "The protocol of a segmentation method, and what it gets and returns.",
        (
            *("METHODS", "Method", "BaseMethod", "Window", "Masks", "ParameterGroup"),
            *("parameter", "Trace", "NO_TRACE"),
        ),
    ),
    "parameters": Group(
        "Parameters",
        "One frozen dataclass per group. [All parameters](../parameters.md) lists them.",
        (
            *("Parameters", "WorkingParameters", "BackgroundParameters", "DetectParameters"),
            *("LinkParameters", "RegionParameters", "AssembleParameters", "QualityParameters"),
            *("MeasureParameters", "VolumetricParameters", "PropagateParameters"),
            *("UnetParameters", "HybridParameters"),
        ),
    ),
    "machine": Group(
        "This machine and public data",
        "A check of the machine, and public data sets.",
        ("doctor", "Checkup", "samples", "sample", "Sample"),
    ),
    "errors": Group(
        "Errors",
        "Each error of the input is also the built-in error that it refines. "
        "[Messages](../messages.md) explains the most frequent ones.",
        (
            *("HelaDaskError", "InputError", "MissingInputError", "ExistsError"),
            *("ParameterError", "NothingToDoError", "ResourceError", "StorageError"),
            "MissingDependencyError",
        ),
    ),
}
"""Pages by the name of their file. A public name without a page is on the last one, *More*."""


def ungrouped() -> list[str]:
    """Public names that no group has."""
    known = {name for group in GROUPS.values() for name in group.names}
    return sorted(set(hd.__all__) - known - {"__version__"})


def api_pages() -> dict[str, str]:
    """Markdown by the path of the page; mkdocstrings renders the docstrings."""
    groups = dict(GROUPS)
    if more := ungrouped():
        groups["more"] = Group("More", "Other public names.", tuple(more))
    return {f"api/{name}.md": _page(group) for name, group in groups.items()}


def _page(group: Group) -> str:
    parts = [f"# {group.title}", group.text]
    parts += [f"::: hela_dask.{name}" for name in group.names]
    return "\n\n".join(parts) + "\n"
