"""How people are shown what a file says: one line of printable characters, and not a long one.

Class names, licences, names of tensors and everything else that is read from a file were chosen by whoever wrote it.
Printed raw, a terminal obeys the control characters among them; `repr` of a value that refers to itself many times
over does not end. So whatever a file says passes through here before it is put into a message.
"""

from collections.abc import Mapping

MESSAGE_LENGTH = 2000
"""No message is longer; paths on Linux have up to 4096 characters, and the rest of a message is far shorter."""

TEXT_LENGTH = 80
"""... and no text that a file brings to one."""

_LARGEST_WRITTEN = 10**20
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_KINDS = ((Mapping, "table"), (list | tuple, "list"), (set | frozenset, "set"), (bytes, "run of bytes"))


def printable(text: str, length: int = TEXT_LENGTH) -> str:
    r"""Escape what a terminal would obey or not show, and cut out the middle of a long text.

    Control characters, line breaks, characters that turn the direction of writing and halves of surrogate pairs become
    escapes such as `\x1b`. All other characters stay as they are, so that nothing is escaped twice.

    Args:
        text: From a file, or a message with parts from one.
        length: Largest number of characters in the answer.
    """
    text = _shortened(text, length)
    if text.isprintable():
        return text
    return _shortened("".join(one if one.isprintable() else _escaped(one) for one in text), length)


def quoted(value: object, length: int = TEXT_LENGTH) -> str:
    """Write one value of a file: numbers as they are, texts in quotation marks, of everything else its kind and size.

    Args:
        value: Any value. What it holds is not looked at.
        length: Largest number of characters of a text.
    """
    if isinstance(value, str):
        return f"'{printable(value, length)}'"
    if isinstance(value, int) and not -_LARGEST_WRITTEN < value < _LARGEST_WRITTEN:
        return f"a whole number of {value.bit_length()} bits"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return f"a {name} of {len(value)}"
    return "a value of another kind"


def listed(names: object, count: int = 3) -> str:
    """Write the first of some names of a file, and how many more there are.

    Args:
        names: A collection of texts.
        count: How many are written.
    """
    every = list(names) if isinstance(names, Mapping | list | tuple | set | frozenset) else []
    first = ", ".join(printable(name) if isinstance(name, str) else quoted(name) for name in every[:count])
    return f"{first} and {len(every) - count} more" if len(every) > count else first or "nothing"


def _shortened(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    tail = (length - 1) // 3
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
