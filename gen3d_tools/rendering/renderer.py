"""Pictures of a field: colour, depth, opacity and normals, from any number of cameras."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import GradientField, RadianceField, chunked
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.super_resolution import SuperResolution
from gen3d_tools.rendering.ray_rendering import Sampling, render_rays
from gen3d_tools.rendering.rays import camera_rays, pixel_coordinates, upper_left
from gen3d_tools.rendering.shown import png_of
from gen3d_tools.rendering.volume.sampling import RandomNumbers, random_numbers

DEFAULT_RESOLUTION = 256
"""Pixels along each side of a picture of a field without super-resolution."""


MISSED_OPACITY = 1 / 255
"""A pixel that stops less light than this has met nothing: eight bits would not show it."""


@dataclass(frozen=True, eq=False, repr=False)
class Frames:
    """Pictures, over the camera's leading axes. Notebooks show their colours."""

    rgb: Float[Tensor, "*b 3 n n"]
    """Colour in [0, 1]."""
    depth: Float[Tensor, "*b 1 n n"]
    """Depth along the camera's z axis in world units. Where a ray met nothing (opacity below 1/255), that of its far
    end: `far` of the render settings, or the far side of the box's bounding sphere, unless `render` was asked for
    another number."""
    opacity: Float[Tensor, "*b 1 n n"]
    """Share of light stopped by the field, 0..1."""
    distance: Float[Tensor, "*b 1 n n"]
    """Distance from the camera along each pixel's ray, in world units; where it met nothing, that of the far end."""
    raw: "Frames | None" = None
    """With a super-resolution, what the rays themselves saw; `depth`, `opacity` and `distance` are interpolated."""

    def __repr__(self) -> str:
        """Say in one line what is there."""
        *batch, _, height, width = self.rgb.shape
        count = f"{' x '.join(map(str, batch))} pictures" if batch else "one picture"
        small = "" if self.raw is None else f", raw of {self.raw.rgb.shape[-1]}"
        return (
            f"Frames({count} of {width} x {height} pixels: rgb, depth, opacity, distance{small}; on {self.rgb.device})"
        )

    def _repr_png_(self) -> bytes:
        """Draw the colours, several in a table."""
        return png_of(self.rgb)


@torch.no_grad()
def render(
    field: RadianceField,
    camera: Camera,
    *,
    resolution: int | None = None,
    config: RenderConfig | None = None,
    generator: torch.Generator | None = None,
    sampling: Sampling = "default",
    exact: bool = False,
    chunk_rays: int | None = None,
    supersample: int = 1,
    super_resolution: bool = True,
    missed_depth: float | None = None,
) -> Frames:
    """Render one picture per camera. For gradients use `rendering.ray_rendering.render_rays`.

    Args:
        field: What to look at.
        camera: One camera or a batch of them.
        resolution: Pixels along each side; by default what the field's super-resolution gives, or 256.
        config: Instead of the field's own settings.
        generator: Makes the samples random; without it pictures are deterministic and do not flicker.
        sampling: "default" places samples where light is stopped. "published" takes those of the family's own scheme,
            by compiled code where that serves; "reference" does so to the letter, as published results were made.
            The two agree to 70 dB and more.
        exact: Short for the sampling "reference".
        chunk_rays: Rays worked on at a time; changes memory and time, not the pictures.
        supersample: Rays per pixel along each side. What they see is averaged, distances weighted by opacity.
        super_resolution: Use the field's super-resolution if it has one: rays make a small picture, the network
            the large one. False sends rays through every pixel instead: sharper depth, and the field's own colours.
        missed_depth: Depth and distance of pixels that met nothing, such as `math.inf`; None keeps the scene's far end.

    Raises:
        InputError: A size is below 1.
        OutOfMemoryError: Not even one ray fits into memory.
    """
    frames = render_frames(
        field,
        camera,
        resolution=resolution,
        config=config,
        generator=generator,
        sampling="reference" if exact else sampling,
        chunk_rays=chunk_rays,
        supersample=supersample,
        super_resolution=super_resolution,
        missed_depth=missed_depth,
    )
    return _stacked(list(frames), camera.batch_shape)


