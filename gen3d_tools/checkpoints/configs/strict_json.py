"""JSON from a file that anybody may have written: every value is one that all the rest of the program can hold.

Refused are numbers that no float holds or that have dozens of digits, NaN and infinity (which JSON lacks, and Python's
reader takes), a key that is there twice, halves of surrogate pairs (texts that cannot be written again), and nesting.
"""

import json
from typing import Any

from gen3d_tools.errors import CheckpointError
from gen3d_tools.printable import printable, quoted
from gen3d_tools.texts import decoded, unique_keys

_MAX_DIGITS = 20
_MAX_DEPTH = 32


def parse_json(text: str | bytes, where: str) -> Any:
    """Read JSON text.

    Args:
        text: As it is in the file, of a size that the caller has bounded. Bytes are UTF-8; a byte order mark may be
            there.
        where: Names the file in errors.

    Returns:
        None, bool, int, float, str, and lists and dicts of such values at most 32 deep.

    Raises:
        CheckpointError: It is not JSON, or holds a value as above.
    """
    try:
        value = json.loads(
            decoded(text) if isinstance(text, bytes) else text,
            object_pairs_hook=unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_float,
            parse_int=_whole,
        )
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{where} is not valid JSON ({printable(str(error))}); restore the file") from error
    _check_values(value, where)
    return value


def _check_values(value: Any, where: str) -> None:
    """Refuse deep nesting and halves of surrogate pairs, without recursion."""
    waiting = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise CheckpointError(f"{where} is nested more than {_MAX_DEPTH} deep; restore the file")
        if isinstance(one, str) and not _is_text(one):
            raise CheckpointError(f"{where} holds {quoted(one)}, which is no text (half a character); restore the file")
        if isinstance(one, dict):
            waiting.extend((key, depth) for key in one)
            waiting.extend((below, depth + 1) for below in one.values())
        elif isinstance(one, list):
            waiting.extend((below, depth + 1) for below in one)


def _is_text(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _whole(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {quoted(digits, 20)} is too large")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
