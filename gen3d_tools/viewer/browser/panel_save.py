"""The tab of what a person takes home."""

from typing import Any

import viser

from gen3d_tools.viewer.actions.surface import RESOLUTIONS, TEXTURES
from gen3d_tools.viewer.browser.panel_object import Tab
from gen3d_tools.viewer.session import Session

COLOURS = "vertex colours"
ALL = "all"
FACES = (2_000, 10_000, 50_000)


class SaveTab(Tab):
    """Files, and the command that makes the same."""

    def __init__(self, session: Session, gui: viser.GuiApi) -> None:
        super().__init__(session, gui)
        home, surface = session.take_home, session.surface
        self.click(gui.add_button("Picture (.png)", icon=viser.Icon.PHOTO), home.picture)
        with gui.add_folder("Mesh"):
            self._resolution = self.on(
                gui.add_dropdown("Lattice", tuple(map(str, RESOLUTIONS))),
                lambda points: surface.change(resolution=int(points)),
            )
            self._colours = self.on(
                gui.add_dropdown("Colours", (COLOURS, *(f"texture of {side}" for side in TEXTURES))),
                lambda text: surface.change(texture=None if text == COLOURS else int(text.rpartition(" ")[2])),
            )
            self._faces = self.on(
                gui.add_dropdown("Faces", (ALL, *(f"{count:,}" for count in FACES))),
                lambda text: surface.change(faces=None if text == ALL else int(text.replace(",", ""))),
            )
            self.click(
                gui.add_button("Mesh (.glb)", icon=viser.Icon.CUBE), lambda: home.mesh(surface.options.mesh_options())
            )
            self.click(
                gui.add_button("Points (.ply)", icon=viser.Icon.GRAIN, color="gray"),
                lambda: home.points(surface.options.mesh_options()),
            )
        with gui.add_folder("The same again"):
            self._command: Any = gui.add_text("Command", "", multiline=True, hint="Makes this picture; copy it.")
            self.click(
                gui.add_button("Camera (view.json)", color="gray", hint="For gen3d video --path view.json."),
                home.camera,
            )
            self.click(gui.add_button("Record (run.json)", color="gray"), home.record)

    def refresh(self) -> None:
        """Show what would be made."""
        options = self.session.surface.options
        with self.setting():
            self._resolution.value = str(options.resolution)
            self._colours.value = COLOURS if options.texture is None else f"texture of {options.texture}"
            self._faces.value = ALL if options.faces is None else f"{options.faces:,}"
            self._command.value = self.session.take_home.command()
