"""The layers of StyleGAN2 in plain torch: equalised linear layers and modulated convolutions.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (2020), in the form the
3D-aware generators use: 3x3 modulated convolutions without fan-in scaling and the [1, 3, 3, 1]
low-pass filter. No custom kernel: convolutions run in the order scale input by style -> shared
weight -> scale output by demodulation, which is the same mathematics as per-sample weights and
much faster on CPU.

Letters: `x` feature maps [b, c, h, w]; `w` one latent per sample [b, w_dim].
"""

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.generators.configs import NoiseMode
from gen3d_tools.generators.networks.convolution import convolve, wants_gradient
from gen3d_tools.generators.networks.modulated import (
    EPSILON,
    Doubled,
    Kept,
    LayerShape,
    add_mixed_channels,
    modulated_layer,
)

Activation = Literal["linear", "lrelu", "softplus"]

LRELU_SLOPE = 0.2
LRELU_GAIN = math.sqrt(2.0)


def normalize_second_moment(x: Float[Tensor, "*batch features"]) -> Float[Tensor, "*batch features"]:
    """Scale each vector to unit root mean square (StyleGAN2's normalisation of `z`)."""
    return x * (x.square().mean(-1, keepdim=True) + EPSILON).rsqrt()


def normal(*shape: int, divisor: float = 1.0) -> Float[Tensor, "..."]:
    """Draw the standard normal numbers that a network starts from, divided by `divisor`; see `constant`."""
    tensor = torch.empty(shape)
    return tensor if tensor.is_meta else tensor.normal_().div_(divisor)


def constant(*shape: int, value: float = 0.0) -> Float[Tensor, "..."]:
    """Give the equal numbers that a network starts from.

    On the device "meta" there are none, and nothing is computed: torch answers arithmetic there by importing its
    compiler, which takes longer than a picture.
    """
    tensor = torch.empty(shape)
    return tensor if tensor.is_meta else tensor.fill_(value)


def low_pass_filter(dtype: torch.dtype, device: torch.device) -> Float[Tensor, "4 4"]:
    """Return the outer product of [1, 3, 3, 1] with itself, summing to 1."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=dtype, device=device)
    return torch.outer(taps, taps) / 64


def upsample_image(image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 2*h 2*w"]:
    """Upsample x2 with the [1, 3, 3, 1] filter and zeros beyond the border (the skip path)."""
    doubled: Tensor = Doubled.apply(image, low_pass_filter(image.dtype, image.device) * 4)  # type: ignore[no-untyped-call]
    return doubled


class FullyConnected(nn.Module):
    """A linear layer with equalised learning rate.

    `y = act(x (W lr / sqrt(in))^T + b lr) gain`, gain sqrt(2) for "lrelu" and 1 otherwise.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        activation: Activation = "linear",
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.lr_multiplier = lr_multiplier
        self.weight = nn.Parameter(normal(out_features, in_features, divisor=lr_multiplier))
        self.bias = nn.Parameter(constant(out_features, value=bias_init / lr_multiplier))

    def forward(self, x: Float[Tensor, "*batch in_features"]) -> Float[Tensor, "*batch out_features"]:
        """Apply the layer to the last axis."""
        gain = self.lr_multiplier / math.sqrt(self.weight.shape[1])
        if x.ndim == 2:  # without a copy of the weight
            y = torch.addmm(self.bias, x, self.weight.T, beta=self.lr_multiplier, alpha=gain)
        else:
            y = F.linear(x, self.weight * gain, self.bias * self.lr_multiplier)
        if self.activation == "lrelu":
            return F.leaky_relu(y, LRELU_SLOPE) * LRELU_GAIN
        return F.softplus(y) if self.activation == "softplus" else y

    def numbers(self, input_gain: float = 1.0) -> tuple[Float[np.ndarray, "out_features in_features"], np.ndarray]:
        """Give weight and bias as arrays on the CPU, the learning rate's gain and a gain of the input included."""
        weight, bias = (one.detach().float().cpu().numpy() for one in self.tensors(input_gain))
        return weight, bias

    def tensors(self, input_gain: float = 1.0) -> tuple[Float[Tensor, "out_features in_features"], Tensor]:
        """Give what `numbers` gives as tensors through which gradients reach the parameters."""
        gain = self.lr_multiplier / math.sqrt(self.weight.shape[1]) * input_gain
        return self.weight * gain, self.bias * self.lr_multiplier


