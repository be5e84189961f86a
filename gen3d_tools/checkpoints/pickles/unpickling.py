"""Walks a pickle stream (protocols 2 to 5) without the pickle module: names stay names, nothing is imported.

The stream is a program for a small stack machine. This is that machine with two differences: what a name
means, and what "calling" it gives, is decided by a `Vocabulary`; and every step, size and text is counted
against a `Budget`, so that a hostile file ends early instead of filling the memory.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from mmap import mmap
from typing import Any, NoReturn, Protocol, runtime_checkable

from gen3d_tools.checkpoints.pickles.records import Blob, Name, Record
from gen3d_tools.errors import CheckpointError

_MAX_STEPS = 750_000  # several times what the largest published snapshots take
_MAX_TEXT = 32 * 2**20
_MAX_NUMBER_KEYS = 10_000  # numbers can be chosen to collide in a dict, texts and records cannot
_LONG_TEXT = 4096  # longer texts are source code, or bytes in protocol 2: they are left in the file
_MAX_INT_BYTES = 32
_MAX_NAME = 512
_STOP = 0x2E


@runtime_checkable
class Vocabulary(Protocol):
    """What names mean."""

    def find(self, module: str, name: str) -> Name:
        """Give the token for a global, or refuse it."""

    def call(self, callee: Any, arguments: tuple[Any, ...]) -> Any:
        """Give what stands for a call, or refuse it."""

    def persistent(self, identifier: Any) -> Any:
        """Give what stands for an object outside the stream, or refuse it."""


@dataclass
class Budget:
    """What one file may cost: its stream, the nested streams, and every loop over what they describe.

    The last matter most. A stream of a few bytes puts one table into a thousand modules; each step of its reader is
    counted, and so must be each entry that is visited afterwards, as often as it is.
    """

    steps: int = _MAX_STEPS
    text: int = _MAX_TEXT
    number_keys: int = _MAX_NUMBER_KEYS

    def spend(self, steps: int = 1) -> None:
        """Count operations of the stream, or entries of what it describes, before they are visited."""
        self.steps -= steps
        if self.steps < 0:
            raise CheckpointError(f"it takes more than {_MAX_STEPS:,} steps to read; no checkpoint does")

    def spend_text(self, size: int) -> None:
        """Count decoded text, in bytes of the file."""
        self.text -= size
        if self.text < 0:
            raise CheckpointError(f"it holds more than {_MAX_TEXT >> 20} MiB of short texts; no checkpoint does")

    def spend_number_key(self) -> None:
        """Count a number used as the key of a dict or as an element of a set."""
        self.number_keys -= 1
        if self.number_keys < 0:
            raise CheckpointError(f"it holds more than {_MAX_NUMBER_KEYS} numbers as keys; no checkpoint does")


class Unpickler:
    """One pickle stream within `data[start:end]`.

    Args:
        data: The whole file, or bytes from it.
        start: First byte of the stream. `position` moves on from here.
        end: One past the last byte that may be read.
        vocabulary: Decides what names mean.
        budget: Shared by all streams of one file.
    """

    def __init__(self, data: mmap | bytes, start: int, end: int, vocabulary: Vocabulary, budget: Budget) -> None:
        self.data, self.position, self.end = data, start, end
        self.vocabulary, self.budget = vocabulary, budget
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def load(self) -> Any:
        """Run the stream to its end.

        Raises:
            CheckpointError: It is damaged, over budget, or the vocabulary refuses something.
        """
        data, end, budget = self.data, self.end, self.budget
        begin = self.position
        try:
            while True:
                begin = self.position
                if begin >= end:
                    raise CheckpointError(f"it is cut short: the pickle stream does not end at byte {begin}")
                self.position = begin + 1
                budget.steps -= 1
                if budget.steps < 0:
                    budget.spend(0)  # refuses it
                opcode = data[begin]
                if opcode == _STOP:
                    return self.stack.pop()
                action = _ACTIONS.get(opcode)
                if action is None:
                    raise CheckpointError(f"byte {begin} is {opcode:#04x}, which no checkpoint contains there")
                action(self)
        except (IndexError, TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(f"the pickle stream is damaged at byte {begin}") from error

    def take(self, count: int) -> int:
        """Move over `count` bytes and give where they start."""
        start = self.position
        if count < 0 or count > self.end - start:
            raise CheckpointError(f"it is cut short: {count} bytes are announced at byte {start}, they are not there")
        self.position = start + count
        return start

    def byte(self) -> int:
        """Read one byte."""
        return self.data[self.take(1)]

    def unpack(self, code: str) -> Any:
        """Read one number; `code` is that of `struct`."""
        return struct.unpack_from(code, self.data, self.take(struct.calcsize(code)))[0]

    def text(self, size: int) -> str | Blob:
        """Read a text of `size` bytes, or note where a long one lies."""
        start = self.take(size)
        if size > _LONG_TEXT:
            return Blob(start, start + size, text=True)
        self.budget.spend_text(size)
        return str(self.data[start : start + size], "utf-8", "surrogatepass")

    def line(self) -> str:
        """Read up to the end of the line."""
        stop = self.data.find(b"\n", self.position, min(self.end, self.position + _MAX_NAME))
        if stop < 0:
            raise CheckpointError(f"the name at byte {self.position} does not end")
        start = self.take(stop + 1 - self.position)
        return str(self.data[start:stop], "utf-8")

    def integer(self, size: int) -> int:
        """Read a signed integer of `size` bytes."""
        if size > _MAX_INT_BYTES:
            raise CheckpointError(f"byte {self.position} begins an integer of {size} bytes; no checkpoint has that")
        start = self.take(size)
        return int.from_bytes(self.data[start : start + size], "little", signed=True)

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop_mark(self) -> list[Any]:
        """Take everything since the last mark."""
        values, self.stack = self.stack, self.marks.pop()
        return values

    def remember(self, index: int) -> None:
        """Keep the top of the stack under a number."""
        self.memo[index] = self.stack[-1]

    def recall(self, index: int) -> None:
        """Put what was kept under a number on the stack."""
        if index not in self.memo:
            raise CheckpointError(f"entry {index} of the memo is used before it is made; the stream is damaged")
        self.stack.append(self.memo[index])

    def name(self, module: Any, name: Any) -> None:
        """Put a global's token on the stack."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise CheckpointError(f"a name before byte {self.position} is no text; the stream is damaged")
        self.stack.append(self.vocabulary.find(module, name))

    def call(self, callee: Any, arguments: Any) -> None:
        """Put on the stack what stands for a call."""
        if not isinstance(arguments, tuple):
            raise CheckpointError(f"the arguments before byte {self.position} are no tuple; the stream is damaged")
        self.budget.spend(len(arguments))  # one long tuple can be given to every call
        self.stack.append(self.vocabulary.call(callee, arguments))

    def key(self, value: Any) -> Any:
        """Refuse keys that cannot be looked up safely: only texts, numbers and records identify themselves."""
        if isinstance(value, int | float):
            self.budget.spend_number_key()
        elif isinstance(value, list | dict | set | frozenset | tuple):
            raise CheckpointError(f"a {type(value).__name__} before byte {self.position} is used as a key")
        return value

    def set_items(self, pairs: list[Any]) -> None:
        """Fill the dict, or what stands for one, on top of the stack."""
        target = self.stack[-1]
        if isinstance(target, Record):
            target.entries = target.entries or {}
            target = target.entries
        if not isinstance(target, dict) or len(pairs) % 2:
            raise CheckpointError(f"what is filled before byte {self.position} is no dict; the stream is damaged")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            target[self.key(key)] = value

    def append_items(self, values: list[Any]) -> None:
        """Fill the list, or what stands for one, on top of the stack."""
        target = self.stack[-1]
        if isinstance(target, Record):
            target.elements = target.elements or []
            target = target.elements
        if not isinstance(target, list):
            raise CheckpointError(f"what is filled before byte {self.position} is no list; the stream is damaged")
        target.extend(values)

    def add_items(self) -> None:
        """Fill the set on the stack."""
        values = self.pop_mark()
        target = self.stack[-1]
        if not isinstance(target, set):
            raise CheckpointError(f"what is filled before byte {self.position} is no set; the stream is damaged")
        target.update(self.key(value) for value in values)

    def build(self) -> None:
        """Give the record on the stack its attributes. A dict or list with attributes of its own loses them."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(state, tuple) and len(state) == 2 and isinstance(state[0], dict | None):
            state = state[0]  # (attributes, slots)
        if isinstance(target, Record):
            target.state = state
        elif not isinstance(target, dict | list):
            raise CheckpointError(f"byte {self.position - 1} gives attributes to something that has none")

    def mark(self) -> None:
        """Begin a new run of values."""
        self.marks.append(self.stack)
        self.stack = []

    def drop(self) -> None:
        """Discard the top of the stack, or an empty run."""
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def blob(self, size: int) -> None:
        """Note where long bytes lie."""
        start = self.take(size)
        self.push(Blob(start, start + size))

    def short_bytes(self) -> None:
        """Read up to 255 bytes."""
        size = self.byte()
        start = self.take(size)
        self.push(bytes(self.data[start : start + size]))

    def tuple_of(self, count: int) -> None:
        """Make a tuple of the topmost values."""
        if count > len(self.stack):
            raise CheckpointError(f"byte {self.position - 1} needs {count} values; the stream is damaged")
        values = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.push(values)

    def set_one(self) -> None:
        """Set one item."""
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def new_object(self, with_keywords: bool = False) -> None:
        """Note an object made without its constructor."""
        if with_keywords and self.stack.pop():
            raise CheckpointError(f"byte {self.position - 1} passes keywords to a class; no checkpoint does")
        self.reduce()

    def reduce(self) -> None:
        """Note a call."""
        arguments = self.stack.pop()
        self.call(self.stack.pop(), arguments)

    def protocol(self) -> None:
        """Check the protocol."""
        if not 2 <= (found := self.byte()) <= 5:
            raise CheckpointError(f"it is pickle protocol {found}; protocols 2 to 5 are read")

    def stack_name(self) -> None:
        """Read a name from the stack."""
        name, module = self.stack.pop(), self.stack.pop()
        self.name(module, name)

    def outside(self) -> None:
        """Note an object kept outside the stream."""
        self.push(self.vocabulary.persistent(self.stack.pop()))

    def refuse(self) -> NoReturn:
        """Refuse what pickles of other programs use."""
        code = self.data[self.position - 1]
        raise CheckpointError(f"byte {self.position - 1} is {code:#04x}: extension or shared memory, which is refused")


_Action = Callable[[Unpickler], Any]


_OPCODES: dict[bytes, _Action] = {
    # values
    b"N": lambda u: u.push(None),  # NONE
    b"\x88": lambda u: u.push(True),  # NEWTRUE
    b"\x89": lambda u: u.push(False),  # NEWFALSE
    b"J": lambda u: u.push(u.unpack("<i")),  # BININT
    b"K": lambda u: u.push(u.byte()),  # BININT1
    b"M": lambda u: u.push(u.unpack("<H")),  # BININT2
    b"\x8a": lambda u: u.push(u.integer(u.byte())),  # LONG1
    b"\x8b": lambda u: u.push(u.integer(u.unpack("<I"))),  # LONG4
    b"G": lambda u: u.push(u.unpack(">d")),  # BINFLOAT
    b"\x8c": lambda u: u.push(u.text(u.byte())),  # SHORT_BINUNICODE
    b"X": lambda u: u.push(u.text(u.unpack("<I"))),  # BINUNICODE
    b"\x8d": lambda u: u.push(u.text(u.unpack("<Q"))),  # BINUNICODE8
    b"C": Unpickler.short_bytes,  # SHORT_BINBYTES
    b"B": lambda u: u.blob(u.unpack("<I")),  # BINBYTES
    b"\x8e": lambda u: u.blob(u.unpack("<Q")),  # BINBYTES8
    b"\x96": lambda u: u.blob(u.unpack("<Q")),  # BYTEARRAY8
    # containers
    b"(": Unpickler.mark,  # MARK
    b")": lambda u: u.push(()),  # EMPTY_TUPLE
    b"t": lambda u: u.push(tuple(u.pop_mark())),  # TUPLE
    b"\x85": lambda u: u.tuple_of(1),  # TUPLE1
    b"\x86": lambda u: u.tuple_of(2),  # TUPLE2
    b"\x87": lambda u: u.tuple_of(3),  # TUPLE3
    b"]": lambda u: u.push([]),  # EMPTY_LIST
    b"a": lambda u: u.append_items([u.stack.pop()]),  # APPEND
    b"e": lambda u: u.append_items(u.pop_mark()),  # APPENDS
    b"}": lambda u: u.push({}),  # EMPTY_DICT
    b"s": Unpickler.set_one,  # SETITEM
    b"u": lambda u: u.set_items(u.pop_mark()),  # SETITEMS
    b"\x8f": lambda u: u.push(set()),  # EMPTY_SET
    b"\x90": Unpickler.add_items,  # ADDITEMS
    b"\x91": lambda u: u.push(frozenset(u.key(value) for value in u.pop_mark())),  # FROZENSET
    # names and calls
    b"c": lambda u: u.name(u.line(), u.line()),  # GLOBAL
    b"\x93": Unpickler.stack_name,  # STACK_GLOBAL
    b"R": Unpickler.reduce,  # REDUCE
    b"\x81": Unpickler.new_object,  # NEWOBJ
    b"\x92": lambda u: u.new_object(with_keywords=True),  # NEWOBJ_EX
    b"b": Unpickler.build,  # BUILD
    b"Q": Unpickler.outside,  # BINPERSID
    # stack and memo
    b"0": Unpickler.drop,  # POP
    b"1": Unpickler.pop_mark,  # POP_MARK
    b"2": lambda u: u.push(u.stack[-1]),  # DUP
    b"h": lambda u: u.recall(u.byte()),  # BINGET
    b"j": lambda u: u.recall(u.unpack("<I")),  # LONG_BINGET
    b"q": lambda u: u.remember(u.byte()),  # BINPUT
    b"r": lambda u: u.remember(u.unpack("<I")),  # LONG_BINPUT
    b"\x94": lambda u: u.remember(len(u.memo)),  # MEMOIZE
    # framing: a hint about buffers, which are not used here
    b"\x80": Unpickler.protocol,  # PROTO
    b"\x95": lambda u: u.unpack("<Q"),  # FRAME
    # extension registry, buffers outside the stream
    **dict.fromkeys((b"\x82", b"\x83", b"\x84", b"\x97", b"\x98"), Unpickler.refuse),
}
_ACTIONS = {code[0]: action for code, action in _OPCODES.items()}
