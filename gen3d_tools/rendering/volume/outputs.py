"""What rays saw: on the way (`TracedRays`), and in the end (`RayOutputs`)."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class RaySamples:
    """The samples of rays, and what was found at them; fine ones are missing where there is one pass only."""

    coarse_distances: Float[Tensor, "rays coarse"]
    coarse_raw_density: Float[Tensor, "rays coarse"]
    distances: Float[Tensor, "rays samples"]
    """Of both passes, ascending."""
    raw_density: Float[Tensor, "rays samples"]
    ray_weights: Float[Tensor, "rays intervals"]
    coarse_weights: Float[Tensor, "rays coarse_intervals"] | None = None
    """Blending weights of the coarse pass, which placed the fine samples."""
    fine_distances: Float[Tensor, "rays fine"] | None = None


@dataclass(frozen=True, eq=False)
class TracedRays:
    """What rays met, before any background: one row per ray that was followed."""

    values: Float[Tensor, "rays channels"]
    """Blended colours (the first three channels) and features."""
    distance_sum: Float[Tensor, " rays"]
    """Distances of the samples, world units, weighted by `ray_weights`."""
    weight_sum: Float[Tensor, " rays"]
    opacity: Float[Tensor, " rays"]
    transmittance: Float[Tensor, " rays"]
    transmittance_before_last: Float[Tensor, " rays"]
    nearest: Float[Tensor, " rays"] | None = None
    """Distance of the first sample; missing where samples lie by a scheme of our own."""
    farthest: Float[Tensor, " rays"] | None = None
    samples: RaySamples | None = None


@dataclass(frozen=True, eq=False)
class RayOutputs:
    """What rays saw, one row per ray."""

    values: Float[Tensor, "rays channels"]
    """Blended colours (the first three channels) and features, with the background; nominally 0..1."""
    distance: Float[Tensor, " rays"]
    """Mean distance along the unit ray, in world units; see `render_rays` for rays that met nothing."""
    opacity: Float[Tensor, " rays"]
    """Light stopped on the way, 0..1."""
    transmittance: Float[Tensor, " rays"]
    """Light left behind the last interval."""
    transmittance_before_last: Float[Tensor, " rays"]
    """Light that reaches the last interval; some backgrounds are blended with it."""
    samples: RaySamples | None = None
    """On request the steps on the way, of those rays that were followed."""


def concatenated(pieces: Sequence[TracedRays]) -> TracedRays:
    """Put rays that were followed piece by piece together."""
    first = pieces[0]
    if len(pieces) == 1:
        return first
    samples = None
    if first.samples is not None:
        samples = RaySamples(**_columns([piece.samples for piece in pieces], RaySamples))
    return TracedRays(**_columns(pieces, TracedRays), samples=samples)


def _columns(pieces: Sequence[object], kind: type) -> dict[str, Tensor]:
    columns = {field.name: [getattr(piece, field.name) for piece in pieces] for field in fields(kind)}
    return {name: torch.cat(parts) for name, parts in columns.items() if isinstance(parts[0], Tensor)}


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
