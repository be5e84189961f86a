"""Rays followed by compiled code on the CPU, without gradients.

`march_guided` is the default: an occupancy grid says where light is stopped, and samples lie there. `march_published`
takes the settings' own samples, where random numbers are given or the published scheme is asked for. Both are for
fields that describe themselves (tri-planes). `march_sampled` is `march_guided` for fields that are asked at points
(feature volumes, perceptrons), by a lattice of their densities. `tracing.trace` says what is true, and all give what it
gives.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.fields.compiled import (
    FEWEST_SAMPLES,
    CompiledField,
    DescribedField,
    compiled_network,
    kernel_threads,
)
from gen3d_tools.fields.density import EMPTY_THICKNESS, raw_level_of
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.sampled import Region, SampledField, density_lattice
from gen3d_tools.kernels.network.numbers import DENSITY_ACTIVATIONS
from gen3d_tools.rendering.volume.outputs import TracedRays, concatenated
from gen3d_tools.rendering.volume.reach import Reach
from gen3d_tools.rendering.volume.sampling import coarse_samples, tight_limits
from gen3d_tools.rendering.volume.tracing import RayBatch

if TYPE_CHECKING:  # numba takes a while to import, and not every picture needs it
    from gen3d_tools.kernels.rays.guided import Shading
    from gen3d_tools.kernels.rays.occupancy import OccupancyGrid

_RAYS = 1 << 12  # worked on at a time: what is known of their ways takes some 10 kB each
_ENDLESS = np.float32(1e30)


def compiles(config: RenderConfig, *, letter: bool = False) -> bool:
    """Whether the kernels know a scheme: all but the last interval of VolumeGAN and the samples of StyleNeRF.

    Args:
        config: The settings.
        letter: Whether samples and intervals are wanted as published; TripoSR's intervals are not known there.
    """
    if letter and config.ray_length is not None:
        return False
    return config.last_interval_end is None and config.jitter != "ends" and config.importance != "bare"


def without_gradients(field: RadianceField, *rays: Tensor) -> CompiledField | None:
    """Lay a field out for the kernels; None where they cannot serve it, or where gradients are wanted.

    Args:
        field: What to look at.
        rays: Further tensors that may ask for gradients.
    """
    if not isinstance(field, DescribedField) or field.device.type != "cpu" or _follows(field.tensors(), rays):
        return None
    return compiled_network(field)


def _follows(tensors: Sequence[Tensor], rays: Sequence[Tensor]) -> bool:
    """Whether gradients are wanted of any of these."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (*tensors, *rays))


def sampled_lattice(
    field: RadianceField,
    config: RenderConfig,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    reach: Reach,
) -> "OccupancyGrid | None":
    """Lay a field out as a lattice of its densities, if that costs less than the samples it saves.

    Args:
        field: What to look at.
        config: The settings; their samples are what it saves.
        origins: Ray origins, world units.
        directions: Unit vectors.
        reach: How far the rays are followed; the lattice covers all of that.

    Returns:
        None where the settings' own samples are fewer than the lattice's points (the few rays before a network that
        enlarges), the field is not on the CPU, has detail of any size or ends at its box, or gradients are wanted.
    """
    if not isinstance(field, SampledField) or field.bounded or field.device.type != "cpu":
        return None
    if _follows(field.tensors(), (origins, directions)) or not reach.hit.any():
        return None
    ends = torch.cat([(origins + distance[:, None] * directions)[reach.hit] for distance in (reach.near, reach.far)])
    region = Region.holding(field, ends.abs().amax(0).cpu())
    points = region.points(field)
    if points is None or points > int(reach.hit.sum()) * config.samples:
        return None
    level = raw_level_of(EMPTY_THICKNESS, field.box_side, field.density_activation, field.density_shift)
    return density_lattice(field, region, level)


