"""export: the results of a run in the formats of other programs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hela_dask.errors import ExistsError, NothingToDoError, ParameterError
from hela_dask.exporting.feature_table import write_feature_table
from hela_dask.exporting.masks import IMAGE, LABELS, RunMasks
from hela_dask.exporting.mobie import mobie_files, write_mobie
from hela_dask.exporting.ro_crate import write_ro_crate
from hela_dask.exporting.roi_tiffs import check_roi_folder, write_rois
from hela_dask.exporting.tiff import stack_name, write_stack
from hela_dask.formatting import counted
from hela_dask.pages import Card, Frame, Shown, make_card
from hela_dask.running.identity import check_outside_runs
from hela_dask.running.made import LABELS as LABEL_CONTENT
from hela_dask.running.made import MADE, RUN, TABLE, MadeFrom
from hela_dask.running.opening import open_run
from hela_dask.running.result import RunResult
from hela_dask.running.tables import check_segmented, segmented_cells, select_cells
from hela_dask.storage.contents import check_listed, foreign_names, remove_files
from hela_dask.storage.files import write_json
from hela_dask.storage.metadata import local_path
from hela_dask.storage.places import check_apart, enclosing_store

__all__ = ["FORMATS", "Export", "export"]

FORMATS = ("tiff", "roi-tiffs", "mobie", "ngio", "ro-crate")
"""The formats, by their names in the command."""

_WITH_FOLDER = ("tiff", "roi-tiffs", "mobie")
_OF_LABELS = ("tiff", "roi-tiffs")  # formats of some labels, or of some cells
_DEFAULT = {"tiff": LABELS[:3], "roi-tiffs": (IMAGE, "cells", "nuclei")}
_PARTS = {
    "tiff": (LABEL_CONTENT,),
    "roi-tiffs": (LABEL_CONTENT,),
    "mobie": (LABEL_CONTENT, TABLE),
    "ngio": (LABEL_CONTENT, TABLE),
    "ro-crate": (LABEL_CONTENT, TABLE, "contacts.parquet", "edits.json", "review.csv"),
}  # of the result, that a format depends on
_LISTING = "export.json"
_SHOWN = 10  # files
_OURS = re.compile(
    r"(?!\.\.?/)[^/]+\.tif|project\.json|[\w.-]+/(dataset\.json|tables/\w+/\w+\.tsv)"
)


@dataclass(frozen=True)
class Export(Shown):
    """What :func:`export` wrote.

    Attributes
    ----------
    to : str
        The format.
    path : Path
        The folder: that of the files, the image that has the table, or the run folder.
    files : tuple of Path
        The files; for ``roi-tiffs`` the folder of each window.

    Examples
    --------
    >>> import hela_dask as hd
    >>> found = hd.export("hela.run", "for-fiji", what=["cells", "nuclei"])
    >>> [path.name for path in found.files]
    ['cells.tif', 'nuclei.tif']
    """

    to: str
    path: Path
    files: tuple[Path, ...]

    def _card(self) -> Card:
        rows = tuple((path.name,) for path in self.files[:_SHOWN])
        files = Frame(("file",), rows, max(0, len(self.files) - _SHOWN))
        return make_card(f"Export: {self.to}", {"folder": self.path}, tables=(("", files),))

    def __str__(self) -> str:
        what = "folder" if self.to == "roi-tiffs" else "file"
        lines = [f"{self.to}: {counted(len(self.files), what)} in {self.path}"]
        if len(self.files) <= _SHOWN:
            lines += [f"  {path}" for path in self.files]
        return "\n".join(lines)


def export(
    run: str | Path | RunResult,
    out: str | Path | None = None,
    *,
    to: str = "tiff",
    what: Sequence[str] | None = None,
    cells: Sequence[int] | None = None,
) -> Export:
    """Write results of a finished run in the format of another program.

    Labels have the voxels of the image. One slice is in memory at a time, or a slab of one window.

    Parameters
    ----------
    run : path or RunResult
        A finished run.
    out : path, optional
        Folder of the files, for ``tiff``, ``roi-tiffs`` and ``mobie``: new or empty, or of an
        earlier export, which is replaced. The other formats have a fixed place.
    to : {"tiff", "roi-tiffs", "mobie", "ngio", "ro-crate"}
        ``tiff``: a stack per kind of labels, ``cells.tif``, with its scale, for Fiji; over 4 GiB
        or 65,535 cells ``cells.ome.tif``. ``roi-tiffs``: folders of TIFF slices per cell, of image
        and masks. ``mobie``: a project that links image and labels, with a table. ``ngio``: the
        table of cells inside the image of the labels, as a feature table. ``ro-crate``:
        ``ro-crate-metadata.json`` in the run folder.
    what : sequence of str, optional
        For ``tiff`` and ``roi-tiffs``: of ``image``, ``cells``, ``nuclei``, ``envelope``,
        ``cytoplasm`` (the cell without nucleus and envelope) and, for ``tiff``, ``background``.
        Default: cells, nuclei and envelope; for ``roi-tiffs`` image, cells and nuclei.
    cells : sequence of int, optional
        For the same formats: only these cells.

    Returns
    -------
    Export

    Raises
    ------
    ParameterError
        For an unknown format or kind of labels, an option that the format does not have, a missing
        `out`, or one inside a Zarr or the run folder.
    MissingInputError
        When there is no finished run, or its labels are gone.
    InputError
        When a file is damaged, or there is no such cell.
    NothingToDoError
        When no cell has labels.
    ExistsError
        When `out` holds something else, or the image a table of another program.

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.export("hela.run", "for-fiji", what=["cytoplasm"])
    tiff: 1 file in for-fiji
      for-fiji/cytoplasm.tif
    """
    names = _check_options(out, to, what, cells)
    result = run if isinstance(run, RunResult) else open_run(run)
    if segmented_cells(result.cells).empty:
        raise NothingToDoError(f"no cell of {result.path} has labels, so nothing is exported")
    chosen = None if cells is None else select_cells(result.cells, list(cells), None)
    if chosen is not None:
        check_segmented(result.cells, chosen)
    folder = _check_folder(result, out, to, names) if to in _WITH_FOLDER else None
    made = MadeFrom.of(result.path, *_PARTS[to])
    found = _write(result, folder, to, names, chosen)
    words = ["export", RUN, "--to", to]
    words += [] if folder is None else ["--out", MADE]
    words += ["--what", ",".join(names)] if names else []
    words += [] if chosen is None else ["--cells", ",".join(map(str, sorted(chosen)))]
    made.note(found.files[-1] if folder is None else folder, words, _LISTING if folder else "")
    return found


def _write(
    result: RunResult,
    folder: Path | None,
    to: str,
    names: Sequence[str],
    chosen: set[int] | None,
) -> Export:
    """Write the files; `folder` is None for the formats with a fixed place."""
    if folder is None:
        files = write_feature_table(result) if to == "ngio" else [write_ro_crate(result)]
        return Export(to, files[-1].parent.parent if to == "ngio" else result.path, tuple(files))
    if to == "roi-tiffs":
        return Export(to, folder, tuple(write_rois(result, folder, names, chosen)))
    return Export(to, folder, tuple(_write_files(result, folder, to, names, chosen)))


def _check_options(
    out: str | Path | None, to: str, what: Sequence[str] | None, cells: Sequence[int] | None
) -> tuple[str, ...]:
    """The kinds of labels that are exported."""
    if to not in FORMATS:
        raise ParameterError(f"--to {to!r} is no format: choose one of {', '.join(FORMATS)}")
    if to in _WITH_FOLDER and out is None:
        raise ParameterError(f"--to {to} needs a folder for its files: name one with --out DIR")
    if to not in _WITH_FOLDER and out is not None:
        where = "into the image of the labels" if to == "ngio" else "into the run folder"
        raise ParameterError(f"--to {to} writes {where}: leave --out away")
    for option, value in (("--what", what), ("--cells", cells)):
        if value is not None and to not in _OF_LABELS:
            raise ParameterError(
                f"--to {to} has all cells and labels: {option} is for {' and '.join(_OF_LABELS)}"
            )
    if to not in _OF_LABELS:
        return ()
    known = (IMAGE, *(LABELS[:4] if to == "roi-tiffs" else LABELS))
    names = tuple(dict.fromkeys(_DEFAULT[to] if what is None else what))
    if unknown := [name for name in names if name not in known]:
        raise ParameterError(
            f"--what {unknown[0]!r} cannot be exported to {to}: choose of {', '.join(known)}"
        )
    if not names or (cells is not None and not len(cells)):
        raise ParameterError(f"{'--cells' if names else '--what'} names nothing to export")
    return names


def _check_folder(result: RunResult, out: str | Path | None, to: str, names: Sequence[str]) -> Path:
    """The folder of the files, once it is known that nothing else is in it."""
    folder = local_path(out if out is not None else "")
    if (store := enclosing_store(folder)) is not None:
        raise ParameterError(f"--out {folder} lies inside the Zarr {store}: choose another")
    check_apart(result.store, {"--out": folder})
    check_outside_runs(folder)
    if to == "roi-tiffs":
        every = (IMAGE, *LABELS)
        if folder.exists() and (not folder.is_dir() or (others := foreign_names(folder, every))):
            what = (
                f"holds {others[0]}, which export did not write" if folder.is_dir() else "is a file"
            )
            raise ExistsError(f"{folder} {what}: choose another --out")
        check_roi_folder(folder, every)
    else:
        check_listed(folder, _LISTING, _OURS, "export")
    return folder


def _write_files(
    result: RunResult, folder: Path, to: str, names: Sequence[str], chosen: set[int] | None
) -> list[Path]:
    """Replace the files of an earlier export in the folder."""
    masks = RunMasks(result, chosen)
    stacks = {name: stack_name(masks, name) for name in names}
    files = [*stacks.values()] if to == "tiff" else mobie_files(result)
    remove_files(folder, [*check_listed(folder, _LISTING, _OURS, "export"), _LISTING])
    write_json(folder / _LISTING, {"files": files, "to": to, "run": str(result.path.absolute())})
    if to == "mobie":
        write_mobie(result, folder)
    for name, file in stacks.items():
        write_stack(masks, name, folder / file)
    return [folder / name for name in files]
