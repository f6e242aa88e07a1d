"""Build the site: ``python -m website``, or ``make docs``.

Every warning of MkDocs is an error: a link, an anchor or a page of the navigation that does not
exist, a page that the navigation lacks.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from website.checking import external_assets
from website.commands import commands
from website.staging import ROOT, stage
from website.tutorials import write_tutorials

__all__ = ["build", "navigation"]


def navigation(nav: list[Any]) -> list[Any]:
    """The navigation of ``mkdocs.yml`` with a page per command instead of the word ``COMMANDS``."""
    filled: list[Any] = []
    for entry in nav:
        if entry == "COMMANDS":
            filled += [{name: f"commands/{name.replace(' ', '_')}.md"} for name in commands()]
        elif isinstance(entry, dict):
            filled.append(
                {
                    key: navigation(value) if isinstance(value, list) else value
                    for key, value in entry.items()
                }
            )
        else:
            filled.append(entry)
    return filled


def build(out: Path, staged: Path, *, run: bool) -> None:
    """Stage all pages and build the site from them.

    Parameters
    ----------
    out
        Folder of the site, replaced.
    staged
        Folder of the sources, replaced.
    run
        Run the tutorials, so that their pages have outputs.

    Raises
    ------
    SystemExit
        When MkDocs warns, or a page would fetch a script, a style, a font or a picture.
    """
    from mkdocs.commands.build import build as build_site
    from mkdocs.config import load_config

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    site = stage(staged)
    write_tutorials(staged / "tutorials", run=run, relink=site.relink)
    config = load_config(str(ROOT / "mkdocs.yml"), docs_dir=str(staged), site_dir=str(out))
    config.nav = navigation(config.nav)
    build_site(config)
    if found := external_assets(out):
        raise SystemExit("the site needs a network:\n" + "\n".join(found))


def main() -> None:
    """Build it as the options ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "site", help="folder of the site")
    parser.add_argument("--staged", type=Path, default=ROOT / "build/docs", help="its sources")
    parser.add_argument(
        "--no-run",
        action="store_true",
        help="tutorials without outputs: a quick check of all links",
    )
    options = parser.parse_args()
    build(options.out, options.staged, run=not options.no_run)


if __name__ == "__main__":
    main()
