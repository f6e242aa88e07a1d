"""The one reader of documents: a right content, or one sentence that names the file and the key."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from hela_dask.documents.reading import (
    Document,
    Lengths,
    check_document,
    parse_json,
    read_bytes,
    read_document,
    read_json,
    read_text,
    read_toml,
    read_yaml,
)
from hela_dask.errors import HelaDaskError, InputError, MissingInputError, StorageError


class Inner(Document):
    path: str
    scale: Lengths = (1.0, 1.0, 1.0)


class Shape(Document):
    name: str
    timings: dict[str, float] = Field(default_factory=dict)
    datasets: list[Inner] = Field(default_factory=list)
    count: int = Field(default=1, ge=1)
    kind: Literal["a", "b"] = "a"
    label: str | None = None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({}, "name is missing"),
        ([], "its content must be a table, not an empty list"),
        (None, "its content must be a table, not null"),
        ({"name": 5}, "name must be text, not 5"),
        ({"name": "x", "timings": {"segment": "abc"}}, "timings.segment must be a number, not 'ab"),
        ({"name": "x", "timings": {"a": float("nan")}}, "timings.a must be a finite number, not n"),
        ({"name": "x", "timings": {"a": True}}, "timings.a must be a number, not true"),
        ({"name": "x", "timings": [1]}, "timings must be a table, not a list of 1"),
        ({"name": "x", "datasets": 3}, "datasets must be a list, not 3"),
        ({"name": "x", "datasets": [{"path": "0"}, {}]}, "datasets[1].path is missing"),
        ({"name": "x", "datasets": ["0"]}, "datasets[0] must be a table, not '0'"),
        (
            {"name": "x", "datasets": [{"path": "0", "scale": [1, "2", 3]}]},
            "datasets[0].scale[1] must be a number, not '2'",
        ),
        ({"name": "x", "datasets": [{"path": "0", "scale": [1, 2]}]}, "datasets[0].scale[2] is m"),
        ({"name": "x", "count": 0}, "count must be at least 1, not 0"),
        ({"name": "x", "count": 1.5}, "count must be a whole number, not 1.5"),
        ({"name": "x", "kind": "c"}, "kind must be 'a' or 'b', not 'c'"),
        ({"name": "x", "label": 1}, "label must be text, not 1"),
    ],
)
def test_another_shape_is_a_sentence_that_names_file_key_and_value(
    tmp_path: Path, content: Any, fault: str
) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError) as raised:
        read_document(path, Shape)
    assert str(raised.value).startswith(f"{path}: {fault}")
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match=r"^there: "):
        check_document(content, Shape, "there")


def test_a_document_of_each_kind_is_read(tmp_path: Path) -> None:
    texts = {
        "a.json": '{"name": "µ", "count": 3, "new": 1, "datasets": [{"path": "0"}]}',
        "a.toml": 'name = "µ"\ncount = 3\nnew = 1\n[[datasets]]\npath = "0"',
        "a.yaml": "name: µ\ncount: 3\nnew: 1\ndatasets: [{path: '0'}]",
        "lock": '{"name": "µ", "count": 3, "datasets": [{"path": "0", "scale": [1, 1, 1.0]}]}',
    }
    for name, text in texts.items():
        for encoding in ("utf-8", "utf-8-sig", "utf-16"):  # Windows PowerShell writes the last
            (tmp_path / name).write_text(text, encoding=encoding)
            found = read_document(tmp_path / name, Shape)
            assert (found.name, found.count, found.datasets[0].scale) == ("µ", 3, (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("a.json", "", "is empty"),
        ("a.json", " \n", "is empty"),
        ("a.json", "{", "is not valid JSON"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.json", '{"a":' * 100_000, "nested too deeply"),
        ("a.json", "[" * 150 + "]" * 150, "nested too deeply"),
        ("a.json", "1" + "0" * 400, "more than 64 bits"),
        ("a.json", '{"a": -9223372036854775809}', "more than 64 bits"),
        ("a.json", '{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' stands twice"),
        ("a.json", '{"a": "\\u0000"}', "a text with a broken character"),
        ("a.json", '{"\\ud800": 1}', "a text with a broken character"),
        ("a.toml", "a = ", "is not a TOML file"),
        ("a.toml", "a = " + "[" * 100_000, "nested too deeply"),
        ("a.toml", "a = 1\na = 2", "is not a TOML file"),
        ("a.toml", "a = 1" + "0" * 400, "more than 64 bits"),
        ("a.yaml", "a: [", "is not a YAML file"),
        ("a.yaml", "[" * 20_000, "nested too deeply"),
        ("a.yaml", "a: 1\na: 2", "the key 'a' stands twice"),
        ("a.yaml", "a: 1" + "0" * 400, "more than 64 bits"),
        ("a.yaml", "a: !!python/object/apply:os.system [ls]", "is not a YAML file"),
        ("a.yaml", "a: &a [*a]", "nested too deeply"),
        ("a.yaml", "? [1]\n: 2", "is not a YAML file"),
        ("a.yaml", "a: 2026-99-99", "is not a YAML file"),
        (
            "a.yaml",
            "a0: &a0 [x]\n"
            + "\n".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 12)),
            "more than the 10 aliases",
        ),
    ],
)
def test_a_damaged_document_is_a_sentence(tmp_path: Path, name: str, text: str, fault: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    read = {".json": read_json, ".toml": read_toml, ".yaml": read_yaml}[path.suffix]
    with pytest.raises(InputError, match=fault) as raised:
        read(path)
    assert str(raised.value).startswith(str(path))
    assert len(str(raised.value)) < 400
    assert "\n" not in str(raised.value)


def test_numbers_keep_their_values(tmp_path: Path) -> None:
    # Unsigned 64 bits are a fill value of zarr; other programs write NaN where a window has none.
    found = parse_json(b"\xef\xbb\xbf[18446744073709551615, -9223372036854775808, NaN, 1e400]", "x")
    assert found[:2] == [2**64 - 1, -(2**63)]
    assert found[2] != found[2]
    (tmp_path / "a.yaml").write_text("a: [10:00:00, 1:30.5, 0x10, 1e3, 1_000, -.inf, .5, 12, 09]")
    values = read_yaml(tmp_path / "a.yaml")["a"]
    assert values == ["10:00:00", "1:30.5", 16, 1000.0, 1000, float("-inf"), 0.5, 12, "09"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize(
    "kind", ["pipe", "pipe with a writer", "socket", "folder", "device", "loop"]
)
def test_what_is_no_file_is_refused_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / "a.json"
    writer: int | None = None
    listener = socket.socket(socket.AF_UNIX)
    if kind.startswith("pipe"):
        os.mkfifo(path)
        writer = os.open(path, os.O_RDWR) if kind != "pipe" else None
    elif kind == "socket":
        monkeypatch.chdir(tmp_path)  # the path of a socket has at most 107 bytes
        listener.bind("a.json")
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to(path)
    raised: list[HelaDaskError] = []

    def read() -> None:
        try:
            read_bytes(path)
        except HelaDaskError as error:
            raised.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(10)
    listener.close()
    if writer is not None:
        os.close(writer)
    assert not thread.is_alive()
    assert isinstance(raised[0], StorageError if kind == "loop" else InputError)
    assert str(path) in str(raised[0])


def test_a_missing_a_large_and_a_foreign_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xe9" * 100)
    for path in (tmp_path / "b", tmp_path / "a" / "b", f"{tmp_path}/\0"):
        with pytest.raises(MissingInputError, match=r"no file"):
            read_bytes(path)
    with pytest.raises(StorageError, match=r"cannot read .*name too long"):
        read_bytes(tmp_path / ("a" * 300))
    with pytest.raises(InputError, match="a is too large"):
        read_bytes(tmp_path / "a", largest=99)
    assert len(read_bytes(tmp_path / "a", largest=100)) == 100
    with pytest.raises(InputError, match="a is not a text file in UTF-8: byte 1 belongs"):
        read_text(tmp_path / "a")
    with (tmp_path / "c").open("wb") as file:
        file.truncate(2**40)  # of holes: no disk is used
    with pytest.raises(InputError, match=r"c is too large .* 32 MiB"):
        read_json(tmp_path / "c")


def test_a_level_without_a_scale_among_others_is_named(tmp_path: Path) -> None:
    from hela_dask.storage import store
    from hela_dask.storage.metadata import read_image

    image = store.create_image(
        tmp_path / "a.ome.zarr", (4, 2000, 2000), "uint8", (50, 10, 10), name="a"
    )
    assert len(image.levels) > 1
    content = json.loads((image.folder / "zarr.json").read_text())
    del content["attributes"]["ome"]["multiscales"][0]["datasets"][1]["coordinateTransformations"]
    content.pop("consolidated_metadata", None)
    (image.folder / "zarr.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="states no scale for its level"):
        read_image(image.path)
