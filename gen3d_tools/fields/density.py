"""From raw network output to density per world unit."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.fields.choices import DensityActivation


def activate_density(
    raw_density: Float[Tensor, "*points"], activation: DensityActivation, shift: float = 0.0
) -> Float[Tensor, "*points"]:
    """Turn raw network output into density per world unit: `activation(raw + shift)`, never negative."""
    shifted = raw_density + shift
    return F.softplus(shifted) if activation == "softplus" else F.relu(shifted)
