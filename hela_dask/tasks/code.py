"""A fingerprint of code that computes: it changes when the arithmetic does.

A version number is not enough: it is the same for hundreds of changes. Instead, the functions that
compute are followed through the package, from its kernels to the constants that they read, and
their syntax trees are hashed, without docstrings, comments, annotations and the texts of errors.
Nothing is imported for it, and the same source has the same fingerprint under every version of
Python.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.util
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["CodeReader", "code_fingerprint", "parse_source"]

_PACKAGE = "hela_dask."
_TRIES = 20  # to read a file while another thread reads one
_PAUSE = 0.01  # seconds between them

# Nothing is computed here: files, messages, pictures, and the values of parameters, which
# fingerprints hold anyway.
_LEFT_OUT = {
    *("documents", "errors", "figures", "formatting", "pages", "running", "storage", "tasks"),
    "trace",
}
_COMPUTED = {"storage.means", "storage.pyramid"}
_LEFT_OUT_NAMES = {
    "parameters:Parameters",
    "parameters.fields:parameter",
    "parameters.fields:text_parameter",
}
# Methods of a class with this base that only show a result, beside those named _shown_….
_DISPLAY_BASE = "Shown"
_DISPLAY = {"__repr__", "__str__", "_card", "plot"}
_POSITIONS = {"ctx", "kind", "type_comment", "annotation", "returns", "type_params"}


@functools.cache
def _reader() -> CodeReader:
    return CodeReader()


@functools.cache
def code_fingerprint(*places: str) -> str:
    """Fingerprint of the code of functions and classes, once per process.

    `places` are each ``package.module:name``; of other packages the whole file counts.
    """
    own = [place.removeprefix(_PACKAGE) for place in places if place.startswith(_PACKAGE)]
    others = [place for place in places if not place.startswith(_PACKAGE)]
    return ".".join((_reader().fingerprint(own), *map(_file_hash, others)))


def _file_hash(place: str) -> str:
    """Hash of the file of a function of another package."""
    spec = importlib.util.find_spec(place.partition(":")[0])
    if spec is None or spec.origin is None:
        raise LookupError(f"there is no file of {place}")
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()[:32]


@dataclass(frozen=True)
class _Item:
    """A function, class or constant of a module."""

    node: ast.stmt

    @functools.cached_property
    def text(self) -> str:
        """Its syntax tree."""
        return _text(self.node)

    @functools.cached_property
    def imports(self) -> dict[str, str]:
        """Its own imports."""
        return _imports(ast.walk(self.node))

    @functools.cached_property
    def uses(self) -> set[tuple[str, str]]:
        """Names that it reads, each with the attribute that is taken of it (empty: of none).

        A name that is read with attributes only may be a module: then those count, not all of it.
        """
        return _uses(self.node)


@dataclass
class _Module:
    """The top of a module: its items and imports by name, and the text of all else."""

    items: dict[str, _Item] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    rest: str = ""


class CodeReader:
    """Follows functions through the source of this package.

    `root` is the folder of that source; default: where this module is from.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = Path(__file__).parent.parent if root is None else root
        self._modules: dict[str, _Module | None] = {}

    def fingerprint(self, starts: Iterable[str]) -> str:
        """Hash of everything that these functions (module:name) compute with.

        LookupError when there is no such function.
        """
        digest = hashlib.sha256()
        # Without the modules: code that moves to another one stays the same.
        found = self._reached(starts)
        for name, text in sorted((place.partition(":")[2], text) for place, text in found.items()):
            digest.update(f"{name}\0{text}\0".encode())
        return digest.hexdigest()[:32]

    def _reached(self, starts: Iterable[str]) -> dict[str, str]:
        """The syntax tree of each function, class and constant that is reached, by module:name."""
        found: dict[str, str] = {}
        pending = list(starts)
        while pending:
            place = pending.pop()
            if place in found:
                continue
            module, _, name = place.partition(":")
            top = self._module(module)
            if top is None or name not in top.items:
                raise LookupError(f"there is no {name} in hela_dask.{module}")
            item = top.items[name]
            found[place] = item.text
            if top.rest:
                found[f"{module}:"] = top.rest
            for used, attribute in item.uses:
                if used in top.items and used not in item.imports:
                    pending.append(f"{module}:{used}")
                elif target := item.imports.get(used) or top.imports.get(used):
                    pending += self._targets(target, attribute)
        return found

    def _targets(self, target: str, attribute: str) -> Iterator[str]:
        """Places of an imported name: ``module:name``, or a module, of which an attribute counts.

        Re-exported names are followed.
        """
        module, _, name = target.partition(":")
        if name and self._module(f"{module}.{name}".strip(".")) is not None:
            module, name = f"{module}.{name}".strip("."), ""
        top = self._module(module)
        left_out = module.partition(".")[0] in _LEFT_OUT and module not in _COMPUTED
        if top is None or left_out:
            return
        for item in [name or attribute] if name or attribute in top.items else list(top.items):
            if item in top.items and f"{module}:{item}" not in _LEFT_OUT_NAMES:
                yield f"{module}:{item}"
            elif item in top.imports:
                yield from self._targets(top.imports[item], attribute)

    def _module(self, name: str) -> _Module | None:
        """A module of this package; None where there is none."""
        if name not in self._modules:
            path = self._root.joinpath(*name.split("."))
            file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            there = bool(name) and file.is_file()
            self._modules[name] = _parsed(parse_source(file.read_bytes())) if there else None
        return self._modules[name]


