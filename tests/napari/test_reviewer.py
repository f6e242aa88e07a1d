"""The first guess of the reviewer's name: never a login name."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from hela_dask.napari.reviewer import reviewer_name


@pytest.fixture(autouse=True)
def no_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without a configuration of git."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / ".gitconfig"))
    return tmp_path


def account(monkeypatch: pytest.MonkeyPatch, number: int, login: str, name: str) -> None:
    pwd = importlib.import_module("pwd")
    found = SimpleNamespace(pw_uid=number, pw_name=login, pw_gecos=name)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: found)


@pytest.mark.parametrize(
    ("number", "login", "name", "expected"),
    [
        (0, "root", "root", ""),
        (0, "root", "Administrator", ""),
        (33, "www-data", "Web server", ""),
        (1001, "amy", "amy", ""),
        (1001, "amy", "", ""),
        (1001, "amy", "Amy Person,,,", "Amy Person"),
    ],
)
def test_the_name_of_an_account(
    monkeypatch: pytest.MonkeyPatch, number: int, login: str, name: str, expected: str
) -> None:
    account(monkeypatch, number, login, name)
    assert reviewer_name() == expected


def test_the_name_of_git_comes_first(monkeypatch: pytest.MonkeyPatch, no_git: Path) -> None:
    account(monkeypatch, 1001, "amy", "Amy Person")
    (no_git / ".gitconfig").write_text("[user]\n\tname = A. Person\n")
    assert reviewer_name() in ("A. Person", "Amy Person")  # the second where git is missing
    monkeypatch.setenv("PATH", str(no_git))
    assert reviewer_name() == "Amy Person"
