"""One person in front of one page: what is looked at, what can be done with it, and what is under way.

A session knows nothing of browsers: it is told what happens (`moved`, `choose`, `act`), and asks its page
(`viewer.page`). Nothing in it is shared with others but the studio, which does not change.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.latents import class_index
from gen3d_tools.viewer.actions.camera_path import PathActions
from gen3d_tools.viewer.actions.edits import Edits, Offered
from gen3d_tools.viewer.actions.photo import PhotoActions
from gen3d_tools.viewer.actions.sheet import Sheets
from gen3d_tools.viewer.actions.surface import Surface
from gen3d_tools.viewer.actions.take_home import TakeHome
from gen3d_tools.viewer.choice import Choice, History, check_choice, first_choice, throw_dice
from gen3d_tools.viewer.drawing.look import Look
from gen3d_tools.viewer.drawing.painter import Drawn, Painter, Scene, Wanted
from gen3d_tools.viewer.drawing.window import View, around, default_view
from gen3d_tools.viewer.jobs import Jobs
from gen3d_tools.viewer.page import Overlay, Page
from gen3d_tools.viewer.studio import Studio

logger = logging.getLogger(__name__)


class Session:
    """What one page shows.

    Args:
        studio: What there is to look at.
        page: Where it is shown.
        number: Names the session on the terminal.
    """

    def __init__(self, studio: Studio, page: Page, number: int = 0) -> None:
        self.studio, self.page, self.number = studio, page, number
        self.models = dict(studio.models)
        """The studio's, and the results of this session's own photos."""
        self.look = Look()
        self.history = History()
        self.jobs = Jobs(page, self.failed)
        self.painter = Painter(self.scene_of, self._show, self.failed, studio.turns)
        self.directions = dict(studio.directions)
        """By model, as `models`."""
        self.edits = Edits(self)
        self.path = PathActions(self)
        self.photo = PhotoActions(self)
        self.sheets = Sheets(self)
        self.surface = Surface(self)
        self.take_home = TakeHome(self)
        self._lock = threading.RLock()
        self.view = around(studio.meshes.values())
        if studio.begin is not None:
            self.history.add(studio.begin)
            self.view = default_view(self.generator)

    def start(self) -> None:
        """Show the first picture."""
        for name, mesh in self.studio.meshes.items():
            self.page.lay_over(name, Overlay(mesh, "textured"))
        if self.models:
            self.painter.start()
            self._draw()
        self.page.move_camera(self.view)
        self.page.refresh()

    def close(self) -> None:
        """End everything that is under way; the page may be gone."""
        self.painter.close()
        self.jobs.close()
        self.models.clear()

    # What is looked at

    @property
    def choice(self) -> Choice:
        """The object.

        Raises:
            InputError: There is no model.
        """
        if not self.history.seen:
            raise InputError("there is no model in this viewer, only meshes; start `gen3d view` with a model")
        return self.history.seen[self.history.place]

    @property
    def generator(self) -> Generator:
        """The model of the object."""
        return self.models[self.choice.model]

    def choose(self, *, step: bool = False, **changes: Any) -> None:
        """Look at another object.

        Args:
            step: It is one to come back to, not one of a slider's many.
            changes: Of the choice's values.

        Raises:
            InputError: There is no such object.
        """
        with self._lock:
            wanted = check_choice(replace(self.choice, **changes), self.generator)
            if wanted == self.choice:
                return
            (self.history.add if step else self.history.replace)(wanted)
        self.changed()

    def choose_model(self, name: str) -> None:
        """Look at another model, from where it is seen best.

        Raises:
            InputError: There is none of that name.
        """
        if name not in self.models:
            raise InputError(f"there is no model {name!r} here")
        with self._lock:
            self.history.add(first_choice(self.models[name], name))
        self.look_from(default_view(self.generator, self.view))
        self.changed()

    def choose_class(self, name: str) -> None:
        """Look at another class.

        Raises:
            InputError: The model has none of that name.
        """
        index = class_index(name, self.generator.class_names)
        seed = 0 if self.choice.seed is None else self.choice.seed
        kept = {one.name for one in self.offered(self.choice.model).of(index)}
        edits = tuple((name, amount) for name, amount in self.choice.edits if name in kept)
        self.choose(step=True, class_index=index, seed=seed, edits=edits)

    def throw_dice(self) -> None:
        """Look at any other seed."""
        self.choose(step=True, seed=throw_dice())

    def go(self, by: int) -> None:
        """Go back (-1) or forward (1) through what was looked at."""
        with self._lock:
            before = self.choice.model
            found = self.history.step(by)
        if found is None:
            return
        if found.model != before:
            self.look_from(default_view(self.generator, self.view))
        self.changed()

    def changed(self) -> None:
        """Show another object everywhere: the picture, the mesh, the controls."""
        self.sheets.leave()
        self._draw()
        self.surface.update()
        self.page.refresh()

    def show(self, **changes: Any) -> None:
        """Show something else of the object.

        Raises:
            InputError: There is no such picture.
        """
        with self._lock:
            self.look = replace(self.look, **changes).checked()
        self.sheets.leave()
        self._draw()
        self.page.refresh()

    def show_sheet(self) -> None:
        """Show several seeds side by side, in place of the picture; a click chooses one."""
        self.sheets.show()

    # From where

    def resize(self, width: int, height: int) -> None:
        """The window has another shape; the lens of its middle square stays."""
        with self._lock:
            self.view = replace(self.view, width=width, height=height).checked()
        self._draw()

    def moved(self, view: View) -> None:
        """The browser's camera or window is another one now.

        Raises:
            InputError: No camera can be there.
        """
        view = view.checked()
        with self._lock:
            if view == self.view:
                return
            self.view = view
        self._draw()

    def look_from(self, view: View) -> None:
        """Move the browser's camera."""
        with self._lock:
            self.view = replace(view, width=self.view.width, height=self.view.height).checked()
        self.sheets.leave()
        self.page.move_camera(self.view)
        self._draw()

    def reset_view(self) -> None:
        """Look from where the model is seen best."""
        self.look_from(default_view(self.generator, self.view) if self.models else around(self.studio.meshes.values()))

    # What happens

    def act(self, action: Callable[[], object]) -> None:
        """Do what somebody asked for; whatever goes wrong is told, and the session goes on."""
        try:
            action()
        except Exception as error:
            self.failed(error)
            self.page.refresh()  # controls show what is, not what was asked for

    def failed(self, error: Exception) -> None:
        """Tell what went wrong: a notice in the page, a line on the terminal."""
        if isinstance(error, Gen3DError):
            message = str(error)
            logger.warning("page %d: %s", self.number, message)
        else:
            message = f"unexpected {type(error).__name__}: {error}"
            logger.error("page %d: %s", self.number, message, exc_info=logger.isEnabledFor(logging.DEBUG))
        self.page.tell(message, failed=True)

    def offered(self, model: str) -> Offered:
        """The directions of a model."""
        return self.directions.get(model, Offered())

    def scene_of(self, choice: Choice) -> Scene:
        """Make an object."""
        return self.studio.scene(self.models[choice.model], choice, self.offered(choice.model))

    def _draw(self) -> None:
        if self.history.seen:
            self.painter.want(Wanted(choice=self.choice, look=self.look, view=self.view))

    def _show(self, drawn: Drawn) -> None:
        self.page.show_picture(drawn.pixels, sharp=drawn.sharp)
        if drawn.sharp:
            self.page.refresh()  # the command line says from where
