"""Where pieces are made: an engine takes a few at a time; who drives it decides what is tried again."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from typing import Protocol, runtime_checkable

from gen3d_tools.batch.pieces import Made, Piece

TRIES = 3
"""So often a piece is tried before it counts as failed."""


@runtime_checkable
class Engine(Protocol):
    """Makes pieces in other processes."""

    @property
    def slots(self) -> int:
        """How many pieces it takes at a time; that may change."""

    def submit(self, piece: Piece) -> "Future[Made]":
        """Begin a piece. No more than `slots` may be under way."""

    def result(self, future: "Future[Made]") -> Made:
        """Give what came of a piece that is done; a process that was lost is a failure, and is replaced.

        Raises:
            Gen3DError: No piece can be made any more.
        """

    def close(self, *, at_once: bool = False) -> None:
        """End all processes; at once also those that work."""


def drive(pieces: Iterable[Piece], engine: Engine, begin: Callable[[Piece], None]) -> Iterator[tuple[Piece, Made]]:
    """Make pieces, each tried up to `TRIES` times, and give them in the order in which they are finished.

    Args:
        pieces: In the order in which they are begun.
        engine: Makes them; closed at the end, at once if the iteration ends early.
        begin: Called with each piece before its first try.

    Yields:
        A piece and what came of it: made, or failed `TRIES` times.

    Raises:
        Gen3DError: A failure that would be that of every piece.
    """
    waiting, again, ahead = iter(pieces), deque[tuple[Piece, int]](), True
    pending: dict[Future[Made], tuple[Piece, int]] = {}
    finished = False
    try:
        while True:
            while len(pending) < engine.slots and (again or ahead):
                if again:
                    piece, tries = again.popleft()
                elif (following := next(waiting, None)) is not None:
                    piece, tries = following, 0
                    begin(piece)
                else:
                    ahead = False
                    continue
                pending[engine.submit(piece)] = piece, tries + 1
            if not pending:
                break
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                piece, tries = pending.pop(future)
                made = replace(engine.result(future), tries=tries)
                if made.failure is not None and made.failure.ends_run:
                    raise made.failure.error()
                if made.failure is not None and not made.failure.final and tries < TRIES:
                    again.append((piece, tries))
                else:
                    yield piece, made
        finished = True
    finally:
        engine.close(at_once=not finished)
