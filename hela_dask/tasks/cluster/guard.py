"""Scripts that processes of workers cannot read: without ``if __name__ == "__main__":``."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from hela_dask.tasks.code import parse_source

__all__ = ["UNGUARDED", "lacks_main_guard"]

UNGUARDED = (
    "no worker could be started: each begins by reading the script that started it, which must do "
    'its work under `if __name__ == "__main__":`'
)
"""The error of such a script."""


def lacks_main_guard() -> bool:
    """Whether this process runs a script without ``if __name__ == "__main__":``."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    if not path or getattr(sys.modules["__main__"], "__spec__", None) is not None:
        return False  # an interpreter, or python -m
    try:
        tree = parse_source(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    return not any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(tree))
