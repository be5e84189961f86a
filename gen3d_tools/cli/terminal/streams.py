"""stdout and stderr as they come: closed, full, ASCII, or a pipe whose reader has gone."""

import codecs
import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO, cast

from gen3d_tools.errors import Gen3DError

_IN_ASCII = {"°": " deg", "×": "x", "…": "...", "→": "->", "–": "-", "’": "'"}
_ERRORS = "gen3d"


class OutputError(Gen3DError):
    """stdout takes nothing: a full disk, a broken device."""


class _Forgiving:
    """stderr whose failures end nothing: what people are told is worth less than the work."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write, if it can be."""
        with suppress(OSError, ValueError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, if it can be."""
        with suppress(OSError, ValueError):
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def prepare_streams() -> None:
    """Make stdout and stderr take any text, whatever they are.

    A closed one is opened on nothing: else the next file that is opened takes its place, and gets what is printed.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    codecs.register_error(_ERRORS, _written_out)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)
    if not isinstance(sys.stderr, _Forgiving):
        sys.stderr = cast(TextIO, _Forgiving(sys.stderr))


def print_path(path: Path | str) -> None:
    """Write a path to stdout, in the bytes that name it even where stdout has no letters for them.

    Raises:
        OutputError: It cannot be written.
    """
    line = f"{path}\n"
    try:
        line.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        print_result(os.fsencode(line))
    else:
        print_result(line)


def print_result(text: str | bytes) -> None:
    """Write to stdout. A reader who has gone has what it wanted.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        if isinstance(text, bytes):
            sys.stdout.flush()
            sys.stdout.buffer.write(text)
        else:
            sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _print_nowhere()
    except OSError as error:
        _print_nowhere()
        raise OutputError(f"stdout cannot be written ({error.strerror}); send it somewhere else") from error


def close_stdout() -> None:
    """Write what is left in buffers, as leaving the program would, but with one line instead of a traceback.

    Raises:
        OutputError: It cannot be written.
    """
    print_result("")


def _print_nowhere() -> None:
    """From now on nothing is printed, and nothing fails when the program ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _written_out(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write what an encoding lacks: the bytes of a file's name as they are, the rest in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    with suppress(UnicodeEncodeError):
        return text.encode(error.encoding, "surrogateescape"), error.end
    return "".join(_IN_ASCII.get(letter) or ascii(letter)[1:-1] for letter in text), error.end
