"""README, docs and their JSON files give the same figures, each with its commit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from benchmarks import figures, quoted, results
from benchmarks.quoted import Quote, disagreements, lookup, put

ROOT = results.DOCS.parent
FOUND = quoted.kept()
QUOTES = quoted.quotes()

# A measured figure: a ratio such as 0.970, or a number with a unit of size, speed or time.
MEASURED = re.compile(
    r"\b0\.\d{3}\b|\b\d[\d.,]*\s(?:[MG]i?B(?:/s)?|seconds|minutes|hours|times as)\b"
)


def stamps(node: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Everything that names the command it was measured by."""
    if isinstance(node, Mapping):
        if "command" in node and "date" in node:
            yield path, node
        for key, value in node.items():
            yield from stamps(value, f"{path}/{key}")


@pytest.mark.parametrize("quote", QUOTES, ids=lambda quote: f"{quote.page}: {quote.text[:40]}")
def test_a_sentence_gives_the_figures_that_are_kept(quote: Quote) -> None:
    page = (ROOT / quote.page).read_text(encoding="utf-8")
    assert disagreements(quote, page, FOUND) == []


def test_every_page_is_what_its_json_gives() -> None:
    for path, text in figures.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: make figures ARGS=--pages"


@pytest.mark.parametrize("page", sorted({quote.page for quote in QUOTES} & {"README.md"}))
def test_no_figure_stands_in_a_page_without_a_source(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for quote in QUOTES:
        if quote.page == page:
            text = quote.pattern().sub("", text)
    assert MEASURED.findall(text) == [], "add the sentence to benchmarks/quoted.toml"


@pytest.mark.parametrize("name", sorted(set(FOUND) - {"published"}))
def test_every_figure_names_its_command_day_and_commit(name: str) -> None:
    found = list(stamps(FOUND[name]))
    assert found
    for path, stamp in found:
        assert re.fullmatch(r"[0-9a-f]{7,}", stamp["commit"]), path
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", stamp["date"]), path


def test_every_part_of_the_accuracy_and_every_method_has_a_stamp() -> None:
    accuracy, methods = FOUND["accuracy"], FOUND["methods"]["methods"]
    parts = {f"real/{name}" for name in accuracy["real"]}
    parts |= {
        f"phantoms/{name}/{seed}" for name, seeds in accuracy["phantoms"].items() for seed in seeds
    }
    assert parts | {"otsu", "ablation", "robustness", "contrast"} == set(accuracy["measured"])
    assert all(re.fullmatch(r"[0-9a-f]{7}", row["commit"]) for row in methods["rows"].values())


def test_what_is_measured_at_two_places_is_one_figure() -> None:
    judged = FOUND["methods"]["methods"]["shipped"]["judged"]
    card = json.loads((ROOT / "hela_dask/unet/shipped/card.json").read_text(encoding="utf-8"))
    assert card["scores"]["judged"] == judged
    assert lookup("methods:methods/shipped/judged/ji_nucleus .3f", FOUND) == lookup(
        "methods:methods/shipped/judged/ji_cell .3f", FOUND
    ), "the README gives one figure for both"


@pytest.mark.parametrize(
    ("figure", "shown"),
    [
        ("a:x/ji .3f", "0.970"),
        ("a:x/ji .2f", "0.97"),
        ("a:x/missing .3f or a:x/ji .1f", "1.0"),
        ("a:x/rows/1/0 .1f", "0.2"),
        ("a:x/rows/1/0#2 .1f", "1.5"),
        ("a:x/rows/1/0 ~ a:x/rows/1/1 .1f", "2.8"),
        ("a:in/two/commit s", "0123456"),
        ("a:x/many ,d", "1,800"),
    ],
)
def test_a_figure_is_found_and_rounded(figure: str, shown: str) -> None:
    found = {
        "a": {
            "x": {"ji": 0.9698, "rows": [["head"], ["0.185 (1.5)", "0.0671"]], "many": 1800},
            "in/two": {"commit": "0123456"},
        }
    }
    assert lookup(figure, found) == shown


def test_a_figure_that_nobody_keeps_is_named() -> None:
    with pytest.raises(KeyError, match="a:nothing"):
        lookup("a:nothing .3f", {"a": {}})


def test_a_wrong_figure_is_named_and_replaced_across_lines() -> None:
    quote = Quote("page.md", "nucleus {}, cell {} (commit `{}`)", ("a:n .3f", "a:c .2f", "a:k s"))
    found = {"a": {"n": 0.9704, "c": 0.961, "k": "89abcde"}}
    page = "A nucleus\n0.955, cell 0.96 (commit\n`0123456`), and more."
    wrong = disagreements(quote, page, found)
    assert wrong == ["page.md has 0.955, a:n .3f is 0.970", "page.md has 0123456, a:k s is 89abcde"]
    mended = put(quote, page, found)
    assert mended == "A nucleus\n0.970, cell 0.96 (commit\n`89abcde`), and more."
    assert disagreements(quote, mended, found) == []
    assert disagreements(quote, "Other words.", found)[0].startswith("page.md lacks")
