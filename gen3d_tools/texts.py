"""Texts that other programs wrote: whatever Windows puts before them, and what of them may be shown."""

import codecs
import json
from typing import Any

from gen3d_tools.printable import quoted

_OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # begins like UTF-16's
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def decoded(data: bytes) -> str:
    """Decode UTF-8 with or without the byte order mark that programs on Windows put before it.

    Raises:
        ValueError: It is something else; the message names UTF-16 and UTF-32.
    """
    for mark, name in _OTHER_ENCODINGS:
        if data.startswith(mark):
            raise ValueError(f"it is {name} text; save it as UTF-8")
    if b"\0" in data[:4] and data.strip(b"\0"):
        raise ValueError("it is UTF-16 text or no text at all; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8; save it as UTF-8") from error


def parse_json(data: bytes) -> Any:
    """Read JSON in which no key of a table is there twice: which of the two is meant, nobody can say.

    Raises:
        ValueError: It is no JSON of that kind, is no UTF-8, or is nested too deeply.
    """
    try:
        return json.loads(decoded(data), object_pairs_hook=unique_keys)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a table of JSON's pairs.

    Raises:
        ValueError: A key is there twice.
    """
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {quoted(twice, 40)} is there twice in one table")
    return table
