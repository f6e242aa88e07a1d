"""README, docs and their JSON files give the same figures, each with its commit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from benchmarks import pages, results
from benchmarks.pages import Quote, figure, render
from benchmarks.storage import FULL, VOXEL, files
from hela_dask.formatting import by_axis
from hela_dask.storage.pyramid import layout, plan_levels
from hela_dask.storage.shards import compressor

ROOT = results.DOCS.parent
FOUND = pages.load_figures()
QUOTES = pages.quotes()

# A measured figure: a ratio such as 0.970, or a number with a unit of size, speed or time.
MEASURED = re.compile(
    r"\b0\.\d{3}\b|\b\d[\d.,]*\s(?:[MG]i?B(?:/s)?|seconds|minutes|hours|times as)\b"
)
SCORE = {
    "ji": 0.9612,
    "ac": 0.99,
    "ji_mean": 0.9,
    "ji_median": 0.95,
    "ji_sd": 0.1,
    "slices": 152,
    "hausdorff_mean": 51.2,
    "hausdorff_95": None,
}


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
    assert quote.put(page, FOUND) == page, "make figures ARGS=--pages"


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_page_is_what_its_json_gives(name: str) -> None:
    text = (results.DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert text == render(name, FOUND), "make figures ARGS=--pages"


def test_no_figure_stands_in_the_readme_without_a_source() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for quote in QUOTES:
        if quote.page == "README.md":
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
    parts |= {
        f"poles/{kind}/{method}/{seed}".rstrip("/")
        for kind, methods in accuracy["poles"].items()
        for method, seeds in methods.items()
        for seed in seeds
    }
    parts |= {"otsu", "ablation", "robustness", "contrast", "likeness", "variants", "constants"}
    parts |= {name for name in accuracy["measured"] if name.startswith("variants/")}  # alone
    assert parts == set(accuracy["measured"])
    assert all(re.fullmatch(r"[0-9a-f]{7}", row["commit"]) for row in methods["rows"].values())


def test_a_figure_that_is_kept_at_two_places_is_one() -> None:
    scored = FOUND["methods"]["methods"]["shipped"]["judged"]
    card = json.loads((ROOT / "hela_dask/unet/shipped/card.json").read_text(encoding="utf-8"))
    assert card["scores"]["judged"] == scored


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("a.x.ji | fixed", "0.970"),
        ("a.x.ji | fixed(2)", "0.97"),
        ("(a.nothing.at.all or a.x.ji) | fixed(1)", "1.0"),
        ("a.x.rows[1][0] | nth(2) | fixed(1)", "1.5"),
        ("(a.x.rows[1][0] | nth / a.x.rows[1][1] | nth) | fixed(1)", "2.8"),
        ("a['in/two'].commit", "0123456"),
    ],
)
def test_a_figure_is_found_and_rounded(expression: str, shown: str) -> None:
    found = {
        "a": {
            "x": {"ji": 0.9698, "rows": [["head"], ["0.185 (1.5)", "0.0671"]]},
            "in/two": {"commit": "0123456"},
        }
    }
    assert figure(expression, found) == shown


@pytest.mark.parametrize("expression", ["a.nothing | fixed", "a.nothing.at.all"])
def test_a_figure_that_no_file_has_is_named(expression: str) -> None:
    with pytest.raises(KeyError, match=r"a\.nothing"):
        figure(expression, {"a": {}})


def test_a_wrong_figure_is_replaced_across_lines() -> None:
    quote = Quote(
        "page.md", "nucleus {}, cell {} (commit `{}`)", ("a.n | fixed", "a.c | fixed(2)", "a.k")
    )
    found = {"a": {"n": 0.9704, "c": 0.961, "k": "89abcde"}}
    page = "A nucleus\n0.955, cell 0.96 (commit\n`0123456`), and more."
    mended = quote.put(page, found)
    assert mended == "A nucleus\n0.970, cell 0.96 (commit\n`89abcde`), and more."
    assert quote.put(mended, found) == mended
    with pytest.raises(ValueError, match=r"page\.md lacks"):
        quote.put("Other words.", found)


def test_the_page_of_accuracy_leaves_out_what_was_not_measured() -> None:
    classes = ("nucleus", "cell", "cytoplasm", "background")
    real = {
        "ranges": {"1-180": dict.fromkeys(classes, SCORE)},
        "seconds": {"segment": 100.0, "all": 120.0},
        "workers": 2,
    }
    fall = {"nucleus": 0.01, "cell": 0.04, "background": -0.3}
    damaged = {"ji": dict.fromkeys(fall, 0.97), "damages": {"noise": {"fall": fall}}}
    found = {**FOUND, "accuracy": {"real": {"volumetric": real}}}
    text = render("accuracy", found)
    assert "| **`volumetric`** | 0.961 | 0.961 | 0.961 | 0.961 | 0.900 |" in text
    assert "0.900 / 0.950 / 0.100 | 152 | 51 |  |" in text
    assert "segment 100, all 120.\n" in text
    for heading in ("Phantoms", "Damaged", "adds", "Low contrast"):
        assert heading not in text
    found["accuracy"]["robustness"] = {"middle": damaged}
    assert "\n| noise | +0.010 | **+0.040** | -0.300 |\n" in render("accuracy", found)


def test_the_page_of_performance_has_the_full_volume_first_and_only_what_was_measured() -> None:
    sections = FOUND["performance"]
    names = ("throughput-full", "throughput-real", "kernels")
    found = {**FOUND, "performance": {name: sections[name] for name in names}}
    text = render("performance", found)
    assert text.index("518 x 8192 x 8192 voxels on 2") < text.index("### 300 x 500 x 500")
    assert "## Kernels" in text
    assert "As the volume grows" not in text
    bare = render("performance", {**FOUND, "performance": {}})
    for heading in ("Kernels", "Where the time goes", "Many workers", "voxels on"):
        assert heading not in bare


def test_the_page_of_storage_names_the_layout_the_codec_and_the_number_of_files() -> None:
    text = " ".join((results.DOCS / "storage.md").read_text("utf-8").split())
    chunk, shard = layout(FULL, 1)
    count = files(plan_levels(FULL, 1, VOXEL))
    assert count < 2000
    assert f"is then {count:,} files" in text
    assert f"{by_axis(chunk)} voxels" in text
    assert f"| {by_axis(shard)}; 16 deep" in text
    assert (f"zstd, level {compressor().level}" in text) and compressor().checksum
