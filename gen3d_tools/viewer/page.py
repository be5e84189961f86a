"""The seam between a session and its browser: what a session asks of the page it serves.

`viewer.browser` answers with viser; tests answer with lists.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import trimesh
from jaxtyping import UInt8

from gen3d_tools.viewer.drawing.window import View

MeshStyle = Literal["hidden", "wireframe", "shaded", "textured"]


@dataclass(frozen=True, eq=False)
class Overlay:
    """A mesh that is laid over the picture."""

    mesh: trimesh.Trimesh
    style: MeshStyle


@runtime_checkable
class Page(Protocol):
    """One browser's page. Everything may be called from any thread, and returns at once."""

    def show_picture(self, pixels: UInt8[np.ndarray, "h w 3"], *, sharp: bool) -> None:
        """Fill the window with a picture of its shape; nothing moves when it is sharp."""

    def move_camera(self, view: View) -> None:
        """Look from somewhere else."""

    def tell(self, message: str, *, failed: bool = False) -> None:
        """Show a notice of one line."""

    def refresh(self) -> None:
        """Show the session's state in all controls: it has changed elsewhere than in one of them."""

    def show_progress(self, what: str, share: float | None, line: str = "") -> None:
        """Show how far a job is, 0..1; None when it is over."""

    def show_work(self, what: str, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        """Show beside a job's bar what there is so far; it goes when the job is over."""

    def send_file(self, name: str, content: bytes) -> None:
        """Give the person a file."""

    def lay_over(self, name: str, overlay: Overlay | None) -> None:
        """Lay a mesh over the picture, in place of an earlier one of that name; None takes it away."""

    def ask_click(self, clicked: Callable[[float, float], None] | None) -> None:
        """Call back with a place in the window, (0, 0) its upper left corner, (1, 1) its lower right; None: no more."""
