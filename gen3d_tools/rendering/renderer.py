"""Pictures of a field: colour, depth, opacity and normals, from any number of cameras."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import RadianceField, chunked
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.rendering.rays import camera_rays
from gen3d_tools.rendering.tracing import render_rays


@dataclass(frozen=True, eq=False)
class Frames:
    """Pictures, over the camera's leading axes."""

    rgb: Float[Tensor, "*b 3 n n"]
    """Colour in [0, 1]."""
    depth: Float[Tensor, "*b 1 n n"]
    """Depth along the camera's z axis in world units; the scene's far end where a ray met nothing."""
    opacity: Float[Tensor, "*b 1 n n"]
    """Share of light stopped by the field, 0..1."""
    distance: Float[Tensor, "*b 1 n n"]
    """Distance from the camera along each pixel's ray, in world units."""


@torch.no_grad()
def render(
    field: RadianceField,
    camera: Camera,
    *,
    resolution: int = 256,
    config: RenderConfig | None = None,
    generator: torch.Generator | None = None,
    exact: bool = False,
    chunk_rays: int | None = None,
    supersample: int = 1,
) -> Frames:
    """Render one picture per camera. For gradients use `rendering.tracing.render_rays`.

    Args:
        field: What to look at.
        camera: One camera or a batch of them.
        resolution: Pixels along each side.
        config: Instead of the field's own settings.
        generator: Makes the samples random; without it pictures are deterministic and do not flicker.
        exact: Follow the settings' own sampling scheme to the letter, as published results were made.
        chunk_rays: Rays worked on at a time; changes memory and time, not the pictures.
        supersample: Rays per pixel along each side. Their colour, opacity and distance are averaged, the latter
            weighted by opacity.

    Raises:
        InputError: A size is below 1.
        OutOfMemoryError: Not even one ray fits into memory.
    """
    frames = list(
        render_frames(
            field,
            camera,
            resolution=resolution,
            config=config,
            generator=generator,
            exact=exact,
            chunk_rays=chunk_rays,
            supersample=supersample,
        )
    )
    shape = camera.batch_shape

    def stacked(name: str) -> Tensor:
        pictures = torch.stack([getattr(frame, name) for frame in frames])
        return pictures.reshape(*shape, *pictures.shape[1:])

    return Frames(stacked("rgb"), stacked("depth"), stacked("opacity"), stacked("distance"))


def render_frames(
    field: RadianceField,
    cameras: Camera,
    *,
    resolution: int = 256,
    config: RenderConfig | None = None,
    generator: torch.Generator | None = None,
    exact: bool = False,
    chunk_rays: int | None = None,
    supersample: int = 1,
) -> Iterator[Frames]:
    """Render cameras one after another, each as `Frames` without leading axes, so that memory does not grow.

    The arguments are those of `render`.
    """
    if resolution < 1 or supersample < 1:
        raise InputError(f"need resolution >= 1 and supersample >= 1, got {resolution} and {supersample}")
    cameras = cameras.flatten().to(field.device)
    config = config or field.render_config
    for index in range(len(cameras)):
        with torch.no_grad():
            frame = _render_one(field, cameras[index], resolution, config, generator, exact, chunk_rays, supersample)
        yield frame


def _render_one(
    field: RadianceField,
    camera: Camera,
    resolution: int,
    config: RenderConfig,
    generator: torch.Generator | None,
    exact: bool,
    chunk_rays: int | None,
    supersample: int,
) -> Frames:
    """Render a single camera."""
    origins, directions = camera_rays(camera, resolution, config.pixel_grid, supersample=supersample)
    offsets, positions = _random_numbers(config, len(origins), generator, origins.device)
    seen = render_rays(
        field,
        origins,
        directions,
        config,
        exact=exact,
        coarse_offsets=offsets,
        fine_positions=positions,
        chunk_rays=chunk_rays,
    )
    per_ray = torch.stack([seen.distance, seen.distance * (directions @ camera.forward), seen.opacity], -1)
    rays = torch.cat([seen.values[:, :3].clamp(0, 1), per_ray], -1)
    picture = rearrange(rays, "(y x) c -> c y x", y=resolution * supersample)
    if supersample > 1:
        picture = _shrink(picture, supersample)
    rgb, distance, depth, opacity = torch.split(picture, [3, 1, 1, 1])
    return Frames(rgb.contiguous(), depth.contiguous(), opacity.contiguous(), distance.contiguous())


def _shrink(picture: Float[Tensor, "6 fine fine"], factor: int) -> Float[Tensor, "6 coarse coarse"]:
    """Average boxes of pixels; channels 3 and 4, distance and depth, weighted by channel 5, opacity."""
    weight = picture[5:] + 1e-6  # a box without any opacity has the plain mean
    weighted = torch.cat([picture[:3], picture[3:5] * weight, picture[5:], weight])
    small = F.avg_pool2d(weighted[None], factor)[0]
    return torch.cat([small[:3], small[3:5] / small[6:], small[5:6]])


def _random_numbers(
    config: RenderConfig, rays: int, generator: torch.Generator | None, device: torch.device
) -> tuple[Float[Tensor, "rays coarse"] | None, Float[Tensor, "rays fine"] | None]:
    """Draw the numbers of both passes for a whole picture, in the order of the published code."""
    if generator is None:
        return None, None
    if config.near == "box":  # EG3D's tensor is laid out sample by sample there, and the draw follows memory
        offsets = torch.rand(config.coarse_samples, rays, generator=generator, device=generator.device).T
    else:
        offsets = torch.rand(rays, config.coarse_samples, generator=generator, device=generator.device)
    positions = torch.rand(rays, config.fine_samples, generator=generator, device=generator.device)
    return offsets.to(device), positions.to(device)


def surface_normals(
    field: RadianceField, points: Float[Tensor, "*points 3"], step: float | None = None
) -> Float[Tensor, "*points 3"]:
    """Unit vectors away from the dense side, by central differences of the raw density.

    Args:
        field: What to look at.
        points: World coordinates on or near a surface.
        step: Half the width of the differences in world units; by default 1/256 of the box, about a texel.

    Returns:
        Outward normals in world axes; zero where the density does not change.
    """
    step = step or field.box_side / 256
    offsets = step * torch.eye(3, device=points.device, dtype=points.dtype)
    around = torch.stack([points[..., None, :] + offsets, points[..., None, :] - offsets])
    ahead, behind = field.raw_density(around)
    return F.normalize(behind - ahead, dim=-1)


@torch.no_grad()
def normals(
    field: RadianceField, camera: Camera, frames: Frames, *, step: float | None = None, chunk: int = 1 << 13
) -> Float[Tensor, "*b 3 n n"]:
    """Find the surface's normal at every pixel.

    Args:
        field: The field of `frames`.
        camera: The cameras of `frames`.
        frames: What `render` gave.
        step: See `surface_normals`.
        chunk: Points worked on at a time.

    Returns:
        Unit vectors away from the surface in world axes; zero where opacity is 0.5 or less.
    """
    resolution = frames.distance.shape[-1]
    origins, directions = camera_rays(camera.to(field.device), resolution, field.render_config.pixel_grid)
    solid = frames.opacity.flatten(-3) > 0.5
    points = (origins + directions * frames.distance.flatten(-3)[..., None])[solid]
    vectors = torch.zeros_like(origins)
    if len(points):
        vectors[solid] = chunked(lambda piece: surface_normals(field, piece, step), points, chunk)
    return rearrange(vectors, "... (y x) c -> ... c y x", y=resolution)
