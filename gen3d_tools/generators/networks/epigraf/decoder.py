"""The decoder of EpiGRAF and 3DGP: averaged plane features in, colours and raw density out."""

import itertools
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.generators.configs import ColorActivation
from gen3d_tools.generators.networks.decoder import COLOR_MARGIN
from gen3d_tools.generators.networks.fourier import fourier_features, fourier_width
from gen3d_tools.generators.networks.layers import LRELU_GAIN, FullyConnected
from gen3d_tools.kernels.network.numbers import DecoderNumbers

DIRECTION_PERIOD = 8.0
_DIRECTION_WIDTH = 3 * fourier_width(DIRECTION_PERIOD, cosines=False, raw=True)
_COLOR_HIDDEN = 32
_VIEW_SLOPE = 0.1  # of the leaky ReLU before the colour head; all others have 0.2 and a gain


class PlaneDecoder(nn.Module):
    """Fully connected layers with leaky ReLU; the last output is the raw density.

    Args:
        in_channels: Channels of one plane.
        hidden: Width of the hidden layers.
        layers: Number of layers, the last one included.
        posenc_period: Above 0, Fourier features of the point are read beside the planes' features.
        view_conditioned: The colour depends on the viewing direction.
        color_activation: "linear": the network's colours are in about [-1, 1], not bounded; "sigmoid": in [0, 1]
            with a small margin, as in EG3D.
        density_gain: Multiplies the raw density.
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        layers: int,
        *,
        posenc_period: float = 0.0,
        view_conditioned: bool = False,
        color_activation: ColorActivation = "linear",
        density_gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.posenc_period, self.color_activation = posenc_period, color_activation
        self.view_conditioned, self.density_gain = view_conditioned, density_gain
        encoded = 3 * fourier_width(posenc_period) if posenc_period else 0
        widths = [in_channels + encoded, *[hidden] * (layers - 1)]
        made = [FullyConnected(a, b, activation="lrelu") for a, b in itertools.pairwise(widths)]
        self.model = nn.Sequential(*made, FullyConnected(widths[-1], hidden + 1 if view_conditioned else 4))
        if view_conditioned:
            self.color_network = nn.Sequential(
                FullyConnected(hidden + _DIRECTION_WIDTH, _COLOR_HIDDEN, activation="lrelu"),
                FullyConnected(_COLOR_HIDDEN, 3),
            )

    @property
    def reads(self) -> Literal["features", "points"]:
        """Whether it needs points and directions; see `TriplaneField.decoder_reads`."""
        return "points" if self.posenc_period or self.view_conditioned else "features"

    def forward(
        self,
        features: Float[Tensor, "n in_channels"],
        unit_points: Float[Tensor, "n 3"] | None = None,
        directions: Float[Tensor, "n 3"] | None = None,
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"]]:
        """Return colours, nominally 0..1, and the raw density.

        Args:
            features: Of the planes.
            unit_points: The points with the box as [-1, 1]^3, for the positional encoding.
            directions: Unit viewing directions, or zeros for none; for view-dependent colour.
        """
        if self.posenc_period:
            if unit_points is None:
                raise ValueError("this decoder needs the points beside their features")
            features = torch.cat([features, fourier_features(unit_points, self.posenc_period)], -1)
        output = self.model(features)
        colors, raw = output[..., :-1], output[..., -1]
        if self.view_conditioned:
            if directions is None:
                raise ValueError("this decoder needs the viewing directions")
            encoded = fourier_features(directions, DIRECTION_PERIOD, cosines=False, raw=True)
            colors = self.color_network(torch.cat([F.leaky_relu(colors, _VIEW_SLOPE), encoded], -1))
        return self._activated(colors), raw * self.density_gain

    def numbers(self) -> DecoderNumbers | None:
        """Give the network as arrays for the fast kernels; None where it reads more than features."""
        if self.reads != "features":
            return None
        layers = [layer.numbers(gain) for layer, gain in self._layers()]
        sigmoid = self.color_activation == "sigmoid"
        return DecoderNumbers(
            weights=tuple(weight for weight, _ in layers),
            biases=tuple(bias for _, bias in layers),
            activation="lrelu",
            density_row=len(layers[-1][1]) - 1,
            density_gain=self.density_gain,
            value_activation=self.color_activation,
            value_gain=1 + 2 * COLOR_MARGIN if sigmoid else 0.5,
            value_offset=-COLOR_MARGIN if sigmoid else 0.5,
        )

    def tensors(self) -> list[tuple[Tensor, Tensor]]:
        """Give the weights and biases of `numbers` as tensors through which gradients reach the parameters."""
        return [layer.tensors(gain) for layer, gain in self._layers()]

    def _layers(self) -> list[tuple[FullyConnected, float]]:
        """The layers, each with the gain of the activation before it."""
        found = [layer for layer in self.model if isinstance(layer, FullyConnected)]
        return [(layer, LRELU_GAIN if index else 1.0) for index, layer in enumerate(found)]

    def _activated(self, colors: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Bring the network's colours to 0..1."""
        if self.color_activation == "sigmoid":
            return torch.sigmoid(colors) * (1 + 2 * COLOR_MARGIN) - COLOR_MARGIN
        return (colors + 1) / 2
