"""How a workflow talks while it works. The library's reporter is silent; the command line draws progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class PieceEvent:
    """What came of a piece of work, and how far its run is."""

    piece: str
    done: int
    """Pieces that are finished, this one and failed ones included."""
    of: int
    """Pieces in all."""
    failed: int
    """Pieces that have failed so far."""
    tries: int
    """How often this one was begun."""
    seconds: float
    """Wall time of its last try."""
    error: str | None = None
    """Why it failed."""


class Reporter:
    """Takes messages and progress and keeps them to itself."""

    def say(self, message: str) -> None:
        """Tell the user one line."""

    def describe(self, what: str) -> None:
        """Change what the progress under way says it is about, such as a stage and its loss."""

    def picture(self, make: Callable[[], "Tensor"]) -> None:
        """Offer a picture of the work under way.

        Args:
            make: Draws it, [3, height, width] in [0, 1]; that takes time, so only who shows it calls this.
        """

    def made(self, path: Path | str, line: str = "", *, planned: bool = False) -> None:
        """Tell of an output that is complete on disk, as soon as it is.

        Args:
            path: Its file or folder, or its URL.
            line: What it is, for people.
            planned: It is not there: this is a dry run.
        """

    def piece(self, event: PieceEvent) -> None:
        """Tell of a piece of work that another process has made, or could not make.

        Args:
            event: What came of it, and how far the run is.
        """

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show that `total` steps of `what` lie ahead; the function given takes the number done so far."""
        yield lambda done: None
