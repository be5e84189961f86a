"""A tri-plane field as plain numbers, and what can be multiplied out before any point is looked up.

The first hidden layer before its activation is linear in the texels: with planes P_k, projections pi_k, weights W1
(the mean over the planes included) and bias b1 it is `h(p) = b1 + sum_k W1 bilinear(P_k, pi_k(p))`. So planes over
the same two axes can be added (EG3D's released axes have two x-z planes), and W1 can be applied to the texels.
The bias is never put into texels: towards the border and beyond it, bilinear weights do not sum to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

HiddenActivation = Literal["softplus", "lrelu", "silu"]
ValueActivation = Literal["sigmoid", "linear"]
LRELU_SLOPE = 0.2

LEAKY_RELU, SOFTPLUS, SILU = 0, 1, 2
HIDDEN_ACTIVATIONS: dict[HiddenActivation, int] = {"lrelu": LEAKY_RELU, "softplus": SOFTPLUS, "silu": SILU}
"""Hidden activations as the compiled functions know them."""

RELU_DENSITY, SOFTPLUS_DENSITY, EXP_DENSITY = 0, 1, 2
DENSITY_ACTIVATIONS = {"relu": RELU_DENSITY, "softplus": SOFTPLUS_DENSITY, "exp": EXP_DENSITY}
"""Density activations by their names in `fields.choices`, as the compiled functions know them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DecoderNumbers:
    """A small fully connected network: `x -> W x + b` for every layer, `activation` between them.

    All gains (equalised learning rate, the sqrt(2) of a leaky ReLU) are multiplied into weights and biases.
    """

    weights: tuple[Float[np.ndarray, "_ _"], ...]  # [outputs, inputs] of each layer
    biases: tuple[Float[np.ndarray, " _"], ...]
    activation: HiddenActivation  # "lrelu": slope 0.2, without a gain; "silu": x sigmoid(x)
    density_row: int  # which output is the raw density; the other outputs are the colours before their activation
    density_gain: float = 1.0  # multiplies that output
    # Colours and features are `activation(output) * value_gain + value_offset`.
    value_activation: ValueActivation = "sigmoid"
    value_gain: float = 1.0
    value_offset: float = 0.0

    def __post_init__(self) -> None:
        if len(self.weights) < 2 or len(self.weights) != len(self.biases):
            raise ValueError(f"need a hidden layer and as many biases, got {len(self.weights)}, {len(self.biases)}")
        if not 0 <= self.density_row < len(self.biases[-1]):
            raise ValueError(f"density_row is {self.density_row}, there are {len(self.biases[-1])} outputs")

    @property
    def density_layer(self) -> tuple[Float[np.ndarray, " in_features"], float]:
        """Weights and bias of the last layer that give the raw density, its gain included."""
        gain, row = np.float32(self.density_gain), self.density_row
        return self.weights[-1][row] * gain, float(self.biases[-1][row] * gain)


@dataclass(frozen=True, kw_only=True, eq=False)
class TriplaneNumbers:
    """Planes and decoder of one field.

    `texels[k, v, u]` are the channels of plane k; u runs along the first world axis of `axes[k]`, v along the second,
    and the first comes before the second. The channels are those of the decoder's input, so features are the sum over
    the planes times `scale`.
    """

    texels: Float[np.ndarray, "planes size size channels"]  # contiguous float32
    axes: tuple[tuple[int, int], ...]  # one pair per plane; no pair occurs twice
    scale: float  # 1/3 where the field averages its planes, 1 where it adds them
    decoder: DecoderNumbers
    align_corners: bool
    box_side: float
    bounded: bool  # the density outside the box is 0, whatever the decoder says


def channels_last(
    planes: Float[np.ndarray, "*b count channels size size"], axes: Sequence[tuple[int, int]]
) -> tuple[Float[np.ndarray, "*b merged size size channels"], tuple[tuple[int, int], ...]]:
    """Turn planes so that their axes ascend, add those over the same axes, and put the channels last.

    A plane and its transpose, read at swapped coordinates, are the same function: bilinear weights are products of
    one factor per axis, and the zeros outside are the same on both.

    Args:
        planes: As the generator gives them, of one field or of a batch; rows run along the second axis of the pair.
        axes: World axes along the width and the height of each plane.

    Returns:
        Contiguous texels [v, u, channel] per plane, and their axes in order of first appearance.
    """
    merged: dict[tuple[int, int], np.ndarray] = {}
    for index, (u, v) in enumerate(axes):
        plane = planes[..., index, :, :, :]
        pair, image = ((u, v), np.moveaxis(plane, -3, -1)) if u < v else ((v, u), plane.swapaxes(-3, -1))
        merged[pair] = merged[pair] + image if pair in merged else image
    return np.stack([np.ascontiguousarray(image) for image in merged.values()], axis=-4), tuple(merged)


def fold(numbers: TriplaneNumbers) -> Float[np.ndarray, "planes size size hidden"]:
    """Multiply the first layer into the texels: the sum of three look-ups, plus the first bias, is the hidden layer."""
    weight = numbers.decoder.weights[0] * np.float32(numbers.scale)
    return np.ascontiguousarray(numbers.texels @ weight.T)


def fits_fast_kernels(numbers: TriplaneNumbers) -> bool:
    """Whether every number is finite; the kernels are compiled for arithmetic without infinities."""
    parts = [numbers.texels, *numbers.decoder.weights, *numbers.decoder.biases]
    return all(bool(np.isfinite(part).all()) for part in parts)
