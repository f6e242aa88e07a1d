"""The Python of README and docs runs in the folder in which the examples of docstrings run."""

from __future__ import annotations

from pathlib import Path

import pytest

import hela_dask as hd
from tests.website.blocks import PAGES, Block, find_blocks

LARGER = {"plot_slice(150": "plot_slice(32"}
"""Numbers that do not fit the small volume of the tests."""
NOT_RUN = {
    "import napari, pandas": "opens a window of napari",
    "from hela_dask.editing.edits": "continues the text of the page: a mask and a centre",
    "from hela_dask.editing.review": "would reject a cell of the run that others use",
    "parameters = hd.Parameters": "segments a volume again",
}
"""How blocks begin that do not run, and the reason."""

BLOCKS = [block for page in PAGES for block in find_blocks(page) if block.language == "python"]
RUN = [block for block in BLOCKS if not block.text.lstrip().startswith(tuple(NOT_RUN))]


@pytest.mark.slow
@pytest.mark.parametrize("block", RUN, ids=str)
def test_the_python_of_a_page_runs(block: Block, clean: Path) -> None:
    text = block.text
    for given, small in LARGER.items():
        text = text.replace(given, small)
    exec(compile(text, str(block), "exec"), {"hd": hd})


def test_blocks_that_do_not_run_are_few_and_still_there() -> None:
    assert len(BLOCKS) - len(RUN) == len(NOT_RUN)
    assert len(RUN) >= 2
