"""The tutorials: notebooks of docs/tutorials, run, and shown as pages with their outputs."""

from __future__ import annotations

import base64
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat

__all__ = ["TUTORIALS", "notebook_page", "run_notebook", "write_tutorials"]

TUTORIALS = Path(__file__).parent.parent / "docs" / "tutorials"
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SECONDS = 1800  # per cell: machines may be busy


def run_notebook(path: Path, folder: Path) -> Any:
    """The notebook with the outputs of all its cells.

    Parameters
    ----------
    path
        A notebook; it is not changed.
    folder
        Where it runs.

    Raises
    ------
    CellExecutionError
        When a cell fails.
    """
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=_SECONDS, resources={"metadata": {"path": str(folder)}}
    ).execute()
    return notebook


def notebook_page(notebook: Any, pictures: str) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and its pictures.

    Parameters
    ----------
    notebook
        With or without outputs.
    pictures
        Begin of the names of the pictures.

    Returns
    -------
    tuple
        Markdown, and the content of each picture by its name.
    """
    parts: list[str] = []
    found: dict[str, bytes] = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in _joined(cell.get("outputs", [])):
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{pictures}_{len(found) + 1}.png"
                found[name] = base64.b64decode(data["image/png"])
                parts.append(f"![Output of the cell above]({name})")
            elif "text/html" in data:
                # Without blank lines, which would end the block of HTML.
                html = re.sub(r"\n\s*\n", "\n", data["text/html"])
                parts.append(f'<div class="output">\n{html}\n</div>')
            elif text := _ANSI.sub("", output.get("text", data.get("text/plain", ""))).strip():
                parts.append(f"```text\n{text}\n```")
    return "\n\n".join(parts) + "\n", found


def _joined(outputs: list[Any]) -> list[Any]:
    """Outputs with neighbouring lines of one stream as one."""
    found: list[Any] = []
    for output in outputs:
        if found and output.output_type == found[-1].output_type == "stream":
            found[-1] = {**found[-1], "text": found[-1]["text"] + output.text}
            found[-1] = nbformat.from_dict(found[-1])
        else:
            found.append(output)
    return found


def write_tutorials(
    folder: Path, *, run: bool = True, relink: Callable[[str, str, str], str] | None = None
) -> list[str]:
    """Write the pages of all tutorials.

    Parameters
    ----------
    folder
        Where to.
    run
        Run the notebooks first; otherwise the pages have no outputs.
    relink
        From the text of a page, its path in the repository and its path on the site, to the text
        with links that hold on the site.

    Returns
    -------
    list of str
        Names of the pages.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(TUTORIALS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as place:
            notebook = run_notebook(path, Path(place)) if run else nbformat.read(path, as_version=4)
        text, pictures = notebook_page(notebook, path.stem)
        text = text.replace(f"{place}/", "")  # paths are those in the folder of the notebook
        if relink is not None:
            text = relink(text, f"docs/tutorials/{path.name}", f"tutorials/{path.stem}.md")
        shutil.copyfile(path, folder / path.name)
        (folder / f"{path.stem}.md").write_text(text, encoding="utf-8")
        for name, content in pictures.items():
            (folder / name).write_bytes(content)
    return [path.stem for path in sorted(TUTORIALS.glob("*.ipynb"))]
