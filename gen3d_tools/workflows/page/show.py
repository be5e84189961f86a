"""`show`: a generator, a field or a mesh in a notebook: pictures, and a mesh to turn, in a cell that needs no server.

What is shown is the page of `gen3d page`, inside a frame of its own: it reads nothing from anywhere, and stays when the
notebook is saved. Live, the browser viewer draws it instead.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trimesh

from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.files import atomic_path
from gen3d_tools.generators.base import Generator
from gen3d_tools.media.page import PageEntry, PageMesh, PagePicture, PageSection, page_text
from gen3d_tools.rendering.shown import png_of
from gen3d_tools.workflows.page.figures import FigureSizes, display_mesh, field_picture, figure_mesh, picture
from gen3d_tools.workflows.page.live import show_live
from gen3d_tools.workflows.running.reporting import Reporter

MAX_SHOWN = 16
"""Seeds of one cell."""

_SIZES = FigureSizes(picture=192, lattice=96, faces=12_000, texture=0)
_PICTURE = 320  # pixels of a field's picture


@dataclass(frozen=True)
class Shown:
    """What a notebook displays where it is a cell's value; elsewhere, a page to save."""

    page: str
    """The whole HTML file."""
    what: str
    height: int = 480
    """Pixels of the frame."""

    def __repr__(self) -> str:
        """Say it in one line."""
        return f"Shown({self.what}, {len(self.page) / 1e6:.1f} MB; the value of a notebook's cell, or .save('a.html'))"

    def _repr_html_(self) -> str:
        """Give the page in a frame of its own, so that neither sees the other's styles."""
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" title="{html.escape(self.what)}" sandbox="allow-scripts" '
            f'style="width: 100%; height: {self.height}px; border: 0; border-radius: 8px"></iframe>'
        )

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the page to an .html file, which opens anywhere, offline.

        Raises:
            InputError: The file exists already.
        """
        with atomic_path(Path(path), overwrite=overwrite) as temporary:
            temporary.write_text(self.page, encoding="utf-8")


def show(
    thing: Generator | RadianceField | trimesh.Trimesh,
    *,
    seeds: Sequence[int] | None = None,
    classes: Sequence[str | int] | None = None,
    truncation_psi: float = 1.0,
    live: bool = False,
) -> object:
    """Show a generator's samples, a field or a mesh in a notebook.

    Args:
        thing: What to show. Of a generator, a picture of each seed and the mesh of the first.
        seeds: Of a generator, 16 at most; None is seed 0, or the object of a tuned one.
        classes: Name or index per seed; None lets the seed choose.
        truncation_psi: 1 = off; see `Generator.map`.
        live: Draw it by the browser viewer, which renders every view anew, instead of a cell that stays as it is.

    Returns:
        A value that notebooks display; `save` writes it as a page.

    Raises:
        InputError: There is nothing to show, or too much.
        MissingDependencyError: `live`, and the viewer is not there.
    """
    if live:
        return show_live(thing, seeds, classes, truncation_psi)
    if isinstance(thing, Generator):
        entries, what = _of_generator(thing, seeds, classes, truncation_psi)
    elif isinstance(thing, RadianceField):
        entries, what = _of_field(thing), type(thing).__name__
    else:
        mesh, note = display_mesh(thing)
        what = note or f"{len(mesh.faces):,} faces"
        entries = [PageMesh(mesh=mesh, caption=what)]
    return Shown(page_text(title="", sections=[PageSection(items=entries)], in_cell=True), what)


def _of_generator(
    generator: Generator, seeds: Sequence[int] | None, classes: Sequence[str | int] | None, psi: float
) -> tuple[list[PageEntry], str]:
    own = seeds is None and classes is None and generator.pivot is not None
    seeds = (0,) if seeds is None else seeds
    if len(seeds) > MAX_SHOWN:
        raise InputError(f"a cell shows at most {MAX_SHOWN} seeds, got {len(seeds)}; show them in several")
    if own:
        assert generator.pivot is not None, "a generator with an object of its own"
        ws, labels = generator.pivot.ws.to(generator.device), ["the object"]
    else:
        ws = generator.latents(seeds, classes, truncation_psi=psi)
        names, indices = generator.class_names, generator.class_indices(seeds, classes)
        labels = [f"{names[index]} {seed}" for index, seed in zip(indices, seeds, strict=True)] or [
            f"seed {seed}" for seed in seeds
        ]
    fields = list(generator.fields(ws))
    entries: list[PageEntry] = [
        PagePicture(png=png_of(picture(field, generator, _SIZES.picture)), caption=label)
        for field, label in zip(fields, labels, strict=True)
    ]
    mesh = figure_mesh(fields[0], _SIZES, Reporter())
    return [PageMesh(mesh=mesh, caption=f"{labels[0]}, {len(mesh.faces):,} faces"), *entries], ", ".join(labels)


def _of_field(field: RadianceField) -> list[PageEntry]:
    mesh = figure_mesh(field, _SIZES, Reporter())
    return [
        PageMesh(mesh=mesh, caption=f"its surface, {len(mesh.faces):,} faces"),
        PagePicture(png=field_picture(field, _PICTURE), caption="the field"),
    ]
