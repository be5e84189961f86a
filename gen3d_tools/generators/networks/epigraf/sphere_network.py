"""EpiGRAF's background network: colour and density outside the unit sphere, from a small modulated INR."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.generators.networks.fourier import fourier_features, fourier_width
from gen3d_tools.generators.networks.layers import LRELU_GAIN, LRELU_SLOPE, FullyConnected, constant, normal

_EPSILON = 1e-8
_COORDINATES = 4  # a unit direction and the inverse radius


class ModulatedLinear(nn.Module):
    """A linear layer whose inputs are scaled by a style; like a modulated convolution of one pixel.

    Args:
        in_features: Width of the input.
        out_features: Width of the output.
        w_dim: Size of the latent.
        last: Without demodulation and activation, the style divided by sqrt(in).
    """

    def __init__(self, in_features: int, out_features: int, *, w_dim: int, last: bool = False) -> None:
        super().__init__()
        self.last = last
        self.affine = FullyConnected(w_dim, in_features, bias_init=1.0)
        self.weight = nn.Parameter(normal(out_features, in_features))
        self.bias = nn.Parameter(constant(out_features))

    def forward(
        self, x: Float[Tensor, "*points in_features"], w: Float[Tensor, " w_dim"]
    ) -> Float[Tensor, "*points out_features"]:
        """Apply the layer of one sample."""
        weight = self.weight * self.affine(w[None])[0]
        if self.last:
            return F.linear(x, weight / math.sqrt(weight.shape[1]), self.bias)
        weight = weight * (weight.square().sum(1, keepdim=True) + _EPSILON).rsqrt()
        return F.leaky_relu(F.linear(x, weight, self.bias), LRELU_SLOPE) * LRELU_GAIN


class SphereBlock(nn.Module):
    """One or two layers, and what they add to the output."""

    def __init__(self, in_features: int, out_features: int, *, w_dim: int, first: bool) -> None:
        super().__init__()
        if not first:
            self.conv0 = ModulatedLinear(in_features, out_features, w_dim=w_dim)
        self.conv1 = ModulatedLinear(in_features if first else out_features, out_features, w_dim=w_dim)
        self.to_out = ModulatedLinear(out_features, 4, w_dim=w_dim, last=True)

    def forward(
        self, x: Float[Tensor, "*points in_features"], ws: Float[Tensor, "rows w_dim"]
    ) -> tuple[Float[Tensor, "*points out_features"], Float[Tensor, "*points 4"]]:
        """Return the features and the contribution to the output; the last row is the output layer's."""
        rows = list(ws)
        if len(rows) == 3:
            x = self.conv0(x, rows.pop(0))
        x = self.conv1(x, rows.pop(0))
        return x, self.to_out(x, rows.pop(0))


class SphereNetwork(nn.Module):
    """Blocks of modulated linear layers with outputs summed.

    Block k is `min(channel_base // 2^(k + 2), channel_max)` wide. Block 0 reads one row of latents and the others
    two; each output layer shares its row with the next layer, so there are `2 blocks` rows.
    """

    def __init__(self, *, w_dim: int, blocks: int, channel_base: int, channel_max: int, posenc_period: float) -> None:
        super().__init__()
        self.posenc_period = posenc_period
        self.num_ws = 2 * blocks
        widths = [min(channel_base // 2 ** (k + 2), channel_max) for k in range(blocks)]
        if min(widths) < 1:
            raise ValueError(f"channel_base {channel_base} leaves no channel in block {blocks - 1}")
        inputs = [_COORDINATES * fourier_width(posenc_period), *widths]
        self.blocks = nn.ModuleList(SphereBlock(inputs[k], widths[k], w_dim=w_dim, first=k == 0) for k in range(blocks))

    def forward(
        self, points: Float[Tensor, "*points 4"], ws: Float[Tensor, "num_ws w_dim"]
    ) -> tuple[Float[Tensor, "*points 3"], Float[Tensor, "*points"]]:
        """Return colours, in about [-1, 1], and the raw density of one sample."""
        x = fourier_features(points, self.posenc_period)
        output = torch.zeros_like(points)
        start = 0
        for k, block in enumerate(self.blocks):
            layers = 1 if k == 0 else 2
            x, more = block(x, ws[start : start + layers + 1])
            output = output + more
            start += layers
        return output[..., :3], output[..., 3]


class SampleSphere(nn.Module):
    """The background network bound to one sample, with colours 0..1: what a `SphereBackdrop` asks."""

    ws: Tensor

    def __init__(self, network: SphereNetwork, ws: Float[Tensor, "num_ws w_dim"]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("ws", ws)

    def forward(
        self, points: Float[Tensor, "*points 4"]
    ) -> tuple[Float[Tensor, "*points 3"], Float[Tensor, "*points"]]:
        """Evaluate colour and raw density."""
        colors, raw = self.network(points, self.ws)
        return (colors + 1) / 2, raw
