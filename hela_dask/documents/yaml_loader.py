"""PyYAML's safe loader, without its traps: keys that stand twice, and times that become numbers."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

__all__ = ["Loader"]

_ALIASES = 10  # that a text may have: each repeats its anchor


class Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping and many aliases; ``10:00:00`` is a text."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next node, as the safe loader has it."""
        self._aliases += self.check_event(yaml.AliasEvent)
        if self._aliases > _ALIASES:
            raise yaml.composer.ComposerError(
                None, None, f"it has more than the {_ALIASES} aliases that are read"
            )
        return super().compose_node(parent, index)

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
