"""Several seeds side by side, in place of the picture, until one is clicked on or something else is asked for."""

import math
import threading
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from gen3d_tools.viewer.choice import MAX_SEED, Choice
from gen3d_tools.viewer.drawing.look import pixels_of, strips
from gen3d_tools.viewer.drawing.pace import in_turns
from gen3d_tools.viewer.jobs import Job

if TYPE_CHECKING:
    from gen3d_tools.viewer.session import Session

SHEET = "Contact sheet"
CELLS = 12
_SIDE = 128  # pixels of a cell's picture
_EMPTY = 246
_INK = (60, 60, 60)


class Sheets:
    """The contact sheets of a session, one at a time.

    Args:
        session: Whose.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._lock = threading.RLock()
        """Held while a sheet is put on the page, or taken away: none comes back once the picture is there again."""

    def show(self) -> None:
        """Draw one in place of the picture."""
        self.leave()
        self._session.jobs.begin(SHEET, lambda job: ContactSheet(self._session, job, self._lock).show(), anew=True)

    def leave(self) -> None:
        """Show the picture again, if there is a sheet in its place."""
        with self._lock:
            if self._session.painter.is_paused or SHEET in self._session.jobs.running:
                self._session.jobs.cancel(SHEET)
                self._session.page.ask_click(None)
                self._session.painter.pause(False)


class ContactSheet:
    """The seeds from the present one on, of one class.

    Args:
        session: Whose page shows it.
        job: Can be cancelled; the picture then comes back.
        lock: Held while the page is changed.
    """

    def __init__(self, session: "Session", job: Job, lock: AbstractContextManager[Any]) -> None:
        self._session, self._job, self._lock = session, job, lock
        first = min((session.choice.seed or 0) // CELLS * CELLS, MAX_SEED + 1 - CELLS)
        plain = replace(session.choice, blend=0.0, mixed=(0, 0), edits=())
        self.choices = [replace(plain, seed=first + number) for number in range(CELLS)]
        aspect = session.view.aspect
        self.columns = max(1, min(CELLS, round(math.sqrt(CELLS * aspect))))
        self.rows = math.ceil(CELLS / self.columns)

    def show(self) -> None:
        """Draw cell after cell into the page, and wait for a click."""
        session = self._session
        cells: list[UInt8[np.ndarray, "side side 3"]] = []
        with self._lock:
            self._job.check()
            session.painter.pause(True)
        try:
            for number, choice in enumerate(self.choices):
                self._job.report(number / CELLS, f"{number} of {CELLS}")
                cells.append(self._cell(choice))
                with self._lock:
                    self._job.check()
                    session.page.show_picture(self._sheet(cells), sharp=number == CELLS - 1)
            with self._lock:
                self._job.check()
                session.page.ask_click(lambda x, y: session.act(lambda: self._clicked(x, y)))
        except BaseException:
            session.painter.pause(False)
            raise

    def choice_at(self, x: float, y: float) -> Choice | None:
        """Give the object that is seen at a place of the window, (0, 0) its upper left corner; None beside all."""
        width, height = self._size
        view = self._session.view
        scale = max(view.aspect * height / width, 1.0), max(width / height / view.aspect, 1.0)
        across = ((x - 0.5) * scale[0] + 0.5) * self.columns
        down = ((y - 0.5) * scale[1] + 0.5) * self.rows
        if not (0 <= across < self.columns and 0 <= down < self.rows):
            return None
        number = int(down) * self.columns + int(across)
        return self.choices[number] if number < CELLS else None

    @property
    def _size(self) -> tuple[int, int]:
        return self.columns * _SIDE, self.rows * _SIDE

    def _clicked(self, x: float, y: float) -> None:
        found = self.choice_at(x, y)
        session = self._session
        session.sheets.leave()
        if found is not None and found.model == session.choice.model:
            session.choose(step=True, seed=found.seed, class_index=found.class_index, blend=0.0, mixed=(0, 0))

    def _cell(self, choice: Choice) -> UInt8[np.ndarray, "side side 3"]:
        session = self._session
        scene = session.scene_of(choice)
        camera = session.view.camera().to(scene.field.device)
        work = strips(scene.field, camera, session.look, scene.settings, _SIDE, 1.0, sharp=False)
        picture = in_turns(work, session.studio.turns)
        assert picture is not None, "nobody drops it"
        pixels = pixels_of(scene.field, picture, camera, session.look, 1.0)
        drawn = Image.fromarray(pixels)
        ImageDraw.Draw(drawn).text((4, 2), str(choice.seed), fill=_INK)
        return np.asarray(drawn)

    def _sheet(self, cells: list[UInt8[np.ndarray, "side side 3"]]) -> UInt8[np.ndarray, "h w 3"]:
        """Lay the cells out, in the middle of a picture of the window's shape."""
        width, height = self._size
        aspect = self._session.view.aspect
        wide, high = max(width, round(height * aspect)), max(height, round(width / aspect))
        sheet = np.full((high, wide, 3), _EMPTY, np.uint8)
        left, top = (wide - width) // 2, (high - height) // 2
        for number, cell in enumerate(cells):
            row, column = divmod(number, self.columns)
            sheet[top + row * _SIDE : top + (row + 1) * _SIDE, left + column * _SIDE : left + (column + 1) * _SIDE] = (
                cell
            )
        return sheet
