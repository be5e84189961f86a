"""How a message names what the reader can change: an option on the command line, an argument in Python."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ON_COMMAND_LINE = ContextVar("gen3d_tools_on_command_line", default=False)


@contextmanager
def options_are_typed() -> Iterator[None]:
    """Name options of the command line in messages, while the block runs."""
    before = _ON_COMMAND_LINE.set(True)
    try:
        yield
    finally:
        _ON_COMMAND_LINE.reset(before)


def are_options_typed() -> bool:
    """Whether messages name options of the command line."""
    return _ON_COMMAND_LINE.get()


def option(argument: str, value: object = None, *, typed: str = "") -> str:
    """Name an option: `--scale 80mm` on the command line, `scale='80mm'` in Python.

    Args:
        argument: Name of the argument in Python.
        value: What it is to be set to; None names the option alone.
        typed: The option with its dashes, where it is not the argument's name with hyphens.
    """
    if _ON_COMMAND_LINE.get():
        name = typed or f"--{argument.replace('_', '-')}"
        return name if value is None or value is True else f"{name} {value}"
    return argument if value is None else f"{argument}={value!r}"


def choose(*, typed: str, python: str) -> str:
    """Give the words for the command line, or those for Python, where more differs than a name."""
    return typed if _ON_COMMAND_LINE.get() else python
