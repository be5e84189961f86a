"""Ground-truth pictures of the toys by sphere tracing."""

import torch
from dataset import Kind, gradient, parameters, shaded_color, signed_distance
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

ROUNDS, STEPS_PER_ROUND = 16, 8  # rays that have arrived are dropped between rounds
STEP_FACTOR = 0.9
SHORTEST_STEP = 0.004  # so that rays along a face get past it; no part is nearly this thin
BALL = 0.48  # radius around the origin outside which there is nothing
HIT = 0.0005  # rays this close to the surface have arrived


def camera_rays(
    cam2world: Float[Tensor, "b 4 4"], fov_y_deg: float | Float[Tensor, " b"], resolution: int
) -> tuple[Float[Tensor, "b 1 3"], Float[Tensor, "b n 3"]]:
    """Camera position and unit directions through pixel centres, row by row from the top left."""
    reach = 2 * torch.as_tensor(fov_y_deg, dtype=cam2world.dtype, device=cam2world.device).deg2rad().div(2).tan()
    grid = (torch.arange(resolution, device=cam2world.device) + 0.5) / resolution - 0.5
    down, right = torch.meshgrid(grid, grid, indexing="ij")
    rays = torch.stack([right, down, torch.ones_like(down)], dim=-1).reshape(1, -1, 3)
    rays = rays * torch.stack([reach, reach, torch.ones_like(reach)], dim=-1).reshape(-1, 1, 3)
    return cam2world[:, None, :3, 3], F.normalize(rays @ cam2world[:, :3, :3].transpose(1, 2), dim=-1)


@torch.no_grad()
def render(
    z: Float[Tensor, "b k"],
    kind: Kind,
    cam2world: Float[Tensor, "b 4 4"],
    fov_y_deg: float,
    resolution: int,
    supersample: int = 2,
) -> tuple[Float[Tensor, "b 3 r r"], Float[Tensor, "b 1 r r"], Float[Tensor, "b 1 r r"]]:
    """Render shapes of one kind on pure white.

    Args:
        z: Latents.
        kind: Index of the class of all of them, or a function that draws them.
        cam2world: Camera to world, OpenCV axes (x right, y down, z forward).
        fov_y_deg: Vertical field of view in degrees; the picture is square.
        resolution: Side of the picture in pixels.
        supersample: Rays per pixel along each side.

    Returns:
        RGB in [0, 1], coverage in [0, 1], and distance along the ray, averaged over the rays of a pixel that
        hit (where none does: to the point where the ray leaves the ball around the origin).
    """
    u, side = parameters(z), resolution * supersample
    origins, directions = camera_rays(cam2world.to(z), fov_y_deg, side)
    distance, hit = trace(origins, directions, u, kind)
    rgb = torch.where(hit[..., None], _shade(origins, directions, distance, hit, u, kind), 1.0)
    covered = hit.to(rgb)[..., None]
    layers = torch.cat([rgb, covered, covered * distance[..., None], distance[..., None]], dim=-1)
    image = F.avg_pool2d(layers.transpose(1, 2).reshape(-1, 6, side, side), supersample)
    alpha, seen, anything = image[:, 3:4], image[:, 4:5], image[:, 5:6]
    return image[:, :3], alpha, torch.where(alpha > 0, seen / alpha.clamp_min(1e-6), anything)


def trace(
    origins: Float[Tensor, "b 1 3"], directions: Float[Tensor, "b n 3"], u: Float[Tensor, "b k"], kind: Kind
) -> tuple[Float[Tensor, "b n"], Bool[Tensor, "b n"]]:
    """March every ray from the near side of the ball until it meets the surface or leaves the ball."""
    middle = -(origins * directions).sum(-1)
    half = (BALL**2 - (origins.square().sum(-1) - middle.square())).clamp_min(0).sqrt()
    travelled, end = (middle - half).clamp_min(0), (middle + half).clamp_min(0)
    gap = torch.ones_like(travelled)
    for _ in range(ROUNDS):
        moving = (gap > HIT) & (travelled < end)
        if not moving.any():
            break
        rays = first(moving)
        ahead, heading = travelled.gather(1, rays), directions.gather(1, rays[..., None].expand(-1, -1, 3))
        for _ in range(STEPS_PER_ROUND):
            step = signed_distance(origins + ahead[..., None] * heading, u, kind)
            ahead = torch.where(step > HIT, ahead + (STEP_FACTOR * step).clamp_min(SHORTEST_STEP), ahead)
        travelled, gap = travelled.scatter(1, rays, ahead), gap.scatter(1, rays, step)
    hit = (gap <= HIT) & (travelled < end)
    return torch.where(hit, travelled + gap, end), hit  # back out of the surface where the last step went in


def _shade(
    origins: Float[Tensor, "b 1 3"],
    directions: Float[Tensor, "b n 3"],
    distance: Float[Tensor, "b n"],
    hit: Bool[Tensor, "b n"],
    u: Float[Tensor, "b k"],
    kind: Kind,
) -> Float[Tensor, "b n 3"]:
    """Shaded colour where rays hit; ones elsewhere, or the colour of some point that will not be used."""
    rays = first(hit)[..., None].expand(-1, -1, 3)
    points = origins + distance.gather(1, rays[..., 0])[..., None] * directions.gather(1, rays)
    normals = F.normalize(gradient(points, u, kind), dim=-1)
    return torch.ones_like(directions).scatter(1, rays, shaded_color(points, normals, u, kind))


def first(chosen: Bool[Tensor, "b n"]) -> Int[Tensor, "b k"]:
    """Return the indices of the chosen entries of each row, filled up with others to the longest row."""
    return chosen.to(torch.uint8).sort(dim=1, descending=True).indices[:, : int(chosen.sum(dim=1).max())]
