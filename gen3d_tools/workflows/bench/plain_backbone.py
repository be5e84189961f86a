"""The yardstick for backbones: a StyleGAN2 synthesis network run the way the published code runs it on a CPU.

Every kernel is scaled and normalised per sample as a five-dimensional tensor and convolved in groups; bias, activation,
gain and clamp are passes of their own; pictures are enlarged by putting zeros between their pixels and filtering. The
parameters are those of the package's network, and so is the result, up to rounding (a test compares them).
"""

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.generators.networks.layers import LRELU_GAIN, LRELU_SLOPE, SynthesisLayer, ToRGB, low_pass_filter
from gen3d_tools.generators.networks.stylegan2 import SynthesisBlock, SynthesisNetwork


def synthesize(network: SynthesisNetwork, ws: Float[Tensor, "b num_ws w_dim"]) -> Float[Tensor, "b image_channels r r"]:
    """Run a synthesis network with its constant noise."""
    x: Tensor | None = None
    image: Tensor | None = None
    start = 0
    for _, _, block in network.blocks():
        x, image = run_block(block, x, image, ws[:, start : start + block.num_convs + 1])
        start += block.num_convs
    assert image is not None
    return image


def run_block(
    block: SynthesisBlock,
    x: Tensor | None,
    image: Tensor | None,
    ws: Float[Tensor, "b rows w_dim"],
    *,
    noise: bool = True,
) -> tuple[Tensor, Tensor]:
    """Run one block; the super-resolution's blocks go without noise."""
    rows = list(ws.unbind(1))
    x = block.const[None].repeat(len(ws), 1, 1, 1) if x is None else _layer(block.conv0, x, rows.pop(0), noise)
    x = _layer(block.conv1, x, rows.pop(0), noise)
    update = _to_rgb(block.torgb, x, rows.pop(0))
    if image is not None and block.up == 2:
        image = _filtered(_zeros_between(image), 2, 1, 2, 1)
    return x, update if image is None else image + update


def _layer(layer: SynthesisLayer, x: Tensor, w: Tensor, noise: bool) -> Tensor:
    y = _modulated(x, layer.weight, layer.affine(w), up=layer.up, demodulate=True)
    if noise and layer.use_noise:
        y = y + layer.noise_const * layer.noise_strength
    y = y + layer.bias[:, None, None]
    y = F.leaky_relu(y, LRELU_SLOPE)
    y = y * LRELU_GAIN
    return y if layer.conv_clamp is None else y.clamp(-layer.conv_clamp, layer.conv_clamp)


def _to_rgb(layer: ToRGB, x: Tensor, w: Tensor) -> Tensor:
    styles = layer.affine(w) * (1 / math.sqrt(layer.weight.shape[1]))
    y = _modulated(x, layer.weight, styles, up=1, demodulate=False) + layer.bias[:, None, None]
    return y if layer.conv_clamp is None else y.clamp(-layer.conv_clamp, layer.conv_clamp)


def _modulated(x: Tensor, weight: Tensor, styles: Tensor, *, up: int, demodulate: bool) -> Tensor:
    """Scale the kernels per sample, [b, out, in, k, k], and convolve all samples as groups of one convolution."""
    count, channels, height, width = x.shape
    kernels = weight[None] * styles[:, None, :, None, None]
    if demodulate:
        kernels = kernels * (kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    x = x.reshape(1, count * channels, height, width)
    if up == 1:
        y = F.conv2d(x, kernels.flatten(0, 1), padding=weight.shape[-1] // 2, groups=count)
    else:
        y = F.conv_transpose2d(x, kernels.transpose(1, 2).flatten(0, 1), stride=2, groups=count)
        y = _filtered(y, 1, 1, 1, 1)
    return y.reshape(count, len(weight), *y.shape[2:])


def _zeros_between(image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 2*h 2*w"]:
    """Put a zero after every pixel, along rows and columns."""
    count, channels, height, width = image.shape
    spread = F.pad(image.reshape(count, channels, height, 1, width, 1), (0, 1, 0, 0, 0, 1))
    return spread.reshape(count, channels, 2 * height, 2 * width)


def _filtered(x: Float[Tensor, "b c h w"], left: int, right: int, top: int, bottom: int) -> Float[Tensor, "b c h2 w2"]:
    """Pad with zeros and apply the low-pass filter, channel by channel, times 4: every second pixel was a zero."""
    taps = low_pass_filter(x.dtype, x.device) * 4
    padded = F.pad(x, (left, right, top, bottom))
    return F.conv2d(padded, taps.expand(x.shape[1], 1, 4, 4).contiguous(), groups=x.shape[1])
