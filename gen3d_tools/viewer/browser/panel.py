"""The controls beside the picture."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gen3d_tools.viewer.browser.canvas import Canvas
from gen3d_tools.viewer.browser.gestures import Gestures
from gen3d_tools.viewer.browser.panel_mesh import MeshTab
from gen3d_tools.viewer.browser.panel_object import LookTab, ObjectTab, PhotoPart
from gen3d_tools.viewer.browser.panel_path import PathTab
from gen3d_tools.viewer.browser.panel_save import SaveTab
from gen3d_tools.viewer.session import Session

_NOTHING = np.full((8, 8, 3), 255, np.uint8)


class Panel:
    """All controls of one page.

    Args:
        session: What they control.
        page: Where they are.
    """

    def __init__(self, session: Session, page: Canvas) -> None:
        gui = page.client.gui
        self._bars: dict[str, tuple[Any, Any, Any, Any]] = {}
        self._session, self._page = session, page
        self._lock = threading.RLock()
        tabs = gui.add_tab_group()
        parts: list[Callable[[], None]] = []
        if session.models:
            with tabs.add_tab("Object"):
                parts.append(ObjectTab(session, gui).refresh)
                with gui.add_folder("From a photo", expand_by_default=False):
                    parts.append(PhotoPart(session, gui).refresh)
            with tabs.add_tab("View"):
                parts.append(LookTab(session, gui).refresh)
            with tabs.add_tab("Mesh"):
                parts.append(MeshTab(session, gui).refresh)
            with tabs.add_tab("Path"):
                parts.append(PathTab(session, gui).refresh)
            with tabs.add_tab("Save"):
                parts.append(SaveTab(session, gui).refresh)
        if session.models:
            Gestures(session, gui)
        with gui.add_folder("Under way", visible=False) as self._under_way:
            pass
        self._parts = parts
        page.on_refresh, page.on_progress, page.on_work = self.refresh, self.progress, self.work

    def refresh(self) -> None:
        """Show what is; called from several threads, which take turns."""
        with self._lock:
            for part in self._parts:
                part()

    def progress(self, what: str, share: float | None, line: str) -> None:
        """Show, move or take away a bar."""
        with self._lock:
            self._progress(what, share, line)

    def work(self, what: str, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        """Show what a job has made so far."""
        with self._lock:
            if what in self._bars:
                picture = self._bars[what][-1]
                picture.image, picture.visible = pixels, True

    def _progress(self, what: str, share: float | None, line: str) -> None:
        gui = self._page.client.gui
        if share is None:
            for handle in self._bars.pop(what, ()):
                handle.remove()
            self._under_way.visible = bool(self._bars)
            return
        if what not in self._bars:
            self._under_way.visible = True
            with self._under_way:
                words, bar, button = gui.add_markdown(what), gui.add_progress_bar(0.0), gui.add_button("Cancel")
                picture = gui.add_image(_NOTHING, visible=False)
            button.on_click(lambda _: self._session.jobs.cancel(what))
            self._bars[what] = words, bar, button, picture
        words, bar, _, _ = self._bars[what]
        bar.value = 100 * share
        words.content = f"**{what}** {line}".strip()