def _stacked(frames: Sequence[Frames], shape: tuple[int, ...]) -> Frames:
    """Put single frames together over leading axes."""

    def stacked(name: str) -> Tensor:
        pictures = torch.stack([getattr(frame, name) for frame in frames])
        return pictures.reshape(*shape, *pictures.shape[1:])

    raw = [frame.raw for frame in frames if frame.raw is not None]
    rgb, depth, opacity, distance = (stacked(name) for name in ("rgb", "depth", "opacity", "distance"))
    return Frames(rgb, depth, opacity, distance, raw=_stacked(raw, shape) if raw else None)


def render_frames(
    field: RadianceField,
    cameras: Camera,
    *,
    resolution: int | None = None,
    config: RenderConfig | None = None,
    generator: torch.Generator | None = None,
    sampling: Sampling = "default",
    exact: bool = False,
    chunk_rays: int | None = None,
    supersample: int = 1,
    super_resolution: bool = True,
    missed_depth: float | None = None,
) -> Iterator[Frames]:
    """Render cameras one after another, each as `Frames` without leading axes, so that memory does not grow.

    The arguments are those of `render`.
    """
    upscaler = field.super_resolution if super_resolution else None
    if resolution is None:
        resolution = DEFAULT_RESOLUTION if upscaler is None else upscaler.resolution
    if resolution < 1 or supersample < 1:
        raise InputError(f"need resolution >= 1 and supersample >= 1, got {resolution} and {supersample}")
    cameras = cameras.flatten().to(field.device)
    config = config or field.render_config
    sampling = "reference" if exact else sampling
    side = resolution if upscaler is None else upscaler.render_resolution
    share = 1.0 if upscaler is None else upscaler.grid_share
    for index in range(len(cameras)):
        with torch.no_grad():
            channels = 3 if upscaler is None else None
            seen = _ray_picture(
                field, cameras[index], side, config, generator, sampling, chunk_rays, supersample, channels, share
            )
            frame = (
                named_channels(seen) if upscaler is None else enlarged(seen, upscaler, resolution, generator, sampling)
            )
        yield frame if missed_depth is None else _with_missed(frame, missed_depth)


def _with_missed(frame: Frames, depth: float) -> Frames:
    """Give pixels that met nothing another depth and distance."""
    missed = frame.opacity < MISSED_OPACITY
    return replace(
        frame,
        depth=frame.depth.masked_fill(missed, depth),
        distance=frame.distance.masked_fill(missed, depth),
        raw=None if frame.raw is None else _with_missed(frame.raw, depth),
    )


def _ray_picture(
    field: RadianceField,
    camera: Camera,
    side: int,
    config: RenderConfig,
    generator: torch.Generator | None,
    sampling: Sampling,
    chunk_rays: int | None,
    supersample: int,
    channels: int | None,
    share: float,
) -> Float[Tensor, "channels {side} {side}"]:
    """What the rays of a camera see: the field's first values or all of them, then distance, depth and opacity."""
    pixels = None
    if field.backdrop is not None:
        pixels = share * pixel_coordinates(side, config.pixel_grid, supersample=supersample, device=camera.device)
    origins, directions = camera_rays(upper_left(camera, share), side, config.pixel_grid, supersample=supersample)
    numbers: RandomNumbers | None = None
    if generator is not None:
        noise = 0.0 if sampling == "default" else field.density_noise
        numbers = random_numbers(config, len(origins), generator, origins.device, density_noise=noise)
    seen = render_rays(
        field,
        origins,
        directions,
        config,
        sampling=sampling,
        numbers=numbers,
        pixels=pixels,
        channels=channels,
        chunk_rays=chunk_rays,
    )
    per_ray = torch.stack([seen.distance, seen.distance * (directions @ camera.forward), seen.opacity])
    picture = rearrange(torch.cat([seen.values.T, per_ray]), "c (y x) -> c y x", y=side * supersample)
    return picture if supersample == 1 else _shrink(picture, supersample)


def named_channels(picture: Float[Tensor, "6 n n"]) -> Frames:
    """Name the channels: colour, distance, depth, opacity."""
    rgb, distance, depth, opacity = (part.contiguous() for part in torch.split(picture, [3, 1, 1, 1]))
    return Frames(rgb.clamp(0, 1), depth, opacity, distance)


