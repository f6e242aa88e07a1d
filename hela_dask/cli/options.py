"""Arguments and options that several commands share, and how their texts are read."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hela_dask.errors import ParameterError
from hela_dask.methods.names import DEFAULT_METHOD, methods_text

if TYPE_CHECKING:
    from hela_dask.types import Bounds

__all__ = [
    "AsJson",
    "ClusterName",
    "Memory",
    "OutFolder",
    "Overwrite",
    "ParameterFile",
    "Quiet",
    "RunArguments",
    "Store",
    "Verbose",
    "Workers",
    "local_path",
    "parse_box",
    "parse_cells",
    "path_argument",
    "path_option",
    "with_run_arguments",
]


def local_path(text: str | Path) -> Path:
    """A path on this machine; a URL and a text that names no file are refused."""
    if not str(text).strip():
        raise typer.BadParameter("the path is empty: name a file or folder ('.' is this folder)")
    if "\0" in str(text):
        raise typer.BadParameter(f"{str(text)!r} is no path: it holds a NUL character")
    if "://" in str(text):
        raise typer.BadParameter(
            f"{text} is a URL, and only local files and folders are read or written: copy it here"
        )
    return Path(text)


def path_option(metavar: str, text: str, *names: str) -> Any:
    """An option that takes a path on this machine."""
    return typer.Option(*names, metavar=metavar, help=text, parser=local_path)


def path_argument(metavar: str, text: str) -> Any:
    """An argument that is a path on this machine."""
    return typer.Argument(metavar=metavar, help=text, parser=local_path)


Store = Annotated[
    Path,
    path_argument("STORE", "The volume: an OME-Zarr, as convert writes it."),
]
ParameterFile = Annotated[
    Path | None,
    path_option(
        "FILE.toml",
        "Parameters in TOML, as hela-dask params prints them; missing ones have their defaults.",
        "--params",
    ),
]
ClusterName = Annotated[
    str,
    typer.Option(
        "--cluster",
        metavar="local|runner|ADDRESS|FILE.yaml",
        help="Where to compute: this machine, all processes that srun or mpirun has started, the "
        "address of a dask scheduler, or a YAML file for a queueing system, Kubernetes or a "
        "gateway (deploy/ has one for each).",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        help="Number of worker processes, 1 or more; default: one per core, or as in the YAML "
        "file.",
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="4GiB",
        help="Memory of each worker; default: an equal share of the machine's. With a YAML "
        "file: memory of each job or pod; default: as in the file.",
    ),
]
OutFolder = Annotated[
    Path | None,
    path_option(
        "RUN", "Run folder, for the results; default: the name of the store with .run.", "--out"
    ),
]
MethodName = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"Segmentation method: {methods_text()}.",
    ),
]
ModelFolder = Annotated[
    Path | None,
    path_option(
        "MODEL",
        "Folder of a network, or an .onnx file with its card, for methods that use one; default: "
        "the network of hela_dask.",
    ),
]
CellLabels = Annotated[
    str | None, typer.Option(metavar="3,8", help="Segment only the cells with these labels.")
]
BoxText = Annotated[
    str | None,
    typer.Option(
        metavar="Z0:Z1,Y0:Y1,X0:X1", help="Segment only cells with their centre in this box, nm."
    ),
]
Centres = Annotated[
    Path | None,
    path_option(
        "FILE.csv", "Use the centres in this table (z, y, x in nm) instead of detecting cells."
    ),
]
Corrections = Annotated[
    Path | None,
    path_option(
        "FILE.csv", "Move, add or remove the cells in this table; all others do not change."
    ),
]
EditsFile = Annotated[
    Path | None,
    path_option(
        "FILE.json",
        "Apply these edits of cells (merged, split, painted, …) and keep them for later runs; "
        "default: edits.json in the run folder, if it is there.",
    ),
]
LabelStore = Annotated[
    Path | None,
    path_option("PATH", "Write the labels to this OME-Zarr instead of into STORE."),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace an earlier, different result of hela-dask."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show more messages.")]


@dataclasses.dataclass(frozen=True)
class RunArguments:
    """Options that the commands ``run`` and ``plan`` share."""

    store: Store
    out: OutFolder = None
    method: MethodName = DEFAULT_METHOD
    model: ModelFolder = None
    parameters: ParameterFile = None
    cells: CellLabels = None
    box: BoxText = None
    centres: Centres = None
    corrections: Corrections = None
    edits: EditsFile = None
    labels: LabelStore = None
    cluster: ClusterName = "local"
    workers: Workers = None
    memory: Memory = None
    overwrite: Overwrite = False

    def given(self) -> dict[str, Any]:
        """As :func:`hela_dask.run` and :func:`hela_dask.plan` take them."""
        found = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {**found, "cells": parse_cells(self.cells), "box": parse_box(self.box)}


def with_run_arguments(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command with an option per field of :class:`RunArguments`, its first parameter."""
    shared = inspect.signature(RunArguments, eval_str=True).parameters
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

    @functools.wraps(command)
    def joined(**values: Any) -> Any:
        arguments = RunArguments(**{name: values.pop(name) for name in shared})
        return command(arguments, **values)

    named = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in shared.values()]
    joined.__signature__ = inspect.Signature([*named, *own])  # type: ignore[attr-defined]
    joined.__annotations__ = {item.name: item.annotation for item in (*named, *own)}
    return joined


def parse_cells(text: str | None) -> list[int] | None:
    """The labels in a text such as ``3,8``.

    Raises
    ------
    ParameterError
        For anything but whole numbers from 1, separated by commas.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) < 10 and int(part) > 0 for part in parts):
        raise ParameterError(f"--cells {text!r} must be cell labels separated by commas, as in 3,8")
    return [int(part) for part in parts]


def parse_box(text: str | None) -> Bounds | None:
    """The box in a text such as ``0:5000,1000:9000,1000:9000``, in nm, in z, y and x.

    Raises
    ------
    ParameterError
        For anything but three rising ranges.
    """
    if text is None:
        return None
    try:
        ranges = [tuple(float(end) for end in part.split(":")) for part in text.split(",")]
        (z0, z1), (y0, y1), (x0, x1) = ranges
    except ValueError:
        z0 = z1 = y0 = y1 = x0 = x1 = 0.0
    if not (z0 < z1 and y0 < y1 and x0 < x1) or "_" in text:
        raise ParameterError(
            f"--box {text!r} must be three rising ranges in nm, Z0:Z1,Y0:Y1,X0:X1, "
            "as in 0:5000,1000:9000,1000:9000"
        )
    return (z0, z1), (y0, y1), (x0, x1)
