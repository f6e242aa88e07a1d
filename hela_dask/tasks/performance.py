"""``performance.html``, dask's report of the workers: also of a run that failed or was stopped."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hela_dask.storage.files import hidden_name
from hela_dask.tasks.scheduler import is_connected

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["PAGE", "PerformanceReport", "earlier_pages"]

log = logging.getLogger(__name__)

PAGE = "performance.html"
"""Name of the report in a run folder."""

_KEPT = 4  # reports of earlier calls
_LIMIT = 60.0  # seconds for the report of a run that has ended well
_SHORT = 10.0  # seconds for that of a failed or interrupted one: a person waits for its end


def earlier_pages(folder: Path) -> list[Path]:
    """Names for the reports of earlier calls, the latest first."""
    stem, suffix = Path(PAGE).stem, Path(PAGE).suffix
    return [folder / f"{stem}-{number}{suffix}" for number in range(1, _KEPT + 1)]


class PerformanceReport:
    """Collects from now on; :meth:`write` writes the page into `folder`."""

    def __init__(self, client: Client, folder: Path) -> None:
        from distributed import performance_report

        self._client, self._folder = client, folder
        self._page = hidden_name(folder / PAGE)
        # Its page works without a network.
        self._report: Any = performance_report(filename=str(self._page), mode="inline")
        self._report.__enter__()

    def write(self, *, failed: bool = False) -> str:
        """Write the page; that of the call before is kept under a number.

        Returns why it could not be written, empty where it was. No scheduler, or one that does not
        answer in time, is no error. `failed`: the run has failed or was interrupted, so that less
        time is taken.
        """
        if not is_connected(self._client):
            return "the scheduler is gone"
        limit = _SHORT if failed else _LIMIT
        try:
            self._client.sync(
                self._report.__aexit__, None, None, None, code="", callback_timeout=limit
            )
            self._shift()
            self._page.replace(self._folder / PAGE)
        except TimeoutError:
            return f"the scheduler did not answer within {limit:.0f} s"
        except Exception as error:  # its output is not needed
            log.debug("%s", PAGE, exc_info=True)
            return str(error)
        finally:
            self._page.unlink(missing_ok=True)
        return ""

    def _shift(self) -> None:
        """Give the earlier pages the next numbers; the oldest is replaced."""
        pages = [self._folder / PAGE, *earlier_pages(self._folder)]
        for number in range(len(pages) - 1, 0, -1):
            if pages[number - 1].is_file():
                pages[number - 1].replace(pages[number])
