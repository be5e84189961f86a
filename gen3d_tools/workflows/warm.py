"""Compiling ahead: small jobs of every kind, so that nothing is left to compile on a user's first picture or mesh.

For images of containers: `gen3d doctor --warm`. And for the demo, which has the kernels of meshes and of inversions
compiled while it draws: run as `python -m gen3d_tools.workflows.warm meshes`, or `gradients`, this module is another
process that makes a mesh, or a picture with gradients, which leaves their kernels on disk.
"""

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.mlp import Dense, FrequencyEncoding, Perceptron, PerceptronField
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.geometry.color.rasterize import render_mesh
from gen3d_tools.geometry.mesh import extract_mesh
from gen3d_tools.kernels.compiling.ahead import SecondProcess, is_on_disk
from gen3d_tools.rendering.differentiable import render_differentiable, render_together
from gen3d_tools.rendering.rays import pixel_coordinates
from gen3d_tools.rendering.renderer import render

KERNELS = (
    ("kernels.lattice.bounds", "summarize"),
    ("kernels.rays.occupancy", "bound_tiles"),
    ("kernels.rays.guided", "follow_range"),
    ("kernels.rays.planned", "plan_range"),
    ("kernels.rays.planned", "weigh_range"),
    ("kernels.rays.published_sampling", "_follow_range"),
    ("kernels.rays.silhouette", "_look_through"),
    ("kernels.lattice.surface", "evaluate_parts"),
    ("kernels.network.points", "_evaluate"),
    ("kernels.meshes.collapse", "_collapse"),
    ("kernels.meshes.raster", "_fill"),
    ("kernels.rays.placement", "_place_range"),
    ("kernels.rays.differentiable", "_render_range"),
    ("kernels.rays.differentiable", "_backward_range"),
    ("kernels.rays.batches", "_see_range"),
    ("kernels.rays.batches", "_back_range"),
    ("kernels.convolution.winograd", "_enter_range"),
    ("kernels.convolution.winograd", "_convolve_range"),
    ("kernels.convolution.winograd", "_slopes_range"),
)
"""The kernels that Python calls; the others are compiled with them."""

AHEAD: Mapping[str, tuple[str, ...]] = {
    "meshes": (
        "kernels.rays.silhouette._look_through",
        "kernels.lattice.surface.evaluate_parts",
        "kernels.network.points._evaluate",
        "kernels.meshes.collapse._collapse",
    ),
    "gradients": (
        "kernels.rays.placement._place_range",
        "kernels.rays.differentiable._render_range",
        "kernels.rays.differentiable._backward_range",
        "kernels.convolution.winograd._enter_range",
        "kernels.convolution.winograd._convolve_range",
        "kernels.convolution.winograd._slopes_range",
    ),
}
"""What each of the demo's compiling processes leaves on disk, by the name of the job."""

MODEL = "shapes"
PICTURE_SIZE = 8  # pixels
RESOLUTION = 32  # lattice points along each side of the box
FACES = 200


def warm() -> None:
    """Do a small job of each kind on the CPU, and so compile every kernel that is not on disk.

    Raises:
        Gen3DError: The bundled model cannot be loaded.
    """
    _pictures()
    for job in _JOBS.values():
        job()
    _batches()


def kernel_folder() -> Path | None:
    """The folder that compiled kernels are kept in, each in one of its own; None where none can be written."""
    path = next(kernels())[1].stats.cache_path
    return Path(path).parents[0] if path else None


def missing_kernels() -> tuple[str, ...]:
    """Name the kernels that are not on disk."""
    return tuple(name for name, kernel in kernels() if not is_on_disk(*_origin(kernel), [_folder(kernel)]))


def kernels() -> Iterator[tuple[str, Any]]:
    """Import each kernel of `KERNELS`."""
    for module, function in KERNELS:
        yield f"{module}.{function}", getattr(importlib.import_module(f"gen3d_tools.{module}"), function)


