"""Follow rays through a field: limits, a coarse pass, a fine pass, blending (NeRF, section 5; EG3D, section 4)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.memory import in_chunks
from gen3d_tools.rendering.backdrops import behind
from gen3d_tools.rendering.compositing import MarchedRays, add_background, blend, march
from gen3d_tools.rendering.fast import fast_field
from gen3d_tools.rendering.outputs import RayOutputs, among_missed
from gen3d_tools.rendering.reach import Reach, reach_of, scene_end
from gen3d_tools.rendering.sampling import coarse_samples, importance_samples

Exactness = bool | Literal["fast"]
"""Whether to use the settings' own sampling scheme: True to the letter, "fast" by compiled code."""

CPU_POINTS, GPU_POINTS = 1 << 16, 1 << 18  # per chunk; with 32 features and 64 hidden units 0.1 and 0.4 GB
_NOTHING = 1e-3  # blending weight below which a ray has met nothing, so that its mean distance says nothing


def render_rays(
    field: RadianceField,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    config: RenderConfig | None = None,
    *,
    exact: Exactness = False,
    limits: tuple[Float[Tensor, " rays"], Float[Tensor, " rays"]] | None = None,
    coarse_offsets: Float[Tensor, "rays coarse"] | None = None,
    fine_positions: Float[Tensor, "rays fine"] | None = None,
    coarse_noise: Float[Tensor, "rays coarse"] | None = None,
    fine_noise: Float[Tensor, "rays fine"] | None = None,
    distance_range: tuple[float, float] | None = None,
    cut_quantile: float = 0.0,
    pixels: Float[Tensor, "rays 2"] | None = None,
    chunk_rays: int | None = None,
    channels: int | None = None,
    keep_samples: bool = False,
) -> RayOutputs:
    """Blend what each ray meets, differentiably. Where the samples lie carries no gradient.

    By default coarse samples stay within the limits, rays are cut to the box of a bounded field (and of one with
    "box" limits), and rays beside it are background at no cost. A ray that meets nothing has the distance of the
    scene's far end: `config.far`, or the camera's distance to the far side of the box's bounding sphere.

    Where neither gradients nor intermediate results are wanted, tri-plane fields on the CPU are followed by compiled
    code (`fast.py`). Its samples lie elsewhere and closer to what stops the light, unless random numbers are given.

    `exact` follows the settings' own scheme: True to the letter, "fast" by compiled code where it serves, with the
    same samples and pictures that agree to 70 dB (PSNR) and more. There, with the "mean" rule, distances are clamped to
    the nearest and farthest sample of the whole call, and a ray that meets nothing gets the farthest (EG3D).

    Args:
        field: What to look at.
        origins: Where the rays start.
        directions: Unit vectors.
        config: Instead of the field's own settings.
        exact: Use the settings' own sampling scheme.
        limits: First and last distance of each ray, instead of those that the settings ask for.
        coarse_offsets: Random numbers in [0, 1) for the jitter of the coarse samples; without them, 0.5.
        fine_positions: Random numbers in [0, 1) that place the fine samples; without them, (i + 0.5) / n.
        coarse_noise: Added to the raw density of the coarse samples.
        fine_noise: Added to the raw density of the fine samples.
        distance_range: What `exact` clamps mean distances to, if not the extremes of this call's own samples.
        cut_quantile: Densities below this quantile of all densities of a pass count as 0 (3DGP's depth metrics); 0
            leaves all. A pass is that of the rays worked on at a time.
        pixels: Where the rays pass through the picture, for a backdrop on the screen.
        chunk_rays: Rays worked on at a time. Changes memory and time, not the result, without `cut_quantile`.
        channels: Give the first so many values only; by default all.
        keep_samples: Give the steps on the way too.

    Raises:
        InputError: `chunk_rays` is below 1, or `cut_quantile` not in 0..1.
        OutOfMemoryError: Not even one ray fits into memory.
    """
    if chunk_rays is not None and chunk_rays < 1:
        raise InputError(f"chunk_rays is {chunk_rays}, it must be at least 1")
    if not 0 <= cut_quantile <= 1:
        raise InputError(f"cut_quantile is {cut_quantile}, it must lie in 0..1")
    config = config or field.render_config
    if not exact:
        config = replace(config, jitter="intervals", coarse_unit="world")
    if limits is None:
        reach, config = reach_of(field, origins, directions, config, exact=bool(exact))
    else:
        reach = Reach(*limits, torch.ones_like(limits[0], dtype=torch.bool), cut=False)
    numbers = (coarse_offsets, fine_positions, coarse_noise, fine_noise)
    plain = exact is True or keep_samples or cut_quantile or coarse_noise is not None or fine_noise is not None
    fast = None if plain else fast_field(field, origins, directions)
    if fast is None or exact or limits is not None or any(number is not None for number in numbers):
        hit = reach.hit
        filled = _fixed_or_given(config, origins, *numbers)
        rays = [_rows(tensor, hit) for tensor in (origins, directions, reach.near, reach.far, *filled)]
        if fast is None:
            traced = _traced(field, config, rays, chunk_rays, cut_quantile=cut_quantile, keep_samples=keep_samples)
        else:
            traced = fast.sample(config, rays[:6], channels) if len(rays[0]) else {}
    else:
        traced = fast.follow(config, origins, directions, *reach, channels)
        hit = torch.ones_like(reach.hit)
    seen = _seen(field, config, origins, traced, hit, exact, distance_range)
    return _before_backdrop(seen, field, config, origins, directions, pixels, channels)


