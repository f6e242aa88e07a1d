"""Each public name has a docstring with an example, and each example does what it states."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

import hela_dask as hd
from tests.docstrings.public import Item, public_items

SKIPPED = {
    "ClusterCheck": "starts a worker",
    "Sample": "needs a network",
    "Sample.to_dict": "needs a network",
    "NeuroglancerView.wait": "waits until it is interrupted",
    "check_cluster": "starts a worker",
    "sample": "needs a network",
    "review": "needs napari and a screen",
    "train": "needs TensorFlow and takes minutes",
    "view": "needs napari and a screen",
}
"""The names with examples that do not run, and the reason."""

ITEMS = public_items()
PROTOCOL = {item.name for item in ITEMS if item.name.startswith("Method.")}
"""A protocol is no code that could run; the example is that of the class."""
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _examples(item: Item) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(item.text, item.name)


WITH_EXAMPLES = [item for item in ITEMS if _examples(item)]


@pytest.mark.slow
@pytest.mark.parametrize("item", WITH_EXAMPLES, ids=lambda item: item.name)
def test_the_examples_run_as_shown(item: Item, clean: Path) -> None:
    """In a namespace that is empty: an example imports all that it needs."""
    case = doctest.DocTestParser().get_doctest(item.text, {}, item.name, None, None)
    shown: list[str] = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    result = runner.run(case, out=shown.append)
    assert not result.failed, "".join(shown)


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.name)
def test_each_name_has_a_docstring_with_an_example(item: Item) -> None:
    assert item.text, f"{item.name} has no docstring"
    if item.kind == "property" or item.name in PROTOCOL:
        return
    examples = _examples(item)
    assert examples, f"the docstring of {item.name} has no example"
    skips = [example for example in examples if example.options.get(doctest.SKIP)]
    assert bool(skips) == (item.name in SKIPPED), f"{item.name}: examples that are skipped"


def test_examples_show_results() -> None:
    """More than the import and a call: most examples state what comes out."""
    shown = [item for item in WITH_EXAMPLES if any(part.want for part in _examples(item))]
    assert len(shown) >= 0.8 * len(WITH_EXAMPLES)


def test_the_list_of_skipped_names_is_current() -> None:
    assert set(SKIPPED) <= {item.name for item in ITEMS}
    assert len(SKIPPED) < 0.1 * len(ITEMS)


def test_a_wrong_example_fails(clean: Path) -> None:
    wrong = ">>> import hela_dask as hd\n>>> hd.open_volume('hela.ome.zarr').sizes['z']\n65\n"
    case = doctest.DocTestParser().get_doctest(wrong, {}, "wrong", None, None)
    result = doctest.DocTestRunner(optionflags=OPTIONS).run(case, out=lambda _: None)
    assert (result.failed, result.attempted) == (1, 2)
    assert hd.open_volume(clean / "hela.ome.zarr").sizes["z"] == 64
