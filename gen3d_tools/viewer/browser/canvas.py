"""What a session asks of its page, as viser's messages to one browser."""

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import trimesh
import viser
from jaxtyping import UInt8

from gen3d_tools.geometry.color.vertex_colors import colors_of
from gen3d_tools.geometry.formats.gltf import encode_glb
from gen3d_tools.viewer.drawing.window import View, fov_of_square, vector
from gen3d_tools.viewer.page import Overlay

_QUICK_QUALITY = 85
_NOTICE_SECONDS = 8.0
_WIRE = (20, 90, 200)
_CLAY = (178, 178, 178)


class Canvas:
    """One browser's page; see `viewer.page.Page`.

    Args:
        client: viser's handle of the browser.
    """

    def __init__(self, client: viser.ClientHandle) -> None:
        self.client = client
        self.on_refresh: Callable[[], None] = lambda: None
        """Set by whoever makes the controls."""
        self.on_progress: Callable[[str, float | None, str], None] = lambda what, share, line: None
        self.on_work: Callable[[str, UInt8[np.ndarray, "h w 3"]], None] = lambda what, pixels: None
        self._overlays: dict[str, Any] = {}
        self._clicked: Any = None

    def view(self, camera: viser.CameraHandle) -> View:
        """Read the browser's camera."""
        width, height = max(1, camera.image_width), max(1, camera.image_height)
        return View(
            position=vector(camera.position),
            look_at=vector(camera.look_at),
            up=vector(camera.up_direction),
            fov_deg=fov_of_square(math.degrees(camera.fov), width / height),
            width=width,
            height=height,
        )

    def show_picture(self, pixels: UInt8[np.ndarray, "h w 3"], *, sharp: bool) -> None:
        """Fill the window: without loss when nothing moves."""
        if sharp:
            self.client.scene.set_background_image(pixels, format="png")
        else:
            self.client.scene.set_background_image(pixels, format="jpeg", jpeg_quality=_QUICK_QUALITY)
        self.client.flush()

    def move_camera(self, view: View) -> None:
        """Place the camera, at once and as a whole."""
        with self.client.atomic():
            self.client.camera.up_direction = view.up
            self.client.camera.position = view.position
            self.client.camera.look_at = view.look_at
            self.client.camera.fov = math.radians(view.window_fov_deg)

    def tell(self, message: str, *, failed: bool = False) -> None:
        """Show a notice; one about a failure stays until it is closed."""
        self.client.add_notification(
            "This did not work" if failed else "gen3d",
            message,
            color="red" if failed else "blue",
            auto_close_seconds=None if failed else _NOTICE_SECONDS,
        )

    def refresh(self) -> None:
        """Show the session's state in all controls."""
        self.on_refresh()

    def show_progress(self, what: str, share: float | None, line: str = "") -> None:
        """Move a bar."""
        self.on_progress(what, share, line)

    def show_work(self, what: str, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        """Show a picture beside a bar."""
        self.on_work(what, pixels)

    def send_file(self, name: str, content: bytes) -> None:
        """Let the browser save a file."""
        self.client.send_file_download(name, content, save_immediately=True)

    def lay_over(self, name: str, overlay: Overlay | None) -> None:
        """Add, replace or remove a mesh."""
        old = self._overlays.pop(name, None)
        if old is not None:
            with suppress(KeyError, RuntimeError):
                old.remove()
        if overlay is None or overlay.style == "hidden":
            return
        self._overlays[name] = self._added(f"/meshes/{len(name)}-{abs(hash(name))}", overlay)

    def ask_click(self, clicked: Callable[[float, float], None] | None) -> None:
        """Take clicks on the picture."""
        if self._clicked is not None:
            self.client.scene.remove_click_callback(self._clicked)
            self._clicked = None
        if clicked is None:
            return

        async def took(event: Any) -> None:
            x, y = event.screen_pos
            clicked(float(x), float(y))

        self._clicked = took
        self.client.scene.on_click()(took)  # type: ignore[arg-type]  # viser awaits what is a coroutine

    def _added(self, name: str, overlay: Overlay) -> Any:
        mesh = overlay.mesh
        vertices, faces = np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.uint32)
        scene = self.client.scene
        if overlay.style == "wireframe":
            return scene.add_mesh_simple(name, vertices, faces, color=_WIRE, wireframe=True, cast_shadow=False)
        if overlay.style == "shaded" or colors_of(mesh) is None:
            return scene.add_mesh_simple(
                name, vertices, faces, color=_CLAY, side="double", cast_shadow=False, receive_shadow=False
            )
        return scene.add_glb(name, _glb(mesh), cast_shadow=False, receive_shadow=False)


def _glb(mesh: trimesh.Trimesh) -> bytes:
    return encode_glb(mesh, "mesh")
