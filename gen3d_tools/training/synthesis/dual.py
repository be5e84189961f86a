"""EG3D in training: a small rendering, and the super-resolution's picture of it; raw densities at points."""

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.generators.configs import NoiseMode
from gen3d_tools.generators.families.eg3d import EG3DGenerator
from gen3d_tools.rendering.rays import pixel_coordinates
from gen3d_tools.training.draws import Draws
from gen3d_tools.training.synthesis.fakes import Fakes, Request
from gen3d_tools.training.synthesis.rendering import RaySampling, render_pixels


def fakes(
    generator: EG3DGenerator,
    request: Request,
    told: Float[Tensor, "b 25"],
    side: int,
    draws: Draws,
    *,
    density_noise: float = 0.0,
    sampling: RaySampling = "fast",
) -> Fakes:
    """Make the pictures of a round.

    Args:
        generator: EG3D.
        request: What they are made of; `labels` are the cameras that are rendered.
        told: Camera numbers that the mapping network reads.
        side: Rays along a side.
        draws: Noise and jitter.
        density_noise: Standard deviation, on raw densities.
        sampling: See `render_pixels`.
    """
    labels = request.labels
    if labels is None:
        raise ValueError("this family needs camera labels")
    ws = generator.map(request.z, None, told)
    fields = [generator.field(planes) for planes in planes_in_training(generator, ws, draws)]
    pixels = pixel_coordinates(side, generator.settings.render_config.pixel_grid, device=ws.device)
    values, _ = render_pixels(
        fields,
        Camera.from_eg3d_label(labels),
        pixels.expand(len(ws), -1, -1),
        sampling=sampling,
        jitter=draws.jitter,
        density_noise=density_noise,
    )
    noise = generator.config.super_resolution_noise
    mode: NoiseMode = "none" if draws.jitter is None else noise
    image, raw = generator.superresolution(
        values * 2 - 1, ws[:, -1], noise_mode=mode, generator=draws.noise_for(ws.device)
    )
    return Fakes(image, raw_images=raw, ws=ws)


def planes_in_training(
    generator: EG3DGenerator, ws: Float[Tensor, "b num_ws w_dim"], draws: Draws
) -> Float[Tensor, "b 3 channels h w"]:
    """Synthesise the planes of all samples at once, with fresh noise."""
    mode: NoiseMode = "none" if draws.jitter is None else "random"
    return generator.planes(ws, noise_mode=mode, generator=draws.noise_for(ws.device))


def raw_density(
    generator: EG3DGenerator, ws: Float[Tensor, "b num_ws w_dim"], points: Float[Tensor, "b n 3"], draws: Draws
) -> Float[Tensor, "b n"]:
    """Raw densities at points of each sample's own scene."""
    planes = planes_in_training(generator, ws, draws)
    return torch.stack([generator.field(one).raw_density(at) for one, at in zip(planes, points, strict=True)])
