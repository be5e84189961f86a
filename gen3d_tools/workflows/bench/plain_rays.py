"""The yardstick: the work done as the scripts published with EG3D do it.

The backbone runs again for every picture and for every chunk of a lattice, whether or not the sample has changed.
Every point asks for everything, colours included, where only the density is wanted. All rays of a picture are followed
at once, through empty space too, and every colour is sorted along its ray. The arithmetic is that of the package (a
test compares them); it is written out here so that the yardstick stays where it is when the package gets faster.

Two things are better than in the published scripts, so that results can be compared: the lattice is regular (theirs is
sheared), and samples sit in the middle of their intervals (theirs are random).

Letters: S coarse samples and F fine ones per ray; K = S + F.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import EMPTY_RAW_DENSITY
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import PLANE_AXES, TriplaneField
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.families.triplane import TriplaneGenerator
from gen3d_tools.rendering.rays import camera_rays

CHUNK_POINTS = 1_000_000  # of a lattice, as in EG3D's gen_samples.py

_AS_EG3D = {"marcher": "midpoint", "spacing": "linear", "jitter": "outward", "importance": "smoothed"}


@torch.no_grad()
def lattice(
    generator: Generator, ws: Float[Tensor, "1 num_ws w_dim"], resolution: int, chunk_points: int = CHUNK_POINTS
) -> Float[Tensor, "n n n"]:
    """Raw density on a regular lattice over the box, [x, y, z]: backbone and full point query for every chunk."""
    axis = (torch.arange(resolution) / (resolution - 1) - 0.5) * generator.config.box_side
    points = torch.cartesian_prod(axis, axis, axis)
    raw = [query(_backbone(generator, ws), piece)[1] for piece in torch.split(points, chunk_points)]
    return torch.cat(raw).reshape(resolution, resolution, resolution)


@torch.no_grad()
def picture(
    generator: Generator, ws: Float[Tensor, "1 num_ws w_dim"], camera: Camera, resolution: int
) -> Float[Tensor, "3 n n"]:
    """One picture: backbone, then all rays at once, a coarse and a fine pass (EG3D, sections 4.2 and 4.3).

    Raises:
        InputError: The model has no planes, or wants to be rendered in another way than EG3D's.
    """
    return picture_of_field(_backbone(generator, ws), camera, resolution)


@torch.no_grad()
def picture_of_field(field: TriplaneField, camera: Camera, resolution: int) -> Float[Tensor, "3 n n"]:
    """One picture of planes that are given already.

    Raises:
        InputError: See `picture`.
    """
    config = field.render_config
    _check(config)
    origins, directions = camera_rays(camera, resolution)
    distances = _coarse_distances(config, len(origins))
    rgb, raw = _along(field, origins, directions, distances)
    _, weights = _march(field, rgb, raw, distances)
    fine = _fine_distances(distances, weights, config.fine_samples)
    fine_rgb, fine_raw = _along(field, origins, directions, fine)

    distances, order = torch.cat([distances, fine], 1).sort(1)
    raw = torch.cat([raw, fine_raw], 1).gather(1, order)
    rgb = torch.cat([rgb, fine_rgb], 1).gather(1, order[..., None].expand(-1, -1, 3))
    color, weights = _march(field, rgb, raw, distances)
    if config.background == "white":
        color = color + 1 - weights.sum(1, keepdim=True)
    return color.clamp(0, 1).T.reshape(3, resolution, resolution)


def film(
    generator: Generator, ws: Float[Tensor, "1 num_ws w_dim"], cameras: Camera, resolution: int
) -> Float[Tensor, "frames 3 n n"]:
    """One sample from many cameras: every frame is made from the beginning."""
    return torch.stack([picture(generator, ws, camera, resolution) for camera in cameras])


def _backbone(generator: Generator, ws: Float[Tensor, "1 num_ws w_dim"]) -> TriplaneField:
    if not isinstance(generator, TriplaneGenerator):
        raise InputError("the yardstick is for tri-planes, the model's scenes are something else")
    return generator.field(generator.planes(ws)[0])


def query(field: TriplaneField, points: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"]]:
    """Colour and raw density of points: three look-ups of all channels, then the whole decoder."""
    unit = points * (2 / field.box_side)
    grid = torch.stack([unit[:, axes] for axes in PLANE_AXES[field.plane_axes]])[:, None]
    features = F.grid_sample(field.planes, grid, padding_mode="zeros", align_corners=field.align_corners)
    features = features[:, :, 0].permute(0, 2, 1)  # [3, n, channels]
    values, raw = field.decoder(features.mean(0) if field.combine == "mean" else features.sum(0))
    if field.bounded:
        raw = torch.where((points.abs() <= field.box_side / 2).all(1), raw, EMPTY_RAW_DENSITY)
    return values[:, :3], raw


def _along(
    field: TriplaneField,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    distances: Float[Tensor, "rays k"],
) -> tuple[Float[Tensor, "rays k 3"], Float[Tensor, "rays k"]]:
    """Query every sample of every ray in one go."""
    points = origins[:, None] + distances[..., None] * directions[:, None]
    rgb, raw = query(field, points.reshape(-1, 3))
    return rgb.reshape(*distances.shape, 3), raw.reshape(distances.shape)


def _coarse_distances(config: RenderConfig, rays: int) -> Float[Tensor, "rays s"]:
    """Samples k = 0 .. S-1 at near + (far - near) (k + 0.5) / (S - 1): the middle of each step."""
    near, far = float(config.near), float(config.far)
    steps = (torch.arange(config.coarse_samples) + 0.5) / (config.coarse_samples - 1)
    return (near + (far - near) * steps).expand(rays, -1)


def _march(
    field: TriplaneField,
    rgb: Float[Tensor, "rays k 3"],
    raw: Float[Tensor, "rays k"],
    distances: Float[Tensor, "rays k"],
) -> tuple[Float[Tensor, "rays 3"], Float[Tensor, "rays k-1"]]:
    """Blend the middles between neighbouring samples front to back; give the colour and the K - 1 weights."""
    density = field.activate((raw[:, :-1] + raw[:, 1:]) / 2)
    alpha = 1 - torch.exp(-density * distances.diff(dim=1))
    shifted = torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha + 1e-10], 1)
    weights = alpha * shifted.cumprod(1)[:, :-1]
    middles = (rgb[:, :-1] + rgb[:, 1:]) / 2
    return (weights[..., None] * middles).sum(1), weights


def _fine_distances(
    distances: Float[Tensor, "rays s"], weights: Float[Tensor, "rays s-1"], count: int
) -> Float[Tensor, "rays f"]:
    """Invert the distribution of the blurred weights at (i + 0.5) / F; bins end midway between coarse samples."""
    larger = F.max_pool1d(weights[:, None], 2, 1, padding=1)
    blurred = F.avg_pool1d(larger, 2, 1)[:, 0] + 0.01
    bins = blurred[:, 1:-1] + 1e-5
    cdf = F.pad((bins / bins.sum(1, keepdim=True)).cumsum(1), (1, 0))  # [rays, s-2]
    edges = ((distances[:, :-1] + distances[:, 1:]) / 2)[:, : cdf.shape[1]]
    wanted = ((torch.arange(count) + 0.5) / count).expand(len(cdf), -1).contiguous()
    above = torch.searchsorted(cdf, wanted, right=True)
    below, above = (above - 1).clamp_min(0), above.clamp_max(cdf.shape[1] - 1)
    width = cdf.gather(1, above) - cdf.gather(1, below)
    share = (wanted - cdf.gather(1, below)) / torch.where(width < 1e-5, 1.0, width)
    return edges.gather(1, below) + share * (edges.gather(1, above) - edges.gather(1, below))


def _check(config: RenderConfig) -> None:
    other = [f"{name} {getattr(config, name)!r}" for name, value in _AS_EG3D.items() if getattr(config, name) != value]
    if isinstance(config.near, str) or config.closed or config.background not in ("none", "white"):
        other.append("limits, last interval or background of its own")
    if other or not config.fine_samples:
        raise InputError(f"the yardstick renders as EG3D does, the model wants {', '.join(other) or 'one pass'}")
