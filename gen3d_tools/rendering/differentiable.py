"""Pictures of a field that carry gradients at a fraction of the cost.

Two passes. The first, without gradients, finds where the samples of each ray lie and how much light each of them
stops. The second evaluates with gradients only the samples that stop more than a threshold; the others keep their
density. Where samples lie carries no gradient (NeRF, section 5.2).

The density may set in more gently than the field's own. A trained field can turn from empty to opaque within a
hundredth of a pixel; then only rays that graze a surface feel it, and an object cannot move. Dividing the raw density
by `width` before the activation and multiplying by it afterwards keeps the slope of dense places and widens the onset.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from functools import partial

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.density import activate_density
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import Jitter, RenderConfig
from gen3d_tools.rendering.backdrops import behind
from gen3d_tools.rendering.compiled.batches import trainable_batch
from gen3d_tools.rendering.compiled.gradients import trainable_field
from gen3d_tools.rendering.compiled.rays import compiles
from gen3d_tools.rendering.rays import pixel_coordinates, rays_through
from gen3d_tools.rendering.volume.compositing import MarchedRays, add_background, march_rays
from gen3d_tools.rendering.volume.reach import exact_limits
from gen3d_tools.rendering.volume.sampling import (
    coarse_shares,
    fixed_positions,
    importance_samples,
    place_on_rays,
    tight_limits,
)

_PROBES = 4096  # points at which the steepness of a field is measured
_NEAR_SURFACE = 0.05  # share of them that lie nearest to the density's onset

Activation = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class View:
    """What a grid of rays saw, or several grids; gradients reach the field and the camera."""

    values: Float[Tensor, "*b channels n n"]
    """Colour first, nominally 0..1, on the field's background; behind it the features for a super-resolution."""
    opacity: Float[Tensor, "*b 1 n n"]
    """Share of light stopped by the field, 0..1."""
    distance: Float[Tensor, "*b 1 n n"]
    """Sum of the samples' distances along the ray, world units, by the light that each stops; with an interval that
    closes the ray all light is stopped, and this is the mean."""

    @property
    def rgb(self) -> Float[Tensor, "*b 3 n n"]:
        """The colour."""
        return self.values[..., :3, :, :]


def render_differentiable(
    field: RadianceField,
    camera: Camera,
    pixels: Float[Tensor, "pixels 2"],
    *,
    config: RenderConfig | None = None,
    width: float = 1.0,
    threshold: float = 1e-4,
    fine_rounds: int = 1,
    generator: torch.Generator | None = None,
) -> View:
    """Look at a field along a square grid of rays.

    Args:
        field: What to look at.
        camera: A single camera.
        pixels: Where the rays pass through the picture, in image sides, row by row.
        config: Instead of the field's own settings.
        width: Of the density's onset, in units of the raw density; 1 is the field's own.
        threshold: Samples that stop a smaller share of the light carry no gradient.
        fine_rounds: Rounds of the settings' fine samples, each where the samples so far stop the light. A surface that
            is thin beside a coarse interval is met within a thousandth of the box by the second round.
        generator: Jitters the samples; without it they lie in the middle of their intervals.
    """
    config = config or field.render_config
    origins, directions = rays_through(camera.cam2world, camera.intrinsics, pixels)
    near, far, hit, config = _limits(field, origins, directions, config)
    activate = partial(_soft, field, width)
    if not hit.any():  # the object lies outside the picture: one ray is followed nevertheless, through nothing
        hit, near, far = hit.index_fill(0, hit.new_zeros(1, dtype=torch.long), True), near * 0, near * 0 + 1e-6
    starts, towards, near, far = (one[hit] for one in (origins, directions, near, far))
    numbers = _draw(config, fine_rounds, near, generator)
    jitter: Jitter = "ends" if generator is None and config.jitter == "ends" else "intervals"
    coarse = place_on_rays(coarse_shares(jitter, numbers[0]), near, far, config.spacing)
    laid_out = trainable_field(field) if origins.dtype == torch.float32 and compiles(config) else None
    if laid_out is not None:
        placed = laid_out.place(config, width, starts, towards, coarse, numbers[1:])
        found = laid_out.render(config, width, threshold, starts, towards, *placed)
        values, opacity, light = found.values, found.opacity, found.transmittance_before_last
        distance = found.distance_sum
    else:
        with torch.no_grad():
            placed = _place(field, activate, config, starts, towards, coarse, numbers[1:])
        values, distance, marched = _blend(field, activate, config, starts, towards, *placed, threshold)
        opacity, light = marched.opacity, marched.transmittance_before_last
    channels = values.shape[-1]
    everywhere = values.new_zeros(len(origins), channels + 3)
    everywhere[:, -1] = 1.0  # light left where nothing was met
    seen = torch.cat([values, distance[:, None], opacity[:, None], light[:, None]], -1)
    everywhere = everywhere.index_put((hit,), seen)
    values, distance, opacity, light = everywhere[:, :-3], *everywhere[:, -3:].unbind(-1)
    values = add_background(values, opacity, config.background)
    if field.backdrop is not None:
        seen_behind = behind(field.backdrop, config.background, origins, directions, pixels)
        shared = seen_behind.shape[-1]  # colours, and features where the backdrop has some
        shining = light[:, None] * (seen_behind - 0.5)
        values = torch.cat([values[:, :shared] + shining, values[:, shared:]], -1)
    side = round(len(pixels) ** 0.5)
    opacity, distance = (rearrange(one, "(y x) -> 1 y x", y=side) for one in (opacity, distance))
    return View(rearrange(values, "(y x) c -> c y x", y=side), opacity, distance)


