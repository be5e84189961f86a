"""Ways to spoil a file: any bytes, JSON, lines of words, and the table at the start of a .safetensors file.

Each is a function of a seeded `random.Random` and the bytes; the result depends on nothing else.
"""

import json
import random
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any

Mutator = Callable[[random.Random, bytes], bytes]

SIZES = (0, 1, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63, 2**64 - 1)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 10**9, 10**400, -(10**5000), 0.0, -0.0, 1e-320, 1e38, 1e308),
    *(float("nan"), float("inf"), float("-inf"), "", "x", "nan", "1e999", "../../etc/passwd", "/dev/zero", "a" * 9000),
    *(
        "\ud800",
        "\x1b[31mred\x07",
        "two\nlines",
        "\u202eleft",
        "ä€😀",
        "\x00",
        [],
        {},
        [[]],
        [{}],
        {"": ""},
        [None] * 300,
    ),
    *([0.0] * 16, [float("nan")] * 4, [1] * 25, {"a": [1, {"b": None}]}),
)
"""What a value of a JSON file may be replaced with."""
WORDS = (
    *(
        "",
        "nan",
        "inf",
        "-inf",
        "1e999",
        "-1",
        "0",
        "1e-320",
        "1" * 400,
        "0x10",
        "1_000",
        "٣",
        "½",
        "#",
        "\x00",
        "\ufeff",
    ),
    *("\x1b[2J", "\u2028", "a" * 5000, "1,5", "PINHOLE", "None", "True", "+", ".", "1e", "²"),
)
"""What a word of a text file may be replaced with."""


def bit_flips(chance: random.Random, data: bytes) -> bytes:
    """Flip a few bits anywhere."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 64)) if data else 0):
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def head_flips(chance: random.Random, data: bytes) -> bytes:
    """Flip a few bits of the first bytes, where headers are."""
    head = bit_flips(chance, data[: chance.choice((16, 64, 256))])
    return head + data[len(head) :]


def truncation(chance: random.Random, data: bytes) -> bytes:
    """Cut the end off."""
    return data[: chance.choice((chance.randrange(len(data) + 1), max(0, len(data) - chance.randrange(1, 9))))]


def noise(chance: random.Random, data: bytes) -> bytes:
    """Write random bytes over a piece."""
    start, length = chance.randrange(len(data) + 1), chance.choice((1, 4, 16, 100))
    return data[:start] + chance.randbytes(length) + data[start + length :]


def constant_run(chance: random.Random, data: bytes) -> bytes:
    """Write one byte over a piece."""
    start, length = chance.randrange(len(data) + 1), chance.choice((1, 4, 16, 1000))
    return data[:start] + bytes([chance.choice((0, 255, 127, 32))]) * length + data[start + length :]


def removed_piece(chance: random.Random, data: bytes) -> bytes:
    """Leave a piece out."""
    start = chance.randrange(len(data) + 1)
    return data[:start] + data[start + chance.choice((1, 2, 4, 100, 1000)) :]


def repeated_piece(chance: random.Random, data: bytes) -> bytes:
    """Write a piece several times, or somewhere else."""
    start = chance.randrange(len(data) + 1)
    piece = data[start : start + chance.choice((1, 4, 32, 500))]
    where = chance.choice((start, chance.randrange(len(data) + 1)))
    return data[:where] + piece * chance.choice((1, 2, 50)) + data[where:]


def giant_number(chance: random.Random, data: bytes) -> bytes:
    """Write a size that is far off over some bytes."""
    size = chance.choice(SIZES)
    form = chance.choice(("<B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
    number = struct.pack(form, size % 2 ** (8 * struct.calcsize(form)))
    start = chance.randrange(min(len(data), chance.choice((64, 512, 10**9))) + 1)
    return data[:start] + number + data[start + len(number) :]


def something_else(chance: random.Random, data: bytes) -> bytes:
    """Be another file altogether."""
    return chance.choice(
        (
            b"",
            b"\n",
            chance.randbytes(300),
            b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123456\n",
            b"<!DOCTYPE html><html><body>404</body></html>",
            b"\x80\x04cos\nsystem\n\x8c\x04true\x85R.",
            b"PK\x05\x06" + bytes(18),
            b"\x1f\x8b\x08" + bytes(7),
            b"\x89PNG\r\n\x1a\n",
            b"{}",
            b"[" * 100_000,
        )
    )


ANY: tuple[Mutator, ...] = (
    *(bit_flips, head_flips, truncation, noise, constant_run, removed_piece, repeated_piece, giant_number),
    something_else,
)


def _places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        found.append((value, key))
        _places(value[key], found)
    return found


def _json_change(change: Callable[[random.Random, Any, Any], None]) -> Mutator:
    """A mutator that changes one place of a JSON file; other files are spoilt as bytes."""

    def mutate(chance: random.Random, data: bytes) -> bytes:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return bit_flips(chance, data)
        places = _places(value, [])
        if not places:
            return something_else(chance, data)
        container, key = chance.choice(places)
        try:
            change(chance, container, key)
        except (ValueError, OverflowError):  # an earlier change left a number that has no neighbours
            other_value(chance, container, key)
        return _dumped(value)

    mutate.__name__ = change.__name__
    return mutate


def _dumped(value: Any) -> bytes:
    """Write JSON, with integers of any length."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(value).encode("utf-8", "surrogatepass")
    finally:
        sys.set_int_max_str_digits(limit)


