"""How a run ends before its time: Ctrl-C, `kill`, `docker stop`, a scheduler's limit, a lost connection."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""What ends a program as Ctrl-C does; Windows has no SIGHUP."""


class Interrupted(KeyboardInterrupt):
    """Somebody ended the run.

    Args:
        message: What was kept; may be empty.
        number: The signal; that of Ctrl-C by default.
    """

    def __init__(self, message: str = "", *, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = number


def signal_of(interrupt: KeyboardInterrupt) -> int:
    """Give the signal behind an interrupt; SIGINT where it is Python's own."""
    return interrupt.number if isinstance(interrupt, Interrupted) else int(signal.SIGINT)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does. A signal that is ignored (`nohup`) stays ignored."""

    def end(number: int, _: FrameType | None) -> None:
        raise Interrupted(number=number)

    with _handled([one for one in _SIGNALS if signal.getsignal(one) is signal.SIG_DFL], end):
        yield


@contextmanager
def between_steps() -> Iterator[Callable[[], None]]:
    """Hold an interrupt back until the function given is called: half a step cannot be resumed. No second is held."""
    asked: list[int] = []

    def ask(number: int, _: FrameType | None) -> None:
        if asked:
            raise Interrupted(number=number)
        asked.append(number)

    def stop_if_asked() -> None:
        if asked:
            raise Interrupted(number=asked[0])

    heard = [one for one in (signal.SIGINT, *_SIGNALS) if callable(signal.getsignal(one))]
    with _handled(heard, ask):
        yield stop_if_asked


@contextmanager
def _handled(signals: list[signal.Signals], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Set a handler for the block; only in the main thread do signals arrive."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, handler) for one in signals}
    try:
        yield
    finally:
        for one, earlier in before.items():
            signal.signal(one, earlier)
