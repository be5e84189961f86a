"""The geometry-aware generator in training: several views of each object, its planes computed once (Shen & Wang)."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.configs import NoiseMode
from gen3d_tools.generators.families.geometry_aware import GeometryAwareGenerator
from gen3d_tools.rendering.rays import pixel_coordinates
from gen3d_tools.training.draws import Draws
from gen3d_tools.training.synthesis.rendering import RaySampling, render_pixels


def views(
    generator: GeometryAwareGenerator,
    ws: Float[Tensor, "b num_ws w_dim"],
    cameras: list[Camera],
    side: int,
    draws: Draws,
    *,
    sampling: RaySampling = "fast",
) -> Float[Tensor, "views b 3 n n"]:
    """See each object from one camera of every list.

    Args:
        generator: The generator.
        ws: Latents of the objects.
        cameras: For each view a batch of cameras, one per object.
        side: Pixels along a side.
        draws: Jitter.
        sampling: See `render_pixels`.

    Returns:
        Pictures in [-1, 1].
    """
    fields = fields_of(generator, ws, draws)
    pixels = pixel_coordinates(side, generator.settings.render_config.pixel_grid, device=ws.device)
    grid = pixels.expand(len(ws), -1, -1)
    seen = [render_pixels(fields, camera, grid, sampling=sampling, jitter=draws.jitter)[0] for camera in cameras]
    return torch.stack(seen)[:, :, :3] * 2 - 1


def fields_of(
    generator: GeometryAwareGenerator, ws: Float[Tensor, "b num_ws w_dim"], draws: Draws
) -> list[TriplaneField]:
    """The scenes of all objects; their planes are computed once, with fresh noise, whatever the number of views."""
    mode: NoiseMode = "none" if draws.jitter is None else "random"
    image = generator.backbone.synthesis(ws, noise_mode=mode, generator=draws.noise_for(ws.device))
    return [generator.field(planes) for planes in rearrange(image, "b (plane c) h w -> b plane c h w", plane=3)]
