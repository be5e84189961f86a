"""YAML from a file that anybody may have written: plain values and nothing else.

Refused are tags (YAML's way to name classes), aliases (a few lines of which stand for more values than a memory
holds), a key that is there twice, numbers that no float holds, and nesting. Of OmegaConf's interpolations the one that
published configs have is understood: a text that is wholly `${name.of.another}`, from the document's root.
"""

import math
import re
from collections import Counter
from typing import Any

import yaml

from gen3d_tools.errors import CheckpointError
from gen3d_tools.printable import printable, quoted
from gen3d_tools.texts import decoded

_MAX_DEPTH = 16
_MAX_VALUES = 10_000
_MAX_DIGITS = 20
_TOO_LARGE = f"holds more than {_MAX_VALUES:,} values, or more than {_MAX_DEPTH} deep"
_INTERPOLATION = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # it has no types
    """YAML without aliases and repeated keys, of bounded size: what is too large ends before it is built."""

    nodes = 0  # composed so far, keys among them
    depth = 0  # of the node that is being composed

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node; no alias."""
        if self.check_event(yaml.AliasEvent):
            raise ValueError("it has an alias, which no published config has")
        self.nodes += 1
        if self.nodes > 2 * _MAX_VALUES or self.depth > _MAX_DEPTH:
            raise ValueError(f"it {_TOO_LARGE}")
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Make a table whose keys are texts, each there once."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((name for name, times in Counter(names).items() if times > 1), None)
        if twice is not None or len(names) < len(node.value) or any(key.tag != _TEXT for key, _ in node.value):
            problem = "a key that is no text" if twice is None else f"the key {quoted(twice, 40)} twice"
            raise ValueError(f"a table has {problem}")
        table: dict[Any, Any] = super().construct_mapping(node, deep)
        return table

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Make a whole number of so many digits."""
        if len(node.value) > _MAX_DIGITS:
            raise ValueError(f"a whole number of {len(node.value)} digits")
        return int(super().construct_yaml_int(node))


_TEXT = "tag:yaml.org,2002:str"
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def parse_yaml(data: bytes, where: str) -> dict[str, Any]:
    """Read a table.

    Args:
        data: UTF-8 as it is in the file, of a size that the caller has bounded.
        where: Names the file in errors.

    Returns:
        None, bool, int, float, str, and lists and tables of such values; interpolations are resolved.

    Raises:
        CheckpointError: It is not YAML, holds no table, or a value as above.
    """
    try:
        table = yaml.load(decoded(data), _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = getattr(error, "problem", None) or str(error)
        raise CheckpointError(f"{where} is no YAML of a config ({printable(problem)}); restore the file") from error
    if not isinstance(table, dict):
        raise CheckpointError(f"{where} holds {quoted(table)}, it must be a table of settings")
    _check_values(table, where)
    resolved: dict[str, Any] = _resolved(table, table, where)
    return resolved


def _check_values(table: dict[str, Any], where: str) -> None:
    """Refuse what no config holds, without recursion."""
    waiting: list[tuple[Any, int]] = [(table, 0)]
    count = 0
    while waiting:
        one, depth = waiting.pop()
        count += 1
        if depth > _MAX_DEPTH or count > _MAX_VALUES:
            raise CheckpointError(f"{where} {_TOO_LARGE}")
        if isinstance(one, dict):
            waiting.extend((below, depth + 1) for below in one.values())
        elif isinstance(one, list):
            waiting.extend((below, depth + 1) for below in one)
        elif not isinstance(one, bool | int | float | str | None) or one in (math.inf, -math.inf) or one != one:
            raise CheckpointError(f"{where} holds {quoted(str(one))}, which is no number or text of a config")


def _resolved(value: Any, root: dict[str, Any], where: str) -> Any:
    """Replace interpolations by what they name; one that names another is refused."""
    if isinstance(value, dict):
        return {key: _resolved(below, root, where) for key, below in value.items()}
    if isinstance(value, list):
        return [_resolved(below, root, where) for below in value]
    match = _INTERPOLATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    found: Any = root
    for name in match[1].split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if found is None or isinstance(found, dict | list) or (isinstance(found, str) and "${" in found):
        raise CheckpointError(f"{where}: {quoted(value)} names no plain value of the file")
    return found
