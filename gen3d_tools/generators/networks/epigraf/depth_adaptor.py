"""3DGP's depth adaptor: rendered depth to what a monocular depth estimator would say (section 3.1 there)."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.generators.configs import DepthStrategy
from gen3d_tools.generators.networks.convolution import convolve
from gen3d_tools.generators.networks.layers import LRELU_GAIN, LRELU_SLOPE, constant, normal


class PlainConv(nn.Module):
    """A convolution with equalised learning rate, its weight divided by sqrt(in k^2)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, activated: bool) -> None:
        super().__init__()
        self.activated = activated
        self.weight = nn.Parameter(normal(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(constant(out_channels))

    def forward(self, x: Float[Tensor, "b in_channels h w"]) -> Float[Tensor, "b out_channels h w"]:
        """Convolve with zeros around, then leaky ReLU with gain sqrt(2) if activated."""
        weight = self.weight / math.sqrt(self.weight[0].numel())
        y = convolve(x, weight, self.bias)
        return F.leaky_relu(y, LRELU_SLOPE) * LRELU_GAIN if self.activated else y


class DepthAdaptor(nn.Module):
    """Normalise depth with a learned near plane, then a few convolutions, each of which can give an answer.

    Args:
        near: Depth where rays start, world units. Later changes of the rays do not change it.
        far: Depth where they end.
        kernel_size: Of the convolutions.
        hidden: Their channels.
        layers: Their number.
        near_offset_fraction: Largest share of the range by which the near plane moves.
        strategy: "last" takes the last answer, "mean" the mean of all.
    """

    progress_coef: Tensor

    def __init__(
        self,
        near: float,
        far: float,
        *,
        kernel_size: int,
        hidden: int,
        layers: int,
        near_offset_fraction: float,
        strategy: DepthStrategy,
    ) -> None:
        super().__init__()
        self.near, self.far, self.near_offset_fraction, self.strategy = near, far, near_offset_fraction, strategy
        self.near_plane_offset_raw = nn.Parameter(constant(1))
        self.register_buffer("progress_coef", constant(1))  # how far training came; nothing here reads it
        widths = [1, *[hidden] * layers]
        self.layers = nn.ModuleList(
            PlainConv(widths[k], widths[k + 1], kernel_size, activated=True) for k in range(layers)
        )
        if layers:
            self.head = PlainConv(hidden, 1, 1, activated=False)

    def forward(self, depth: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 1 h w"]:
        """Adapt depth in world units, as distances along the rays; the result is nominally -1 (near) .. 1 (far)."""
        answers = self.answers(depth)
        return torch.stack(answers).mean(0) if self.strategy == "mean" else answers[-1]

    def answers(self, depth: Float[Tensor, "b 1 h w"]) -> list[Float[Tensor, "b 1 h w"]]:
        """Give the normalised depth itself, then what each convolution makes of it; training chooses among them."""
        near = self.near + self.near_plane_offset_raw.sigmoid() * self.near_offset_fraction * (self.far - self.near)
        x = 2 * (depth - (self.far + near) / 2) / (self.far - near + 1e-12)
        answers = [x]
        for layer in self.layers:
            x = layer(x)
            answers.append(self.head(x))
        return answers
