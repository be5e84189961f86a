"""Layers whose learning-rate settings are all configurable, as VolumeGAN's framework has them.

A weight is stored raw and multiplied by a factor at run time: `gain * lr / sqrt(fan_in)`, or `lr` alone for a network
that was trained without the scaling (Karras et al. 2018, section 4.1). The layers of `layers.py` are the special case
of StyleGAN2.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.generators.configs import NoiseKind, NoiseMode
from gen3d_tools.generators.networks.convolution import wants_gradient
from gen3d_tools.generators.networks.layers import LRELU_GAIN, LRELU_SLOPE, upsample_image

ScaledActivation = Literal["linear", "lrelu", "relu"]


@dataclass(frozen=True)
class WeightScale:
    """How stored weights and biases become the ones that are used."""

    fan_in: bool = True
    gain: float = 1.0
    lr: float = 1.0

    def factor(self, inputs: int) -> float:
        """What the weights of a layer with so many inputs are multiplied by."""
        return self.gain * self.lr / math.sqrt(inputs) if self.fan_in else self.lr


UNSCALED_LR = WeightScale()
"""Scaled by the fan-in alone."""


def apply_activation(x: Float[Tensor, "*shape"], activation: ScaledActivation) -> Float[Tensor, "*shape"]:
    """Apply a layer's activation without its gain."""
    if activation == "lrelu":
        return F.leaky_relu(x, LRELU_SLOPE)
    return F.relu(x) if activation == "relu" else x


def activation_gain(activation: ScaledActivation) -> float:
    """What follows an activation: sqrt(2), and nothing behind a linear layer."""
    return 1.0 if activation == "linear" else LRELU_GAIN


class ScaledLinear(nn.Module):
    """A fully connected layer: `y = act(x (W g)^T + b lr) gain`.

    Args:
        inputs: Width of the input.
        outputs: Width of the output.
        activation: Behind the sum.
        scale: From stored to used numbers.
        bias: Whether there is one.
        bias_init: Effective bias of a fresh layer.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        activation: ScaledActivation = "linear",
        scale: WeightScale = UNSCALED_LR,
        bias: bool = True,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.activation, self.scale = activation, scale
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / scale.lr)
        self.bias = nn.Parameter(torch.full((outputs,), bias_init / scale.lr)) if bias else None

    def used_weight(self) -> Float[Tensor, "outputs inputs"]:
        """Give the matrix that inputs are multiplied by, its factor included."""
        return self.weight * self.scale.factor(self.weight.shape[1])

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Apply the layer to the last axis."""
        y = F.linear(x, self.used_weight())
        if self.bias is not None:
            y = y + self.bias * self.scale.lr
        return apply_activation(y, self.activation) * activation_gain(self.activation)


class ModulatedPixels(nn.Module):
    """A modulated 1x1 convolution, and what may follow it: upsampling, noise, bias, activation, clamp.

    `y_o = d_o sum_i W_oi s_i x_i` with styles `s = style(w)` and, demodulating, `d_o = (sum_i (W_oi s_i)^2 + eps)^-1/2`
    (StyleGAN2, eq. 1-3); without demodulation the weight has its run-time factor instead.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        w_dim: Size of `w`.
        resolution: Side of the output, which its noise has.
        activation: Behind the sum.
        scale: Of the weight (without demodulation), the bias and the style layer.
        demodulate: See above.
        up: 2 doubles the size behind the convolution, with the [1, 3, 3, 1] filter.
        noise: Shape of the constant noise: one per pixel, one per channel, or none.
        eps: Of the demodulation.
        clamp: Limit of the output.
    """

    noise: Tensor | None

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        w_dim: int,
        resolution: int = 1,
        activation: ScaledActivation = "lrelu",
        scale: WeightScale = UNSCALED_LR,
        demodulate: bool = True,
        up: int = 1,
        noise: NoiseKind = "none",
        eps: float = 1e-8,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.resolution, self.activation, self.scale = resolution, activation, scale
        self.demodulate, self.up, self.eps, self.clamp = demodulate, up, eps, clamp
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(outputs))
        if noise != "none":
            self.noise_strength = nn.Parameter(torch.zeros([]))
            shape = (1, 1, resolution, resolution) if noise == "spatial" else (1, outputs, 1, 1)
            self.register_buffer("noise", torch.randn(shape))
        else:
            self.noise = None
        self.style = ScaledLinear(w_dim, inputs, scale=scale, bias_init=1.0)

    def folded_weight(self, w: Float[Tensor, "b w_dim"]) -> Float[Tensor, "b outputs inputs"]:
        """The plain matrix that the convolution is for one `w`: styles and demodulation multiplied in."""
        weight: Tensor = self.weight[None, :, :, 0, 0] * self.style(w)[:, None]
        if self.demodulate:
            return weight * (weight.square().sum(-1, keepdim=True) + self.eps).rsqrt()
        return weight * self.scale.factor(weight.shape[-1])

    def forward(
        self,
        x: Float[Tensor, "b inputs h w"],
        w: Float[Tensor, "b w_dim"],
        *,
        noise_mode: NoiseMode = "const",
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b outputs h2 w2"]:
        """Apply the layer, in the type of `x`. "random" noise is drawn from `generator`."""
        gain = activation_gain(self.activation)  # commutes with the activation, and is applied to what is small
        weight = (self.folded_weight(w) * gain).to(x.dtype)
        y = torch.matmul(weight, x.flatten(2)).reshape(len(x), -1, *x.shape[2:])
        if self.up == 2:
            y = upsample_image(y)
        shift = (self.bias * self.scale.lr * gain)[:, None, None]
        if self.noise is not None and noise_mode != "none":
            shift = shift + self._noise(noise_mode, len(x), generator) * (self.noise_strength * gain)
        shift = shift.to(y.dtype)
        if wants_gradient(y, shift):
            y = apply_activation(y + shift, self.activation)
            return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)
        y += shift
        if self.activation != "linear":
            F.leaky_relu_(y, LRELU_SLOPE if self.activation == "lrelu" else 0.0)
        return y if self.clamp is None else y.clamp_(-self.clamp, self.clamp)

    def _noise(self, mode: NoiseMode, batch: int, generator: torch.Generator | None) -> Tensor:
        assert self.noise is not None
        if mode == "const":
            return self.noise
        drawn = torch.randn((batch, *self.noise.shape[1:]), generator=generator)
        return drawn.to(self.noise.device)
