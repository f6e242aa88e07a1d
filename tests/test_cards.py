"""What consoles and notebooks show of results: short, escaped, without anything from elsewhere."""

from __future__ import annotations

import inspect
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import hela_dask as hd
from hela_dask.formatting import fit_lines
from hela_dask.pages import Shown, as_figure
from tests.results import make_results

HOSTILE = "<script>alert(1)</script>\"'& " + "long " * 40
LARGEST = 64 * 2**10  # characters of a card
NAMES = (
    *("Assignment", "Checkup", "ClassScores", "ClusterCheck", "Comparison", "Explanation"),
    *("Export", "Finding", "GreyLevels", "Image", "InstanceScores", "Masks", "Measurement"),
    *("Parameters", "ParameterGroup", "Plan", "Region", "RunResult", "Sample", "Status", "Trace"),
    *("Verification", "Window"),
)
WITHOUT_TEXT = {
    *("ClassScores", "GreyLevels", "Image", "InstanceScores", "Masks", "Parameters"),
    *("ParameterGroup", "Trace", "Window"),
}
"""Classes that hold no text that a user or a file could have given."""
NOT_SHOWN = {"BaseMethod", "Method"}
"""Public classes that are written by users, and are no results."""
VOID = {"br", "hr", "img"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_results(tmp_path_factory.mktemp("results"), HOSTILE)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_results(tmp_path_factory.mktemp("plain"), "a plain text")


class _Balance(HTMLParser):
    """Notes tags that are not closed in their order, and addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.roots = 0
        self.tags: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.roots += not self.open
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", NAMES)
def test_a_card_is_short_escaped_and_complete_in_itself(results: dict[str, Any], name: str) -> None:
    card = results[name]._repr_html_()
    assert len(card) < LARGEST
    found = _Balance()
    found.feed(card)
    assert not found.open and found.roots == 1
    assert not found.tags & {"script", "link", "iframe", "object"}
    assert all(address.startswith("data:image/") for address in found.addresses)
    assert "@import" not in card and "url(" not in card
    assert ("&lt;script&gt;alert(1)" in card) == (name not in WITHOUT_TEXT)


@pytest.mark.parametrize("name", NAMES)
def test_colours_of_text_are_those_of_the_page(plain: dict[str, Any], name: str) -> None:
    """So that a card is readable on light and on dark pages."""
    style = re.findall(r"<style>(.*?)</style>", plain[name]._repr_html_(), flags=re.DOTALL)
    assert len(style) == 1
    colours = re.findall(r"(?<![-\w])color:\s*([^;}]+)", style[0])
    assert colours and all("inherit" in colour for colour in colours)
    grounds = re.findall(r"background(?:-color)?:\s*([^;}]+)", style[0])
    assert all(ground.startswith(("rgba(", "none")) for ground in grounds)


@pytest.mark.parametrize("name", NAMES)
def test_a_repr_fits_a_hundred_columns(results: dict[str, Any], name: str) -> None:
    lines = repr(results[name]).split("\n")
    assert max(map(len, lines)) <= 100
    assert len(lines) < 60 and lines[0].strip()


@pytest.mark.parametrize("name", NAMES)
def test_a_short_text_is_the_same_in_repr_and_str(plain: dict[str, Any], name: str) -> None:
    text = str(plain[name])
    if max(map(len, text.split("\n"))) <= 100:
        assert repr(plain[name]) == text
    else:
        assert repr(plain[name]) == fit_lines(text)


def test_each_public_class_of_results_is_shown() -> None:
    classes = {name: getattr(hd, name) for name in hd.__all__}
    classes = {name: item for name, item in classes.items() if inspect.isclass(item)}
    missing = {
        name
        for name, item in classes.items()
        if not issubclass(item, Shown | Exception) and name not in NOT_SHOWN
    }
    assert not missing
    seen = {name for name in classes if issubclass(classes[name], Shown)}
    groups = {name for name in seen if issubclass(classes[name], hd.ParameterGroup)}
    assert seen - groups - {"NeuroglancerView"} <= set(NAMES)


def test_a_result_shows_without_reading_a_volume(
    plain: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a volume was opened")

    for module in ("hela_dask.volume.opening", "hela_dask.running.slices"):
        monkeypatch.setattr(f"{module}.open_volume", refuse)
    for result in plain.values():
        assert result._repr_html_() and repr(result)


def test_masks_and_windows_have_a_small_picture(plain: dict[str, Any]) -> None:
    for name in ("Masks", "Window"):
        assert 'src="data:image/png;base64,' in plain[name]._repr_html_()
    assert "slice 3 of the window" in plain["Masks"]._repr_html_()


def test_a_run_shows_a_slice_of_its_report_in_small(plain: dict[str, Any], tmp_path: Path) -> None:
    import numpy as np
    from matplotlib.image import imsave

    result = hd.RunResult(
        tmp_path, tmp_path, plain["RunResult"].cells, {}, tmp_path / "report.html"
    )
    figures = tmp_path / "figures"
    figures.mkdir()
    assert "<img" not in result._repr_html_()
    (figures / "overlay_00007.jpg").write_bytes(b"no picture")
    assert "<img" not in result._repr_html_()
    imsave(figures / "overlay_00007.jpg", np.zeros((1400, 1400, 3), np.uint8))
    card = result._repr_html_()
    assert "slice 7" in card and "data:image/jpeg;base64," in card and len(card) < LARGEST


def test_an_explanation_shows_its_sheet(tmp_path: Path) -> None:
    sheet = tmp_path / "explain.png"
    sheet.write_bytes(b"\x89PNG of all steps")
    found = hd.Explanation(1, 2, tmp_path / "explain.html", sheet, ())
    assert as_figure(sheet.read_bytes(), "").data in found._repr_html_()
    sheet.unlink()
    assert "<img" not in found._repr_html_()


def test_long_lines_are_wrapped_and_long_words_shortened() -> None:
    text = "  page  " + "/a/very/long/folder" * 10 + "/page.html\nshort"
    first, second, last = fit_lines(text, 60).split("\n")
    assert (first, last) == ("  page", "short")
    assert len(second) == 60 and "…" in second and second.endswith("/page.html")
    assert fit_lines("a b", 3) == "a b"
