"""The blur of everything that the discriminator sees in the beginning (Karras et al. 2021, EG3D section 4.3)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.training.schedules import blur_radius

DEPTH_SIGMA = 30.0  # of the second filter of depth (3DGP); its support is the blur's


def kernel(radius: int, sigma: float, like: Tensor) -> Float[Tensor, " taps"]:
    """Taps proportional to 2^(-(i / sigma)^2), |i| <= radius, summing to 1. Sigma is no standard deviation."""
    i = torch.arange(-radius, radius + 1, device=like.device, dtype=like.dtype)
    taps = torch.exp2(-((i / sigma) ** 2))
    return taps / taps.sum()


def filtered(images: Float[Tensor, "b channels h w"], taps: Float[Tensor, " taps"]) -> Float[Tensor, "b channels h w"]:
    """Filter rows and columns with zeros beyond the border, which darkens it."""
    channels, radius = images.shape[1], len(taps) // 2
    across = taps.expand(channels, 1, 1, -1)
    images = F.conv2d(images, across, padding=(0, radius), groups=channels)
    return F.conv2d(images, across.transpose(2, 3), padding=(radius, 0), groups=channels)


def blurred(images: Float[Tensor, "b channels h w"], sigma: float) -> Float[Tensor, "b channels h w"]:
    """Blur all channels alike; below a third of a pixel nothing happens.

    Args:
        images: Colour, and depth as a fourth channel where there is some.
        sigma: Pixels of these images.
    """
    radius = blur_radius(sigma)
    return filtered(images, kernel(radius, sigma, images)) if radius > 0 else images


def smoothed_depth(images: Float[Tensor, "b channels h w"], sigma: float) -> Float[Tensor, "b channels h w"]:
    """Filter the depth (the fourth channel) once more, nearly evenly over the blur's support (3DGP)."""
    radius = blur_radius(sigma)
    if radius <= 0 or images.shape[1] <= 3:
        return images
    return torch.cat([images[:, :3], filtered(images[:, 3:], kernel(radius, DEPTH_SIGMA, images))], 1)
