"""What rays saw."""

from dataclasses import dataclass, field

from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class RayOutputs:
    """What rays saw, one row per ray."""

    values: Float[Tensor, "rays channels"]
    """Blended colours (the first three channels) and features, with the background; nominally 0..1."""
    distance: Float[Tensor, " rays"]
    """Mean distance along the unit ray, in world units; see `tracing.render_rays` for rays that met nothing."""
    opacity: Float[Tensor, " rays"]
    """Light stopped on the way, 0..1."""
    transmittance: Float[Tensor, " rays"]
    """Light left behind the last interval."""
    transmittance_before_last: Float[Tensor, " rays"]
    """Light that reaches the last interval; some backgrounds are blended with it."""
    samples: dict[str, Tensor] = field(default_factory=dict)
    """On request the steps on the way, [rays, ...], of those rays that were followed: `coarse_distances`,
    `coarse_raw_density`, `coarse_weights` (which placed the fine samples), `fine_distances`; `distances`,
    `raw_density` (ascending) and `ray_weights` of the final pass."""


def among_missed(seen: RayOutputs, nothing: RayOutputs, hit: Bool[Tensor, " rays"]) -> RayOutputs:
    """Put followed rays back among those that met nothing."""

    def among(followed: Tensor, missed: Tensor) -> Tensor:
        return missed.to(followed.dtype).index_put((hit,), followed)

    return RayOutputs(
        values=among(seen.values, nothing.values),
        distance=among(seen.distance, nothing.distance),
        opacity=among(seen.opacity, nothing.opacity),
        transmittance=among(seen.transmittance, nothing.transmittance),
        transmittance_before_last=among(seen.transmittance_before_last, nothing.transmittance_before_last),
        samples=seen.samples,
    )
