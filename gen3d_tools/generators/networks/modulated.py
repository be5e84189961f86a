"""A modulated convolution with everything behind it as one step of autograd, for networks that learn or are inverted.

What torch's own graph of the same operations keeps and copies takes as long as the convolutions of a small network.
Here the graph keeps the input and the output alone. With styles s, demodulation d, y = conv(s x), z = d y + b + n and
the output a = lrelu(z), the way back needs no y: with g = dL/da and g' = dL/dz the leaky ReLU gives g' z = g a, so that
dL/dd = (sum g a - b sum g' - sum n g') / d.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def modulated_layer(
    x: Float[Tensor, "b in_channels h w"],
    weight: Float[Tensor, "out_channels in_channels k k"],
    styles: Float[Tensor, "b in_channels"],
    scale: Float[Tensor, "b out_channels"],
    bias: Float[Tensor, " out_channels"],
    noise: Float[Tensor, "*#b_one h2 w2"] | None,
    *,
    taps: Float[Tensor, "4 4"] | None,
    slope: float,
    clamp: float | None,
) -> Float[Tensor, "b out_channels h2 w2"]:
    """Scale channels, convolve, scale again, add noise and bias, and apply a leaky ReLU.

    Args:
        x: Feature maps.
        weight: Shared kernel.
        styles: Scale of each input channel.
        scale: Scale of each output channel: demodulation and gain; positive.
        bias: Of each output channel, gain included.
        noise: Added to all channels, gain included: [h2, w2] or [b, 1, h2, w2].
        taps: Low-pass filter of a layer that doubles the size; None keeps it.
        slope: Of the leaky ReLU below 0.
        clamp: Largest absolute value of the result.
    """
    result: Tensor = _ModulatedLayer.apply(x, weight, styles, scale, bias, noise, taps, slope, clamp)  # type: ignore[no-untyped-call]
    return result


class _ModulatedLayer(torch.autograd.Function):
    """Forward and backward of `modulated_layer`; the way back is made of operations that have gradients too."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        styles: Tensor,
        scale: Tensor,
        bias: Tensor,
        noise: Tensor | None,
        taps: Tensor | None,
        slope: float,
        clamp: float | None,
    ) -> Tensor:
        modulated = x * styles[:, :, None, None]
        if taps is None:
            y = F.conv2d(modulated, weight, padding=weight.shape[-1] // 2)
        else:
            y = F.conv_transpose2d(modulated, weight.transpose(0, 1), stride=2)
            y = F.conv2d(y, taps.expand(y.shape[1], 1, 4, 4), padding=1, groups=y.shape[1])
        y.mul_(scale[:, :, None, None]).add_(bias[:, None, None])
        if noise is not None:
            y.add_(noise)
        F.leaky_relu_(y, slope)
        if clamp is not None:
            y.clamp_(-clamp, clamp)
        ctx.save_for_backward(x, weight, styles, scale, bias, noise, taps, y)
        ctx.slope, ctx.clamp = slope, clamp
        return y

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, styles, scale, bias, noise, taps, result = ctx.saved_tensors
        wants_x, wants_weight, wants_styles, wants_scale, wants_bias, wants_noise = ctx.needs_input_grad[:6]
        if ctx.clamp is not None:
            slopes = slopes * (result.abs() < ctx.clamp)
        before = torch.ops.aten.leaky_relu_backward(slopes, result, ctx.slope, True)
        of_scale = of_bias = of_noise = None
        if wants_scale or wants_bias:
            sums = before.sum((2, 3))
            of_bias = sums.sum(0)
        if wants_scale:
            of_scale = (slopes * result).sum((2, 3)) - bias * sums
            if noise is not None:
                of_scale = of_scale - (before * noise).sum((2, 3))
            of_scale = of_scale / scale
        if wants_noise:
            of_noise = before.sum(1, keepdim=True) if noise.ndim == 4 else before.sum((0, 1))
        of_y = before * scale[:, :, None, None]
        of_modulated, of_weight = _convolution_backward(
            of_y, x, weight, styles, taps, wants_x or wants_styles, wants_weight
        )
        of_x = of_styles = None
        if wants_styles:
            of_styles = (of_modulated * x).sum((2, 3))
        if wants_x:
            of_x = of_modulated * styles[:, :, None, None]
        return of_x, of_weight, of_styles, of_scale, of_bias, of_noise, None, None, None


def _convolution_backward(
    slopes: Tensor, x: Tensor, weight: Tensor, styles: Tensor, taps: Tensor | None, wants_x: bool, wants_weight: bool
) -> tuple[Tensor, Tensor | None]:
    """Gradients of the modulated input and of the kernel."""
    modulated = x * styles[:, :, None, None] if wants_weight else x  # the kernel's gradient alone reads its values
    kernel = weight
    if taps is not None:
        channels = slopes.shape[1]
        slopes = F.conv2d(slopes, taps.expand(channels, 1, 4, 4), padding=2, groups=channels)
        kernel = weight.transpose(0, 1)
    sides = {"stride": 2, "padding": 0} if taps is not None else {"stride": 1, "padding": weight.shape[-1] // 2}
    of_x, of_kernel, _ = torch.ops.aten.convolution_backward(
        slopes,
        modulated,
        kernel,
        None,
        [sides["stride"]] * 2,
        [sides["padding"]] * 2,
        [1, 1],
        taps is not None,
        [0, 0],
        1,
        [wants_x, wants_weight, False],
    )
    return of_x, of_kernel.transpose(0, 1) if taps is not None and of_kernel is not None else of_kernel


class Doubled(torch.autograd.Function):
    """Twice the size by the low-pass filter with zeros beyond the border; the way back is the filter itself."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, taps: Tensor) -> Tensor:
        """Interpolate: that filter is bilinear everywhere but at the border, where a ring of zeros helps."""
        ctx.save_for_backward(taps)
        doubled = F.interpolate(F.pad(image, (1, 1, 1, 1)), scale_factor=2, mode="bilinear", align_corners=False)
        return doubled[:, :, 2:-2, 2:-2]

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, None]:
        """Filter, and take every second pixel."""
        (taps,) = ctx.saved_tensors
        channels = slopes.shape[1]
        return F.conv2d(slopes, taps.expand(channels, 1, 4, 4), stride=2, padding=1, groups=channels), None