def march_sampled(
    field: RadianceField,
    grid: "OccupancyGrid",
    config: RenderConfig,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    reach: Reach,
    channels: int | None,
) -> TracedRays:
    """Follow rays through a lattice of a field's densities, and ask the field itself where light is stopped.

    Args:
        field: What to look at.
        grid: What `sampled_lattice` gave.
        config: The settings.
        origins: Ray origins, world units.
        directions: Unit vectors.
        reach: How far; rays that hit nothing are followed nowhere.
        channels: Give the first so many values only; by default all.
    """
    limits = _limits(field, origins, directions, reach)
    pieces = [
        _march_some(field, grid, config, rays, channels)
        for rays in zip(*(torch.split(tensor, _RAYS) for tensor in (origins, directions, limits)), strict=True)
    ]
    return concatenated(pieces)


def _march_some(
    field: RadianceField,
    grid: "OccupancyGrid",
    config: RenderConfig,
    rays: tuple[Float[Tensor, "rays 3"], Float[Tensor, "rays 3"], Float[Tensor, "rays 3"]],
    channels: int | None,
) -> TracedRays:
    """Follow a few rays, given as origins, directions and limits: plan, ask, weigh, and close what is still open."""
    from gen3d_tools.kernels.rays.planned import plan_samples, weigh_samples
    from gen3d_tools.kernels.rays.ray_marching import DARK

    origins, directions, limits = rays
    shading = _bare_shading(field, config)
    arrays = (tensor.float().contiguous().numpy() for tensor in (origins, directions, limits[:, :2]))
    plan = plan_samples(grid, shading, *arrays, threads=kernel_threads())
    asked = torch.from_numpy(np.arange(plan.distances.shape[1]) < plan.samples[:, None])
    ray = asked.nonzero()[:, 0]
    blended_at, raw_at = _ask(field, origins[ray], directions[ray], torch.from_numpy(plan.distances)[asked])
    raw = torch.zeros(asked.shape).masked_scatter_(asked, raw_at)
    found = weigh_samples(grid, shading, plan, raw.numpy(), threads=kernel_threads())
    weights, opacity, moment = (torch.from_numpy(array) for array in found)
    blended = blended_at.new_zeros(len(origins), blended_at.shape[-1])
    blended.index_add_(0, ray, blended_at * weights[asked][:, None])
    light = 1 - opacity
    before_last, weight_sum = light, opacity
    rest = config.background == "last"
    if config.last_interval is not None or rest:
        last = ((light > float(DARK)) & (limits[:, 0] < limits[:, 2])).nonzero()[:, 0]
        far, lit = limits[last, 2], light[last]
        blended_at, raw_at = _ask(field, origins[last], directions[last], far)
        left = lit * torch.exp(-field.activate(raw_at) * (config.last_interval or 0.0))
        weight = lit if rest else lit - left
        blended.index_add_(0, last, blended_at * weight[:, None])
        moment = moment.index_add(0, last, weight * far)
        weight_sum = weight_sum.index_add(0, last, weight)
        light = light.index_copy(0, last, left)
        opacity = 1 - light
    return TracedRays(
        values=field.shade(blended, weight_sum, channels),
        distance_sum=moment,
        weight_sum=weight_sum,
        opacity=opacity,
        transmittance=light,
        transmittance_before_last=before_last,
    )


def _ask(
    field: RadianceField,
    origins: Float[Tensor, "n 3"],
    directions: Float[Tensor, "n 3"],
    distances: Float[Tensor, " n"],
) -> tuple[Float[Tensor, "n features"], Float[Tensor, " n"]]:
    """What the field blends at one distance along each ray, and its raw density there."""
    return field.deferred(origins + distances[:, None] * directions, directions)


def _bare_shading(field: RadianceField, config: RenderConfig) -> "Shading":
    """How a field stops light; its colours are its own business."""
    from gen3d_tools.kernels.rays.guided import Shading

    return Shading(
        head=np.zeros((0, 1), np.float32),
        head_bias=np.zeros(0, np.float32),
        sigmoid=False,
        gain=np.float32(1),
        offset=np.float32(0),
        density=DENSITY_ACTIVATIONS[field.density_activation],
        shift=np.float32(field.density_shift),
        closing=np.float32(config.last_interval or 0),
        last_takes_rest=config.background == "last",
        most_samples=max(FEWEST_SAMPLES, config.fine_samples),
    )


