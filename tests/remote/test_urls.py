"""Addresses of stores: which are taken, and what is refused without a secret in the message."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from hela_dask.errors import InputError
from hela_dask.storage.metadata import read_image
from hela_dask.storage.places import check_apart, is_within, relative_path, same_place
from hela_dask.storage.urls import StoreUrl, local_path, store_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://Host.org/a/b.zarr/", "https://host.org/a/b.zarr"),
        ("HTTP://h/a//b/../c.zarr", "http://h/a/c.zarr"),
        ("s3://Bucket/a/b.zarr//", "s3://Bucket/a/b.zarr"),
        ("gs://bucket/x", "gs://bucket/x"),
        ("s3://my.bucket/a b/c%20d.zarr", "s3://my.bucket/a b/c%20d.zarr"),
        ("https://h:8080", "https://h:8080"),
    ],
)
def test_an_address_has_one_spelling(text: str, expected: str) -> None:
    assert str(store_path(text)) == expected
    assert store_path(store_path(text)) == StoreUrl(expected)


@pytest.mark.parametrize("text", ["hela.ome.zarr", "C:/data/x.zarr", "a:b", "/x/y", Path("x")])
def test_paths_stay_paths(text: str | Path) -> None:
    assert store_path(text) == Path(text)


def test_a_file_address_is_a_path() -> None:
    assert store_path("file:///data/a%20b.zarr") == Path("/data/a b.zarr")
    with pytest.raises(InputError, match="another machine"):
        store_path("file://server/data")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://me:SECRET@h.org/x.zarr", "a user or a password"),
        ("s3://KEY:SECRET@bucket/x.zarr", "a user or a password"),
        ("https://h.org/x.zarr?X-Amz-Signature=SECRET", "signed address opens one file"),
        ("https://h.org/x.zarr#SECRET", "fragment"),
        ("ftp://me:SECRET@h/x", "ftp://, which is not read"),
        ("https:/h.org/x", "lacks a slash"),
        ("https:///x", "names no host"),
        ("s3:///x", "names no bucket"),
        ("https://h.org:port/x", "no address"),
        ("https://h.org/a b", "write %20"),
        ("s3://b/a\tb", "control character: leave it out"),
    ],
)
def test_what_is_refused_names_no_secret(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_image(text)
    assert "SECRET" not in str(caught.value)


def test_an_address_is_no_path_of_this_machine() -> None:
    url = StoreUrl("https://h.org/x.zarr")
    with pytest.raises(InputError, match=r"is an address, and a local path is needed"):
        local_path(url)
    with pytest.raises(TypeError):
        Path(url)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="leads out"):
        url / "../y"


def test_parts_of_addresses() -> None:
    url = StoreUrl("https://h.org/data/a%20b.zarr")
    assert url.name == "a b.zarr" and str(url.parent) == "https://h.org/data"
    assert str(url / "labels/my cells") == "https://h.org/data/a%20b.zarr/labels/my%20cells"
    assert str(StoreUrl("s3://b/x") / "a b") == "s3://b/x/a b"
    assert StoreUrl("s3://b").parent == StoreUrl("s3://b") and StoreUrl("s3://b").name == "b"
    assert pickle.loads(pickle.dumps(url)) == url
    assert url.absolute() is url


def test_places_compare_addresses_as_texts(tmp_path: Path) -> None:
    url = StoreUrl("s3://b/x.zarr")
    assert same_place(url, "s3://b/x.zarr") and not same_place(url, tmp_path)
    assert is_within(url / "0", url) and not is_within(tmp_path, url)
    assert relative_path(url, tmp_path) == "s3://b/x.zarr"
    check_apart(url, {"--out": tmp_path / "x.run"})
