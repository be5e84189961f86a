"""The tab of the camera's way."""

from typing import Any

import viser

from gen3d_tools.viewer.actions.camera_path import FORMATS, LONGEST
from gen3d_tools.viewer.browser.gestures import draggable_keys
from gen3d_tools.viewer.browser.panel_object import Tab
from gen3d_tools.viewer.drawing.look import SIZES
from gen3d_tools.viewer.session import Session

GO, UP, DOWN, REMOVE = "Go", "Up", "Down", "Remove"


class PathTab(Tab):
    """Key frames, and what is made of them."""

    def __init__(self, session: Session, gui: viser.GuiApi) -> None:
        super().__init__(session, gui)
        path = session.path
        self.click(gui.add_button("Add the current view", icon=viser.Icon.CAMERA_PLUS), path.add)
        self._list: Any = gui.add_dropdown("Key frame", ("none",))
        self._keys = gui.add_html("")
        order = gui.add_button_group("", (GO, UP, DOWN, REMOVE))
        self.click(order, lambda: self._order(order.value))
        self.click(gui.add_button("A whole turn", hint="Eight key frames around the object.", color="gray"), path.turn)
        self._seconds = self.on(
            gui.add_number("Seconds", 4.0, min=0.1, max=LONGEST, step=0.1),
            lambda seconds: path.keys.set_seconds(float(seconds)),
        )
        self._loop = self.on(gui.add_checkbox("Back to the first", False), self._set_loop)
        self.click(gui.add_button("Preview", icon=viser.Icon.PLAYER_PLAY, color="gray"), path.preview)
        self._format = gui.add_dropdown("Format", FORMATS)
        self._size = gui.add_dropdown("Pixels", tuple(map(str, SIZES)), initial_value="512")
        self.click(
            gui.add_button("Film", icon=viser.Icon.MOVIE),
            lambda: path.film(self._format.value, int(self._size.value)),
        )
        with gui.add_folder("Camera file", expand_by_default=False):
            self.click(gui.add_button("Save", icon=viser.Icon.DOWNLOAD, hint="A nerfstudio camera path."), path.save)
            upload = gui.add_upload_button(
                "Load", icon=viser.Icon.UPLOAD, mime_type=".json", hint="Of nerfstudio, or any that gen3d video takes."
            )
            self.upload(upload, lambda _, content: path.load(content))

    def _set_loop(self, loop: bool) -> None:
        self.session.path.keys.loop = bool(loop)

    def _order(self, button: str) -> None:
        path, chosen = self.session.path, self._chosen()
        if button == GO:
            path.go(chosen)
        elif button == REMOVE:
            path.remove(chosen)
        else:
            place = path.move(chosen, -1 if button == UP else 1)
            self._list.value = self._list.options[place]

    def _chosen(self) -> int:
        options = tuple(self._list.options)
        return options.index(self._list.value) if self.session.path.keys.views else -1

    def refresh(self) -> None:
        """Show the session's key frames."""
        keys = self.session.path.keys
        self._keys.content = draggable_keys(len(keys.views))
        names = tuple(f"{number}" for number in range(1, len(keys.views) + 1)) or ("none",)
        with self.setting():
            if tuple(self._list.options) != names:
                added = len(names) > len(self._list.options)
                self._list.options = names
                self._list.value = names[-1] if added or self._list.value not in names else self._list.value
            self._seconds.value, self._loop.value = keys.seconds, keys.loop
