"""The report of a run: one HTML page with everything in it, to read, print and mail."""

from __future__ import annotations

from pathlib import Path

from hela_dask.report.page import render
from hela_dask.report.pictures import draw_pictures
from hela_dask.running.reading import read_folder
from hela_dask.storage.files import write_text
from hela_dask.tasks.markers import Markers

__all__ = ["write_report"]


def write_report(run_folder: str | Path) -> Path:
    """Write ``report.html`` of a run, and its pictures into ``figures/``.

    Parameters
    ----------
    run_folder : path
        Holds ``run.json`` and, depending on the progress of the run, ``cells.parquet``,
        ``detections.parquet`` and ``scores.json``. Missing parts are left out of the page. The
        image and labels are read at the level that suits a picture, never whole.

    Returns
    -------
    pathlib.Path
        Of the page: one file without links to others; pictures, style and script are inside.

    Raises
    ------
    MissingInputError
        When there is no run folder or no ``run.json`` in it.
    InputError
        When ``run.json`` or a table is damaged, or the labels are those of another run.

    Examples
    --------
    >>> import hela_dask as hd
    >>> hd.write_report("hela.run").name
    'report.html'
    """
    folder = read_folder(run_folder)
    folder.check_labels()
    pictures, notes = draw_pictures(folder)
    path = folder.path / "report.html"
    write_text(path, render(folder, pictures, notes))
    done = Markers(folder.path / "done")  # the run has recorded the earlier files
    done.renew("report", "all", path, folder.path / "figures")
    return path
