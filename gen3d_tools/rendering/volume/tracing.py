"""The truth about rays: a coarse pass, a fine pass, blending (NeRF, section 5; EG3D, section 4). Differentiable."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.memory import in_chunks
from gen3d_tools.rendering.volume.compositing import MarchedRays, blend, march_rays
from gen3d_tools.rendering.volume.outputs import RaySamples, TracedRays, concatenated
from gen3d_tools.rendering.volume.reach import Reach
from gen3d_tools.rendering.volume.sampling import RandomNumbers, coarse_samples, fine_samples, fixed_positions

CPU_POINTS, GPU_POINTS = 1 << 16, 1 << 18  # per chunk; with 32 features and 64 hidden units 0.1 and 0.4 GB
_MOST_QUANTILE_VALUES = 1 << 24  # what torch.quantile takes: four pictures of 256 x 256 with 64 samples a ray


class RayBatch(NamedTuple):
    """Rays, and what says where their samples lie."""

    origins: Float[Tensor, "rays 3"]
    directions: Float[Tensor, "rays 3"]
    near: Float[Tensor, " rays"]
    far: Float[Tensor, " rays"]
    coarse_offsets: Float[Tensor, "rays coarse"]
    """In [0, 1): where in its interval each coarse sample lies."""
    fine_positions: Float[Tensor, "rays fine"]
    """In [0, 1): shares of the stopped light at which the fine samples lie."""
    coarse_noise: Float[Tensor, "rays coarse"]
    """Added to the raw density."""
    fine_noise: Float[Tensor, "rays fine"]


def batch_of(
    config: RenderConfig,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    reach: Reach,
    numbers: RandomNumbers,
) -> RayBatch:
    """Choose the rays that hit; where no random numbers are given, the middle of each interval, and no noise."""

    def filled(value: float, samples: int) -> Tensor:
        return origins.new_full((1, 1), value).expand(len(origins), samples)

    even = fixed_positions(config, origins.device).expand(len(origins), -1)
    rays = (
        origins,
        directions,
        reach.near,
        reach.far,
        numbers.get("coarse_offsets", filled(0.5, config.coarse_samples)),
        numbers.get("fine_positions", even),
        numbers.get("coarse_noise", filled(0.0, config.coarse_samples)),
        numbers.get("fine_noise", filled(0.0, config.fine_samples)),
    )
    return RayBatch(*(rows_of(tensor, reach.hit) for tensor in rays))


def rows_of(tensor: Float[Tensor, "rays *n"], chosen: Bool[Tensor, " rays"]) -> Float[Tensor, "some *n"]:
    """Choose rows; one row repeated for all rays stays a single row in memory, however many rays there are."""
    if tensor.stride(0) == 0 and len(tensor) > 0:
        return tensor[:1].expand(int(chosen.sum()), *tensor.shape[1:])
    return tensor if chosen.all() else tensor[chosen]


def trace(
    field: RadianceField,
    config: RenderConfig,
    rays: RayBatch,
    *,
    chunk_rays: int | None = None,
    cut_quantile: float = 0.0,
    channels: int | None = None,
    keep_samples: bool = False,
) -> TracedRays:
    """Follow rays piece by piece; no background yet, and the distance as two sums.

    Args:
        field: What to look at.
        config: The settings.
        rays: At least one.
        chunk_rays: Rays worked on at a time.
        cut_quantile: Densities below this quantile of all densities of a pass count as 0 (3DGP's depth metrics); 0
            leaves all. A pass is that of the rays worked on at a time.
        channels: Give the first so many values only; by default all.
        keep_samples: Give the samples too.

    Raises:
        OutOfMemoryError: Not even one ray fits into memory.
    """
    if chunk_rays is None:
        chunk_rays = _rays_per_chunk(config.samples, rays.origins.device)
        if cut_quantile:  # as many as in the published code
            chunk_rays = max(1, (1 << 24) // (3 * config.coarse_samples))
    activate = partial(_activated, field, cut_quantile)
    pieces = in_chunks(
        lambda rows: _trace(
            field, config, RayBatch(*(tensor[rows] for tensor in rays)), activate, keep_samples, channels
        ),
        count=len(rays.origins),
        chunk=chunk_rays,
        what="rays",
    )
    return concatenated(pieces)


def _rays_per_chunk(samples: int, device: torch.device) -> int:
    """Rays whose samples make a chunk of a good size for the device."""
    points = CPU_POINTS if device.type == "cpu" else GPU_POINTS
    return max(1, points // samples)


def _trace(
    field: RadianceField,
    config: RenderConfig,
    rays: RayBatch,
    activate: Callable[[Tensor], Tensor],
    keep_samples: bool,
    channels: int | None,
) -> TracedRays:
    """Follow a few rays."""
    coarse_distances, metric = coarse_samples(config, rays.coarse_offsets, rays.near, rays.far)
    values, raw = _evaluate(field, rays.origins, rays.directions, coarse_distances)
    coarse_raw = raw = raw + rays.coarse_noise
    passes, distances = [values], coarse_distances
    coarse_weights = fine = None
    if config.fine_samples:
        with torch.no_grad():
            coarse_weights = _march(activate, config, raw, metric, last=config.last_in_coarse_pass).ray_weights
            fine = fine_samples(config, distances, coarse_weights, rays.fine_positions, rays.near, rays.far)
        fine_values, fine_raw = _evaluate(field, rays.origins, rays.directions, fine)
        passes, distances = [values, fine_values], torch.cat([distances, fine], -1)
        raw = torch.cat([raw, fine_raw + rays.fine_noise], -1)

    distances, order = distances.sort(dim=-1)
    raw = raw.gather(-1, order)
    if config.ray_length is None or config.fine_samples:
        marched = _march(activate, config, raw, distances, last=True)
    else:
        marched = _march_evenly(activate, config.ray_length, raw)
    # Weights go back to the order of evaluation: they are small, sorting all the values would move a lot of memory.
    weights = torch.zeros_like(marched.sample_weights).scatter(-1, order, marched.sample_weights)
    split = torch.split(weights, [piece.shape[-2] for piece in passes], -1)
    blended = torch.stack([blend(*pair) for pair in zip(split, passes, strict=True)]).sum(0)
    weight_sum = marched.sample_weights.sum(-1)
    samples = None
    if keep_samples:
        samples = RaySamples(coarse_distances, coarse_raw, distances, raw, marched.ray_weights, coarse_weights, fine)
    return TracedRays(
        values=field.shade(blended, weight_sum, channels),
        distance_sum=(marched.sample_weights * distances).sum(-1),
        weight_sum=weight_sum,
        opacity=marched.opacity,
        transmittance=marched.transmittance,
        transmittance_before_last=marched.transmittance_before_last,
        nearest=distances[:, 0],
        farthest=distances[:, -1],
        samples=samples,
    )


def _evaluate(
    field: RadianceField,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    distances: Float[Tensor, "rays samples"],
) -> tuple[Float[Tensor, "rays samples channels"], Float[Tensor, "rays samples"]]:
    """Ask the field at distances along the rays for what is blended, and the raw density."""
    points = origins[:, None] + distances[..., None] * directions[:, None]
    return field.deferred(points, directions[:, None].expand_as(points))


def _activated(
    field: RadianceField, cut_quantile: float, raw_density: Float[Tensor, "rays samples"]
) -> Float[Tensor, "rays samples"]:
    """Density of all samples of a pass, without its thinnest ones."""
    density = field.activate(raw_density)
    if not cut_quantile:
        return density
    return torch.where(density < _quantile(density, cut_quantile), 0.0, density)


def _quantile(values: Float[Tensor, "*any"], share: float) -> Float[Tensor, ""]:
    """`torch.quantile` of all values, also of more than it takes."""
    if values.numel() <= _MOST_QUANTILE_VALUES:
        return torch.quantile(values, share)
    flat, place = values.flatten(), share * (values.numel() - 1)
    below = flat.kthvalue(math.floor(place) + 1).values
    above = flat.kthvalue(math.ceil(place) + 1).values
    return below + (above - below) * (place - math.floor(place))


def _march(
    activate: Callable[[Tensor], Tensor],
    config: RenderConfig,
    raw_density: Float[Tensor, "rays samples"],
    distances: Float[Tensor, "rays samples"],
    *,
    last: bool,
) -> MarchedRays:
    """Weigh the samples as the settings say; `last` lets a background "last" have its effect."""
    return march_rays(
        raw_density,
        distances,
        activate,
        marcher=config.marcher,
        last_interval=config.last_interval,
        last_interval_end=config.last_interval_end,
        last_takes_rest=last and config.background == "last",
    )


def _march_evenly(
    activate: Callable[[Tensor], Tensor], length: float, raw_density: Float[Tensor, "rays samples"]
) -> MarchedRays:
    """Weigh samples that each stand for an even share of a length, however long the ray's way is (TripoSR)."""
    step = length / raw_density.shape[-1]
    places = torch.arange(raw_density.shape[-1], device=raw_density.device) * step
    return march_rays(raw_density, places.expand_as(raw_density), activate, marcher="classical", last_interval=step)
