"""StyleNeRF's radiance field: a perceptron whose layers are modulated by latents (Gu et al. 2022, section 3.2).

A field is styled, one latent per layer, or free: then a latent of its own follows every encoded point, and the layers
are plain. Either way the field of one sample folds into an ordinary perceptron.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.fields.mlp import Dense, Encoding, Perceptron
from gen3d_tools.generators.networks.layers import LRELU_GAIN, LRELU_SLOPE, FullyConnected, affine_weight

_EPSILON = 1e-8


@dataclass(frozen=True, kw_only=True)
class FieldShape:
    """What a field network is."""

    inputs: int
    """Width of the encoded point."""
    free_latent: int
    """Numbers of its own latent; 0 for a styled field."""
    styled: bool
    width: int
    """Of the hidden layers."""
    hidden_layers: int
    features: int
    rgb_beside_features: bool
    """The head gives colours beside the features; otherwise they are read from the features."""
    reads_input_again: bool
    """The layer before the middle one reads the encoded point once more."""
    normalised: bool
    """Hidden layers divide their input by its magnitude in training, all but the first."""

    @property
    def num_ws(self) -> int:
        """Rows of latents it reads: hidden layers, the density's head, the features' head."""
        return self.hidden_layers + 2 if self.styled else 0

    @property
    def skip(self) -> int | None:
        """Which hidden layer reads the encoded point again."""
        layer = max(self.hidden_layers, 1) // 2
        return layer if self.reads_input_again and 0 < layer < self.hidden_layers else None


class StyledLinear(nn.Module):
    """A layer of the field: inputs scaled by a style, outputs demodulated, leaky ReLU with gain sqrt(2).

    A head is neither demodulated nor activated; its style is divided by sqrt(inputs).
    """

    w_avg: Tensor

    def __init__(self, inputs: int, outputs: int, *, w_dim: int, head: bool = False, normalised: bool = False) -> None:
        super().__init__()
        self.head = head
        self.affine = FullyConnected(w_dim, inputs, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(outputs))
        if normalised:
            self.register_buffer("w_avg", torch.ones([]))
        self.normalised = normalised

    def fold(self, w: Float[Tensor, " w_dim"] | None) -> Dense:
        """Give the layer of one sample, gains included."""
        assert w is not None, "a styled layer needs its latent"
        styles = self.affine(w[None])[0]
        weight = self.weight[:, :, 0, 0] * styles
        if self.head:
            return Dense(weight / math.sqrt(weight.shape[1]), self.bias)
        scale = (weight.square().sum(1, keepdim=True) + _EPSILON).rsqrt() * LRELU_GAIN
        if self.normalised:
            scale = scale * self.w_avg.rsqrt()
        return Dense(weight * scale, self.bias * LRELU_GAIN)


class FreeLinear(nn.Module):
    """A layer of a field with a latent of its own: plain, followed by a ReLU without any gain."""

    w_avg: Tensor

    def __init__(self, inputs: int, outputs: int, *, normalised: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / math.sqrt(inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        if normalised:
            self.register_buffer("w_avg", torch.ones([]))
        self.normalised = normalised

    def fold(self, w: Float[Tensor, " w_dim"] | None) -> Dense:
        """Give the layer, its input's gain included; there is no latent in it."""
        return Dense(self.weight * self.w_avg.rsqrt() if self.normalised else self.weight, self.bias)


class FeatureColor(nn.Module):
    """Colours from features: a linear layer with equalised learning rate."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, features, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))

    def fold(self) -> Dense:
        """Give the layer, its gain included."""
        return Dense(self.weight[:, :, 0, 0] / math.sqrt(self.weight.shape[1]), self.bias)


class FieldNetwork(nn.Module):
    """The field's layers under the names of the published code, without its constants.

    Args:
        shape: What the field is.
        w_dim: Size of a latent row.
    """

    def __init__(self, shape: FieldShape, *, w_dim: int) -> None:
        super().__init__()
        self.shape = shape
        inputs, width = shape.inputs + shape.free_latent, shape.width

        def hidden(inputs: int, *, first: bool = False) -> StyledLinear | FreeLinear:
            normalised = shape.normalised and not first
            if not shape.styled:
                return FreeLinear(inputs, width, normalised=normalised)
            return StyledLinear(inputs, width, w_dim=w_dim, normalised=normalised)

        def head(outputs: int) -> StyledLinear | FreeLinear:
            if not shape.styled:
                return FreeLinear(width, outputs)
            return StyledLinear(width, outputs, w_dim=w_dim, head=True)

        self.fc_in = hidden(inputs, first=True)
        self.blocks = nn.ModuleList(
            hidden(width + inputs if layer == shape.skip else width) for layer in range(1, shape.hidden_layers)
        )
        self.sigma_out = head(1)
        self.feat_out = head(shape.features + 3 * shape.rgb_beside_features)
        self.to_rgb = None if shape.rgb_beside_features else FeatureColor(shape.features)

    def style_weights(self) -> list[list[Float[Tensor, "_ w_dim"]]]:
        """Give the affine matrix that reads each of its rows; a free field has none."""
        layers = [self.fc_in, *self.blocks, self.sigma_out, self.feat_out] if self.shape.styled else []
        return [[affine_weight(layer)] for layer in layers]

    def fold(
        self,
        encoding: Encoding,
        ws: Float[Tensor, "rows w_dim"],
        latent: Float[Tensor, " free_latent"],
        *,
        density_gain: float = 1.0,
    ) -> Perceptron:
        """Fold the field of one sample into a perceptron.

        Args:
            encoding: What its first layer reads.
            ws: Its rows of latents; none for a free field.
            latent: Its own latent; none for a styled field.
            density_gain: Multiplies the raw density.

        Returns:
            The perceptron. Its values are colours, then features, both mapped from [-1, 1] to 0..1.
        """
        rows = list(ws) if self.shape.styled else [None] * (len(self.blocks) + 3)
        layers = [self.fc_in, *self.blocks]
        hidden: list[Dense] = [layer.fold(w) for layer, w in zip(layers, rows[: len(layers)], strict=True)]
        if len(latent):
            for index in {0, self.shape.skip or 0}:
                hidden[index] = _with_constant_inputs(hidden[index], latent)
        density = self.sigma_out.fold(rows[len(hidden)])
        return Perceptron(
            encoding=encoding,
            hidden=tuple(hidden),
            density=Dense(density.weight * density_gain, density.bias * density_gain),
            values=self._values(self.feat_out.fold(rows[-1])),
            slope=LRELU_SLOPE if self.shape.styled else 0.0,
            reads_input_again=self.shape.skip,
        )

    def _values(self, features: Dense) -> Dense:
        """Put colours in front of the features, and map all from [-1, 1] to 0..1."""
        weight, bias = features.weight, features.bias
        if self.to_rgb is not None:
            rgb = self.to_rgb.fold()
            weight = torch.cat([rgb.weight @ weight, weight])
            bias = torch.cat([rgb.weight @ bias + rgb.bias, bias])
        return Dense(weight / 2, (bias + 1) / 2)


def _with_constant_inputs(layer: Dense, constant: Float[Tensor, " n"]) -> Dense:
    """Fold the last inputs, which are the same for every point, into the bias."""
    varying = layer.weight.shape[1] - len(constant)
    weight, fixed = torch.split(layer.weight, [varying, len(constant)], dim=1)
    return Dense(weight.contiguous(), layer.bias + fixed @ constant)