def render_together(
    fields: Sequence[RadianceField],
    cameras: Camera,
    pixels: Float[Tensor, "b pixels 2"],
    *,
    threshold: float = 1e-4,
    generator: torch.Generator | None = None,
    density_noise: float = 0.0,
) -> View | None:
    """Do what `render_differentiable` does for several fields, each seen by a camera and through pixels of its own.

    Tri-plane fields that differ in their planes alone are one call of a compiled kernel; others are seen in turn.

    Args:
        fields: One per camera.
        cameras: A batch.
        pixels: Where the rays pass through the pictures, in image sides; as many for each, row by row.
        threshold: Samples that stop a smaller share of the light carry no gradient.
        generator: Jitters the samples; without it they lie in the middle of their intervals.
        density_noise: Standard deviation of noise on raw densities, in one call only.

    Returns:
        What they see; None where noise is wanted and one call cannot serve it.
    """
    config = fields[0].render_config
    batch = trainable_batch(fields) if pixels.dtype == torch.float32 and compiles(config) else None
    if density_noise and (batch is None or config.fine_samples or generator is None):
        return None
    if batch is None:
        seen = [
            render_differentiable(field, cameras[index], pixels[index], threshold=threshold, generator=generator)
            for index, field in enumerate(fields)
        ]
        return View(*(torch.stack([getattr(view, part.name) for view in seen]) for part in dataclass_fields(View)))
    count, rays = pixels.shape[:2]
    origins, directions = (one.flatten(0, 1) for one in rays_through(cameras.cam2world, cameras.intrinsics, pixels))
    near, far, hit, config = _limits(fields[0], origins, directions, config)
    bounds = torch.nn.functional.pad(hit.view(count, rays).sum(1).cumsum(0), (1, 0))
    starts, towards, near, far = (one[hit] for one in (origins, directions, near, far))
    numbers = _draw(config, 1, near, generator)
    coarse = place_on_rays(coarse_shares("intervals", numbers[0]), near, far, config.spacing)
    noise = torch.randn(coarse.shape, generator=generator) * density_noise if density_noise else None
    found = batch.see(config, threshold, starts, towards, bounds, coarse, numbers[1:], noise)
    rows = torch.cat([found.values, found.distance_sum[:, None], found.opacity[:, None]], -1)
    everywhere = rows.new_zeros(len(origins), rows.shape[-1]).index_put((hit,), rows)
    values, distance, opacity = everywhere[:, :-2], *everywhere[:, -2:].unbind(-1)
    values = rearrange(add_background(values, opacity, config.background), "(b p) c -> b c p", b=count)
    side = round(rays**0.5)
    shape = (count, -1, side, side)
    return View(values.reshape(shape), opacity.reshape(shape), distance.reshape(shape))


