"""Rays followed by compiled code: tri-plane fields on the CPU, without gradients.

`march_guided` is the default: an occupancy grid says where light is stopped, and samples lie there. `march_published`
takes the settings' own samples, where random numbers are given or the published scheme is asked for. `tracing.trace`
says what is true, and both give what it gives.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.fields.compiled import CompiledField, compiled_network, kernel_threads, parts_of
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.rendering.volume.outputs import TracedRays
from gen3d_tools.rendering.volume.reach import Reach
from gen3d_tools.rendering.volume.sampling import coarse_samples, tight_limits
from gen3d_tools.rendering.volume.tracing import RayBatch

if TYPE_CHECKING:  # numba takes a while to import, and not every picture needs it
    from gen3d_tools.kernels.rays.guided import Shading

_ENDLESS = np.float32(1e30)


def compiles(config: RenderConfig) -> bool:
    """Whether the kernels know a scheme: all but the last interval of VolumeGAN and the samples of StyleNeRF."""
    return config.last_interval_end is None and config.jitter != "ends" and config.importance != "bare"


def without_gradients(field: RadianceField, *rays: Tensor) -> CompiledField | None:
    """Lay a field out for the kernels; None where they cannot serve it, or where gradients are wanted.

    Args:
        field: What to look at.
        rays: Further tensors that may ask for gradients.
    """
    if not isinstance(field, TriplaneField) or field.device.type != "cpu":
        return None
    if torch.is_grad_enabled() and any(part.requires_grad for part in (*parts_of(field), *rays)):
        return None
    return compiled_network(field)


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
    field: CompiledField,
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
