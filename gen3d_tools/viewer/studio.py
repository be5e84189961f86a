"""What all sessions of a server share: models, meshes, objects that several look at, and turns on the processor."""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from weakref import WeakValueDictionary

import trimesh

from gen3d_tools.errors import InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.rendering.renderer import render
from gen3d_tools.viewer.actions.edits import Offered, offer
from gen3d_tools.viewer.actions.overlays import MESH_SUFFIXES, display_mesh, read_mesh
from gen3d_tools.viewer.choice import Choice, base_ws, first_choice
from gen3d_tools.viewer.drawing.pace import Turns
from gen3d_tools.viewer.drawing.painter import Scene
from gen3d_tools.workflows.running.places import model_name
from gen3d_tools.workflows.running.reporting import Reporter


@dataclass(frozen=True)
class Studio:
    """What there is to look at."""

    models: dict[str, Generator]
    """By the name that pages show, in the order they were given."""
    meshes: dict[str, trimesh.Trimesh] = field(default_factory=dict)
    """Small enough for browsers."""
    directions: dict[str, Offered] = field(default_factory=dict)
    """Of models that have some."""
    begin: Choice | None = None
    """What sessions begin with; None without a model."""
    device: str = "auto"
    turns: Turns = field(default_factory=Turns)
    _reserved: set[Path] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _scenes: WeakValueDictionary[tuple[int, Choice], Scene] = field(default_factory=WeakValueDictionary)

    @contextmanager
    def reserved(self, choose: Callable[[Collection[Path]], Path]) -> Iterator[Path]:
        """Keep a folder for what one session makes in the block: photos of two pages are often named alike.

        Args:
            choose: Gives a folder that is none of those it is told.
        """
        with self._lock:
            folder = choose(self._reserved)
            self._reserved.add(folder)
        try:
            yield folder
        finally:
            with self._lock:
                self._reserved.discard(folder)

    def scene(self, generator: Generator, choice: Choice, offered: Offered) -> Scene:
        """Make an object, or give the one that another session looks at: its planes and their layout are large.

        Args:
            generator: Its model.
            choice: Which one.
            offered: The model's directions.
        """
        key = id(generator), choice
        found = self._scenes.get(key)
        if found is None:
            [made] = generator.fields(offered.move(base_ws(generator, choice), choice))
            found = self._scenes.setdefault(key, Scene(made, generator.settings))
        return found


def open_studio(
    names: Sequence[str],
    *,
    seeds: str | None = None,
    classes: str | None = None,
    directions: Sequence[str] = (),
    base: str | None = None,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> Studio:
    """Load all that was named, and draw one small picture so that nothing is left to compile.

    Args:
        names: Models, results and mesh files, as typed.
        seeds: The first of them is looked at first.
        classes: The first of them is.
        directions: Files of directions, of the first model.
        base: The model that results were tuned from; see `load_generator`.
        device: Of the models.
        reporter: Is told of meshes that are shown with fewer faces.

    Raises:
        Gen3DError: Something is not there, or cannot be read.
    """
    reporter = reporter or Reporter()
    files = [name for name in names if Path(name).suffix.lower() in MESH_SUFFIXES]
    models: dict[str, Generator] = {}
    offered: dict[str, Offered] = {}
    for name in names:
        if name not in files:
            called = _free(model_name(name), models)
            models[called] = load_generator(name, device=device, base=base)
            offered[called] = offer(models[called], name, directions if not offered else (), base)
    meshes: dict[str, trimesh.Trimesh] = {}
    for name in files:
        shown, note = display_mesh(read_mesh(Path(name)))
        if note:
            reporter.say(f"{name}: {note}")
        meshes[_free(Path(name).name, meshes)] = shown
    if not models:
        if seeds is not None or classes is not None or directions:
            raise InputError("seeds, classes and directions are a model's, and only meshes are named; leave them out")
        return Studio({}, meshes, device=device)
    first = next(iter(models))
    begin = first_choice(models[first], first, seeds, classes)
    _warm(models[first], begin)
    return Studio(models, meshes, offered, begin, device)


def _free(name: str, taken: dict[str, object] | dict[str, Generator] | dict[str, trimesh.Trimesh]) -> str:
    """Give a name that no other one has."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free


def _warm(generator: Generator, choice: Choice) -> None:
    [field_] = generator.fields(base_ws(generator, replace(choice)))
    render(field_, generator.default_camera(), resolution=8, super_resolution=False)
