"""Several samples in one exact call, where the published code lets the rays of a batch influence each other."""

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.rendering.ray_rendering import BatchContext, trace_rays
from gen3d_tools.rendering.volume.outputs import RayOutputs
from gen3d_tools.rendering.volume.reach import exact_limits
from gen3d_tools.rendering.volume.sampling import RandomNumbers, coarse_shares, place_on_rays, random_numbers


def render_rays_together(
    fields: Sequence[RadianceField],
    origins: Float[Tensor, "b rays 3"],
    directions: Float[Tensor, "b rays 3"],
    config: RenderConfig | None = None,
    *,
    generator: torch.Generator | None = None,
    chunk_rays: int | None = None,
    keep_samples: bool = False,
) -> list[RayOutputs]:
    """Follow each field's rays by `trace_rays`, as one batch of the published code.

    There, missed rays take over the limits of all rays of the batch, mean distances are clamped to the extremes of
    the batch, and random numbers are drawn for the whole batch. Pictures of single samples need none of this.

    Args:
        fields: One per row, of one generator.
        origins: Where the rays start.
        directions: Unit vectors.
        config: Instead of the fields' own settings.
        generator: Makes the samples, and the density noise of training if there was any, random.
        chunk_rays: Rays worked on at a time.
        keep_samples: Give the steps on the way too.
    """
    config = config or fields[0].render_config
    count = origins.shape[1]
    flat_origins, flat_directions = origins.reshape(-1, 3), directions.reshape(-1, 3)
    near, far = exact_limits(fields[0], flat_origins, flat_directions, config)
    numbers: RandomNumbers = {}
    if generator is not None:
        noise = fields[0].density_noise
        numbers = random_numbers(config, len(near), generator, origins.device, density_noise=noise)
    distance_range = _extremes(config, near, far, numbers.get("coarse_offsets"))
    rendered = []
    for index, field in enumerate(fields):
        rows = slice(index * count, (index + 1) * count)
        rendered.append(
            trace_rays(
                field,
                flat_origins[rows],
                flat_directions[rows],
                config,
                numbers=_rows(numbers, rows),
                context=BatchContext(limits=(near[rows], far[rows]), distance_range=distance_range),
                chunk_rays=chunk_rays,
                keep_samples=keep_samples,
            )
        )
    return rendered


def render_rays_cut(
    fields: Sequence[RadianceField],
    origins: Float[Tensor, "b rays 3"],
    directions: Float[Tensor, "b rays 3"],
    config: RenderConfig | None = None,
    *,
    cut_quantile: float,
) -> list[RayOutputs]:
    """Follow each field's rays exactly, without densities below a quantile of all densities of the batch (3DGP).

    Args:
        fields: One per row, of one generator.
        origins: Where the rays start.
        directions: Unit vectors.
        config: Instead of the fields' own settings.
        cut_quantile: See `tracing.trace`.

    Raises:
        InputError: The batch does not fit into memory in one piece.
    """
    rays = origins.shape[0] * origins.shape[1]
    seen = trace_rays(
        _SideBySide(fields, rays),
        origins.reshape(-1, 3),
        directions.reshape(-1, 3),
        config,
        context=BatchContext(cut_quantile=cut_quantile),
        chunk_rays=rays,
    )
    names = ("values", "distance", "opacity", "transmittance", "transmittance_before_last")
    parts = [torch.chunk(getattr(seen, name), len(fields)) for name in names]
    return [RayOutputs(*columns) for columns in zip(*parts, strict=True)]


class _SideBySide(RadianceField):
    """Fields of one generator as one: the first rays ask the first field, and so on."""

    def __init__(self, fields: Sequence[RadianceField], rays: int) -> None:
        first = fields[0]
        self.fields, self.rays = fields, rays
        self.box_side, self.bounded, self.iso_level = first.box_side, first.bounded, first.iso_level
        self.render_config, self.density_activation = first.render_config, first.density_activation
        self.density_shift = first.density_shift

    def __call__(
        self, points: Float[Tensor, "*points 3"], directions: Float[Tensor, "*points 3"] | None = None
    ) -> tuple[Float[Tensor, "*points channels"], Float[Tensor, "*points"]]:
        """Let each field answer for its rays."""
        if len(points) != self.rays:
            raise InputError(f"the batch has {self.rays} rays, but there is memory for {len(points)}; give fewer")
        count = len(self.fields)
        towards = [None] * count if directions is None else list(directions.chunk(count))
        pieces = zip(self.fields, points.chunk(count), towards, strict=True)
        answers = [field(where, direction) for field, where, direction in pieces]
        values, raw = zip(*answers, strict=True)
        return torch.cat(values), torch.cat(raw)

    @property
    def device(self) -> torch.device:
        """Where the fields are."""
        return self.fields[0].device

    def to(self, device: torch.device | str) -> "_SideBySide":
        """Give the same fields elsewhere."""
        return _SideBySide([field.to(device) for field in self.fields], self.rays)


def _rows(numbers: RandomNumbers, rows: slice) -> RandomNumbers:
    """The numbers of a few rays."""
    return cast(RandomNumbers, {name: cast(Tensor, tensor)[rows] for name, tensor in numbers.items()})


def _extremes(
    config: RenderConfig, near: Float[Tensor, " rays"], far: Float[Tensor, " rays"], offsets: Tensor | None
) -> tuple[float, float]:
    """Smallest and largest distance of all samples; the fine ones always lie between the coarse ones."""
    if offsets is None:
        offsets = near.new_full((len(near), config.coarse_samples), 0.5)
    distances = place_on_rays(coarse_shares(config.jitter, offsets), near, far, config.spacing)
    return distances.min().item(), distances.max().item()
