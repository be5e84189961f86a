"""How StyleNeRF's layers double the size of their feature maps (Gu et al. 2022, section 3.3 and appendix).

The modes that learn (`nn_cat`, `pixelshuffle`) add a residual of two 1x1 layers to the nearest enlargement and low-pass
the sum. Whatever is linear in that is done where it is cheapest: before the enlargement, or on fewer channels.
"""

import math
from typing import cast, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.generators.configs import UpsampleMode
from gen3d_tools.generators.networks.convolution import wants_gradient
from gen3d_tools.generators.networks.layers import (
    LRELU_GAIN,
    LRELU_SLOPE,
    low_pass_filter,
    upsample_image,
)

UPSAMPLE_MODES: tuple[str, ...] = get_args(UpsampleMode)


class Pointwise(nn.Module):
    """A 1x1 convolution with equalised learning rate."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def matrix(self, like: Tensor, gain: float = 1.0) -> Float[Tensor, "out_channels in_channels 1 1"]:
        """The weight with its gain and another one, in the type of `like`."""
        return (self.weight * (gain / math.sqrt(self.weight.shape[1]))).to(like.dtype)

    def forward(self, x: Float[Tensor, "b in_channels h w"], gain: float = 1.0) -> Float[Tensor, "b out_channels h w"]:
        """Apply the layer and a gain."""
        return F.conv2d(x, self.matrix(x, gain), (self.bias * gain).to(x.dtype))


def build_adapter(mode: UpsampleMode, channels: int) -> nn.Sequential | None:
    """Build the two learned layers of a mode; None for modes without."""
    middle = channels // 4
    if mode.startswith("nn_cat"):
        return nn.Sequential(Pointwise(2 * channels, middle), Pointwise(middle, channels))
    if mode.startswith("pixelshuffle"):
        return nn.Sequential(Pointwise(channels, middle), Pointwise(middle, 4 * channels))
    return None


def enlarge(
    x: Float[Tensor, "b c h w"],
    mode: UpsampleMode,
    adapter: nn.Sequential | None,
    *,
    gain: float,
    bias: Float[Tensor, " c"],
) -> Float[Tensor, "b c 2*h 2*w"]:
    """Double the size of feature maps and add a bias, "default" with the low-pass filter of StyleGAN2.

    Args:
        x: Feature maps, multiplied by `gain` already.
        mode: How.
        adapter: Its learned layers, if it has some.
        gain: What the learned layers do not expect their input to be multiplied by.
        bias: Added at the end.
    """
    shift = bias[:, None, None].to(x.dtype)
    if mode == "default":
        return upsample_image(x) + shift
    if mode == "nearest":
        return blur(_doubled(x)) + shift
    if mode in ("bilinear", "bilinear_all", "bicubic"):
        method = "bicubic" if mode == "bicubic" else "bilinear"
        return F.interpolate(x, scale_factor=2, mode=method, align_corners=True) + shift
    assert adapter is not None
    blurred = not mode.endswith("noblur")
    if mode.startswith("nn_cat"):
        residual = _of_neighbours(x, adapter, blurred=blurred, gain=gain, bias=bias)
    else:
        first, second = _layers(adapter)
        middle = F.conv2d(x, first.matrix(x, 1 / gain), first.bias.to(x.dtype))
        residual = F.pixel_shuffle(second(_activated(middle), gain), 2)
        residual = (blur(residual) if blurred else residual) + shift
    larger = blur(_doubled(x)) if blurred else _doubled(x)
    return residual + larger if wants_gradient(residual, larger) else residual.add_(larger)


def _of_neighbours(
    x: Float[Tensor, "b c h w"],
    adapter: nn.Sequential,
    *,
    blurred: bool,
    gain: float,
    bias: Float[Tensor, " c"],
) -> Float[Tensor, "b c 2*h 2*w"]:
    """The residual that knows, in each quarter of a pixel, the two neighbours next to it.

    The first layer reads each pixel and the mean of two neighbours. It is linear, so it is applied to the small map
    and its results are averaged. The second is linear too, so the low-pass filter goes before it, where there are a
    quarter of the channels; its bias is one more channel, of ones, because the filter sees a border.
    """
    first, second = _layers(adapter)
    own, beside = torch.split(first.matrix(x, 1 / gain), x.shape[1], dim=1)
    here = F.conv2d(x, own, first.bias.to(x.dtype))
    around = F.pad(F.conv2d(x, beside / 2), (1, 1, 1, 1))
    left, right = around[:, :, 1:-1, :-2], around[:, :, 1:-1, 2:]
    above, below = around[:, :, :-2, 1:-1] + here, around[:, :, 2:, 1:-1] + here
    quarters = torch.stack([left + above, right + above, left + below, right + below], 2)
    middle = F.pixel_shuffle(_activated(quarters.flatten(1, 2)), 2)
    middle = torch.cat([middle, torch.ones_like(middle[:, :1])], 1)
    matrix = torch.cat([second.matrix(x, gain), (second.bias * gain)[:, None, None, None].to(x.dtype)], 1)
    return F.conv2d(blur(middle) if blurred else middle, matrix, bias.to(x.dtype))


def _layers(adapter: nn.Sequential) -> tuple[Pointwise, Pointwise]:
    return cast(Pointwise, adapter[0]), cast(Pointwise, adapter[1])


def _activated(x: Tensor) -> Tensor:
    if wants_gradient(x):
        return F.leaky_relu(x, LRELU_SLOPE) * LRELU_GAIN
    return F.leaky_relu_(x, LRELU_SLOPE).mul_(LRELU_GAIN)


def _doubled(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 2*h 2*w"]:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def blur(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Low-pass with [1, 3, 3, 1] and zeros around. Four taps have no middle: the map moves half a pixel on."""
    taps = low_pass_filter(x.dtype, x.device).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, taps, padding=2, groups=x.shape[1])[:, :, :-1, :-1]
