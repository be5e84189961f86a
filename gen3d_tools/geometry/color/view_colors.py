"""The colour of a surface: what the field says there, or what cameras see.

A picture blends the colours along each ray, so a soft field looks different from its colour at one point, and what a
super-resolution adds is in its pictures only. Three sources, from the nearest to a render to the cheapest:

* "views": pictures from all around, averaged; points that no picture shows have the colour of "rays";
* "rays": a ray of a few voxels straight onto each point, by the field's own way of rendering;
* "points": the field's colour at the point.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.geometry.extraction.lattice import Progress
from gen3d_tools.memory import in_chunks
from gen3d_tools.rendering.ray_rendering import render_rays
from gen3d_tools.rendering.renderer import Frames, render_frames

ColorSource = Literal["views", "rays", "points"]

_VOXEL = 1 / 256  # of the box: the unit of the distances below
_OUTSIDE, _INSIDE = 3.0, 12.0  # voxels before and behind a point that its ray runs through
_SOLID = 0.5  # opacity below which a ray says nothing about the surface
_RAY_SAMPLES = 16  # coarse and as many fine ones; a ray is short

_PICTURE_RESOLUTION = 256
_OPAQUE = 0.9  # a pixel counts where it and those around are at least so opaque
_DEPTH_TOLERANCE = 4.0  # voxels between a point and what the picture shows there
_RINGS = ((-35.0, 4), (5.0, 6), (40.0, 5), (80.0, 1))  # pitch in degrees, and how many cameras at that height
_CHUNK = 1 << 16


def check_color_source(source: str) -> None:
    """Say before any work is done whether colours can be had that way.

    Raises:
        InputError: They cannot.
    """
    if source not in get_args(ColorSource):
        raise InputError(
            f"the source of the colours is {source!r}, it must be one of {', '.join(get_args(ColorSource))}"
        )


@torch.no_grad()
def surface_colors(
    field: RadianceField,
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    *,
    source: ColorSource = "views",
    cameras: Camera | None = None,
    progress: Progress | None = None,
) -> Float[np.ndarray, "n 3"]:
    """Find the colours of points of a surface.

    Args:
        field: Whose surface it is.
        points: On or near the surface, in world units.
        normals: Outwards; their lengths do not matter.
        source: See the module's text.
        cameras: For "views"; by default they stand all around the points.
        progress: Called with the pictures done and the pictures in all.

    Returns:
        sRGB in [0, 1], float32.

    Raises:
        InputError: The source is unknown, or the points have no extent and no cameras are given.
    """
    check_color_source(source)
    where = torch.from_numpy(np.asarray(points, np.float32)).to(field.device)
    towards = F.normalize(torch.from_numpy(np.asarray(normals, np.float32)).to(field.device), dim=-1)
    colors, known = torch.zeros_like(where), torch.zeros(len(where), dtype=torch.bool, device=field.device)
    if source == "views" and len(where):
        cameras = cameras_around(field, points) if cameras is None else cameras
        colors, known = picture_colors(field, where, towards, cameras, progress=progress)
    if source != "points":
        _fill(colors, known, lambda rows: ray_colors(field, where[rows], towards[rows]))
    _fill(
        colors, known, lambda rows: (field.rgb_density(where[rows])[0].float(), torch.ones_like(rows, dtype=torch.bool))
    )
    return colors.cpu().numpy()


def _fill(
    colors: Float[Tensor, "n 3"], known: Bool[Tensor, " n"], ask: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> None:
    """Ask for the colours that are not known yet, in place; `ask` takes row numbers."""
    rows = (~known).nonzero()[:, 0]

    def fill(part: slice) -> None:
        colors[rows[part]], known[rows[part]] = ask(rows[part])

    in_chunks(fill, len(rows), _CHUNK)


@torch.no_grad()
def ray_colors(
    field: RadianceField, points: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"]
) -> tuple[Float[Tensor, "n 3"], Bool[Tensor, " n"]]:
    """Look straight at each point from a little outside, by the field's own way of rendering.

    Args:
        field: What to look at.
        points: On or near its surface, in world units.
        normals: Unit vectors outwards.

    Returns:
        Colours 0..1, and for which points the ray met anything; the others are black.
    """
    voxel = field.box_side * _VOXEL
    config = replace(
        field.render_config,
        near=0.0,
        far=(_OUTSIDE + _INSIDE) * voxel,
        spacing="linear",
        background="none",
        coarse_samples=_RAY_SAMPLES,
        fine_samples=_RAY_SAMPLES,
    )
    seen = render_rays(field, points + normals * (_OUTSIDE * voxel), -normals, config, channels=3)
    met = seen.opacity > _SOLID
    colors = torch.where(met[:, None], seen.values / seen.opacity[:, None].clamp_min(_SOLID), 0.0)
    return colors.clamp(0, 1), met


@torch.no_grad()
def picture_colors(
    field: RadianceField,
    points: Float[Tensor, "n 3"],
    normals: Float[Tensor, "n 3"],
    cameras: Camera,
    *,
    resolution: int | None = None,
    progress: Progress | None = None,
) -> tuple[Float[Tensor, "n 3"], Bool[Tensor, " n"]]:
    """Average the colours of points over pictures of the field, super-resolution included.

    A picture counts by the squared cosine between the normal and the line of sight, where it shows the point: its
    depth there, and at the pixels around, is that of the point, and it is opaque.

    Args:
        field: What to look at.
        points: On or near its surface, in world units.
        normals: Unit vectors outwards.
        cameras: Where the pictures are taken from.
        resolution: Pixels along each side; by default what the super-resolution gives, or 256.
        progress: Called with the pictures done and the pictures in all.

    Returns:
        Colours 0..1, and which points any picture showed; the others are black.
    """
    if resolution is None and field.super_resolution is None:
        resolution = _PICTURE_RESOLUTION
    total, weights = torch.zeros_like(points), torch.zeros_like(points[:, :1])
    cameras = cameras.flatten().to(points.device)
    for index, frames in enumerate(render_frames(field, cameras, resolution=resolution)):
        picture = _with_surroundings(frames)

        def add(part: slice, picture: Tensor = picture, camera: Camera = cameras[index]) -> None:
            rows, slant = _turned_to(camera, points[part], normals[part])
            color, shown = _seen_in(picture, camera, points[part][rows], field)
            total[part].index_add_(0, rows, slant * shown * color)
            weights[part].index_add_(0, rows, slant * shown)

        in_chunks(add, len(points), _CHUNK)
        if progress is not None:
            progress(index + 1, len(cameras))
    seen = weights[:, 0] > 1e-3
    return torch.where(seen[:, None], total / weights.clamp_min(1e-3), 0.0).clamp(0, 1), seen


def _turned_to(
    camera: Camera, points: Float[Tensor, "points 3"], normals: Float[Tensor, "points 3"]
) -> tuple[Int[Tensor, " turned"], Float[Tensor, "turned 1"]]:
    """Which points look to the side where a camera is, and the squared cosine between normal and line of sight."""
    towards = camera.position - points
    along = (towards * normals).sum(-1)
    rows = (along > 0).nonzero()[:, 0]
    return rows, (along[rows].square() / towards[rows].square().sum(-1).clamp_min(1e-30))[:, None]


def _seen_in(
    picture: Float[Tensor, "6 n n"], camera: Camera, points: Float[Tensor, "points 3"], field: RadianceField
) -> tuple[Float[Tensor, "points 3"], Bool[Tensor, "points 1"]]:
    """The colours that one picture shows at the points, and whether it shows them."""
    side = picture.shape[-1]
    # "corners" spreads the pixels' middles so that the outermost lie on the edges.
    stretch = (side - 1) / side if field.render_config.pixel_grid == "corners" else 1.0
    place, depth = _project(camera, points)
    looked_up = F.grid_sample(picture[None], (place * stretch)[None, None], align_corners=False)[0, :, 0].T
    color, nearest, farthest, opacity = torch.split(looked_up, [3, 1, 1, 1], dim=-1)
    tolerance = field.box_side * _VOXEL * _DEPTH_TOLERANCE
    shown = (opacity > _OPAQUE) & (nearest > depth - tolerance) & (farthest < depth + tolerance)
    return color, shown & (depth > 0) & (place.abs() < 1).all(-1, keepdim=True)


def _project(camera: Camera, points: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 1"]]:
    """Where points stand in a picture, -1..1 from edge to edge, x first; and their depth."""
    local = (points - camera.position) @ camera.cam2world[:3, :3]
    depth = local[:, 2:]
    image = (local / depth.clamp_min(1e-6)) @ camera.intrinsics.mT
    return 2 * image[:, :2] - 1, depth


def _with_surroundings(frames: Frames) -> Float[Tensor, "6 n n"]:
    """Colour; then the smallest depth, the largest depth and the smallest opacity of each pixel and those around."""
    depth, opacity = frames.depth, frames.opacity
    nearest, farthest, opaque = F.max_pool2d(torch.cat([-depth, depth, -opacity])[None], 3, stride=1, padding=1)[0]
    return torch.cat([frames.rgb, torch.stack([-nearest, farthest, -opaque])])


def cameras_around(field: RadianceField, points: Float[np.ndarray, "n 3"]) -> Camera:
    """Cameras on a sphere around points, looking at the middle of their box, that see all of them.

    They are as far away as the field's own settings let a camera be.

    Raises:
        InputError: The points have no extent.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    middle, radius = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    if not radius > 0:
        raise InputError("the mesh has no extent, so there is nothing to look at; lower the level")
    near, far = field.render_config.near, field.render_config.far
    distance = 3 * field.box_side if isinstance(near, str) or isinstance(far, str) else (near + far) / 2
    distance = max(distance, 1.5 * radius)
    fov = 2 * math.degrees(math.asin(1.02 * radius / distance))
    pitch = [height for height, count in _RINGS for _ in range(count)]
    yaw = [360 * (one + ring % 2 / 2) / count for ring, (_, count) in enumerate(_RINGS) for one in range(count)]
    return Camera.from_spherical(yaw, pitch, distance, fov_y_deg=fov, target=middle.tolist())
