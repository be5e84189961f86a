"""Plain values out of a pickle's records: settings, numbers, small tensors, and omegaconf trees with references.

Everything is counted against the file's budget, because a small file can refer to one value many times over.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from gen3d_tools.checkpoints.pickles.records import Blob, Name, Record, TensorRecord
from gen3d_tools.checkpoints.pickles.tensor_storage import TensorReader
from gen3d_tools.errors import CheckpointError
from gen3d_tools.printable import printable

_MAX_DEPTH = 40
_MAX_KEY = 1 << 64
_MAX_ELEMENTS = 4096  # of a tensor that counts as a setting
_LETTERS_PER_STEP = 64
_STEPS_PER_VALUE = 2  # what converting one takes, beside an operation of the stream
_REFERENCE = re.compile(r"\$\{([\w-]+(?:\.[\w-]+)*)\}")
_NODES = ("omegaconf.dictconfig.DictConfig", "omegaconf.listconfig.ListConfig", "omegaconf.nodes.AnyNode")


class NoSettingError(Exception):
    """A value that is no setting: a network, a long text, a large tensor."""


class PlainValues:
    """Turns records into None, bool, int, float, str, list and dict.

    Args:
        tensors: Reads small tensors. What is converted here spends from its budget.
    """

    def __init__(self, tensors: TensorReader) -> None:
        self.tensors, self.budget = tensors, tensors.budget
        self._lost: Counter[str] = Counter()

    @property
    def warnings(self) -> list[str]:
        """References that lead nowhere, one line for each; they stay as they are written."""
        return [
            f"the configuration refers to {printable(name)}, which is not there" + (f" ({n:,} times)" if n > 1 else "")
            for name, n in self._lost.items()
        ]

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
        self.budget.spend(_STEPS_PER_VALUE)
        if depth > _MAX_DEPTH:
            raise CheckpointError("its settings are nested or repeated without end; no checkpoint does that")
        if isinstance(value, str):
            self.budget.spend(len(value) // _LETTERS_PER_STEP)
            return value if root is None else self._resolved(value, root, depth)
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Record):
            return self._record(value, root, depth)
        if isinstance(value, dict):
            return {_key(key): self.plain(child, root, depth + 1) for key, child in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(child, root, depth + 1) for child in value]
        if isinstance(value, set | frozenset):
            self.budget.spend(len(value))
            if all(isinstance(child, str) for child in value):
                return sorted(value)
        if isinstance(value, TensorRecord):
            return self._numbers(value)
        raise NoSettingError

    def _numbers(self, tensor: TensorRecord) -> Any:
        """Read a small tensor as nested lists. A side of 0 does not make it small: there is a list for each row."""
        lists = math.prod(max(side, 1) for side in tensor.size)
        if lists > _MAX_ELEMENTS:
            raise NoSettingError
        self.budget.spend(lists)
        return self.tensors.read(tensor).tolist()

    def entries(self, values: Any) -> list[tuple[str, Any]]:
        """Give the entries of a table whose keys are texts; none if it is no table."""
        if not isinstance(values, dict):
            return []
        self.budget.spend(len(values))
        return [(name, value) for name, value in values.items() if isinstance(name, str)]

    def table(self, values: Any, skip: Iterable[str] = ()) -> dict[str, Any]:
        """Convert a table of attributes, leaving out what is no setting."""
        skipped = set(skip)
        found = {}
        for name, value in self.entries(values):
            if name not in skipped and not isinstance(value, Blob | Name):
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
        target, parts = root, match[1].split(".")
        self.budget.spend(len(parts))
        for part in parts:
            target = _child(target, part)
            if target is None:
                self._lost[match[1]] += 1
                return text
        return self.plain(target, root, depth + 1)  # a loop of references runs into the limit of depth


def _key(key: Any) -> str:
    """Write a key of a table of settings; other objects of a file are never turned into text."""
    if isinstance(key, str | float | None) or (isinstance(key, int) and abs(key) < _MAX_KEY):
        return str(key)
    raise NoSettingError


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
