"""What rays see: the engine that follows them is chosen, and the background put behind.

| engine | where it takes samples | what it serves |
| --- | --- | --- |
| `tracing.trace` | the settings' scheme | every field and device, with gradients: the truth |
| `compiled_rays.march_guided` | where an occupancy grid says light is stopped | tri-planes on the CPU: the default |
| `compiled_rays.march_published` | the settings' scheme | the same, with random numbers or "published" |
| `kernels.rays.silhouette` | densely along the ray, densities only | the level of a mesh |
| `differentiable` | around where light was stopped before | gradients of inversions |

Feature volumes and perceptrons (VolumeGAN, StyleNeRF), and schemes that the kernels do not know
(`compiled_rays.compiles`), are served by `tracing.trace` whatever the sampling.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.rendering.backdrops import behind
from gen3d_tools.rendering.compiled.rays import compiles, march_guided, march_published, without_gradients
from gen3d_tools.rendering.volume.compositing import add_background
from gen3d_tools.rendering.volume.outputs import RayOutputs, TracedRays, among_missed
from gen3d_tools.rendering.volume.reach import Reach, reach_of, scene_end
from gen3d_tools.rendering.volume.sampling import RandomNumbers
from gen3d_tools.rendering.volume.tracing import batch_of, rows_of, trace

Sampling = Literal["default", "published", "reference"]
"""Where samples lie: "default" by our own scheme, nearest to the converged picture; "published" by the family's, with
compiled code where that serves (70 dB from the letter); "reference" by the family's, to the letter."""

_NOTHING = 1e-3  # blending weight below which a ray has met nothing, so that its mean distance says nothing


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchContext:
    """What rays of a published batch take over from each other; a ray by itself needs none of it."""

    limits: tuple[Float[Tensor, " rays"], Float[Tensor, " rays"]] | None = None
    """First and last distance of each ray, instead of those that the settings ask for."""
    distance_range: tuple[float, float] | None = None
    """What mean distances are clamped to, if not the extremes of the call's own samples."""
    cut_quantile: float = 0.0
    """Densities below this quantile of a pass count as 0; see `tracing.trace`."""

    def __post_init__(self) -> None:
        if not 0 <= self.cut_quantile <= 1:
            raise InputError(f"cut_quantile is {self.cut_quantile}, it must lie in 0..1")


def render_rays(
    field: RadianceField,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    config: RenderConfig | None = None,
    *,
    sampling: Sampling = "default",
    numbers: RandomNumbers | None = None,
    pixels: Float[Tensor, "rays 2"] | None = None,
    channels: int | None = None,
    chunk_rays: int | None = None,
) -> RayOutputs:
    """Blend what each ray meets, differentiably. Where the samples lie carries no gradient.

    By default coarse samples stay within the limits, rays are cut to the box of a bounded field (and of one with
    "box" limits), and rays beside it are background at no cost. A ray that meets nothing has the distance of the
    scene's far end: `config.far`, or the camera's distance to the far side of the box's bounding sphere.

    Where no gradients are wanted, tri-plane fields on the CPU are followed by compiled code. By default its samples
    lie elsewhere and closer to what stops the light, unless random numbers are given.

    Args:
        field: What to look at.
        origins: Ray origins, world units.
        directions: Unit vectors.
        config: Instead of the field's own settings.
        sampling: Where samples lie. With the family's own scheme and the "mean" rule, distances are clamped to the
            nearest and farthest sample of the whole call, and a ray that meets nothing gets the farthest (EG3D).
        numbers: Random numbers that place the samples; without them, the middle of each interval. Noise on
            densities is taken by the reference only.
        pixels: Where the rays pass through the picture, for a backdrop on the screen.
        channels: Give the first so many values only; by default all.
        chunk_rays: Rays worked on at a time. Changes memory and time, not the result.

    Raises:
        InputError: `chunk_rays` is below 1.
        OutOfMemoryError: Not even one ray fits into memory.
    """
    numbers = numbers or {}
    noisy = "coarse_noise" in numbers or "fine_noise" in numbers
    uncompiled = sampling == "reference" or noisy or not compiles(config or field.render_config)
    compiled = None if uncompiled else without_gradients(field, origins, directions)
    if compiled is None:
        return trace_rays(
            field,
            origins,
            directions,
            config,
            sampling=sampling,
            numbers=numbers,
            pixels=pixels,
            channels=channels,
            chunk_rays=chunk_rays,
        )
    _check_chunk(chunk_rays)
    config, reach = _config_and_reach(field, origins, directions, config, sampling)
    if sampling == "published" or numbers:
        hit = reach.hit
        rays = batch_of(config, origins, directions, reach, numbers)
        traced = march_published(compiled, config, rays, channels) if len(rays.origins) else None
    else:
        hit = torch.ones_like(reach.hit)
        traced = march_guided(compiled, config, origins, directions, reach, channels)
    seen = _seen(field, config, origins, traced, hit, sampling, channels=channels)
    return _before_backdrop(seen, field, config, origins, directions, pixels, channels)


