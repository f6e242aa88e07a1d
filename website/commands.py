"""A page per command of ``hela-dask``, written from the commands themselves."""

from __future__ import annotations

import re
from typing import Any

import typer

from hela_dask.cli import app

__all__ = ["command_pages", "commands"]

_INTRODUCTION = """# Commands

Every command has help: `hela-dask COMMAND --help`. These pages show the same text. The exit code is
0 where a command is done, 1 for bad input or nothing to do, 3 where a run finished and some cells
failed, and 130 after an interruption. Every error is one sentence; [messages](../messages.md)
explains the most frequent ones.

| command | purpose |
|---|---|
"""


def commands() -> dict[str, Any]:
    """All commands by name; those of a group have both names, as ``cluster check``."""
    top: Any = typer.main.get_command(app)
    found: dict[str, Any] = {}
    for name, command in top.commands.items():
        inner = getattr(command, "commands", None)
        if inner is None:
            found[name] = command
        else:
            found.update({f"{name} {part}": value for part, value in inner.items()})
    return found


def command_pages() -> dict[str, str]:
    """Markdown by the path of the page: ``commands/index.md`` and one page per command."""
    found = commands()
    rows = [f"| [{name}]({_file(name)}) | {_first(one)} |\n" for name, one in found.items()]
    pages = {"commands/index.md": _INTRODUCTION + "".join(rows)}
    pages |= {f"commands/{_file(name)}": _page(name, one) for name, one in found.items()}
    return pages


def _file(name: str) -> str:
    return f"{name.replace(' ', '_')}.md"


def _first(command: Any) -> str:
    return _escaped(str(command.help).split("\n", maxsplit=1)[0])


def _page(name: str, command: Any) -> str:
    text, _, example = str(command.help).partition("Example:")
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    options = [item for item in command.params if item.param_type_name == "option"]
    shown = [_shown(item) for item in arguments]
    usage = " ".join(["hela-dask", name, *shown, *(["[OPTIONS]"] if options else [])])
    parts = [
        f"# hela-dask {name}",
        _escaped(text.strip()),
        f"```\n{usage}\n```",
        "## Example",
        f"```\n{example.strip()}\n```",
    ]
    if arguments:
        parts += ["## Arguments", *(_entry(_name(item), item) for item in arguments)]
    if options:
        parts += ["## Options", *(_entry(_names(item), item) for item in options)]
    return "\n\n".join(parts) + "\n"


def _name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper()).strip("[]")


def _shown(argument: Any) -> str:
    """An argument in the usage."""
    more = f"{_name(argument)}..." if argument.nargs == -1 else _name(argument)
    return more if argument.required else f"[{more}]"


def _names(option: Any) -> str:
    names = ", ".join(option.opts)
    return f"{names} {option.metavar}" if option.metavar else names


def _entry(names: str, item: Any) -> str:
    """A term and its meaning, as a definition list."""
    text = _escaped(item.help or "")
    if item.required:
        text += " Required."
    elif item.default not in (None, False, "", ()) and "default" not in text:
        text += f" Default: `{_value(item.default)}`."
    return f"`{names}`\n:   {text}"


def _value(default: Any) -> str:
    if isinstance(default, tuple | list):
        return " ".join(map(str, default))
    return str(default)


def _escaped(text: str) -> str:
    """Text of help as Markdown: options as code; no part of it becomes a tag or emphasis."""
    text = re.sub(r"([<>*_`|\[\]])", r"\\\1", text)
    return re.sub(r"(?<![\w-])(--[a-z][a-z-]*)", r"`\1`", text)
