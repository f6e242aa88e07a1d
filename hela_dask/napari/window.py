"""review: a run in napari with the widget for its review."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hela_dask.running.opening import open_run
from hela_dask.running.result import RunResult
from hela_dask.viewing.napari_viewer import needed_napari, view

__all__ = ["review"]


def review(run: str | Path | RunResult, *, show: bool = True) -> Any:
    """Open a run in napari with the widget *Review cells*.

    The widget lists the cells, the least trustworthy first; accepts and rejects them; and corrects
    them. Decisions are saved in ``review.csv`` and edits in ``edits.json`` in the run folder, at
    once; ``hela_dask.run(edits=...)`` applies the edits.

    Parameters
    ----------
    run : path or RunResult
        A finished run.
    show : bool
        Show the window.

    Returns
    -------
    napari.Viewer
        As :func:`hela_dask.view` returns it. In a script, ``napari.run()`` keeps the window open.

    Raises
    ------
    MissingDependencyError
        Without napari.
    MissingInputError, InputError
        As :func:`hela_dask.open_run`.

    Examples
    --------
    >>> import hela_dask as hd
    >>> viewer = hd.review("hela.run")  # doctest: +SKIP
    """
    result = run if isinstance(run, RunResult) else open_run(run)
    needed_napari("review")
    from hela_dask.napari.widget import ReviewWidget

    viewer = view(result, show=show)
    viewer.window.add_dock_widget(
        ReviewWidget(viewer, result), name="Review cells", area="right", add_vertical_stretch=False
    )
    return viewer
