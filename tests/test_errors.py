"""The error classes: each can be caught as the built-in it refines, or all as one."""

from __future__ import annotations

import pytest

from hela_dask import errors


@pytest.mark.parametrize(
    ("name", "refined"),
    [
        ("InputError", ValueError),
        ("MissingInputError", FileNotFoundError),
        ("ExistsError", FileExistsError),
        ("ParameterError", ValueError),
        ("NothingToDoError", LookupError),
        ("ResourceError", MemoryError),
        ("StorageError", OSError),
        ("MissingDependencyError", ImportError),
    ],
)
def test_each_refines_a_builtin_and_keeps_its_sentence(name: str, refined: type) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, refined)
    assert issubclass(kind, errors.HelaDaskError)
    assert str(kind("slice 3 is broken")) == "slice 3 is broken"


def test_the_list_of_errors_is_whole() -> None:
    classes = [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert sorted(errors.__all__) == sorted(classes)