def march_guided(
    field: CompiledField,
    config: RenderConfig,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    reach: Reach,
    channels: int | None,
) -> TracedRays:
    """Follow rays through the occupancy grid.

    Args:
        field: What to look at.
        config: The settings.
        origins: Ray origins, world units.
        directions: Unit vectors.
        reach: How far; rays that hit nothing are followed nowhere.
        channels: Give the first so many values only; by default all.
    """
    from gen3d_tools.kernels.rays.guided import march_rays

    shading = _shading_for(field, config, channels)
    limits = _limits(field, origins, directions, reach)
    arrays = (tensor.float().contiguous().numpy() for tensor in (origins, directions, limits))
    out = torch.from_numpy(march_rays(field.network, field.occupancy, shading, *arrays, threads=kernel_threads()))
    moment, opacity, left, before_last = out[:, -4:].unbind(-1)
    return TracedRays(
        values=out[:, :-4],
        distance_sum=moment,
        weight_sum=opacity + left if shading.last_takes_rest else opacity,
        opacity=opacity,
        transmittance=left,
        transmittance_before_last=before_last,
    )


def march_published(field: CompiledField, config: RenderConfig, rays: RayBatch, channels: int | None) -> TracedRays:
    """Do what `tracing.trace` does, at the same samples; noise on densities is not known here.

    Args:
        field: What to look at.
        config: The settings.
        rays: The rays, and where their samples lie.
        channels: Give the first so many values only; by default all.
    """
    from gen3d_tools.kernels.rays.published_sampling import Scheme, march_published_samples

    offsets, near, far = rays.coarse_offsets, rays.near, rays.far
    if offsets.stride(0) == 0 and (near == near[:1]).all() and (far == far[:1]).all():
        offsets, near, far = offsets[:1], near[:1], far[:1]
    coarse, metric = coarse_samples(config, offsets, near, far)
    scheme = Scheme(
        midpoint=config.marcher == "midpoint",
        smoothed=config.importance == "smoothed",
        last_in_coarse_pass=config.last_in_coarse_pass,
        half_side=np.float32(field.box_side / 2) if field.bounded else _ENDLESS,
    )
    positions = rays.fine_positions
    placed = positions[:1] if positions.stride(0) == 0 else positions
    tensors = (rays.origins, rays.directions, coarse, metric, placed)
    arrays = (tensor.float().contiguous().numpy() for tensor in tensors)
    shading, threads = _shading_for(field, config, channels), kernel_threads()
    out = torch.from_numpy(
        march_published_samples(field.network, field.occupancy, shading, scheme, *arrays, threads=threads)
    )
    moment, total, opacity, left, before_last, nearest, farthest = out[:, -7:].unbind(-1)
    return TracedRays(out[:, :-7], moment, total, opacity, left, before_last, nearest, farthest)


def _shading_for(field: CompiledField, config: RenderConfig, channels: int | None) -> "Shading":
    """Fill in what depends on the render settings."""
    return field.shading._replace(
        head=field.shading.head[:channels],
        head_bias=field.shading.head_bias[:channels],
        closing=np.float32(config.last_interval or 0),
        last_takes_rest=config.background == "last",
        most_samples=max(field.shading.most_samples, config.fine_samples),
    )


def _limits(
    field: CompiledField | RadianceField,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    reach: Reach,
) -> Float[Tensor, "rays 3"]:
    """Where rays start, where there is nothing any more, and where they end."""
    near, far = reach.near, torch.where(reach.hit, reach.far, reach.near)
    lost = near.isnan() | far.isnan()  # in the plane of a wall of the box, beside it
    near, far = near.masked_fill(lost, 0), far.masked_fill(lost, 0)
    if reach.cut or not field.bounded:
        return torch.stack([near, far, far], -1)
    enter, leave, hit = tight_limits(origins, directions, field.box_side)
    enter = torch.where(hit, enter, far).clamp(near, far)
    return torch.stack([enter, torch.where(hit, leave, far).clamp(enter, far), far], -1)
