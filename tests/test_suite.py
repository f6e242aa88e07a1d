"""The tests themselves: their names and their lengths."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_names_of_tests_are_short(request: pytest.FixtureRequest) -> None:
    """They are sent with each result, and are in the environment of the processes of a test."""
    long = [item.nodeid for item in request.session.items if len(item.nodeid) > 300]
    assert not long, [f"{name[:100]}... {len(name)} characters" for name in long]


def test_a_long_parameter_is_named_by_its_start_and_its_length(
    request: pytest.FixtureRequest,
) -> None:
    hook = request.config.hook.pytest_make_parametrize_id

    def name(value: object) -> object:
        return hook(config=request.config, val=value, argname="value")

    assert name("[" * 100) == f"{'[' * 16!r}... 100 characters"
    assert name(b"\0" * 100) == f"{bytes(16)!r}... 100 bytes"
    assert name("short") is None


def test_files_have_at_most_400_lines() -> None:
    counts = {
        path.name: len(path.read_text(encoding="utf-8").splitlines())
        for path in Path(__file__).parent.rglob("*.py")
    }
    assert {name: count for name, count in counts.items() if count > 400} == {}
