"""Words to avoid are found in identifiers and prose, and the package has none."""

from __future__ import annotations

import pytest

from tests.words import check_code, check_prose, main


def test_words_are_found_in_identifiers_and_not_in_texts() -> None:
    code = "class NameKnob:\n    def told_you(self):\n        return 'knob'\n"
    assert [(line, name) for line, name, _ in check_code(code)] == [
        (1, "NameKnob"),
        (2, "told_you"),
    ]


def test_phrases_are_found_across_lines_and_not_in_code() -> None:
    prose = "A cell that goes\n    # on, and ``knob`` as `tell` is code.\nOne row a cell."
    assert [found[:2] for found in check_prose(prose, 5)] == [(5, "goes # on"), (7, "row a cell")]


def test_code_and_pages_have_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0, capsys.readouterr().out
