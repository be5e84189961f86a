"""How large pictures are while the camera moves, and whose turn on the processor it is."""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType

from gen3d_tools.rendering.strips import WindowPicture

SMALLEST, LARGEST, STEP = 96, 256, 16
"""Shorter sides of pictures while the camera moves, pixels."""

BUDGET = 1 / 16
"""Seconds that a picture may take while the camera moves: 12 pictures a second, with room for their way."""

SHARP_BUDGET = 0.35
"""Seconds that a sharp picture may take, where its size is not asked for."""

SHARP_SMALLEST, SHARP_LARGEST = 256, 512
_MEMORY = 0.6  # share of what was measured before in what is believed now


class Pace:
    """Measures pictures and says how large the next ones may be."""

    def __init__(self) -> None:
        self.per_pixel = BUDGET / 128**2

    def measured(self, side: int, seconds: float) -> None:
        """Take note of how long a picture took.

        Args:
            side: Shorter side, pixels.
            seconds: Wall time, waiting for turns included.
        """
        self.per_pixel = _MEMORY * self.per_pixel + (1 - _MEMORY) * seconds / side**2

    def seconds(self, side: int) -> float:
        """How long a picture is going to take.

        Args:
            side: Shorter side, pixels.
        """
        return self.per_pixel * side**2

    @property
    def moving(self) -> int:
        """Shorter side of a picture while the camera moves, pixels."""
        side = math.sqrt(BUDGET / max(self.per_pixel, 1e-9))
        return int(min(LARGEST, max(SMALLEST, side // STEP * STEP)))

    def sharp(self, window: int) -> int:
        """Shorter side of a sharp picture, pixels.

        Args:
            window: Shorter side of the window, pixels.
        """
        side = math.sqrt(SHARP_BUDGET / max(self.per_pixel, 1e-9)) // STEP * STEP
        largest = max(SHARP_SMALLEST, min(SHARP_LARGEST, window))
        return int(min(largest, max(SHARP_SMALLEST, side)))


class Turns:
    """A lock that is given in the order in which it was asked for, so that no session starves another.

    Strips of pictures are drawn under it, one at a time, each with all cores: eight sessions that compete for two cores
    would only wait for each other's threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False

    def __enter__(self) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        mine.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False


def in_turns(
    work: Iterator[WindowPicture | None], turns: Turns, dropped: Callable[[], bool] = lambda: False
) -> WindowPicture | None:
    """Draw a picture strip by strip, each in its turn.

    Args:
        work: Of `rendering.strips`.
        turns: Shared by all sessions.
        dropped: Asked between strips whether the picture is no longer wanted.

    Returns:
        The picture; None if it was dropped.
    """
    while True:
        with turns:
            done = next(work)
        if done is not None or dropped():
            return done
