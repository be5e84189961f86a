"""One session's pictures: a quick one at once whatever moves or changes, a sharp one when all stands still.

What is wanted is a value, and the newest one wins. Work is done in strips; a picture is dropped at the next strip when
anything newer is wanted. Browsers send up to fifty cameras a second, and a picture that is always begun anew is never
seen: so a quick one whose camera is old is finished all the same where another could not be ready within `LONGEST_WAIT`
of the last one. Its size follows the machine.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import UInt8

from gen3d_tools.fields.field import RadianceField
from gen3d_tools.generators.settings import ModelSettings
from gen3d_tools.viewer.choice import Choice
from gen3d_tools.viewer.drawing.look import Look, pixels_of, strips
from gen3d_tools.viewer.drawing.pace import Pace, Turns, in_turns
from gen3d_tools.viewer.drawing.window import View

STILL = 0.12
"""Seconds without a new camera after which it stands still."""

LONGEST_WAIT = 1 / 12
"""Seconds from one picture to the next, at most, while newer cameras come."""

FASTEST = 1 / 30
"""Seconds from the beginning of one picture to that of the next, at least; the rest is for others."""


@dataclass(frozen=True, eq=False)
class Scene:
    """An object that can be drawn."""

    field: RadianceField
    settings: ModelSettings


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be seen."""

    choice: Choice
    look: Look
    view: View


@dataclass(frozen=True, eq=False)
class Drawn:
    """A finished picture."""

    pixels: UInt8[np.ndarray, "h w 3"]
    wanted: Wanted
    sharp: bool


class Painter:
    """Draws what is wanted, in a thread of its own or step by step.

    Args:
        scene: Makes an object of a choice; the last one is kept.
        show: Takes each picture.
        failed: Takes what went wrong; the picture that failed is not tried again until something changes.
        turns: Shared by all sessions.
        clock: Seconds.
    """

    def __init__(
        self,
        scene: Callable[[Choice], Scene],
        show: Callable[[Drawn], None],
        failed: Callable[[Exception], None],
        turns: Turns,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pace = Pace()
        self._make_scene, self._show, self._failed = scene, show, failed
        self._turns, self._clock = turns, clock
        self._news = threading.Condition()
        self._wanted: Wanted | None = None
        self._moved = self._shown = -1e9
        self._scene: tuple[Choice, Scene] | None = None
        self._quick: Wanted | None = None
        self._sharp: Wanted | None = None
        self._thread: threading.Thread | None = None
        self._closed = self._paused = self._has_news = False

    def want(self, wanted: Wanted) -> None:
        """Say what is to be seen from now on. Returns at once, from any thread."""
        with self._news:
            if self._wanted is not None and wanted.view != self._wanted.view:
                self._moved = self._clock()
            self._wanted = wanted
            self._tell_news()

    def pause(self, paused: bool) -> None:
        """Draw nothing for a while, because something else is shown; afterwards everything again."""
        with self._news:
            self._paused, self._quick, self._sharp = paused, None, None
            self._tell_news()

    @property
    def is_paused(self) -> bool:
        """Whether something else is shown, so that nothing is drawn."""
        return self._paused

    @property
    def is_done(self) -> bool:
        """Whether the sharp picture of what is wanted has been shown."""
        return self._wanted is not None and self._sharp == self._wanted

    def start(self) -> None:
        """Begin to draw in a thread."""
        self._thread = threading.Thread(target=self._run, name="gen3d-painter", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop at the next strip."""
        with self._news:
            self._closed = True
            self._tell_news()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(10)

    def _tell_news(self) -> None:
        self._has_news = True
        self._news.notify()

    def _run(self) -> None:
        while not self._closed:
            self._has_news = False
            pause = self.step()
            with self._news:
                if pause != 0 and not self._has_news:
                    self._news.wait(pause)
        self._scene = self._wanted = None

    def step(self) -> float | None:
        """Draw one picture, if one is due.

        Returns:
            Seconds until the next one is due; None where nothing is until something changes.
        """
        with self._news:
            wanted, paused = self._wanted, self._paused
        if wanted is None or paused or self._closed or wanted == self._sharp:
            return None
        begun = self._clock()
        due = self._moved + STILL - begun
        sharp = wanted == self._quick or (due <= 0 and self._is_quick(wanted))
        if sharp and due > 0:
            return due
        try:
            drawn = self._draw(wanted, sharp=sharp)
        except Exception as error:  # whatever it is, the session goes on with the next thing that is wanted
            self._quick = self._sharp = wanted
            self._failed(error)
            return 0
        if drawn is None:
            return 0
        self._quick, self._sharp = wanted, wanted if sharp else self._sharp
        if not self._closed:
            self._show(drawn)
            self._shown = self._clock()
        return max(0.0, FASTEST - (self._clock() - begun)) if not sharp else 0

    def _is_quick(self, wanted: Wanted) -> bool:
        """Whether a sharp picture takes no longer than a quick one, so that none is needed before it."""
        side = self._sharp_side(wanted)
        return self._scene is not None and self._scene[0] == wanted.choice and side <= self.pace.moving

    def _sharp_side(self, wanted: Wanted) -> int:
        return wanted.look.size or self.pace.sharp(min(wanted.view.width, wanted.view.height))

    def _draw(self, wanted: Wanted, *, sharp: bool) -> Drawn | None:
        """Draw a picture; None if it was dropped on the way."""
        scene = self._scene_of(wanted.choice)
        if self._is_old(wanted, sharp=sharp):
            return None
        camera, aspect = wanted.view.camera().to(scene.field.device), wanted.view.aspect
        side, begun = self._sharp_side(wanted) if sharp else self.pace.moving, self._clock()
        work = strips(scene.field, camera, wanted.look, scene.settings, side, aspect, sharp=sharp)
        picture = in_turns(work, self._turns, lambda: self._is_old(wanted, sharp=sharp))
        if picture is None:
            return None
        with self._turns:
            pixels = pixels_of(scene.field, picture, camera, wanted.look, aspect)
        if picture.points is not None and not (sharp and wanted.look.exact):  # else it says nothing of quick ones
            self.pace.measured(side, self._clock() - begun)
        return Drawn(pixels, wanted, sharp)

    def _is_old(self, wanted: Wanted, *, sharp: bool) -> bool:
        """Whether something else is wanted by now, so that a picture need not be finished."""
        now = self._wanted
        if self._closed or self._paused or now is None:
            return True
        if sharp or replace(now, view=wanted.view) != wanted:
            return now != wanted
        another = self._clock() + self.pace.seconds(self.pace.moving)  # when it would be ready
        return now != wanted and another < self._shown + LONGEST_WAIT

    def _scene_of(self, choice: Choice) -> Scene:
        """Give the object; its planes are made outside of any turn, so that others go on."""
        if self._scene is None or self._scene[0] != choice:
            self._scene = None
            with torch.no_grad():
                self._scene = choice, self._make_scene(choice)
        return self._scene[1]
