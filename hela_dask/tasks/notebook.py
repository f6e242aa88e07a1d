"""The progress of a run in a Jupyter notebook: one table that is drawn again, and no other lines.

It needs no widgets: IPython replaces an output by its id, in every front end.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from hela_dask.formatting import time_text
from hela_dask.pages import render

__all__ = ["NotebookPage", "in_notebook", "progress_html"]

log = logging.getLogger(__name__)

_SHORTEST = 0.5  # seconds between two drawings
_LONGEST = 2.0
_SHOWN = 5  # messages and warnings, each the latest


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = sys.modules.get("IPython")
    found = shell.get_ipython() if shell is not None else None
    return getattr(found, "kernel", None) is not None


def progress_html(content: dict[str, Any]) -> str:
    """The table of stages, the messages and the dashboard as HTML.

    `content` is as :class:`~hela_dask.tasks.progress_format.ProgressDocument` has it, with
    ``messages``.
    """
    stages = [
        {
            **stage,
            "time": time_text(stage["seconds"]),
            "left": "" if stage["ended"] else time_text(stage["left_seconds"]),
        }
        for stage in content["stages"]
    ]
    return render(
        "progress.html",
        stages=stages,
        to_come=content["stages_to_come"],
        messages=content["messages"][-_SHOWN:],
        waiting=content["waiting_for"],
        warnings=content["warnings"][-_SHOWN:],
        dashboard=content["dashboard"],
    )


class NotebookPage:
    """Draws the content again, every few seconds and after :meth:`wake`, until :meth:`close`."""

    def __init__(self, content: Callable[[], dict[str, Any]]) -> None:
        self._content = content
        self._shown = ""
        self._wake, self._over = threading.Event(), threading.Event()
        self._handle: Any = None
        self._thread = threading.Thread(target=self._keep, name="notebook", daemon=True)

    def start(self) -> None:
        """Make the output of the running cell."""
        from IPython.display import HTML, display

        self._handle = display(HTML(progress_html(self._content())), display_id=True)
        self._thread.start()

    def wake(self) -> None:
        """Draw it soon."""
        self._wake.set()

    def close(self) -> None:
        """Draw it a last time."""
        self._over.set()
        self._wake.set()
        self._thread.join(_LONGEST)
        self._draw()

    def _keep(self) -> None:
        while not self._over.is_set():
            self._wake.wait(_LONGEST)
            self._wake.clear()
            self._draw()
            time.sleep(_SHORTEST)

    def _draw(self) -> None:
        from IPython.display import HTML

        try:
            if (text := progress_html(self._content())) != self._shown:
                self._shown = text
                self._handle.update(HTML(text))
        except Exception:  # a picture of the work must not end it
            log.debug("progress in the notebook", exc_info=True)
