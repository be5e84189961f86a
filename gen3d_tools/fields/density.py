"""From raw network output to density per world unit."""

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