def _seen(
    field: RadianceField,
    config: RenderConfig,
    origins: Float[Tensor, "rays 3"],
    traced: dict[str, Tensor],
    hit: Bool[Tensor, " rays"],
    exact: Exactness,
    distance_range: tuple[float, float] | None,
) -> RayOutputs:
    """Put the uniform background behind the rays that were followed, and the others among them."""
    if not traced:
        return _nothing(field, config, origins)
    if exact:
        distance = _exact_distance(traced, config, distance_range)
    else:
        distance = _mean_distance(traced, scene_end(field, config, _rows(origins, hit)))
    seen = RayOutputs(
        values=add_background(traced["values"], traced["opacity"], config.background),
        distance=distance,
        opacity=traced["opacity"],
        transmittance=traced["transmittance"],
        transmittance_before_last=traced["transmittance_before_last"],
        samples={name: traced[name] for name in _SAMPLE_NAMES if name in traced},
    )
    return seen if hit.all() else among_missed(seen, _nothing(field, config, origins), hit)


def _traced(
    field: RadianceField,
    config: RenderConfig,
    rays: Sequence[Tensor],
    chunk_rays: int | None,
    *,
    cut_quantile: float,
    keep_samples: bool,
) -> dict[str, Tensor]:
    """Follow all rays piece by piece; without any ray, without any result."""
    if chunk_rays is None:
        chunk_rays = _rays_per_chunk(config.samples, rays[0].device)
        if cut_quantile:  # as many as in the published code
            chunk_rays = max(1, (1 << 24) // (3 * config.coarse_samples))
    pieces = in_chunks(
        lambda rows: _trace(
            field, config, *(tensor[rows] for tensor in rays), cut_quantile=cut_quantile, keep_samples=keep_samples
        ),
        count=len(rays[0]),
        chunk=chunk_rays,
        what="rays",
    )
    return {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]} if pieces else {}


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
    that is its difference from grey.
    """
    seen = replace(seen, values=seen.values[:, :channels])
    if field.backdrop is None:
        return seen
    colors = behind(field.backdrop, config.background, origins, directions, pixels)
    shining = seen.transmittance_before_last[:, None] * (colors - 0.5)
    rest = seen.values[:, 3:]
    return replace(seen, values=torch.cat([seen.values[:, :3] + shining, rest], -1))


def _rays_per_chunk(samples: int, device: torch.device) -> int:
    """Rays whose samples make a chunk of a good size for the device."""
    points = CPU_POINTS if device.type == "cpu" else GPU_POINTS
    return max(1, points // samples)


_SAMPLE_NAMES = (
    "coarse_distances",
    "coarse_raw_density",
    "coarse_weights",
    "fine_distances",
    "distances",
    "raw_density",
    "ray_weights",
)


def _rows(tensor: Float[Tensor, "rays *n"], chosen: Bool[Tensor, " rays"]) -> Float[Tensor, "some *n"]:
    """Choose rows; one row repeated for all rays stays a single row in memory, however many rays there are."""
    if tensor.stride(0) == 0 and len(tensor) > 0:
        return tensor[:1].expand(int(chosen.sum()), *tensor.shape[1:])
    return tensor if chosen.all() else tensor[chosen]


def _fixed_or_given(
    config: RenderConfig,
    origins: Float[Tensor, "rays 3"],
    coarse_offsets: Float[Tensor, "rays coarse"] | None,
    fine_positions: Float[Tensor, "rays fine"] | None,
    coarse_noise: Float[Tensor, "rays coarse"] | None,
    fine_noise: Float[Tensor, "rays fine"] | None,
) -> tuple[
    Float[Tensor, "rays coarse"], Float[Tensor, "rays fine"], Float[Tensor, "rays coarse"], Float[Tensor, "rays fine"]
]:
    """Random numbers for both passes; where none are given, the middle of each interval, and no noise."""

    def filled(value: float, samples: int) -> Tensor:
        return origins.new_full((1, 1), value).expand(len(origins), samples)

    if fine_positions is None:
        steps = torch.arange(config.fine_samples, device=origins.device, dtype=origins.dtype)
        fine_positions = ((steps + 0.5) / max(config.fine_samples, 1)).expand(len(origins), -1)
    return (
        filled(0.5, config.coarse_samples) if coarse_offsets is None else coarse_offsets,
        fine_positions,
        filled(0.0, config.coarse_samples) if coarse_noise is None else coarse_noise,
        filled(0.0, config.fine_samples) if fine_noise is None else fine_noise,
    )


def _trace(
    field: RadianceField,
    config: RenderConfig,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    near: Float[Tensor, " rays"],
    far: Float[Tensor, " rays"],
    offsets: Float[Tensor, "rays coarse"],
    positions: Float[Tensor, "rays fine"],
    coarse_noise: Float[Tensor, "rays coarse"],
    fine_noise: Float[Tensor, "rays fine"],
    *,
    cut_quantile: float,
    keep_samples: bool,
) -> dict[str, Tensor]:
    """Follow a few rays; no background yet, and the distance as two sums."""
    activate = partial(_activated, field, cut_quantile)
    distances, metric = coarse_samples(config, offsets, near, far)
    values, raw = _evaluate(field, origins, directions, distances)
    raw = raw + coarse_noise
    passes, steps = [values], {"coarse_distances": distances, "coarse_raw_density": raw}
    if config.fine_samples:
        with torch.no_grad():
            coarse = _march(activate, config, raw, metric, last=config.last_in_coarse_pass)
            fine = importance_samples(distances, coarse.ray_weights, positions, config.importance)
        fine_values, fine_raw = _evaluate(field, origins, directions, fine)
        steps |= {"coarse_weights": coarse.ray_weights, "fine_distances": fine}
        passes, distances = [values, fine_values], torch.cat([distances, fine], -1)
        raw = torch.cat([raw, fine_raw + fine_noise], -1)

    distances, order = distances.sort(dim=-1)
    raw = raw.gather(-1, order)
    marched = _march(activate, config, raw, distances, last=True)
    # Weights go back to the order of evaluation: they are small, sorting all the values would move a lot of memory.
    weights = torch.zeros_like(marched.sample_weights).scatter(-1, order, marched.sample_weights)
    split = torch.split(weights, [piece.shape[-2] for piece in passes], -1)
    traced = {
        "values": torch.stack([blend(*pair) for pair in zip(split, passes, strict=True)]).sum(0),
        "distance_sum": (marched.sample_weights * distances).sum(-1),
        "weight_sum": marched.sample_weights.sum(-1),
        "nearest": distances[:, 0],
        "farthest": distances[:, -1],
        "opacity": marched.opacity,
        "transmittance": marched.transmittance,
        "transmittance_before_last": marched.transmittance_before_last,
    }
    if keep_samples:
        traced |= steps | {"distances": distances, "raw_density": raw, "ray_weights": marched.ray_weights}
    return traced


def _evaluate(
    field: RadianceField,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    distances: Float[Tensor, "rays samples"],
) -> tuple[Float[Tensor, "rays samples channels"], Float[Tensor, "rays samples"]]:
    """Ask the field at distances along the rays."""
    points = origins[:, None] + distances[..., None] * directions[:, None]
    return field(points, directions[:, None].expand_as(points))


def _activated(
    field: RadianceField, cut_quantile: float, raw_density: Float[Tensor, "rays samples"]
) -> Float[Tensor, "rays samples"]:
    """Density of all samples of a pass, without its thinnest ones."""
    density = field.activate(raw_density)
    if not cut_quantile:
        return density
    return torch.where(density < torch.quantile(density, cut_quantile), 0.0, density)


def _march(
    activate: Callable[[Tensor], Tensor],
    config: RenderConfig,
    raw_density: Float[Tensor, "rays samples"],
    distances: Float[Tensor, "rays samples"],
    *,
    last: bool,
) -> MarchedRays:
    """Weigh the samples as the settings say; `last` lets a background "last" have its effect."""
    return march(
        raw_density,
        distances,
        activate,
        marcher=config.marcher,
        last_interval=config.last_interval,
        last_takes_rest=last and config.background == "last",
    )


def _mean_distance(traced: dict[str, Tensor], end: Float[Tensor, " rays"]) -> Float[Tensor, " rays"]:
    """The mean distance of what a ray met, or the scene's end."""
    total = traced["weight_sum"]
    return torch.where(total > _NOTHING, traced["distance_sum"] / total.clamp_min(_NOTHING), end)


def _exact_distance(
    traced: dict[str, Tensor], config: RenderConfig, distance_range: tuple[float, float] | None
) -> Float[Tensor, " rays"]:
    """The distance by the settings' rule; without a range the extrema are those of all samples of the call."""
    if config.distance_rule == "sum":
        return traced["distance_sum"]
    mean = torch.nan_to_num(traced["distance_sum"] / traced["weight_sum"], nan=float("inf"))
    if distance_range is not None:
        return mean.clamp(*distance_range)
    return mean.clamp(traced["nearest"].min(), traced["farthest"].max())


def _nothing(field: RadianceField, config: RenderConfig, origins: Float[Tensor, "rays 3"]) -> RayOutputs:
    """What rays that meet nothing see: the background, at the scene's end."""
    channels = field(origins[:1])[0].shape[-1]
    opacity = torch.zeros_like(origins[:, 0])
    values = add_background(origins.new_zeros(len(origins), channels), opacity, config.background)
    return RayOutputs(values, scene_end(field, config, origins), opacity, 1 - opacity, 1 - opacity)
