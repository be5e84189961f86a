"""Only the rays that are needed: pictures of several fields through given pixels, with gradients.

Samples outside the compiled renderer's reach (noise on densities, coarse intervals measured in shares of the ray)
go by the reference. The fields of a batch differ in their planes alone, which were synthesised at once.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.rendering.differentiable import render_together
from gen3d_tools.rendering.ray_rendering import trace_rays
from gen3d_tools.rendering.rays import rays_through
from gen3d_tools.rendering.volume.reach import scene_end
from gen3d_tools.rendering.volume.sampling import random_numbers

RaySampling = Literal["fast", "reference"]

_UNSEEN = 1e-4
"""Share of a ray's light below which a sample carries no gradient: what is empty, and what lies behind surfaces."""


def render_pixels(
    fields: Sequence[RadianceField],
    cameras: Camera,
    pixels: Float[Tensor, "b rays 2"],
    *,
    sampling: RaySampling = "fast",
    jitter: torch.Generator | None = None,
    density_noise: float = 0.0,
) -> tuple[Float[Tensor, "b channels n n"], Float[Tensor, "b 1 n n"]]:
    """Look at each field through a square grid of pixels of its own.

    Args:
        fields: One per camera.
        cameras: Gradients reach them.
        pixels: Where rays pass through the picture, image sides, row by row.
        sampling: "reference" follows the family's scheme to the letter.
        jitter: Places the samples on their rays; without it they lie in the middle of their intervals.
        density_noise: Standard deviation of noise on raw densities (EpiGRAF, appendix; needs `jitter`).

    Returns:
        Values in [0, 1], the colour first, and the mean distance along each ray; light that nothing stops has gone to
        the scene's end.
    """
    view = None
    if sampling == "fast":
        view = render_together(
            fields, cameras, pixels, threshold=_UNSEEN, generator=jitter, density_noise=density_noise
        )
    if view is not None:
        end = scene_end(fields[0], fields[0].render_config, cameras.position)
        return view.values, view.distance + (1 - view.opacity) * end[:, None, None, None]
    seen = [_traced(field, cameras[index], pixels[index], jitter, density_noise) for index, field in enumerate(fields)]
    return torch.stack([values for values, _ in seen]), torch.stack([distance for _, distance in seen])


def _traced(
    field: RadianceField,
    camera: Camera,
    pixels: Float[Tensor, "rays 2"],
    jitter: torch.Generator | None,
    density_noise: float,
) -> tuple[Float[Tensor, "channels n n"], Float[Tensor, "1 n n"]]:
    """One picture by the family's scheme to the letter."""
    config: RenderConfig = field.render_config
    origins, directions = rays_through(camera.cam2world, camera.intrinsics, pixels)
    side = round(len(pixels) ** 0.5)
    end = rearrange(scene_end(field, config, origins), "(y x) -> 1 y x", y=side)
    numbers = None
    if jitter is not None:
        numbers = random_numbers(config, len(origins), jitter, origins.device, density_noise=density_noise)
    seen = trace_rays(field, origins, directions, sampling="reference", numbers=numbers, pixels=pixels)
    values = rearrange(seen.values, "(y x) c -> c y x", y=side)
    distance, opacity = (rearrange(one, "(y x) -> 1 y x", y=side) for one in (seen.distance, seen.opacity))
    missed = (1 - opacity) * end if config.distance_rule == "sum" else torch.zeros_like(distance)
    return values, distance + missed
