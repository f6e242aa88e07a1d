"""The name of the person at this machine, as a first guess for the name of the reviewer."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

__all__ = ["reviewer_name"]

_SECONDS = 5
_FIRST_PERSON = 1000  # the first number of an account of a person


def reviewer_name() -> str:
    """The name that git signs with, else the full name of the account; else empty.

    The login name is never taken: it is no name of a person, and may be ``root``.
    """
    return _git_name() or _account_name()


def _git_name() -> str:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        found = subprocess.run(
            ["git", "config", "--global", "--get", "user.name"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            cwd=Path.home(),
            check=False,
        )
        return found.stdout.strip()
    return ""


def _account_name() -> str:
    """The full name that the system keeps beside an account of a person (Unix)."""
    try:
        import pwd

        account = pwd.getpwuid(os.getuid())
    except (ImportError, KeyError, AttributeError):
        return ""
    name = account.pw_gecos.partition(",")[0].strip()
    known = account.pw_uid >= _FIRST_PERSON and name != account.pw_name
    return name if known else ""
