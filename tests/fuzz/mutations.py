"""Valid documents made hostile: values, structure, tokens of a text, and bytes."""

from __future__ import annotations

import copy
import json
import re
from random import Random
from typing import Any

__all__ = ["mutate_binary", "mutate_bytes", "mutate_json", "mutate_text"]


def _deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3, -0.0, 5e-324, 1e308, 1e30, float("nan"), float("inf")),
    *(2**31, 2**32, 2**53 + 1, 2**63, -(2**63) - 1, 10**400, -(10**400), 0.1, 1e-30),
    *("", " ", "abc", "5", "nan", "1e5", "0", "9" * 5000, "µ" * 300, "\0", "a\0b", "\ud800"),
    *("../../..", "/dev/zero", "/", ".", "..", "file:///etc/passwd", "<b>", "{{7*7}}", "=1+1"),
    *([], {}, [[]], [None], {"": None}, {"a": {"b": {"c": 1}}}, [1, 2, 3], ["z", "y", "x"]),
    *([0] * 3, [1e9] * 3, [10**9] * 3, ["nanometer"] * 3, _deep(30), _deep(150), [0] * 5000),
)
TOKENS = (
    *(
        "",
        " ",
        "0",
        "-1",
        "-0",
        "1e999",
        "-1e999",
        "nan",
        "inf",
        "null",
        "~",
        "true",
        "2.5",
        "0x1F",
    ),
    *("1,5", "1.234,5", "3,000", "1_000", "9" * 400, "9" * 5000, "1e-400", "10:00:00", "\u0663"),
    *("'", '"', '"a', "[", "[" * 300, "{", "}" * 50, "&a", "*a", "!!python/name:os.system", "#"),
    *("<", "&lol;", "]]>", "\\", "\t", "\0", "\ufeff", "\u2212", "\u00a0", "µm", "../..", "\r"),
)
_TOKEN = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?|[A-Za-z_]\w*|\S")


def mutate_json(random: Random, content: Any) -> bytes:
    """A JSON document with some of its values replaced, moved, nested, left out or doubled."""
    tree = copy.deepcopy(content)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        tree = _changed(random, tree)
    text = json.dumps(tree, ensure_ascii=random.random() < 0.5)
    if random.random() < 0.1:  # a key that stands twice
        keys = re.findall(r'"[^"]+": ', text)
        key = random.choice(keys) if keys else '"a": '
        text = text.replace(key, f"{key}{json.dumps(random.choice(VALUES))}, {key}", 1)
    if random.random() < 0.02:
        text = '{"a": ' * 50_000
    encoded = text.encode("utf-8", errors="surrogatepass")
    return mutate_bytes(random, encoded) if random.random() < 0.15 else encoded


def _changed(random: Random, tree: Any) -> Any:
    """The tree with one change somewhere in it."""
    places = list(_places(tree))
    if not places or random.random() < 0.02:
        return copy.deepcopy(random.choice(VALUES))
    parent, key = random.choice(places)
    value = parent[key]
    match random.randrange(8):
        case 0 | 1 | 2:
            parent[key] = copy.deepcopy(random.choice(VALUES))
        case 3:
            del parent[key]
        case 4:
            parent[key] = random.choice(([value], {"a": value}, [value] * 2, str(value)))
        case 5:
            other, name = random.choice(places)
            parent[key] = copy.deepcopy(other[name]) if name in _keys(other) else None
        case 6 if type(value) in (int, float) and abs(value) < 1e15:
            parent[key] = random.choice((-value, value * 1000, value + 0.5, value * 10**12, 0))
        case _:
            if isinstance(parent, dict):
                parent[str(key) + random.choice(("", " ", "s", "\0", "é"))] = value
                if random.random() < 0.5:
                    parent.pop(key, None)
            else:
                parent.insert(random.randrange(len(parent) + 1), copy.deepcopy(value))
    return tree


def _keys(value: Any) -> Any:
    return value if isinstance(value, dict) else range(len(value))


def _places(tree: Any, depth: int = 0) -> Any:
    """Every place of a tree that holds a value: its container and its key."""
    if depth > 12 or not isinstance(tree, dict | list):
        return
    for key in list(_keys(tree))[:40]:
        yield tree, key
        yield from _places(tree[key], depth + 1)


def mutate_text(random: Random, text: str) -> bytes:
    """A text with some tokens and lines replaced, left out, doubled or moved."""
    for _ in range(random.choice((1, 1, 2, 4))):
        lines = text.split("\n")
        k = random.randrange(len(lines))
        match random.randrange(8):
            case 0 | 1 | 2:
                found = list(_TOKEN.finditer(text))
                if found:
                    match = random.choice(found)
                    text = text[: match.start()] + random.choice(TOKENS) + text[match.end() :]
            case 3:
                text = "\n".join((*lines[:k], *lines[k + 1 :]))
            case 4:
                text = "\n".join((*lines[: k + 1], *lines[k:]))
            case 5:
                text = "\n".join((*lines[:k], lines[k] + random.choice(TOKENS), *lines[k + 1 :]))
            case 6:
                old, new = random.choice(
                    ((",", ";"), (".", ","), (":", "="), ("\n", "\r\n"), (" ", ""))
                )
                text = text.replace(old, new)
            case _:
                text = text[: random.randrange(len(text) + 1)]
    if random.random() < 0.1:
        encoding = random.choice(("utf-16", "utf-8-sig", "utf-16-le", "latin-1", "utf-32"))
        return text.encode(encoding, errors="replace")
    encoded = text.encode("utf-8", errors="surrogatepass")
    return mutate_bytes(random, encoded) if random.random() < 0.2 else encoded


def mutate_bytes(random: Random, content: bytes) -> bytes:
    """Bytes flipped, cut off, left out, doubled or put in."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8))):
        at = random.randrange(len(data) + 1)
        match random.randrange(6):
            case 0 | 1 if at < len(data):
                data[at] ^= 1 << random.randrange(8)
            case 2:
                del data[at:]
            case 3:
                del data[at : at + random.randrange(1, 30)]
            case 4:
                data[at:at] = data[at : at + random.randrange(1, 200)]
            case _:
                data[at:at] = random.randbytes(random.randrange(1, 9))
    return bytes(data)


def mutate_binary(random: Random, content: bytes, header: int, order: str = "<") -> bytes:
    """A binary file with words of its header replaced by extreme ones, or mutated as bytes."""
    if random.random() < 0.25:
        return mutate_bytes(random, content[:header]) + content[header:]
    if random.random() < 0.1:
        return content[: random.randrange(len(content) + 1)]
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4))):
        size = random.choice((1, 2, 4, 4, 8))
        at = random.randrange(0, max(1, min(header, len(data)) - size))
        at -= at % min(size, 4)
        most = 2 ** (8 * size)
        value = random.choice(
            (0, 1, 2, 3, most - 1, most // 2, most // 2 - 1, random.randrange(most))
        )
        data[at : at + size] = value.to_bytes(size, "little" if order == "<" else "big")
    return bytes(data)