def parse_source(source: bytes) -> ast.Module:
    """The syntax tree of a source file.

    Python 3.11 and 3.12 count the depth of a tree in a place that all threads share, and refuse a
    correct file, rarely, while another thread reads one too (python/cpython#106905).

    Raises
    ------
    SyntaxError, ValueError
        When the file is no Python.
    """
    for _ in range(_TRIES):
        with contextlib.suppress(SystemError):
            return ast.parse(source)
        time.sleep(_PAUSE)
    return ast.parse(source)


def _parsed(tree: ast.Module) -> _Module:
    module = _Module()
    for node in _body(tree.body):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module.imports |= _imports([node])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            module.imports |= _imports(ast.walk(node))
        elif isinstance(node, ast.FunctionDef):
            module.items[node.name] = _Item(node)
        elif isinstance(node, ast.ClassDef):
            module.items[node.name] = _Item(_without_display(node))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for part in (part for target in targets for part in ast.walk(target)):
                if isinstance(part, ast.Name) and part.id != "__all__":
                    module.items[part.id] = _Item(node)
        else:
            module.rest += _text(node)
    return module


def _without_display(node: ast.ClassDef) -> ast.ClassDef:
    """A class that is shown, without its base for that and the methods that only show it."""
    bases = [base for base in node.bases if _name_of(base) != _DISPLAY_BASE]
    if len(bases) == len(node.bases):
        return node
    body = [item for item in node.body if not _displays(item)]
    return ast.ClassDef(
        name=node.name,
        bases=bases,
        keywords=node.keywords,
        body=body,
        decorator_list=node.decorator_list,
    )


def _displays(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and (
        node.name in _DISPLAY or node.name.startswith("_shown_")
    )


def _uses(node: ast.AST) -> set[tuple[str, str]]:
    found = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Attribute) and isinstance(child.value, ast.Name):
            found.add((child.value.id, child.attr))
        elif isinstance(child, ast.Name):
            found.add((child.id, ""))
        else:
            found |= _uses(child)
    return found


def _imports(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Names that imports from this package make, each with its place ``module:name``."""
    return {
        item.asname or item.name: f"{node.module.removeprefix('hela_dask').strip('.')}:{item.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        and node.module
        and node.module.split(".")[0] == "hela_dask"
        for item in node.names
    }


def _body(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Statements without a docstring."""
    if statements and isinstance(statements[0], ast.Expr):
        value = statements[0].value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return statements[1:]
    return statements


def _text(node: object) -> str:
    """A syntax tree as text: without positions, docstrings, annotations and texts of errors."""
    if isinstance(node, list):
        return f"[{','.join(_text(item) for item in node)}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Raise):
        return "Raise()"
    if isinstance(node, ast.Expr) and _logs(node.value):
        return ""
    if isinstance(node, ast.Call) and _name_of(node.func) in ("parameter", "text_parameter"):
        return "Call()"  # a parameter's default and its description
    parts = []
    for name in node._fields:
        value = getattr(node, name, None)
        if value is None or value == [] or name in _POSITIONS:
            continue
        if name == "body" and isinstance(value, list):
            value = _body(value)
        parts.append(f"{name}={_text(value)}")
    return f"{type(node).__name__}({','.join(parts)})"


def _logs(node: ast.expr) -> bool:
    """Whether this is a call such as ``log.debug(...)``."""
    function = node.func if isinstance(node, ast.Call) else None
    return isinstance(function, ast.Attribute) and _name_of(function.value) == "log"


def _name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""
