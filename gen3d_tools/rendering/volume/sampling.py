"""Where along its ray a field is looked at: limits, coarse samples, and fine ones where the coarse found something.

Distances run along unit rays. All functions work ray by ray, except `repaired_limits`, which says so.
"""

from typing import TypedDict

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from gen3d_tools.fields.render_config import Importance, Jitter, MissedRays, RenderConfig, Spacing


def box_limits(
    origins: Float[Tensor, "*rays 3"], directions: Float[Tensor, "*rays 3"], box_side: float
) -> tuple[Float[Tensor, "*rays"], Float[Tensor, "*rays"]]:
    """Distances at which rays enter and leave the cube around the origin (slab method).

    Returns:
        `near` and `far`; (-1, -2) for rays that miss; a negative `near` where the ray starts inside. A ray that
        runs exactly in the plane of a face gets NaN in one of them.
    """
    half = directions.new_tensor(box_side / 2)
    side = torch.copysign(half, -directions)  # the face of each axis that is met first, by the sign of -0 too
    enter = (side - origins) / directions
    leave = (-side - origins) / directions
    (near, near_y, near_z), (far, far_y, far_z) = enter.unbind(-1), leave.unbind(-1)
    missed = (near > far_y) | (near_y > far)
    near, far = torch.maximum(near, near_y), torch.minimum(far, far_y)
    missed |= (near > far_z) | (near_z > far)
    near, far = torch.maximum(near, near_z), torch.minimum(far, far_z)
    return near.masked_fill(missed, -1.0), far.masked_fill(missed, -2.0)


def repaired_limits(
    near: Float[Tensor, "*rays"], far: Float[Tensor, "*rays"], missed_rays: MissedRays
) -> tuple[Float[Tensor, "*rays"], Float[Tensor, "*rays"]]:
    """Give rays beside the box the limits of the others, taken over all rays of the call.

    Args:
        near: As `box_limits` gives it.
        far: Likewise.
        missed_rays: "largest-near": missed rays run from the smallest to the largest `near` (EG3D's code, perhaps
            by mistake); "largest-far": to the largest `far`.
    """
    valid = far > near
    if not valid.any():
        return near, far
    last = near if missed_rays == "largest-near" else far
    return torch.where(valid, near, near[valid].min()), torch.where(valid, far, last[valid].max())


def tight_limits(
    origins: Float[Tensor, "*rays 3"],
    directions: Float[Tensor, "*rays 3"],
    box_side: float,
    near: float = 0.0,
    far: float = float("inf"),
) -> tuple[Float[Tensor, "*rays"], Float[Tensor, "*rays"], Bool[Tensor, "*rays"]]:
    """Cut rays to the box, to what lies in front of the camera and to `near`..`far`.

    Returns:
        The limits and which rays have any length left; the limits of the others mean nothing.
    """
    enter, leave = box_limits(origins, directions, box_side)
    start, end = enter.clamp_min(near), leave.clamp_max(far)
    return start, end, end > start


def coarse_shares(jitter: Jitter, offsets: Float[Tensor, "*rays samples"]) -> Float[Tensor, "*rays samples"]:
    """Evenly spaced samples as shares of the ray, 0 at its start and 1 at its end, ascending.

    Args:
        jitter: "outward" moves sample k from k/(S-1) onwards by up to a step, so the last one may pass 1;
            "intervals" keeps each within the interval between the midpoints around k/(S-1);
            "centered" moves it by up to half a step either way, so the outermost may pass 0 and 1; "grid" and
            "ends" leave it there.
        offsets: Position within the step or interval, in [0, 1); 0.5 is its middle.
    """
    count = offsets.shape[-1]
    grid = torch.linspace(0, 1, count, device=offsets.device, dtype=offsets.dtype)
    if jitter == "outward":
        return grid + offsets / (count - 1)
    if jitter == "centered":
        return grid + (offsets - 0.5) / (count - 1)
    if jitter in ("grid", "ends"):
        return grid.expand_as(offsets)
    middles = (grid[1:] + grid[:-1]) / 2
    lower, upper = torch.cat([grid[:1], middles]), torch.cat([middles, grid[-1:]])
    return lower + (upper - lower) * offsets


