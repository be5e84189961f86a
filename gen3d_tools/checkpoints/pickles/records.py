"""What stands for the contents of a pickle once it is read: nothing here can do anything.

A pickle names functions and classes and says how to call them. The reader never looks such a name up; it keeps
the name (`Name`), what it was called with (`Record`), and where long bytes and texts lie in the file (`Blob`).

None of these writes out what it holds when it is printed: a file of a few kilobytes can describe an object in which
everything is there twice, thirty levels deep, and writing that does not end.
"""

from dataclasses import dataclass, field
from typing import Any

from gen3d_tools.printable import printable


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Name:
    """A global the file refers to, as written. `known` is False for one outside the list in `allowed_globals`."""

    module: str
    name: str
    known: bool = True

    @property
    def qualified(self) -> str:
        """Module and name."""
        return f"{self.module}.{self.name}"

    def __str__(self) -> str:
        return printable(self.qualified, 100)


@dataclass(slots=True, eq=False, repr=False)
class Record:
    """An object of the file that was not built.

    Attributes:
        name: Its class: qualified, or bare for a network of the original repositories.
        arguments: What its class or function was called with.
        state: The attributes it was given.
        entries: Items, if it was filled like a dict.
        elements: Elements, if it was filled like a list.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    entries: dict[Any, Any] | None = None
    elements: list[Any] | None = None

    def attributes(self) -> dict[str, Any]:
        """Give the state if it is a table of attributes, else nothing."""
        return self.state if isinstance(self.state, dict) else {}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Blob:
    """Long bytes or a long text: left where it lies.

    Attributes:
        start: First byte in the file.
        end: One past the last byte.
        text: The file has UTF-8 here.
        latin1: ... which stands for bytes, one per character (pickle protocol 2 has no bytes).
    """

    start: int
    end: int
    text: bool = False
    latin1: bool = False


@dataclass(slots=True, eq=False, repr=False)
class StorageRecord:
    """A torch storage, still the nested stream it is written as."""

    blob: "Blob | bytes"
    parsed: Any = field(default=None)  # filled by `tensor_storage` when a tensor of it is wanted


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TensorRecord:
    """A strided view of a storage, in elements."""

    storage: StorageRecord
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
