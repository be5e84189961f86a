"""From raw network output to density per world unit."""

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

DensityActivation = Literal["softplus", "relu"]


def activate_density(
    raw_density: Float[Tensor, "*points"], activation: DensityActivation, shift: float = 0.0
) -> Float[Tensor, "*points"]:
    """Turn raw network output into density per world unit: `activation(raw + shift)`, never negative."""
    shifted = raw_density + shift
    return F.softplus(shifted) if activation == "softplus" else F.relu(shifted)
