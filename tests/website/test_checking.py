"""Assets of a page that a network would give are found; links are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from website.checking import external_assets


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://unpkg.com/a.js"></script>',
        "<script async src=//cdn.org/a.js></script>",
        '<link href="https://fonts.org/css" rel="stylesheet">',
        "<link rel=preconnect href=https://fonts.org crossorigin>",
        '<img alt="" src="http://a.org/a.png">',
        "<style>@import 'https://fonts.org/css';</style>",
        "<style>a{background:url(https://a.org/a.png)}</style>",
    ],
)
def test_an_asset_elsewhere_is_found(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(f"<html>{text}</html>", encoding="utf-8")
    (found,) = external_assets(tmp_path)
    assert found.startswith("a.html: ")


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://doi.org/10.1">doi</a>',
        '<script src="assets/a.js"></script>',
        '<link rel="canonical" href="https://a.org/a">',
        '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0"/></svg>',
        "<pre>&lt;script src=&quot;https://a.org&quot;</pre><code>url(https://a.org)</code>",
    ],
)
def test_links_and_files_of_the_site_are_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(f"<html>{text}</html>", encoding="utf-8")
    assert external_assets(tmp_path) == []


def test_styles_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("@font-face{src:url(https://a.org/f.woff2)}", encoding="utf-8")
    assert external_assets(tmp_path) == ["a.css: https://a.org/f.woff2"]
