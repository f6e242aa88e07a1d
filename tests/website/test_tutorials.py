"""The tutorials run, and become pages with their outputs."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import nbformat
import pytest

from website.tutorials import TUTORIALS, notebook_page, run_notebook, write_tutorials

NAMES = sorted(path.stem for path in TUTORIALS.glob("*.ipynb"))
PICTURES = {"write_a_method": 2}


# The other tutorials take minutes: `make docs` runs all of them, and fails where one does.
@pytest.mark.slow
@pytest.mark.waiting
@pytest.mark.parametrize("name", ["write_a_method"])
def test_a_tutorial_runs_and_draws(name: str, tmp_path: Path) -> None:
    notebook = run_notebook(TUTORIALS / f"{name}.ipynb", tmp_path)
    text, pictures = notebook_page(notebook, name)
    assert len(pictures) == PICTURES[name]
    assert all(content[:4] == b"\x89PNG" for content in pictures.values())
    assert "Error" not in text.replace("ParameterError", "")
    assert "Warning" not in text


@pytest.mark.parametrize("name", NAMES)
def test_a_tutorial_is_stored_without_outputs(name: str) -> None:
    notebook = nbformat.read(TUTORIALS / f"{name}.ipynb", as_version=4)
    assert notebook.cells[0].source.startswith("# ")
    assert not [
        cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")
    ]


def test_outputs_become_pictures_tables_and_text() -> None:
    png = b"\x89PNG\r\n"
    v4 = nbformat.v4
    outputs = [
        v4.new_output("stream", text="\x1b[31mone\x1b[0m\n"),
        v4.new_output("stream", text="two\n"),
        v4.new_output("display_data", {"image/png": base64.b64encode(png).decode()}),
        v4.new_output("execute_result", {"text/html": "<p>a\n\n\nb</p>", "text/plain": "a"}),
        v4.new_output("execute_result", {"text/plain": "  "}),
    ]
    cells = [v4.new_markdown_cell("# Title"), v4.new_code_cell("1 + 1", outputs=outputs)]
    text, pictures = notebook_page(v4.new_notebook(cells=cells), "page")
    assert pictures == {"page_1.png": png}
    assert text == (
        "# Title\n\n```python\n1 + 1\n```\n\n```text\none\ntwo\n```\n\n"
        '![Output of the cell above](page_1.png)\n\n<div class="output">\n<p>a\nb</p>\n</div>\n'
    )


def test_pages_without_outputs_are_written_quickly(tmp_path: Path) -> None:
    assert write_tutorials(tmp_path, run=False) == NAMES
    for name in NAMES:
        text = (tmp_path / f"{name}.md").read_text(encoding="utf-8")
        assert re.search(r"^```python$", text, re.MULTILINE)
        assert 'class="output"' not in text
