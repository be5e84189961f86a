"""What a page shows of an object: a turntable, a mesh with its texture, a picture."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import trimesh
from torch import Tensor
from trimesh.visual import TextureVisuals

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.paths import orbit, wiggle
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.settings import config_for
from gen3d_tools.geometry.color.texture import bake_texture
from gen3d_tools.geometry.mesh import extract_mesh
from gen3d_tools.geometry.processing.decimation import decimate
from gen3d_tools.media.video import VideoWriter
from gen3d_tools.rendering.renderer import render, render_frames
from gen3d_tools.rendering.shown import png_of
from gen3d_tools.workflows.running.reporting import Reporter

FPS = 20.0
SHOWN_FACES = 60_000
"""Faces of a mesh file that a page carries; more are simplified."""


@dataclass(frozen=True, kw_only=True)
class FigureSizes:
    """How large the parts of a page are. A film of 48 frames has some 100 kB, a mesh of 20,000 faces some 700."""

    film: int = 256  # pixels
    frames: int = 48
    picture: int = 128  # pixels, of each on a sheet
    lattice: int = 128  # lattice points along each side of the box
    faces: int = 20_000
    texture: int = 512  # texels along each side; 0 = vertex colours


def film(path: Path, field: RadianceField, generator: Generator, sizes: FigureSizes, reporter: Reporter) -> None:
    """Walk around an object, or swing in front of one that is known from one side; the film closes to a loop."""
    camera = generator.default_camera()
    path_of = orbit if generator.settings.trusted_views.all_around else wiggle
    cameras = path_of(sizes.frames, camera, target=generator.default_view.target)
    frames = render_frames(field, cameras, resolution=sizes.film, config=config_for(cameras, generator.settings))
    with reporter.progress("filming", sizes.frames) as done, VideoWriter(path, FPS) as video:
        for count, frame in enumerate(frames, start=1):
            video.add(frame.rgb.cpu())
            done(count)


def picture(field: RadianceField, generator: Generator, size: int) -> Tensor:
    """Render the default view, [3, size, size]; what a super-resolution gives is made smaller."""
    rgb = render(field, generator.default_camera(), resolution=size).rgb.cpu()
    if rgb.shape[-1] == size:
        return rgb
    return torch.nn.functional.interpolate(rgb[None], (size, size), mode="bilinear", antialias=True)[0]


def field_picture(field: RadianceField, size: int) -> bytes:
    """Render a field on its own from the upper front, as a PNG; rays go through its box."""
    camera = Camera.from_spherical(35.0, 20.0, 2.7 * field.box_side, fov_y_deg=28.0).to(field.device)
    config = replace(field.render_config, near="box", far="box")
    return png_of(render(field, camera, resolution=size, config=config, super_resolution=False).rgb)


def figure_mesh(field: RadianceField, sizes: FigureSizes, reporter: Reporter) -> trimesh.Trimesh:
    """Take the surface of an object, small enough for a page, with its colours as a texture."""
    with reporter.progress("meshing, lattice points", sizes.lattice**3) as done:
        mesh = extract_mesh(field, resolution=sizes.lattice, faces=sizes.faces, progress=lambda now, _: done(now))
    return bake_texture(field, mesh, sizes.texture) if sizes.texture else mesh


def display_mesh(mesh: trimesh.Trimesh) -> tuple[trimesh.Trimesh, str]:
    """Make a mesh of any size fit a page.

    Returns:
        A mesh of at most about `SHOWN_FACES` faces, and what was done to it; "" for nothing. A texture becomes colours
        of vertices where there are more.
    """
    faces = len(mesh.faces)
    if faces <= SHOWN_FACES:
        return mesh, ""
    if isinstance(mesh.visual, TextureVisuals):
        colored = mesh.visual.to_color()  # type: ignore[no-untyped-call]
        mesh = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=colored.vertex_colors, process=False)
        mesh.merge_vertices(merge_norm=True)
    smaller = decimate(mesh, SHOWN_FACES)
    return smaller, f"{len(smaller.faces):,} of {faces:,} faces are shown"
