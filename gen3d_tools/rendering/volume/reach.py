"""How far rays are followed: by the settings to the letter, or cut to where something can be."""

import math
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.rendering.volume.sampling import box_limits, repaired_limits, tight_limits

_STEEPEST = 0.1  # cosine of a ray with the axis; rays that look past the object are not followed without end


def scene_end(field: RadianceField, config: RenderConfig, origins: Float[Tensor, "rays 3"]) -> Float[Tensor, " rays"]:
    """Distance given to rays that meet nothing: `config.far`, or the far side of the box's bounding sphere."""
    if not isinstance(config.far, str):
        return origins.new_full(origins.shape[:1], config.far)
    to_center: Tensor = torch.linalg.vector_norm(origins, dim=-1)
    return to_center + math.sqrt(3) / 2 * field.box_side


class Reach(NamedTuple):
    """How far rays are followed."""

    near: Float[Tensor, " rays"]
    far: Float[Tensor, " rays"]
    hit: Bool[Tensor, " rays"]
    """Which rays to follow; the limits of the others mean nothing."""
    cut: bool
    """Whether rays end at the box."""


def reach_of(
    field: RadianceField,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    config: RenderConfig,
    *,
    exact: bool,
) -> tuple[Reach, RenderConfig]:
    """Find first and last distance of each ray, and the settings without what a cut to the box makes idle."""
    boxed = config.near == "box"
    closed = config.closed and not field.bounded
    if not exact and (boxed or field.bounded) and not closed and config.background != "last":
        bounds = () if isinstance(config.near, str) or isinstance(config.far, str) else (config.near, config.far)
        reach = tight_limits(origins, directions, field.box_side, *bounds)
        return Reach(*reach, cut=True), replace(config, last_interval=None, last_interval_end=None)
    near, far = exact_limits(field, origins, directions, config)
    return Reach(near, far, torch.ones_like(near, dtype=torch.bool), cut=False), config


def exact_limits(
    field: RadianceField,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    config: RenderConfig,
) -> tuple[Float[Tensor, " rays"], Float[Tensor, " rays"]]:
    """First and last distance of each ray, to the letter: rays beside the box take over those of the other rays."""
    if isinstance(config.near, str) or isinstance(config.far, str):
        return repaired_limits(*box_limits(origins, directions, field.box_side), config.missed_rays)
    near, far = (origins.new_full(origins.shape[:1], limit) for limit in (config.near, config.far))
    if config.limits_along == "axis":
        longer = _along_axis(origins, directions)
        near, far = near * longer, far * longer
    return near, far


def _along_axis(origins: Float[Tensor, "rays 3"], directions: Float[Tensor, "rays 3"]) -> Float[Tensor, " rays"]:
    """How much longer a ray is than its share of the line from the camera to the origin."""
    cosine = -(F.normalize(origins, dim=-1) * directions).sum(-1)
    return 1 / cosine.clamp_min(_STEEPEST)
