"""The decoder of EG3D-like fields: averaged plane features in, colours and raw density out."""

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.generators.networks.layers import FullyConnected
from gen3d_tools.kernels.network.numbers import DecoderNumbers

COLOR_MARGIN = 0.001
"""Colours are sigmoid (1 + 2 margin) - margin, so that exact black and white are reachable (mip-NeRF)."""


class Decoder(nn.Module):
    """Fully connected layers with softplus between; the first output is the raw density.

    EG3D has one hidden layer; Shen & Wang (2024, figure 2) add further ones.

    Args:
        in_channels: Channels of one plane.
        hidden: Widths of the hidden layers.
        value_channels: Colours (3), or features whose first three channels are the colour.
        lr_multiplier: Equalised learning rate of every layer.
        density_gain: Multiplies the raw density. The bundled model learns a truncated signed
            distance there; a large gain makes its softplus a sharp surface.
    """

    def __init__(
        self,
        in_channels: int,
        hidden: Sequence[int],
        value_channels: int,
        *,
        lr_multiplier: float = 1.0,
        density_gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.density_gain = density_gain
        widths = [in_channels, *hidden]
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            layers += [FullyConnected(a, b, lr_multiplier=lr_multiplier), nn.Softplus()]
        layers.append(FullyConnected(widths[-1], 1 + value_channels, lr_multiplier=lr_multiplier))
        self.net = nn.Sequential(*layers)

    def forward(
        self, features: Float[Tensor, "*points in_channels"]
    ) -> tuple[Float[Tensor, "*points value_channels"], Float[Tensor, "*points"]]:
        """Return values in about [0, 1] and the raw density (before activation)."""
        output = self.net(features)
        values = torch.sigmoid(output[..., 1:]) * (1 + 2 * COLOR_MARGIN) - COLOR_MARGIN
        return values, output[..., 0] * self.density_gain

    def numbers(self) -> DecoderNumbers:
        """Give the network as arrays for the fast kernels."""
        layers = [layer.numbers() for layer in self._layers()]
        return DecoderNumbers(
            weights=tuple(weight for weight, _ in layers),
            biases=tuple(bias for _, bias in layers),
            activation="softplus",
            density_row=0,
            density_gain=self.density_gain,
            value_gain=1 + 2 * COLOR_MARGIN,
            value_offset=-COLOR_MARGIN,
        )

    def tensors(self) -> list[tuple[Tensor, Tensor]]:
        """Give the weights and biases of `numbers` as tensors through which gradients reach the parameters."""
        return [layer.tensors() for layer in self._layers()]

    def _layers(self) -> list[FullyConnected]:
        return [layer for layer in self.net if isinstance(layer, FullyConnected)]
