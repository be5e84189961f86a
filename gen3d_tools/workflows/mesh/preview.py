"""Proof pictures of meshes: drawn in software beside renders of their fields, from the same cameras."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import trimesh
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.paths import orbit
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.settings import ModelSettings, config_for
from gen3d_tools.geometry.color.rasterize import render_mesh
from gen3d_tools.media.images import write_image
from gen3d_tools.media.sheets import contact_sheet
from gen3d_tools.media.video import VideoWriter
from gen3d_tools.metrics.agreement import on_white, without_backdrop
from gen3d_tools.rendering.renderer import render, render_frames
from gen3d_tools.workflows.running.reporting import Reporter

RING_VIEWS = 8
REPORT_SIZE = 256  # pixels along each side of the pictures that are compared
STRIP_SIZE = 192
FILM_SIZE = 256
FILM_FRAMES = 60
FILM_FPS = 15.0


@dataclass(frozen=True, eq=False)
class PreviewScene:
    """A mesh and its field, to be looked at."""

    field: RadianceField
    mesh: trimesh.Trimesh
    settings: ModelSettings


def ring(settings: ModelSettings, views: int) -> Camera:
    """Place cameras around the object at the height of the model's default view, [views].

    They go all the way round, or from one end to the other of the views that the model is trusted in.
    """
    view = settings.default_view
    if settings.trusted_views.all_around:
        return orbit(views, view.mean(), target=view.target)
    low, high = settings.trusted_views.yaw_min_deg, settings.trusted_views.yaw_max_deg
    return _at_yaws(settings, torch.linspace(low, high, views) if views > 1 else torch.tensor([(low + high) / 2]))


def turntable(settings: ModelSettings, frames: int) -> Camera:
    """Move around the object so that the last camera leads back to the first, [frames].

    A whole turn, or a swing between the ends of the views that the model is trusted in.
    """
    if settings.trusted_views.all_around:
        return ring(settings, frames)
    low, high = settings.trusted_views.yaw_min_deg, settings.trusted_views.yaw_max_deg
    swing = torch.sin(2 * math.pi * torch.arange(frames) / frames)
    return _at_yaws(settings, (low + high) / 2 + (high - low) / 2 * swing)


def _at_yaws(settings: ModelSettings, yaw_deg: Float[Tensor, " views"]) -> Camera:
    view = settings.default_view
    return Camera.from_spherical(yaw_deg, view.pitch_deg, view.radius, fov_y_deg=view.fov_y_deg, target=view.target)


def strip(stage: PreviewScene, *, views: int = RING_VIEWS, size: int = STRIP_SIZE) -> Float[Tensor, "3 height width"]:
    """Draw a turntable strip: the mesh as it is, the field, and the mesh's shape without its colours."""
    cameras = ring(stage.settings, views)
    config = view_config(stage.settings, cameras)
    pictures = render(
        without_backdrop(stage.field), cameras, resolution=size, config=config, supersample=2, super_resolution=False
    )
    mesh = render_mesh(stage.mesh, cameras, size, pixel_grid=config.pixel_grid)
    shape = render_mesh(_bare(stage.mesh), cameras, size, pixel_grid=config.pixel_grid, shading=True)
    yaws, _, _ = cameras.spherical(stage.settings.default_view.target)
    labels = [f"yaw {round(float(yaw)) % 360}°" for yaw in yaws]
    return contact_sheet(
        [list(mesh.rgb), list(pictures.rgb.cpu()), list(shape.rgb)], ["mesh", "field", "shape"], labels
    )


def film(
    stage: PreviewScene, *, frames: int = FILM_FRAMES, size: int = FILM_SIZE
) -> Iterator[Float[Tensor, "3 height width"]]:
    """Draw the frames of a film: the mesh on the left, the field on the right."""
    cameras = turntable(stage.settings, frames)
    config = view_config(stage.settings, cameras)
    seen = render_frames(without_backdrop(stage.field), cameras, resolution=size, config=config, super_resolution=False)
    for index, frame in enumerate(seen):
        mesh = render_mesh(stage.mesh, cameras[index], size, pixel_grid=config.pixel_grid)
        yield contact_sheet([[mesh.rgb, frame.rgb.cpu()]], None, ["mesh", "field"])


def portrait(stage: PreviewScene, *, size: int = STRIP_SIZE) -> Float[Tensor, "3 {size} {size}"]:
    """Draw the mesh from the model's default view."""
    return render_mesh(stage.mesh, stage.settings.default_view.mean(), size).rgb


def write_preview(stage: PreviewScene, picture: Path, video: Path, *, overwrite: bool, reporter: Reporter) -> None:
    """Write the strip and the film.

    Args:
        stage: What to show.
        picture: The strip's file.
        video: The film's file.
        overwrite: Replace existing files.
        reporter: Shows the progress of the film.

    Raises:
        Gen3DError: They cannot be written.
    """
    write_image(picture, strip(stage, views=RING_VIEWS, size=STRIP_SIZE), overwrite=overwrite)
    with (
        reporter.progress("filming the mesh", FILM_FRAMES) as done,
        VideoWriter(video, FILM_FPS, overwrite=overwrite) as writer,
    ):
        for count, frame in enumerate(film(stage, frames=FILM_FRAMES, size=FILM_SIZE), start=1):
            writer.add(frame)
            done(count)


def view_config(settings: ModelSettings, cameras: Camera) -> RenderConfig:
    """Give render settings for these cameras, on white."""
    return on_white(config_for(cameras, settings))


def _bare(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The same shape without colours."""
    return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_normals=mesh.vertex_normals, process=False)
