"""A check of the built site: nothing that a page shows is fetched from a network."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["external_assets"]

_HTML = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*?\bsrc=[\"']?((?:https?:)?//[^\"'\s>]+)"
    r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preload|preconnect|icon|modulepreload|dns-prefetch))"
    r"[^>]*?\bhref=[\"']?((?:https?:)?//[^\"'\s>]+)",
    re.IGNORECASE,
)
_CSS = re.compile(
    r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)|src:\s*url\(((?:https?:)?//[^)]+)\)",
    re.IGNORECASE,
)


def external_assets(folder: Path) -> list[str]:
    """Scripts, styles, fonts and pictures that pages of a folder would fetch from elsewhere.

    Parameters
    ----------
    folder
        A built site.

    Returns
    -------
    list of str
        ``PAGE: ADDRESS``; empty where the site needs no network. Links that a reader may click are
        no assets.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        patterns = {".html": (_HTML, _CSS), ".css": (_CSS,)}.get(path.suffix, ())
        for pattern in patterns:
            text = path.read_text(encoding="utf-8")
            text = re.sub(r"<(code|pre)\b.*?</\1>", "", text, flags=re.DOTALL)
            found += [
                f"{path.relative_to(folder)}: {match[1] or match[2]}"
                for match in pattern.finditer(text)
            ]
    return found