@torch.no_grad()
def _pictures() -> None:
    """One picture with samples where light is stopped, and one with those of the settings."""
    generator = load_generator(MODEL, device="cpu")
    [field] = generator.fields(generator.latents([0]))
    for random in (None, torch.Generator().manual_seed(0)):
        render(field, generator.default_camera(), resolution=PICTURE_SIZE, generator=random)
    render(_perceptron(field), generator.default_camera(), resolution=PICTURE_SIZE)


def _perceptron(field: RadianceField) -> PerceptronField:
    """A field without planes, of any density, to be seen like another one; a few cells serve it."""
    hidden, rows = Dense(torch.ones(4, 6), torch.ones(4)), torch.ones(3, 4)
    network = Perceptron(
        encoding=FrequencyEncoding(axes=(0, 1, 2), octaves=1),
        hidden=(hidden,),
        density=Dense(rows[:1], torch.zeros(1)),
        values=Dense(rows, torch.zeros(3)),
        slope=0.2,
    )
    return PerceptronField(network=network, render_config=field.render_config, box_side=field.box_side, iso_level=1.0)


@torch.no_grad()
def _meshes() -> None:
    """A mesh at the level that is chosen for it, decimated, and a picture of it."""
    generator = load_generator(MODEL, device="cpu")
    [field] = generator.fields(generator.latents([0]))
    mesh = extract_mesh(field, resolution=RESOLUTION, faces=FACES)
    render_mesh(mesh, generator.default_camera(), PICTURE_SIZE)


def _gradients() -> None:
    """One picture with the gradients that inversions ask for, those of tuning included."""
    generator = load_generator(MODEL, device="cpu")
    ws = generator.latents([0]).requires_grad_()
    [field] = generator.requires_grad_(True).fields(ws)
    seen = render_differentiable(field, generator.default_camera(), pixel_coordinates(PICTURE_SIZE))
    torch.autograd.backward(seen.rgb.sum() + seen.opacity.sum())


def _batches() -> None:
    """Pictures of a batch with gradients, as training has them."""
    generator = load_generator(MODEL, device="cpu")
    camera, pixels = generator.default_camera(), pixel_coordinates(PICTURE_SIZE)
    ws = generator.latents([0, 1]).requires_grad_()
    batch = Camera(*(one.expand(2, *one.shape) for one in (camera.cam2world, camera.intrinsics)))
    together = render_together(generator.fields(ws), batch, pixels.expand(2, -1, -1))
    assert together is not None
    torch.autograd.grad(together.rgb.sum(), ws)


_JOBS: Mapping[str, Callable[[], None]] = {"meshes": _meshes, "gradients": _gradients}


class Compilers:
    """A process for each job of `AHEAD`, where they are of use: the demo draws meanwhile."""

    def __init__(self, *, wanted: bool) -> None:
        self.processes = {job: SecondProcess() for job in AHEAD}
        for process in self.processes.values():
            process.wanted = wanted

    def begin(self) -> None:
        """Start them, once what pictures need is on disk: all share it."""
        path = next(kernels())[1].stats.cache_path if any(one.wanted for one in self.processes.values()) else None
        if path is not None:
            for job, process in self.processes.items():
                process.begin(Path(path), "gen3d_tools.workflows.warm", _origins(AHEAD[job]), job)

    def finish(self, job: str) -> None:
        """Wait until the kernels of a job are on disk, or its process has failed."""
        self.processes[job].finish()


def _origins(names: Sequence[str]) -> list[tuple[Path, str]]:
    """File and name of each kernel."""
    found = dict(kernels())
    return [_origin(found[name]) for name in names]


def _origin(kernel: Any) -> tuple[Path, str]:
    """The file that a kernel stands in, and its name."""
    return Path(kernel.py_func.__code__.co_filename), kernel.py_func.__name__


def _folder(kernel: Any) -> Path:
    """The folder that a kernel is kept in; one that does not exist where none can be written."""
    return Path(kernel.stats.cache_path or os.devnull)


if __name__ == "__main__":
    torch.set_num_threads(1)  # others draw and compile
    _JOBS[sys.argv[1]]()
