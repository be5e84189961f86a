"""The object's own mesh, laid over its picture: made in the background, again whenever the object changes."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.geometry.extraction.level import Silhouettes, silhouettes
from gen3d_tools.viewer.actions.overlays import display_mesh
from gen3d_tools.viewer.choice import Choice
from gen3d_tools.viewer.jobs import Job
from gen3d_tools.viewer.page import MeshStyle, Overlay
from gen3d_tools.workflows.mesh.options import MeshOptions
from gen3d_tools.workflows.mesh.sample import make_mesh

if TYPE_CHECKING:
    from gen3d_tools.viewer.session import Session

SURFACE = "Mesh"
STYLES: tuple[MeshStyle, ...] = get_args(MeshStyle)
RESOLUTIONS = (64, 128, 192, 256)
TEXTURES = (512, 1024, 2048)
DECADES = 2.0
"""The slider of the level goes from a hundredth of the suggested one to a hundred times that."""


@dataclass(frozen=True, kw_only=True)
class SurfaceOptions:
    """How the mesh is shown and made."""

    style: MeshStyle = "hidden"
    resolution: int = 128  # lattice points along each side
    level: float | None = None  # density at the surface; None = chosen for each object
    faces: int | None = None  # at most, in the file; None = all
    texture: int | None = None  # side of a texture in the file, texels; None = colours of the vertices

    def checked(self) -> "SurfaceOptions":
        """Refuse what is not offered.

        Raises:
            InputError: A style, resolution, level, number of faces or texture that there is not.
        """
        if self.style not in STYLES:
            raise InputError(f"there is no mesh style {self.style!r}; choose {', '.join(STYLES)}")
        if self.resolution not in RESOLUTIONS:
            raise InputError(f"resolution is {self.resolution}; choose {', '.join(map(str, RESOLUTIONS))}")
        self.mesh_options().check()
        return self

    def mesh_options(self) -> MeshOptions:
        """What `gen3d mesh` is told for the same."""
        return MeshOptions(resolution=self.resolution, level=self.level, faces=self.faces, texture=self.texture)


class Surface:
    """The mesh of a session's object.

    Args:
        session: Whose.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self.options = SurfaceOptions()
        self.line = ""
        """What is known of the mesh, for people."""
        self._seen: tuple[Choice, Silhouettes] | None = None
        self._shown: tuple[Choice, SurfaceOptions] | None = None

    def change(self, **changes: object) -> None:
        """Show the mesh in another way.

        Raises:
            InputError: There is no such way.
        """
        self.options = replace(self.options, **changes).checked()  # type: ignore[arg-type]
        self.update()
        self._session.page.refresh()

    def set_level(self, decades: float) -> None:
        """Choose the level on the slider.

        Args:
            decades: Tenth powers above or below the suggested level.

        Raises:
            InputError: It is off the slider.
        """
        if not -DECADES <= decades <= DECADES:
            raise InputError(f"the level lies within {DECADES:g} tenth powers of the suggested one, got {decades:g}")
        self.change(level=self._suggested * 10**decades)

    @property
    def decades(self) -> float:
        """Where the level is on the slider."""
        return 0.0 if self.options.level is None else math.log10(self.options.level / self._suggested)

    @property
    def _suggested(self) -> float:
        return self._session.generator.settings.iso_level

    def update(self) -> None:
        """Make the mesh of what is looked at now, if it is shown and not there."""
        session = self._session
        if self.options.style == "hidden":
            session.jobs.cancel(SURFACE)
            session.page.lay_over(SURFACE, None)
            self._shown, self.line = None, ""
            return
        wanted = session.choice, replace(self.options, faces=None, texture=None)
        if wanted != self._shown:
            self._shown = wanted
            session.jobs.begin(SURFACE, lambda job: self._make(job, *wanted), anew=True)

    def _make(self, job: Job, choice: Choice, options: SurfaceOptions) -> None:
        session = self._session
        try:
            scene = session.scene_of(choice)
            job.report(0.05)
            if self._seen is None or self._seen[0] != choice:
                with session.studio.turns:
                    self._seen = choice, silhouettes(scene.field)
            textured = TEXTURES[0] if options.style == "textured" else None
            made = make_mesh(
                scene.field,
                scene.settings,
                replace(options.mesh_options(), texture=textured, colors=textured is not None),
                lambda done, of: job.report(0.1 + 0.8 * done / of),
                only_textured=textured is not None,
            )
            job.check()
        except Gen3DError:
            self._shown = None
            session.page.lay_over(SURFACE, None)
            raise
        level = made.plain.metadata["level"].level
        iou = self._seen[1].iou(level)
        shown, note = display_mesh(made.best)
        said = "no silhouette to compare with" if iou is None else f"silhouette agreement {iou:.3f}"
        self.line = f"{len(made.plain.faces):,} faces at level {level:.3g}; {said}" + (f"; {note}" if note else "")
        session.page.lay_over(SURFACE, Overlay(shown, options.style))
        session.page.refresh()