def affine_weight(layer: nn.Module) -> Float[Tensor, "channels w_dim"]:
    """Give the matrix by which a modulated layer of StyleGAN2 makes its styles of `w`, its gain included."""
    affine = layer.get_submodule("affine")
    assert isinstance(affine, FullyConnected)
    return affine.tensors()[0]


def modulated_conv2d(
    x: Float[Tensor, "b in_channels h w"],
    weight: Float[Tensor, "out_channels in_channels k k"],
    styles: Float[Tensor, "b in_channels"],
    *,
    up: int = 1,
    demodulate: bool = True,
    gain: float = 1.0,
    bias: Float[Tensor, " out_channels"] | None = None,
    norms: Float[Tensor, "out_channels in_channels"] | None = None,
) -> Float[Tensor, "b out_channels h2 w2"]:
    """Convolve with weights scaled per sample by `styles` (StyleGAN2, section 2.2, eq. 1-3).

    Args:
        x: Feature maps; computation runs in their dtype.
        weight: Shared kernel, correlation orientation, odd size.
        styles: Scale of each input channel, per sample.
        up: 2 doubles the size: transposed convolution with stride 2, then the low-pass filter.
        demodulate: Divide each output channel by the norm of its scaled kernel.
        gain: Multiplies the result (used to fold an activation gain into the demodulation).
        bias: Added at the end, not multiplied by anything.
        norms: Sums of squares of `weight` over its pixels, where the caller has kept them.
    """
    taps = low_pass_filter(x.dtype, x.device) * 4 if up == 2 else None
    scale = styles.new_full((len(x), len(weight)), gain)
    if demodulate:
        norms = weight.square().sum((2, 3)) if norms is None else norms
        scale = (styles.square() @ norms.T + EPSILON).rsqrt() * gain
    if len(x) == 1 and not wants_gradient(x, weight, styles, bias) and weight.numel() < 2 * x.numel():
        kernel = weight * (scale[0, :, None] * styles)[:, :, None, None]  # fewer numbers than there are in x and y
        kernel = kernel.to(x.dtype, memory_format=torch.channels_last)
        return convolve(x, kernel, None if bias is None else bias.to(x.dtype), taps)
    y = convolve(x * styles[:, :, None, None].to(x.dtype), weight.to(x.dtype), None, taps)
    factor = scale[:, :, None, None].to(y.dtype)
    if wants_gradient(y, factor, bias):
        return y * factor if bias is None else y * factor + bias[:, None, None].to(y.dtype)
    y *= factor
    return y if bias is None else y.add_(bias[:, None, None].to(y.dtype))


