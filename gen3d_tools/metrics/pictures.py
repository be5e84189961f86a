"""Distances between pictures, and what keeps latents, noise maps and generators plausible."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

_LEVELS = (1.0, 0.5, 0.5)  # weights of the pyramid's levels, finest first
_SSIM_WINDOW = 5
_SMALLEST_NOISE = 8  # the pyramid of noise maps ends at this side


def pyramid_l1(image: Float[Tensor, "b c n n"], target: Float[Tensor, "b c n n"]) -> Float[Tensor, ""]:
    """Mean absolute difference on a pyramid of three levels, each half the size of the one before."""
    total = image.new_zeros(())
    for weight in _LEVELS:
        total = total + weight * (image - target).abs().mean()
        if image.shape[-1] < 2:
            break
        image, target = F.avg_pool2d(image, 2), F.avg_pool2d(target, 2)
    return total


def ssim(image: Float[Tensor, "b c n n"], target: Float[Tensor, "b c n n"]) -> Float[Tensor, ""]:
    """Structural similarity, 1 for equal pictures in [0, 1] (Wang et al. 2004, eq. 13, with a box window)."""
    window = min(_SSIM_WINDOW, image.shape[-1])

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, window, stride=1)

    first, second = mean(image), mean(target)
    spread_first = mean(image * image) - first * first
    spread_second = mean(target * target) - second * second
    together = mean(image * target) - first * second
    c1, c2 = 0.01**2, 0.03**2
    likeness = (2 * first * second + c1) * (2 * together + c2)
    return (likeness / ((first**2 + second**2 + c1) * (spread_first + spread_second + c2))).mean()


def psnr(image: Float[Tensor, "*b c n n"], target: Float[Tensor, "*b c n n"]) -> float:
    """Peak signal-to-noise ratio in dB of pictures in [0, 1], over all of them."""
    return float(-10 * torch.log10((image - target).square().mean().clamp_min(1e-10)))


def noise_penalty(maps: Sequence[Tensor]) -> Tensor:
    """Correlation of each noise map [h, w] with itself, shifted by one texel, on its pyramid down to side 8.

    A map that carries a picture is correlated; white noise is not (Karras et al., StyleGAN2, appendix D).
    """
    total = torch.zeros((), device=maps[0].device) if maps else torch.zeros(())
    for one in maps:
        level = one[None, None]
        while True:
            for axis in (2, 3):
                total = total + (level * level.roll(1, axis)).mean().square()
            if level.shape[-1] <= _SMALLEST_NOISE:
                break
            level = F.avg_pool2d(level, 2)
    return total


@torch.no_grad()
def renormalize(maps: Sequence[Tensor]) -> None:
    """Give every noise map [h, w] mean 0 and root mean square 1, in place."""
    for one in maps:
        one -= one.mean()
        one *= one.square().mean().clamp_min(1e-12).rsqrt()
