"""Convolutions of the discriminators: StyleGAN2's, and EpiGRAF's whose input channels a patch's parameters scale."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.generators.networks.convolution import convolve
from gen3d_tools.generators.networks.layers import (
    LRELU_GAIN,
    LRELU_SLOPE,
    FullyConnected,
    constant,
    normal,
    normalize_second_moment,
)
from gen3d_tools.training.discriminators.filtering import halved, low_passed


class Convolution(nn.Module):
    """An equalised convolution, low-passed and halved where asked, then bias, activation, gain and clamp.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: 1 or 3.
        bias: Whether there is one.
        activation: "lrelu" has the gain sqrt(2).
        down: 2 halves the size.
        gain: Multiplies the output, and the clamp with it.
        clamp: Largest absolute value of the output, before the gain; None for none.
        modulation: Width of the vector that scales the input channels by 1 + tanh(affine(vector)) (EpiGRAF, eq. 5);
            0 = none.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        bias: bool = True,
        activation: Literal["linear", "lrelu"] = "lrelu",
        down: int = 1,
        gain: float = 1.0,
        clamp: float | None = None,
        modulation: int = 0,
    ) -> None:
        super().__init__()
        self.activation, self.down, self.gain = activation, down, gain
        self.clamp = None if clamp is None else clamp * gain
        self.weight = nn.Parameter(normal(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(constant(out_channels)) if bias else None
        self.affine = FullyConnected(modulation, in_channels) if modulation else None

    def forward(
        self, x: Float[Tensor, "b in_channels h w"], vector: Float[Tensor, "b modulation"] | None = None
    ) -> Float[Tensor, "b out_channels h2 w2"]:
        """Convolve; `vector` modulates a layer that has a modulation."""
        if self.affine is not None:
            assert vector is not None
            x = x * (1 + torch.tanh(self.affine(vector)))[:, :, None, None].to(x.dtype)
        size = self.weight.shape[-1]
        # A leaky ReLU keeps positive factors, so that gains can be put into the few numbers of the kernel.
        factor = self.gain * (LRELU_GAIN if self.activation == "lrelu" else 1.0)
        weight = (self.weight * (factor / math.sqrt(self.weight[0].numel()))).to(x.dtype)
        bias = None if self.bias is None else (self.bias if factor == 1 else self.bias * factor).to(x.dtype)
        if self.down == 1:
            y = convolve(x, weight, bias)
        else:
            smooth = halved(x) if size == 1 else low_passed(x, padding=2)
            y = F.conv2d(smooth, weight, bias, stride=1 if size == 1 else 2)
        if self.activation == "lrelu":
            y = F.leaky_relu(y, LRELU_SLOPE)
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)


class LabelMapping(nn.Module):
    """From a label to the vector that it is judged by: embedding, normalisation, fully connected layers."""

    def __init__(self, label_dim: int, width: int, num_layers: int) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.embed = FullyConnected(label_dim, width)
        for index in range(num_layers):
            self.add_module(f"fc{index}", FullyConnected(width, width, activation="lrelu", lr_multiplier=0.01))

    def forward(self, label: Float[Tensor, "b label_dim"]) -> Float[Tensor, "b width"]:
        """Map labels."""
        x = normalize_second_moment(self.embed(label))
        for index in range(self.num_layers):
            x = self.get_submodule(f"fc{index}")(x)
        return x
