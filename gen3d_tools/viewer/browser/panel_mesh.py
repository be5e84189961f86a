"""The tab of the mesh."""

import viser

from gen3d_tools.viewer.actions.surface import DECADES, RESOLUTIONS, STYLES
from gen3d_tools.viewer.browser.panel_object import Tab
from gen3d_tools.viewer.session import Session


class MeshTab(Tab):
    """The object's own mesh."""

    def __init__(self, session: Session, gui: viser.GuiApi) -> None:
        super().__init__(session, gui)
        surface = session.surface
        self._style = self.on(gui.add_dropdown("Overlay", STYLES), lambda style: surface.change(style=style))
        self._resolution = self.on(
            gui.add_dropdown("Lattice", tuple(map(str, RESOLUTIONS)), hint="Points along each side of the box."),
            lambda points: surface.change(resolution=int(points)),
        )
        self._auto = self.on(
            gui.add_checkbox("Best level", True, hint="The level whose silhouette agrees best with the pictures."),
            lambda auto: surface.change(level=None) if auto else surface.set_level(0.0),
        )
        self._level = self.on(
            gui.add_slider(
                "Level", -DECADES, DECADES, 0.05, 0.0, hint="Density at the surface: tenth powers of the model's own."
            ),
            lambda decades: surface.set_level(float(decades)),
        )
        self._line = gui.add_markdown("")

    def refresh(self) -> None:
        """Show the session's mesh."""
        surface = self.session.surface
        with self.setting():
            self._style.value, self._resolution.value = surface.options.style, str(surface.options.resolution)
            self._auto.value = surface.options.level is None
            self._level.visible = surface.options.level is not None
            self._level.value = min(max(surface.decades, -DECADES), DECADES)
            line = surface.line or (
                "Shown over the picture." if surface.options.style == "hidden" else "The mesh is being made."
            )
            if self._line.content != line:
                self._line.content = line