def sample_pixels(
    resolution: int,
    rays: int,
    field: RadianceField,
    generator: torch.Generator | None,
    turn: int | None = None,
    jitter: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Choose pixels: every s-th one along each side, so that no more than `rays` are left, from a random start.

    A series of choices has seen all pixels sooner, and equally often, if each start has its turn before one comes again
    (random reshuffling).

    Args:
        resolution: Side of the picture.
        rays: How many pixels at most.
        field: Says where the rays of a pixel pass.
        generator: Chooses the start, and where in their pixels the rays pass; without it the first, and the middles.
        turn: The number of this choice in a series, whose starts are then those of every series; None leaves the start
            to the generator.
        jitter: Side of the square around a pixel's middle, in pixels, in which its ray passes, each ray by itself.

    Returns:
        Indices of the chosen rows and columns [2, m], and where the rays pass [m * m, 2] in image sides.
    """
    stride = 1
    while (resolution // stride) ** 2 > max(rays, 1) and stride < resolution:
        stride += 1
    count = resolution // stride
    device = field.device
    start = torch.zeros(2, dtype=torch.long)
    if generator is not None:
        starts = resolution - (count - 1) * stride
        start = torch.randint(starts, (2,), generator=generator) if turn is None else _start_in_turn(turn, starts)
    chosen = (start[:, None] + stride * torch.arange(count)).to(device)
    middles = pixel_coordinates(resolution, field.render_config.pixel_grid, device=device)
    places = middles.reshape(resolution, resolution, 2)[chosen[0]][:, chosen[1]].reshape(-1, 2)
    if generator is not None and jitter:
        places = places + (torch.rand(places.shape, generator=generator).to(places) - 0.5) * (jitter / resolution)
    return chosen, places


def _start_in_turn(turn: int, starts: int) -> Tensor:
    """The row and column of a turn: all of them, each time in another order."""
    order = torch.randperm(starts**2, generator=torch.Generator().manual_seed(turn // starts**2))
    index = int(order[turn % starts**2])
    return torch.tensor([index // starts, index % starts])


@torch.no_grad()
def onset_width(field: RadianceField, pixel: float) -> float:
    """Give the width of the density's onset that spreads it over a length.

    Args:
        field: Its steepness is measured where the density sets in.
        pixel: That length, in world units.

    Returns:
        Units of the raw density; 1, the field's own, for one that is gentle enough, and for an exponential density,
        which has no onset.
    """
    if field.density_activation == "exp":
        return 1.0
    random = torch.Generator().manual_seed(0)
    points = (torch.rand(_PROBES, 3, generator=random) - 0.5) * field.box_side
    points = points.to(field.device)
    raw = (field.raw_density(points) + field.density_shift).abs()
    nearest = points[raw.topk(max(1, int(_NEAR_SURFACE * _PROBES)), largest=False).indices]
    step = field.box_side / 256
    offsets = step * torch.eye(3, device=points.device)
    ahead, behind_ = field.raw_density(torch.stack([nearest[:, None] + offsets, nearest[:, None] - offsets]))
    slope = float(((ahead - behind_) / (2 * step)).norm(dim=-1).median())
    return max(1.0, slope * pixel)


def _soft(field: RadianceField, width: float, raw_density: Float[Tensor, "*points"]) -> Float[Tensor, "*points"]:
    """The density with a wide onset."""
    return activate_density((raw_density + field.density_shift) / width, field.density_activation) * width


def _limits(
    field: RadianceField,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    config: RenderConfig,
) -> tuple[Float[Tensor, " rays"], Float[Tensor, " rays"], Bool[Tensor, " rays"], RenderConfig]:
    """First and last distance of each ray and which rays to follow; a box that holds everything cuts them."""
    origins, directions = origins.detach(), directions.detach()
    closed = config.closed and not field.bounded
    if (config.near == "box" or field.bounded) and not closed and config.background != "last":
        bounds = () if isinstance(config.near, str) or isinstance(config.far, str) else (config.near, config.far)
        near, far, hit = tight_limits(origins, directions, field.box_side, *bounds)
        return near, far, hit, replace(config, last_interval=None, last_interval_end=None)
    near, far = exact_limits(field, origins, directions, config)
    return near, far, torch.ones_like(near, dtype=torch.bool), config


def _draw(
    config: RenderConfig, fine_rounds: int, near: Float[Tensor, " rays"], generator: torch.Generator | None
) -> list[Float[Tensor, "rays _"]]:
    """Numbers in [0, 1) that place coarse samples and those of each fine round; middles without a generator."""

    def drawn(samples: int, otherwise: Tensor) -> Tensor:
        if generator is None:
            return otherwise.to(near).expand(len(near), samples)
        return torch.rand(len(near), samples, generator=generator).to(near)

    numbers = [drawn(config.coarse_samples, torch.tensor(0.5))]
    steps = fixed_positions(config, near.device)
    return numbers + [drawn(config.fine_samples, steps) for _ in range(fine_rounds if config.fine_samples else 0)]


def _place(
    field: RadianceField,
    activate: Activation,
    config: RenderConfig,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    distances: Float[Tensor, "rays coarse"],
    positions: Sequence[Float[Tensor, "rays fine"]],
) -> tuple[Float[Tensor, "rays samples"], Float[Tensor, "rays samples"]]:
    """Give the distances of coarse and fine samples, ascending, and the raw density there."""
    raw = field.raw_density(_points(origins, directions, distances))
    for numbers in positions:
        marched = _march(activate, config, raw, distances, last=config.last_in_coarse_pass)
        fine = importance_samples(distances, marched.ray_weights, numbers.contiguous(), config.importance)
        fine_raw = field.raw_density(_points(origins, directions, fine))
        distances, order = torch.cat([distances, fine], -1).sort(-1)
        raw = torch.cat([raw, fine_raw], -1).gather(-1, order)
    return distances, raw


def _blend(
    field: RadianceField,
    activate: Activation,
    config: RenderConfig,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    distances: Float[Tensor, "rays samples"],
    raw: Float[Tensor, "rays samples"],
    threshold: float,
) -> tuple[Float[Tensor, "rays channels"], Float[Tensor, " rays"], MarchedRays]:
    """Evaluate what matters with gradients and blend it."""
    with torch.no_grad():
        matters = _march(activate, config, raw, distances, last=True).sample_weights > threshold
        matters.view(-1)[raw.argmax()] = True  # so that there is always something to follow
    ray, sample = matters.nonzero(as_tuple=True)
    points = origins[ray] + distances[ray, sample][:, None] * directions[ray]
    features, fresh = field.deferred(points, directions[ray])
    marched = _march(activate, config, raw.index_put((ray, sample), fresh), distances, last=True)
    weights = marched.sample_weights[ray, sample]
    blended = features.new_zeros(len(origins), features.shape[-1]).index_add(0, ray, weights[:, None] * features)
    weight_sum = features.new_zeros(len(origins)).index_add(0, ray, weights)
    return field.shade(blended, weight_sum), (marched.sample_weights * distances).sum(-1), marched


def _points(
    origins: Float[Tensor, "rays 3"], directions: Float[Tensor, "rays 3"], distances: Float[Tensor, "rays samples"]
) -> Float[Tensor, "rays samples 3"]:
    return origins[:, None] + distances[..., None] * directions[:, None]


def _march(
    activate: Activation,
    config: RenderConfig,
    raw: Float[Tensor, "rays samples"],
    distances: Float[Tensor, "rays samples"],
    *,
    last: bool,
) -> MarchedRays:
    """Weigh the samples as the settings say; `last` lets a background "last" have its effect."""
    return march_rays(
        raw,
        distances,
        activate,
        marcher=config.marcher,
        last_interval=config.last_interval,
        last_interval_end=config.last_interval_end,
        last_takes_rest=last and config.background == "last",
    )
