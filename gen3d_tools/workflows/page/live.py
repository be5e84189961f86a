"""Live in a notebook: the browser viewer of `gen3d view`, in a cell's frame, about one thing.

The viewer stands above the workflows, so it is imported where it is asked for, by its name.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import trimesh

from gen3d_tools.errors import InputError, MissingDependencyError
from gen3d_tools.generators.base import Generator
from gen3d_tools.workflows.page.figures import display_mesh

VIEWER = "gen3d_tools.viewer"
_FIRST_PORT = 8080
_NAME = "shown"


@dataclass(frozen=True, eq=False)
class Live:
    """A viewer that runs until it is closed, or until Python ends."""

    viewer: Any
    height: int = 640
    """Pixels of the frame."""

    @property
    def url(self) -> str:
        """Where its page is, for a browser on this machine."""
        return str(self.viewer.url)

    def __repr__(self) -> str:
        """Say it in one line."""
        return f"Live({self.url}; .close() ends it)"

    def _repr_html_(self) -> str:
        """Give the page in a frame."""
        style = f"width: 100%; height: {self.height}px; border: 0; border-radius: 8px"
        return f'<iframe src="{html.escape(self.url)}" title="{_NAME}" style="{style}"></iframe>'

    def close(self) -> None:
        """Listen no more."""
        self.viewer.close()


def show_live(
    thing: object, seeds: Sequence[int] | None, classes: Sequence[str | int] | None, truncation_psi: float
) -> Live:
    """Start a viewer of a generator or a mesh, on this machine alone.

    Args:
        thing: A generator or a mesh.
        seeds: Of a generator; the viewer begins with the first one.
        classes: Of the seeds.
        truncation_psi: 1 = off.

    Raises:
        MissingDependencyError: There is no viewer in this installation.
        InputError: It is neither a generator nor a mesh.
    """
    if find_spec(VIEWER) is None:
        raise MissingDependencyError("there is no live viewer here; leave live out, a cell shows it all the same")
    try:
        studio, choice, server = (import_module(f"{VIEWER}.{name}") for name in ("studio", "choice", "browser.server"))
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"the live viewer needs {error.name}; install it with: pip install {error.name}, or leave live out"
        ) from error
    if isinstance(thing, Generator):
        begin = choice.first_choice(
            thing,
            _NAME,
            None if seeds is None else ",".join(map(str, seeds)),
            None if classes is None else ",".join(map(str, classes)),
        )
        begin = begin if begin.seed is None else replace(begin, psi=truncation_psi)
        return Live(server.Viewer(studio.Studio({_NAME: thing}, begin=begin), port=_FIRST_PORT))
    if isinstance(thing, trimesh.Trimesh):
        return Live(server.Viewer(studio.Studio({}, {_NAME: display_mesh(thing)[0]}), port=_FIRST_PORT))
    raise InputError("the live viewer draws generators and meshes; a field alone is shown without live")
