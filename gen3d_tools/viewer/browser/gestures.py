"""Gestures that viser's page does not know: a photo dropped anywhere, key frames dragged to another place.

A few lines of our own run in the page (`gestures.js`). They hand what they get to two file inputs of viser's that are
not shown, so that everything arrives as an upload, within `guard`'s bounds.
"""

import re
from importlib import resources

import viser
from viser import _messages as messages

from gen3d_tools.errors import InputError
from gen3d_tools.viewer.browser.panel_object import Tab
from gen3d_tools.viewer.session import Session


class Gestures(Tab):
    """What is dropped and dragged on one page."""

    def __init__(self, session: Session, gui: viser.GuiApi) -> None:
        super().__init__(session, gui)
        photo = gui.add_upload_button("Photo", mime_type="image/*")
        self.upload(photo, lambda name, content: session.photo.take(name, content))
        order = gui.add_upload_button("Order", mime_type="text/plain")
        self.upload(order, lambda _, content: session.path.move(*read_move(content)))
        script = resources.files("gen3d_tools.viewer.browser").joinpath("gestures.js").read_text(encoding="utf-8")
        for name, button in (("photo", photo), ("order", order)):
            script = script.replace(f"{{{{{name}}}}}", button._impl.uuid)
        gui._websock_interface.queue_message(messages.RunJavascriptMessage(source=script))


def read_move(content: bytes) -> tuple[int, int]:
    """Read which key frame was dragged where.

    Args:
        content: Two places, counted from 0.

    Returns:
        The key frame's place, and by how many places it moves.

    Raises:
        InputError: It says something else.
    """
    found = re.fullmatch(rb"(\d{1,4}) (\d{1,4})", content)
    if found is None:
        raise InputError("the page said something else than two places of key frames")
    start, end = map(int, found.groups())
    return start, end - start


def draggable_keys(count: int) -> str:
    """Give HTML of key frames that can be dragged; empty for fewer than two."""
    if count < 2:
        return ""
    keys = "".join(f'<span draggable="true" data-place="{place}">{place + 1}</span>' for place in range(count))
    return f'<div class="gen3d-keys" title="Drag to reorder">{keys}</div>'
