"""Slices to learn from and slices held out: never the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hela_dask.errors import InputError, ParameterError
from hela_dask.formatting import number_runs
from hela_dask.unet.split import make_split


@given(
    st.integers(2, 60),
    st.sampled_from(["blocks", "random"]),
    st.floats(0.05, 0.6),
    st.integers(0, 5),
)
def test_no_slice_is_in_both_and_none_is_lost(
    count: int, kind: str, share: float, seed: int
) -> None:
    split = make_split(range(3, 3 + count), kind, validation=share, seed=seed)
    assert sorted(split.train + split.validation) == list(range(3, 3 + count))
    assert not set(split.train) & set(split.validation)
    assert len(split.validation) == max(1, round(share * count))


def test_the_last_tenth_is_held_out() -> None:
    split = make_split(range(1, 181))
    assert split.to_dict() == {
        "kind": "blocks",
        "train": [[1, 162]],
        "validation": [[163, 180]],
        "leaking": False,
    }


def test_a_random_split_leaks_and_repeats() -> None:
    one, two = (make_split(range(1, 101), "random", validation=0.4, seed=7) for _ in range(2))
    assert one == two
    assert one != make_split(range(1, 101), "random", validation=0.4, seed=8)
    assert one.to_dict()["leaking"] is True
    assert len(number_runs(one.validation)) > 10


def test_slices_held_out_are_taken_from_those_learned_from() -> None:
    split = make_split(range(1, 181), slices=(1, 150), validation=(141, 160))
    assert number_runs(split.train) == [[1, 140]]
    assert number_runs(split.validation) == [[141, 160]]


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"slices": (50, 60)}, InputError, "left to learn from"),
        ({"validation": (1, 20)}, InputError, "left to learn from"),
        ({"validation": (50, 60)}, InputError, "left to judge by"),
        ({"validation": 1.5}, ParameterError, "between 0 and 1"),
        ({"kind": "odd"}, ParameterError, "no split 'odd'"),
        ({"kind": "random", "validation": (1, 2)}, ParameterError, "a share"),
    ],
)
def test_an_empty_split_is_refused(
    options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        make_split(range(1, 21), **options)
