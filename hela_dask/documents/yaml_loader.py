"""PyYAML's safe loader, without its traps: keys that stand twice, and times that become numbers."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from hela_dask.errors import InputError

__all__ = ["Loader", "check_tokens"]


class Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping, and leaves ``10:00:00`` a text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """The mapping of a node, as the safe loader has it."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := next((name for name in names if name != "<<" and names.count(name) > 1), None):
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice[:40]!r} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


# YAML 1.1 reads 10:00:00 as a number in base 60: a wall time of ten hours would be 36000 minutes.
_NUMBERS = {
    "tag:yaml.org,2002:int": r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)",
    "tag:yaml.org,2002:float": (
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
    ),
}
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag not in _NUMBERS]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in _NUMBERS.items():
    Loader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), list("-+0123456789."))


def check_tokens(text: str, source: str, depth: int, aliases: int) -> None:
    """Refuse a text that a parser needs long for, before it is parsed.

    Parameters
    ----------
    text : str
        YAML.
    source : str
        Where it is from, for errors.
    depth, aliases : int
        How deep it may be nested, and how many aliases it may have: each repeats what it names.

    Raises
    ------
    InputError
        When it is nested deeper, or has more aliases.
    yaml.YAMLError
        When it is not YAML.
    """
    deep = found = 0
    for token in yaml.scan(text, Loader=Loader):
        if isinstance(token, _STARTS):
            deep += 1
        elif isinstance(token, _ENDS):
            deep -= 1
        found += isinstance(token, yaml.AliasToken)
        if deep > depth:
            raise InputError(f"{source} is nested too deeply to be read")
        if found > aliases:
            raise InputError(f"{source} has more than the {aliases} aliases that are read")


_STARTS = (
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
)
_ENDS = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)
