"""A picture of any shape, strip by strip: whoever draws it can stop between two, or let somebody else have a turn.

`renderer.render` makes the square pictures that models are trained with, each in one go. A window is no square, and
whoever turns an object in it wants the newest picture, not the end of an old one. The generators here do a strip of
rays at a time, and are simply not asked for the next one when nobody wants the picture any more.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.fields.compiled import raw_density_of
from gen3d_tools.fields.field import RadianceField, chunked
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.rendering.ray_rendering import Sampling, render_rays
from gen3d_tools.rendering.rays import pixel_coordinates, rays_through, upper_left
from gen3d_tools.rendering.renderer import enlarged, surface_normals

STRIP_RAYS = 8192
"""Rays in a strip: some ten milliseconds of a tri-plane field on two cores."""

_SOLID = 0.5  # opacity above which a pixel has a surface


@dataclass(frozen=True, eq=False)
class WindowPicture:
    """What a camera sees through a window."""

    rgb: Float[Tensor, "3 h w"]
    """Colour in [0, 1]."""
    depth: Float[Tensor, "1 h w"]
    """Depth along the camera's z axis in world units."""
    opacity: Float[Tensor, "1 h w"]
    """Share of light stopped by the field, 0..1."""
    points: Float[Tensor, "h w 3"] | None = None
    """Mean point of what each pixel's ray met, world units; missing where a network has enlarged the picture."""


def window_coordinates(width: int, height: int) -> Float[Tensor, "pixels 2"]:
    """Image coordinates of a window's pixel centres, in sides of its middle square; see `Camera`.

    The square is as wide as the shorter side. Where both sides are even, or both odd, its pixels are those of a square
    picture of the same camera.

    Args:
        width: Pixels.
        height: Pixels.
    """
    side = min(width, height)
    x = (torch.arange(width) + 0.5 - width / 2) / side + 0.5
    y = (torch.arange(height) + 0.5 - height / 2) / side + 0.5
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns, rows], -1).reshape(-1, 2)


@torch.no_grad()
def window_in_strips(
    field: RadianceField,
    camera: Camera,
    width: int,
    height: int,
    *,
    config: RenderConfig | None = None,
    sampling: Sampling = "default",
    strip_rays: int = STRIP_RAYS,
) -> Iterator[WindowPicture | None]:
    """Render what a camera sees through a window of any shape, without super-resolution.

    Args:
        field: What to look at. A backdrop on the screen is that of the square, continued.
        camera: A single camera; its lens is that of the middle square.
        width: Pixels.
        height: Pixels.
        config: Instead of the field's own settings.
        sampling: See `render_rays`. Published schemes let rays of a picture share their limits, so that with them the
            picture is one strip.
        strip_rays: Rays in a strip.

    Yields:
        None after each strip, and the picture at last.

    Raises:
        InputError: A size is below 1.
        OutOfMemoryError: Not even one ray fits into memory.
    """
    if width < 1 or height < 1 or strip_rays < 1:
        raise InputError(f"need a width, height and strip of at least 1, got {width}, {height} and {strip_rays}")
    camera, config = camera.to(field.device), config or field.render_config
    pixels = window_coordinates(width, height).to(field.device)
    origins, directions = rays_through(camera.cam2world, camera.intrinsics, pixels)
    size = strip_rays if sampling == "default" else len(pixels)
    strips = []
    for first in range(0, len(pixels), size):
        part = slice(first, first + size)
        behind = None if field.backdrop is None else pixels[part]
        seen = render_rays(field, origins[part], directions[part], config, sampling=sampling, pixels=behind, channels=3)
        strips.append((seen.values, seen.distance, seen.opacity))
        yield None
    values, distance, opacity = (torch.cat(part) for part in zip(*strips, strict=True))
    depth = distance * (directions @ camera.forward)
    yield WindowPicture(
        rgb=values.T.reshape(3, height, width).clamp(0, 1).contiguous(),
        depth=depth.reshape(1, height, width),
        opacity=opacity.reshape(1, height, width),
        points=(origins + directions * distance[:, None]).reshape(height, width, 3),
    )


@torch.no_grad()
def enlarged_in_strips(
    field: RadianceField,
    camera: Camera,
    resolution: int | None = None,
    *,
    config: RenderConfig | None = None,
    sampling: Sampling = "default",
    strip_rays: int = STRIP_RAYS,
) -> Iterator[WindowPicture | None]:
    """Render the square picture of a field with super-resolution; its network is the last strip.

    Args:
        field: What to look at; it has a super-resolution.
        camera: A single camera.
        resolution: Pixels along each side; by default what the network gives.
        config: Instead of the field's own settings.
        sampling: See `window_in_strips`.
        strip_rays: Rays in a strip.

    Yields:
        None after each strip, and the picture at last.

    Raises:
        InputError: The field has no super-resolution.
        OutOfMemoryError: Not even one ray fits into memory.
    """
    upscaler = field.super_resolution
    if upscaler is None:
        raise InputError("the field has no super-resolution; take `window_in_strips`")
    side, camera, config = upscaler.render_resolution, camera.to(field.device), config or field.render_config
    pixels = pixel_coordinates(side, config.pixel_grid, device=field.device)
    narrow = upper_left(camera, upscaler.grid_share)
    origins, directions = rays_through(narrow.cam2world, narrow.intrinsics, pixels)
    size = strip_rays if sampling == "default" else len(pixels)
    strips = []
    for first in range(0, len(pixels), size):
        part = slice(first, first + size)
        behind = None if field.backdrop is None else upscaler.grid_share * pixels[part]
        seen = render_rays(field, origins[part], directions[part], config, sampling=sampling, pixels=behind)
        depth = seen.distance * (directions[part] @ camera.forward)
        strips.append(torch.cat([seen.values, torch.stack([seen.distance, depth, seen.opacity], -1)], -1))
        yield None
    rays = torch.cat(strips).T.reshape(-1, side, side)
    frames = enlarged(rays, upscaler, resolution or upscaler.resolution, None, sampling)
    yield WindowPicture(frames.rgb, frames.depth, frames.opacity)


@torch.no_grad()
def window_normals(field: RadianceField, picture: WindowPicture, *, chunk: int = 1 << 13) -> Float[Tensor, "3 h w"]:
    """Find the surface's normal at every pixel of a window.

    Args:
        field: The field of the picture.
        picture: With its points.
        chunk: Points worked on at a time.

    Returns:
        Unit vectors away from the surface in world axes; zero where opacity is 0.5 or less.

    Raises:
        InputError: A network has enlarged the picture, so that its pixels have no points.
    """
    if picture.points is None:
        raise InputError("an enlarged picture has no points; render the rays' own")
    solid = picture.opacity[0] > _SOLID
    vectors = torch.zeros_like(picture.points)
    if solid.any():
        density = raw_density_of(field)
        found = picture.points[solid]
        vectors[solid] = chunked(lambda piece: surface_normals(field, piece, raw_density=density), found, chunk)
    return vectors.permute(2, 0, 1)