def other_value(chance: random.Random, container: Any, key: Any) -> None:
    """Replace a value with something unfit."""
    container[key] = chance.choice(VALUES)


def near_value(chance: random.Random, container: Any, key: Any) -> None:
    """Replace a value with one of its own kind."""
    value = container[key]
    if isinstance(value, bool):
        container[key] = not value
    elif isinstance(value, int | float):
        container[key] = chance.choice((-value, value * 1e6, value * 1e-6, int(value), value + 1, float(value)))
    elif isinstance(value, str):
        container[key] = chance.choice((value + "x", value[:-1], value.upper(), value * 100))
    elif isinstance(value, list):
        container[key] = chance.choice((value[:-1], value * 2, value[::-1], [value], dict.fromkeys(map(str, value))))
    else:
        other_value(chance, container, key)


def removed_value(chance: random.Random, container: Any, key: Any) -> None:
    """Leave a value out."""
    del container[key]


def renamed_key(chance: random.Random, container: Any, key: Any) -> None:
    """Give a value another name, beside the old one or instead of it."""
    if not isinstance(container, dict):
        container.insert(key, container[key])
        return
    container[chance.choice((*(word for word in WORDS if word), key + "_", key.upper()))] = container[key]
    if chance.random() < 0.5:
        del container[key]


def wrapped_value(chance: random.Random, container: Any, key: Any) -> None:
    """Put a value many lists or tables deep."""
    for _ in range(chance.choice((1, 2, 50, 400))):
        container[key] = {"a": container[key]} if chance.random() < 0.3 else [container[key]]


JSON: tuple[Mutator, ...] = (
    *(_json_change(other_value), _json_change(other_value), _json_change(near_value), _json_change(removed_value)),
    *(_json_change(renamed_key), _json_change(wrapped_value)),
)


def words(chance: random.Random, data: bytes) -> bytes:
    """Replace, add or leave out a word of a line."""
    lines = data.split(b"\n")
    index = chance.randrange(len(lines))
    found = lines[index].split(b" ")
    place = chance.randrange(len(found))
    word = chance.choice(WORDS).encode()
    found[place : place + chance.choice((0, 1, 1, 1))] = chance.choice(([word], [word], []))
    lines[index] = b" ".join(found)
    return b"\n".join(lines)


def lines(chance: random.Random, data: bytes) -> bytes:
    """Leave out, repeat or move a line."""
    found = data.split(b"\n")
    line = found.pop(chance.randrange(len(found)))
    for _ in range(chance.choice((0, 1, 2))):
        found.insert(chance.randrange(len(found) + 1), line)
    return b"\n".join(found)


def encoding(chance: random.Random, data: bytes) -> bytes:
    """Write the text as another system would."""
    text = data.decode("utf-8", "replace")
    return chance.choice(
        (
            b"\xef\xbb\xbf" + data,
            text.encode("utf-16", "replace"),
            text.encode("utf-16-le", "replace"),
            text.encode("utf-32", "replace"),
            data.replace(b"\n", b"\r\n"),
            data.replace(b"\n", b"\r"),
            data + b"\xff\xfe",
            data.replace(b" ", b"\xc2\xa0"),
        )
    )


TEXT: tuple[Mutator, ...] = (words, words, lines, encoding)


def safetensors_table(chance: random.Random, data: bytes) -> bytes:
    """Change the table of names, types, shapes and places; the numbers stay."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        return bit_flips(chance, data)
    table = chance.choice((*JSON, *JSON, *ANY))(chance, data[8 : 8 + length])
    size = len(table) if chance.random() < 0.8 else chance.choice(SIZES)
    return struct.pack("<Q", size) + table + data[8 + length :]


BY_SUFFIX: dict[str, Sequence[Mutator]] = {
    "": ANY,
    ".json": (*JSON, *JSON, encoding, *ANY),
    ".txt": (*TEXT, *TEXT, *ANY),
    ".safetensors": (safetensors_table, safetensors_table, *ANY),
}
