"""From densities along rays to blending weights, front to back.

An interval of length d and density s lets exp(-s d) of the light through. Its blending weight is what it stops of
the light that reaches it (Max 1995; NeRF, eq. 3). A ray's weights sum to its opacity, so a background adds
`(1 - opacity) * background`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.fields.render_config import Background, Marcher

_BACKGROUND_VALUE = {"none": 0.0, "grey": 0.5, "white": 1.0, "last": 0.0}


def absorb(
    density: Float[Tensor, "*rays intervals"], lengths: Float[Tensor, "*rays intervals"]
) -> tuple[Float[Tensor, "*rays intervals"], Float[Tensor, "*rays intervals+1"]]:
    """Follow the light of each ray through its intervals.

    Args:
        density: Activated density of each interval, per world unit.
        lengths: Of the intervals. Lengths and not their ends, because the interval behind the last sample is far
            longer or shorter than float32 distances resolve.

    Returns:
        The weight of each interval, and the transmittance before each interval and behind the last.
    """
    thickness = density * lengths
    transmittance = torch.exp(-F.pad(thickness.cumsum(-1), (1, 0)))
    return -torch.expm1(-thickness) * transmittance[..., :-1], transmittance


def composite(
    density: Float[Tensor, "*rays samples"],
    values: Float[Tensor, "*rays samples channels"],
    lengths: Float[Tensor, "*rays samples"],
) -> tuple[Float[Tensor, "*rays channels"], Float[Tensor, "*rays samples"]]:
    """Blend samples front to back along each ray (NeRF, eq. 3).

    Args:
        density: Activated density of each interval, per world unit.
        values: What to blend: colours, features or distances.
        lengths: Of the intervals, in world units.

    Returns:
        The blended values and each sample's weight.
    """
    ray_weights, _ = absorb(density, lengths)
    return blend(ray_weights, values), ray_weights


def blend(
    sample_weights: Float[Tensor, "*rays samples"], values: Float[Tensor, "*rays samples channels"]
) -> Float[Tensor, "*rays channels"]:
    """Sum values by their weights."""
    return (sample_weights[..., None, :] @ values)[..., 0, :]


def add_background(
    values: Float[Tensor, "*rays channels"], opacity: Float[Tensor, "*rays"], background: Background
) -> Float[Tensor, "*rays channels"]:
    """Let a uniform background shine through in all channels; "last" has already been blended in."""
    level = _BACKGROUND_VALUE[background]
    return values + level * (1 - opacity[..., None]) if level else values


@dataclass(frozen=True, eq=False)
class MarchedRays:
    """What a ray marcher found, one row per ray."""

    ray_weights: Float[Tensor, "*rays intervals"]
    """Weight of each interval; one fewer than samples for the midpoint marcher without a closing interval."""
    sample_weights: Float[Tensor, "*rays samples"]
    """The same light, shared out among the samples: what their values are blended with."""
    opacity: Float[Tensor, "*rays"]
    """Light stopped on the way, 0..1, before a background "last" stops the rest."""
    transmittance: Float[Tensor, "*rays"]
    """Light left behind the last interval."""
    transmittance_before_last: Float[Tensor, "*rays"]
    """Light that reaches the last interval."""


def march_rays(
    raw_density: Float[Tensor, "*rays samples"],
    distances: Float[Tensor, "*rays samples"],
    activate: Callable[[Tensor], Tensor],
    *,
    marcher: Marcher,
    last_interval: float | None = None,
    last_interval_end: float | None = None,
    last_takes_rest: bool = False,
) -> MarchedRays:
    """Weigh the samples of each ray.

    Args:
        raw_density: Density before activation.
        distances: Of the samples, ascending, in world units.
        activate: From raw density to density.
        marcher: "midpoint" gives the interval between two samples the mean of their raw densities and shares its
            weight between them (EG3D); "classical" gives each sample the interval behind it (NeRF).
        last_interval: Length of the interval behind the last sample; None leaves it out.
        last_interval_end: Distance at which that interval ends, instead of its length. One that ends before the last
            sample has a negative length, and lets more light through than reaches it, as in the published code.
        last_takes_rest: The last sample of the classical marcher gets the light that is left.
    """
    lengths = distances.diff(dim=-1)
    closing = lengths.new_full((*lengths.shape[:-1], 1), last_interval or 0.0)
    if last_interval_end is not None:
        closing = last_interval_end - distances[..., -1:]
    if marcher == "classical":
        ray_weights, transmittance = absorb(activate(raw_density), torch.cat([lengths, closing], -1))
        opacity = ray_weights.sum(-1)
        if last_takes_rest:
            ray_weights = torch.cat([ray_weights[..., :-1], ray_weights[..., -1:] + (1 - opacity[..., None])], -1)
        sample_weights = ray_weights
    else:
        raw = (raw_density[..., 1:] + raw_density[..., :-1]) / 2
        if last_interval is not None or last_interval_end is not None:
            raw, lengths = torch.cat([raw, raw_density[..., -1:]], -1), torch.cat([lengths, closing], -1)
        ray_weights, transmittance = absorb(activate(raw), lengths)
        opacity = ray_weights.sum(-1)
        sample_weights = _share_between_ends(ray_weights, distances.shape[-1])
    return MarchedRays(ray_weights, sample_weights, opacity, transmittance[..., -1], transmittance[..., -2])


def _share_between_ends(
    ray_weights: Float[Tensor, "*rays intervals"], samples: int
) -> Float[Tensor, "*rays {samples}"]:
    """Give half of each interval's weight to either end; a closing interval has only its front end."""
    between = ray_weights[..., : samples - 1] / 2
    shared = F.pad(between, (0, 1)) + F.pad(between, (1, 0))
    if ray_weights.shape[-1] == samples:
        shared = torch.cat([shared[..., :-1], shared[..., -1:] + ray_weights[..., -1:]], -1)
    return shared
