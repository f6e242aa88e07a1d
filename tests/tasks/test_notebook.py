"""The progress in a notebook: one output that is replaced, in a real kernel."""

from __future__ import annotations

import nbformat
from nbclient import NotebookClient

from hela_dask.tasks.notebook import in_notebook, progress_html
from hela_dask.tasks.progress import RunProgress

CELL = """
from hela_dask.tasks.dashboard import Dashboard
from hela_dask.tasks.progress import RunProgress
with RunProgress() as display:
    display.expect(["detect", "segment"])
    display.show(Dashboard("http://a:1/status", "/user/me/proxy/1/status"))
    display.stage("detect", 100, unit="slices")
    for _ in range(100):
        display.advance()
    display.end_stage()
    display.info("starting <the> workers")
    display.warn("2 slices are blank")
"""


def test_a_kernel_has_one_output() -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    NotebookClient(notebook, timeout=60).execute()
    (output,) = notebook.cells[0].outputs
    page = output.data["text/html"]
    for part in ("100/100 slices", "✓", '<td style="text-align: left">segment</td>'):
        assert part in page
    assert "starting &lt;the&gt; workers" in page and "2 slices are blank" in page
    assert 'href="/user/me/proxy/1/status"' in page


def test_elsewhere_there_is_no_notebook() -> None:
    assert not in_notebook()
    display = RunProgress()
    display.stage("segment", 4, 1, "cells")
    display.fail("segment", "00001", "no resin")
    facts = display._facts
    page = progress_html({**facts.to_dict(), "messages": facts.messages})
    assert "1/4 cells" in page and "left ?" in page and ", 1 failed" in page