def _is_turned(kernel: Tensor) -> bool:
    return kernel.is_contiguous(memory_format=torch.channels_last)


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU with gain sqrt(2), optional clamp."""

    noise_const: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        w_dim: int,
        resolution: int,
        up: int = 1,
        use_noise: bool = True,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.up, self.resolution, self.use_noise, self.conv_clamp = up, resolution, use_noise, conv_clamp
        self.affine = FullyConnected(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(normal(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(constant(out_channels))
        if use_noise:
            self.register_buffer("noise_const", normal(resolution, resolution))
            self.noise_strength = nn.Parameter(constant())
        self._kept: tuple[tuple[int, int], Tensor, Kept] | None = None

    def forward(
        self,
        x: Float[Tensor, "b in_channels h w"],
        w: Float[Tensor, "b w_dim"],
        *,
        noise_mode: NoiseMode = "const",
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b out_channels h2 w2"]:
        """Apply the layer. The gain sqrt(2) is folded in before the ReLU, which commutes with it."""
        styles, bias = self.affine(w), self.bias * LRELU_GAIN
        if x.dtype == torch.float32 and wants_gradient(x, styles, bias):
            return self._learning(x, styles, bias, noise_mode, generator)
        y = modulated_conv2d(x, self.weight, styles, up=self.up, gain=LRELU_GAIN, bias=bias, norms=self._kept_norms())
        noise = None
        if self.use_noise and noise_mode != "none":
            noise = (self._noise(noise_mode, len(x), generator) * LRELU_GAIN).to(y.dtype)
        if wants_gradient(y, noise):  # in another precision
            y = F.leaky_relu(y if noise is None else y + noise, LRELU_SLOPE)
            return y if self.conv_clamp is None else y.clamp(-self.conv_clamp, self.conv_clamp)
        if noise is not None:
            y += noise
        F.leaky_relu_(y, LRELU_SLOPE)
        return y if self.conv_clamp is None else y.clamp_(-self.conv_clamp, self.conv_clamp)

    def _learning(
        self, x: Tensor, styles: Tensor, bias: Tensor, noise_mode: NoiseMode, generator: torch.Generator | None
    ) -> Tensor:
        """Apply the layer as one step of autograd."""
        noise = None
        if self.use_noise and noise_mode != "none":
            noise = self._noise(noise_mode, len(x), generator) * LRELU_GAIN
        taps = low_pass_filter(x.dtype, x.device) * 4 if self.up == 2 else None
        shape = LayerShape(LRELU_GAIN, LRELU_SLOPE, self.conv_clamp, self.up == 2)
        return modulated_layer(x, self.weight, styles, bias, noise, taps, shape, self._kept_parts(turned=True))

    def _kept_norms(self) -> Float[Tensor, "out_channels in_channels"] | None:
        """Sums of squares of the kernel, kept as long as it does not change; None where gradients must see them."""
        kept = self._kept_parts(turned=False)
        return None if kept is None else kept.norms

    def _kept_parts(self, *, turned: bool) -> Kept | None:
        """What is kept as long as the kernel does not change; None where gradients must see it.

        Args:
            turned: Whether the kernel is wanted channels last, which may be a copy.
        """
        weight = self.weight
        if wants_gradient(weight) or weight.is_inference():  # tensors of inference mode do not count their changes
            return None
        state = (weight.data_ptr(), weight._version)
        known = self._kept is not None and self._kept[0] == state and self._kept[1] is weight
        if self._kept is None or not known or (turned and not _is_turned(self._kept[2].kernel)):
            with torch.inference_mode(False), torch.no_grad():
                kernel = weight.detach()
                kernel = kernel.contiguous(memory_format=torch.channels_last) if turned else kernel
                self._kept = state, weight, Kept(weight.square().sum((2, 3)), kernel)
        return self._kept[2]

    def _noise(self, mode: NoiseMode, batch: int, generator: torch.Generator | None) -> Tensor:
        if mode == "const":
            return self.noise_const * self.noise_strength
        size = (batch, 1, self.resolution, self.resolution)
        return torch.randn(size, generator=generator, device=self.weight.device) * self.noise_strength


class ToRGB(nn.Module):
    """Modulated 1x1 convolution without demodulation: what a block adds to the running image."""

    def __init__(self, in_channels: int, out_channels: int, *, w_dim: int, conv_clamp: float | None = None) -> None:
        super().__init__()
        self.conv_clamp = conv_clamp
        self.affine = FullyConnected(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(normal(out_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(constant(out_channels))

    def forward(
        self,
        x: Float[Tensor, "b in_channels h w"],
        w: Float[Tensor, "b w_dim"],
        image: Float[Tensor, "b out_channels h w"] | None = None,
    ) -> Float[Tensor, "b out_channels h w"]:
        """Return the running float32 image with the block's contribution; the image given may be changed."""
        styles = self.affine(w) / math.sqrt(self.weight.shape[1])
        if x.dtype == torch.float32 and self.conv_clamp is None and wants_gradient(x, styles, self.bias, image):
            return add_mixed_channels(image, x, self.weight[None, :, :, 0, 0] * styles[:, None], self.bias)
        y = modulated_conv2d(x, self.weight, styles, demodulate=False, bias=self.bias).float()
        if self.conv_clamp is not None:
            y = y.clamp(-self.conv_clamp, self.conv_clamp)
        if image is None:
            return y
        return y + image if wants_gradient(y, image) else y.add_(image)