def place_on_rays(
    shares: Float[Tensor, "*rays samples"], near: Float[Tensor, "*rays"], far: Float[Tensor, "*rays"], spacing: Spacing
) -> Float[Tensor, "*rays samples"]:
    """Turn shares of the ray into distances, even in distance or in 1 / distance."""
    start, end = near[..., None], far[..., None]
    if spacing == "linear":
        return start + (end - start) * shares
    return 1 / ((1 - shares) / start + shares / end)


def place_in_intervals(
    offsets: Float[Tensor, "*rays samples"], near: Float[Tensor, "*rays"], far: Float[Tensor, "*rays"]
) -> Float[Tensor, "*rays samples"]:
    """Place samples evenly in distance with the jitter "intervals", the grid being laid out in world units.

    `coarse_shares` and `place_on_rays` give the same up to rounding. This is the order of EpiGRAF, bit for bit.
    """
    last = offsets.shape[-1] - 1
    step = ((far - near) / last)[..., None]
    index = torch.arange(last + 1, device=offsets.device, dtype=offsets.dtype)
    from_near, from_far = near[..., None] + step * index, far[..., None] - step * (last - index)
    grid = torch.where(index < (last + 1) // 2, from_near, from_far)  # as torch.linspace does
    middles = (grid[..., 1:] + grid[..., :-1]) / 2
    lower, upper = torch.cat([grid[..., :1], middles], -1), torch.cat([middles, grid[..., -1:]], -1)
    return lower + (upper - lower) * offsets


def coarse_samples(
    config: RenderConfig,
    offsets: Float[Tensor, "rays samples"],
    near: Float[Tensor, " rays"],
    far: Float[Tensor, " rays"],
) -> tuple[Float[Tensor, "rays samples"], Float[Tensor, "rays samples"]]:
    """Place the coarse samples as the settings say.

    Returns:
        Their distances, and the same in the unit that coarse intervals are measured in.
    """
    shares = coarse_shares(config.jitter, offsets)
    if (config.jitter, config.spacing, config.coarse_unit) == ("intervals", "linear", "world"):
        distances = place_in_intervals(offsets, near, far)
    else:
        distances = place_on_rays(shares, near, far, config.spacing)
    return distances, shares if config.coarse_unit == "ray" else distances


def smoothed_weights(ray_weights: Float[Tensor, "*rays intervals"]) -> Float[Tensor, "*rays intervals"]:
    """Blur weights with a maximum over two neighbours, then a mean over two, plus 0.01 (mip-NeRF, eq. 18)."""
    padded = F.pad(ray_weights, (1, 1), value=float("-inf"))
    larger = torch.maximum(padded[..., :-1], padded[..., 1:])
    return (larger[..., :-1] + larger[..., 1:]) / 2 + 0.01


def inverse_cdf_samples(
    edges: Float[Tensor, "*rays edges"],
    bin_weights: Float[Tensor, "*rays edges-1"],
    positions: Float[Tensor, "*rays n"],
) -> Float[Tensor, "*rays n"]:
    """Map uniform numbers to distances so that bins receive samples in proportion to their weights.

    Args:
        edges: Ends of the bins, ascending.
        bin_weights: Not negative, not normalised; 1e-5 is added so that none is impossible.
        positions: Uniform numbers in [0, 1]. In a bin with less than 1e-5 of the weight all fall near its start.
    """
    weights = bin_weights + 1e-5
    cdf = F.pad((weights / weights.sum(-1, keepdim=True)).cumsum(-1), (1, 0))
    index = torch.searchsorted(cdf, positions.contiguous())
    below, above = (index - 1).clamp_min(0), index.clamp_max(edges.shape[-1] - 1)
    cdf_below, edge_below = cdf.gather(-1, below), edges.gather(-1, below)
    width = cdf.gather(-1, above) - cdf_below
    share = (positions - cdf_below) / torch.where(width < 1e-5, 1.0, width)
    return edge_below + share * (edges.gather(-1, above) - edge_below)


def importance_samples(
    distances: Float[Tensor, "*rays samples"],
    ray_weights: Float[Tensor, "*rays intervals"],
    positions: Float[Tensor, "*rays n"],
    importance: Importance,
) -> Float[Tensor, "*rays n"]:
    """Place fine samples where the coarse pass found weight.

    The bins end midway between coarse samples. The first and the last weight have no bin of their own; with one
    weight fewer than samples (the midpoint marcher) the last bin goes unused, as in EG3D.

    Args:
        distances: The coarse samples, ascending; at least 4.
        ray_weights: Their weights, one per sample or one per interval between samples.
        positions: Uniform numbers in [0, 1); ascending ones give ascending samples.
        importance: How the weights are prepared.
    """
    if importance == "smoothed":
        prepared = smoothed_weights(ray_weights)
    else:
        prepared = ray_weights + 1e-5 if importance == "plain" else ray_weights
    middles = (distances[..., 1:] + distances[..., :-1]) / 2
    return inverse_cdf_samples(middles[..., : prepared.shape[-1] - 1], prepared[..., 1:-1], positions)


def fine_samples(
    config: RenderConfig,
    distances: Float[Tensor, "rays samples"],
    ray_weights: Float[Tensor, "rays intervals"],
    positions: Float[Tensor, "rays fine"],
    near: Float[Tensor, " rays"],
    far: Float[Tensor, " rays"],
) -> Float[Tensor, "rays fine"]:
    """Place the fine samples as the settings say.

    Without jitter the bins are even shares of the ray, in which they are found more precisely than among distances.
    """
    if config.jitter != "ends":
        return importance_samples(distances, ray_weights, positions, config.importance)
    shares = coarse_shares("ends", torch.empty_like(distances))
    placed = importance_samples(shares, ray_weights, positions, config.importance)
    return place_on_rays(placed, near, far, config.spacing)


def fixed_positions(config: RenderConfig, device: torch.device) -> Float[Tensor, " fine"]:
    """Where fine samples lie when nothing is random: in the middle of even shares, or at both ends of the range too."""
    count = config.fine_samples
    if config.jitter == "ends":
        return torch.linspace(0, 1, count, device=device)
    return (torch.arange(count, device=device, dtype=torch.float32) + 0.5) / max(count, 1)


class RandomNumbers(TypedDict, total=False):
    """What makes rays random; see `tracing.RayBatch`."""

    coarse_offsets: Tensor
    coarse_noise: Tensor
    fine_positions: Tensor
    fine_noise: Tensor


def random_numbers(
    config: RenderConfig, rays: int, generator: torch.Generator, device: torch.device, *, density_noise: float = 0.0
) -> RandomNumbers:
    """Draw the numbers of both passes, for all rays of a call at once and in the order of the published code.

    Args:
        config: Says how many numbers, and how they lie in memory.
        rays: How many rays.
        generator: Source of randomness; it may live on another device.
        device: Where the numbers go.
        density_noise: Standard deviation of the noise on raw densities; 0 draws none.
    """
    shape = (rays, config.coarse_samples)
    # With "box" limits EG3D's tensor is laid out sample by sample, and the draw follows memory.
    offsets = _rand(shape[::-1], generator).T if config.near == "box" else _rand(shape, generator)
    numbers: RandomNumbers = {"coarse_offsets": offsets.to(device)}
    if density_noise:
        numbers["coarse_noise"] = _randn(shape, generator).to(device) * density_noise
    shape = (rays, config.fine_samples)
    numbers["fine_positions"] = _rand(shape, generator).to(device)
    if density_noise:
        numbers["fine_noise"] = _randn(shape, generator).to(device) * density_noise
    return numbers


def _rand(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device)


def _randn(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device)
