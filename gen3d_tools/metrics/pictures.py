"""Distances between pictures."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

_LEVELS = (1.0, 0.5, 0.5)  # weights of the pyramid's levels, finest first
_SSIM_WINDOW = 5


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