def enlarged(
    seen: Float[Tensor, "channels n n"],
    upscaler: SuperResolution,
    resolution: int,
    generator: torch.Generator | None,
    sampling: Sampling,
) -> Frames:
    """The super-resolution's picture, and the rays' own beside it."""
    values, geometry = seen[:-3], seen[-3:]
    image, published_raw = upscaler(values, generator)
    final = torch.cat([_resized(image, resolution), _resized(geometry, resolution)])
    raw = torch.cat([values[:3] if sampling == "default" else published_raw, geometry])
    return replace(named_channels(final), raw=named_channels(raw))


def _resized(picture: Float[Tensor, "c n n"], resolution: int) -> Float[Tensor, "c {resolution} {resolution}"]:
    """Interpolate bilinearly, low-passed where it shrinks."""
    if picture.shape[-1] == resolution:
        return picture
    size = (resolution, resolution)
    return F.interpolate(picture[None], size, mode="bilinear", align_corners=False, antialias=True)[0]


def _shrink(picture: Float[Tensor, "channels fine fine"], factor: int) -> Float[Tensor, "channels coarse coarse"]:
    """Average boxes of pixels; the last three channels are distance and depth, weighted by opacity."""
    weight = picture[-1:] + 1e-6  # a box without any opacity has the plain mean
    weighted = torch.cat([picture[:-3], picture[-3:-1] * weight, picture[-1:], weight])
    small = F.avg_pool2d(weighted[None], factor)[0]
    return torch.cat([small[:-4], small[-4:-2] / small[-1:], small[-2:-1]])


def surface_normals(
    field: RadianceField,
    points: Float[Tensor, "*points 3"],
    step: float | None = None,
    *,
    raw_density: Callable[[Tensor], Tensor] | None = None,
) -> Float[Tensor, "*points 3"]:
    """Unit vectors away from the dense side: against the gradient of the raw density, or its central differences.

    Args:
        field: What to look at.
        points: World coordinates on or near a surface.
        step: Half the width of the differences in world units; by default 1/256 of the box, about a texel, of fields
            that do not know their gradient.
        raw_density: A faster way to the field's own.

    Returns:
        Outward normals in world axes; zero where the density does not change.
    """
    if step is None and isinstance(field, GradientField):
        return F.normalize(-field.raw_density_gradient(points)[1], dim=-1)
    step = step or field.box_side / 256
    offsets = step * torch.eye(3, device=points.device, dtype=points.dtype)
    around = torch.stack([points[..., None, :] + offsets, points[..., None, :] - offsets])
    ahead, behind = (raw_density or field.raw_density)(around)
    return F.normalize(behind - ahead, dim=-1)


@torch.no_grad()
def normals(
    field: RadianceField,
    camera: Camera,
    frames: Frames,
    *,
    config: RenderConfig | None = None,
    step: float | None = None,
    chunk: int = 1 << 13,
    raw_density: Callable[[Tensor], Tensor] | None = None,
) -> Float[Tensor, "*b 3 n n"]:
    """Find the surface's normal at every pixel.

    Args:
        field: The field of `frames`.
        camera: The cameras of `frames`.
        frames: What `render` gave.
        config: The settings of `frames`, if they were not the field's own.
        step: See `surface_normals`.
        chunk: Points worked on at a time.
        raw_density: See `surface_normals`.

    Returns:
        Unit vectors away from the surface in world axes; zero where opacity is 0.5 or less.
    """
    resolution = frames.distance.shape[-1]
    grid = (config or field.render_config).pixel_grid
    origins, directions = camera_rays(camera.to(field.device), resolution, grid)
    solid = frames.opacity.flatten(-3) > 0.5
    points = (origins + directions * frames.distance.flatten(-3)[..., None])[solid]
    vectors = torch.zeros_like(origins)
    if len(points):
        vectors[solid] = chunked(
            lambda piece: surface_normals(field, piece, step, raw_density=raw_density), points, chunk
        )
    return rearrange(vectors, "... (y x) c -> ... c y x", y=resolution)
