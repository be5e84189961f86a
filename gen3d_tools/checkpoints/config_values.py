"""Plain values out of a pickle's records: settings, numbers, small tensors, and omegaconf trees with references.

Everything is counted, because a small file can refer to one value many times over.
"""

import math
import re
from collections.abc import Iterable
from typing import Any

from gen3d_tools.checkpoints.records import Blob, Name, Record, TensorRecord
from gen3d_tools.checkpoints.tensor_storage import TensorReader
from gen3d_tools.errors import CheckpointError

_MAX_VALUES = 100_000
_MAX_DEPTH = 40
_MAX_ELEMENTS = 4096  # of a tensor that counts as a setting
_REFERENCE = re.compile(r"\$\{([\w-]+(?:\.[\w-]+)*)\}")
_NODES = ("omegaconf.dictconfig.DictConfig", "omegaconf.listconfig.ListConfig", "omegaconf.nodes.AnyNode")


class NoSettingError(Exception):
    """A value that is no setting: a network, a long text, a large tensor."""


class PlainValues:
    """Turns records into None, bool, int, float, str, list and dict.

    Args:
        tensors: Reads small tensors.

    Attributes:
        warnings: References that lead nowhere; they stay as they are written.
    """

    def __init__(self, tensors: TensorReader) -> None:
        self.tensors = tensors
        self.warnings: list[str] = []
        self._left = _MAX_VALUES

    def plain(self, value: Any, root: Any = None, depth: int = 0) -> Any:
        """Convert one value with everything in it.

        Args:
            value: From the pickle.
            root: Whole configuration, where references are looked up; None leaves texts as they are.
            depth: How deep `value` lies.

        Raises:
            NoSettingError: It is, or holds, something that is no setting.
            CheckpointError: It is nested too deeply, has too many values, or refers to itself.
        """
        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            raise CheckpointError("its settings are nested or repeated without end; no checkpoint does that")
        if isinstance(value, str) and root is not None:
            return self._resolved(value, root, depth)
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, Record):
            return self._record(value, root, depth)
        if isinstance(value, dict):
            return {str(key): self.plain(child, root, depth + 1) for key, child in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(child, root, depth + 1) for child in value]
        if isinstance(value, set | frozenset) and all(isinstance(child, str) for child in value):
            return sorted(value)
        if isinstance(value, TensorRecord) and math.prod(value.size) <= _MAX_ELEMENTS:
            return self.tensors.read(value).tolist()
        raise NoSettingError

    def table(self, values: Any, skip: Iterable[str] = ()) -> dict[str, Any]:
        """Convert a table of attributes, leaving out what is no setting."""
        skipped = set(skip)
        found = {}
        for name, value in values.items() if isinstance(values, dict) else ():
            if isinstance(name, str) and name not in skipped and not isinstance(value, Blob | Name):
                try:
                    found[name] = self.plain(value)
                except NoSettingError:
                    continue
        return found

    def config(self, node: Any) -> dict[str, Any]:
        """Convert a configuration: an omegaconf tree or a plain table, with `${a.b}` resolved against its root.

        Raises:
            CheckpointError: It is no table, or refers to itself.
        """
        try:
            found = self.plain(node, _root(node))
        except NoSettingError as error:
            raise CheckpointError("its configuration holds something other than settings") from error
        if not isinstance(found, dict):
            raise CheckpointError("its configuration is no table of settings")
        return found

    def _record(self, record: Record, root: Any, depth: int) -> Any:
        if record.name in _NODES:
            state = record.attributes()
            content = state.get("_val") if record.name == _NODES[2] else state.get("_content")
            return self.plain(content, root if root is not None else _root(record), depth + 1)
        if record.entries is not None and record.state is None:  # a dict of a kind we do not know
            return self.plain(record.entries, root, depth + 1)
        if record.elements is not None and record.state is None:
            return self.plain(record.elements, root, depth + 1)
        raise NoSettingError

    def _resolved(self, text: str, root: Any, depth: int) -> Any:
        match = _REFERENCE.fullmatch(text)
        if match is None:
            return text
        target = root
        for part in match[1].split("."):
            target = _child(target, part)
            if target is None:
                self.warnings.append(f"the configuration refers to {match[1]}, which is not there")
                return text
        return self.plain(target, root, depth + 1)  # a loop of references runs into the limit of depth


def _root(node: Any) -> Any:
    """Follow a configuration's parents to the whole experiment's configuration."""
    for _ in range(_MAX_DEPTH):
        parent = node.attributes().get("_parent") if isinstance(node, Record) else None
        if parent is None:
            return node
        node = parent
    raise CheckpointError("its configuration is nested without end; no checkpoint does that")


def _child(node: Any, name: str) -> Any:
    """Give one entry of a configuration node, or None."""
    content = node.attributes().get("_content") if isinstance(node, Record) else node
    if isinstance(content, dict):
        return content.get(name)
    if isinstance(content, list) and name.isdecimal() and len(name) < 6 and int(name) < len(content):
        return content[int(name)]
    return None