def trace_rays(
    field: RadianceField,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    config: RenderConfig | None = None,
    *,
    sampling: Sampling = "reference",
    numbers: RandomNumbers | None = None,
    context: BatchContext | None = None,
    pixels: Float[Tensor, "rays 2"] | None = None,
    channels: int | None = None,
    chunk_rays: int | None = None,
    keep_samples: bool = False,
) -> RayOutputs:
    """Do what `render_rays` does by the field's own arithmetic, on every device: the truth.

    Args:
        field: What to look at.
        origins: Ray origins, world units.
        directions: Unit vectors.
        config: Instead of the field's own settings.
        sampling: "default" keeps samples within the limits and rays within the box; the others follow the letter.
        numbers: Random numbers that place the samples, and noise on their raw densities.
        context: What rays take over from others of their batch.
        pixels: Where the rays pass through the picture, for a backdrop on the screen.
        channels: Give the first so many values only; by default all.
        chunk_rays: Rays worked on at a time. Changes memory and time, not the result, unless densities are cut.
        keep_samples: Give the samples too.

    Raises:
        InputError: `chunk_rays` is below 1.
        OutOfMemoryError: Not even one ray fits into memory.
    """
    _check_chunk(chunk_rays)
    context = context or BatchContext()
    config, reach = _config_and_reach(field, origins, directions, config, sampling, context.limits)
    rays = batch_of(config, origins, directions, reach, numbers or {})
    traced = None
    if len(rays.origins):
        cut = context.cut_quantile
        traced = trace(
            field,
            config,
            rays,
            chunk_rays=chunk_rays,
            cut_quantile=cut,
            channels=channels,
            keep_samples=keep_samples,
        )
    distance_range = context.distance_range
    seen = _seen(field, config, origins, traced, reach.hit, sampling, distance_range, channels=channels)
    return _before_backdrop(seen, field, config, origins, directions, pixels, channels)


def _check_chunk(chunk_rays: int | None) -> None:
    if chunk_rays is not None and chunk_rays < 1:
        raise InputError(f"chunk_rays is {chunk_rays}, it must be at least 1")


def _config_and_reach(
    field: RadianceField,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    config: RenderConfig | None,
    sampling: Sampling,
    limits: tuple[Tensor, Tensor] | None = None,
) -> tuple[RenderConfig, Reach]:
    """The settings as the sampling takes them, and how far each ray is followed."""
    config = config or field.render_config
    if sampling == "default":
        jitter = config.jitter if config.jitter == "ends" else "intervals"  # "ends" stays within the limits anyway
        config = replace(config, jitter=jitter, coarse_unit="world")
    if limits is not None:
        return config, Reach(*limits, torch.ones_like(limits[0], dtype=torch.bool), cut=False)
    reach, config = reach_of(field, origins, directions, config, exact=sampling != "default")
    return config, reach


def _seen(
    field: RadianceField,
    config: RenderConfig,
    origins: Float[Tensor, "rays 3"],
    traced: TracedRays | None,
    hit: Bool[Tensor, " rays"],
    sampling: Sampling,
    distance_range: tuple[float, float] | None = None,
    *,
    channels: int | None,
) -> RayOutputs:
    """Put the uniform background behind the rays that were followed, and the others among them."""
    if traced is None:
        return _nothing(field, config, origins, channels)
    if sampling == "default":
        distance = _mean_distance(traced, scene_end(field, config, rows_of(origins, hit)))
    else:
        distance = _published_distance(traced, config, distance_range)
    seen = RayOutputs(
        values=add_background(traced.values, traced.opacity, config.background),
        distance=distance,
        opacity=traced.opacity,
        transmittance=traced.transmittance,
        transmittance_before_last=traced.transmittance_before_last,
        samples=traced.samples,
    )
    return seen if hit.all() else among_missed(seen, _nothing(field, config, origins, channels), hit)


def _before_backdrop(
    seen: RayOutputs,
    field: RadianceField,
    config: RenderConfig,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    pixels: Float[Tensor, "rays 2"] | None,
    channels: int | None,
) -> RayOutputs:
    """Let the field's backdrop shine through, and leave out values that nobody asked for.

    EpiGRAF adds the backdrop's colour, in [-1, 1], times the light that reaches the last interval; in our colours
    that is its difference from grey. A backdrop may have features as well (StyleNeRF).
    """
    seen = replace(seen, values=seen.values[:, :channels])
    if field.backdrop is None:
        return seen
    behind_field = behind(field.backdrop, config.background, origins, directions, pixels)[:, :channels]
    shining = seen.transmittance_before_last[:, None] * (behind_field - 0.5)
    shared = shining.shape[-1]
    return replace(seen, values=torch.cat([seen.values[:, :shared] + shining, seen.values[:, shared:]], -1))


def _mean_distance(traced: TracedRays, end: Float[Tensor, " rays"]) -> Float[Tensor, " rays"]:
    """The mean distance of what a ray met, or the scene's end."""
    total = traced.weight_sum
    return torch.where(total > _NOTHING, traced.distance_sum / total.clamp_min(_NOTHING), end)


def _published_distance(
    traced: TracedRays, config: RenderConfig, distance_range: tuple[float, float] | None
) -> Float[Tensor, " rays"]:
    """The distance by the settings' rule; without a range the extrema are those of all samples of the call."""
    if config.distance_rule == "sum":
        return traced.distance_sum
    mean = torch.nan_to_num(traced.distance_sum / traced.weight_sum, nan=float("inf"))
    if distance_range is not None:
        return mean.clamp(*distance_range)
    assert traced.nearest is not None
    assert traced.farthest is not None
    return mean.clamp(traced.nearest.min(), traced.farthest.max())


def _nothing(
    field: RadianceField, config: RenderConfig, origins: Float[Tensor, "rays 3"], channels: int | None
) -> RayOutputs:
    """What rays that meet nothing see: the background, at the scene's end."""
    count = field(origins[:1])[0][:, :channels].shape[-1]
    opacity = torch.zeros_like(origins[:, 0])
    values = add_background(origins.new_zeros(len(origins), count), opacity, config.background)
    return RayOutputs(values, scene_end(field, config, origins), opacity, 1 - opacity, 1 - opacity)
