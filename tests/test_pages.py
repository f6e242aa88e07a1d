"""Whatever a page shows is escaped, and no other room writes HTML."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import pandas as pd
import pytest

import hela_dask
from hela_dask import pages
from hela_dask.running.result import RunResult

HOSTILE = "<script>alert(1)</script>\"'&"


def test_a_result_in_a_notebook_escapes_what_it_shows() -> None:
    cells = pd.DataFrame(
        {"label": [1], "z": [12.345], "status": [HOSTILE], "complete": [True], "reason": [HOSTILE]}
    )
    store = Path(HOSTILE)
    result = RunResult(store, store, cells, {}, store / "report.html", warnings=(HOSTILE,))
    shown = result._repr_html_()
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") >= 4
    assert "<td>12.3</td>" in shown


@pytest.mark.parametrize("template", ["explain.html", "card.html"])
def test_each_template_escapes_what_it_shows(template: str) -> None:
    figure = pages.as_figure(b"\x89PNG", HOSTILE, HOSTILE)
    table = pd.DataFrame({HOSTILE: [HOSTILE, 0.12345]}, index=pd.Index(["a", HOSTILE]))
    shown = pages.render(
        template,
        title=HOSTILE,
        subtitle=HOSTILE,
        pictures=[figure],
        card=pages.Card(HOSTILE, tables=((HOSTILE, pages.as_frame(table, 4)),), picture=figure),
    )
    assert HOSTILE[:17] not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;" in shown
    assert ("0.1235" in shown) == (template == "card.html")


def test_a_long_table_names_what_it_hides() -> None:
    frame = pages.as_frame(pd.DataFrame({"a": range(40)}), 1, index=False)
    assert (len(frame.rows), frame.hidden) == (30, 10)
    card = pages.Card("a table", tables=(("", frame),))
    assert "and 10 more rows" in pages.render("card.html", card=card)


def test_a_value_that_a_template_needs_and_does_not_get_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        pages.render("explain.html", title="a")


def test_no_other_room_writes_html() -> None:
    rooms = Path(hela_dask.__file__).parent
    tags = re.compile(r"</?(?:b|br|div|p|table|td|tr|li|ul|code|html|script|img|span)\b[^>]*>")
    for path in rooms.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not tags.search(text), path
        assert "to_html" not in text, path
        assert "Markup" not in text, path
    for path in (rooms / "pages" / "templates").iterdir():
        assert "safe" not in path.read_text(encoding="utf-8"), path
