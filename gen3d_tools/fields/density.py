"""From raw network output to density per world unit."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.fields.choices import DensityActivation

LARGEST_EXPONENT = 60.0
"""Of exponential densities: beyond it all light is stopped anyway, and sums along rays stay within float32."""


def activate_density(
    raw_density: Float[Tensor, "*points"], activation: DensityActivation, shift: float = 0.0
) -> Float[Tensor, "*points"]:
    """Turn raw network output into density per world unit: `activation(raw + shift)`, never negative."""
    shifted = raw_density + shift
    if activation == "exp":
        return torch.exp(shifted.clamp_max(LARGEST_EXPONENT))
    return F.softplus(shifted) if activation == "softplus" else F.relu(shifted)


EMPTY_THICKNESS = 1e-3
"""Optical thickness, over the longest way through a field's box, that counts as empty in pictures."""


def raw_level_of(thickness: float, box_side: float, activation: DensityActivation, shift: float) -> float:
    """Raw density that, all along a box's diagonal, makes an optical thickness.

    Args:
        thickness: Above 0.
        box_side: World units.
        activation: From raw density to density.
        shift: Added to the raw density before.
    """
    density = thickness / (math.sqrt(3) * box_side)
    if activation == "exp":
        return math.log(density) - shift
    return (math.log(math.expm1(density)) if activation == "softplus" else 0.0) - shift
