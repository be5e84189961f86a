"""What generator and discriminator play for: the non-saturating loss (Goodfellow et al. 2014), and a hinge."""

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

AdversarialLoss = Literal["non_saturating", "hinge"]


def generator_loss(fake_logits: Float[Tensor, " b"], kind: AdversarialLoss = "non_saturating") -> Float[Tensor, " b"]:
    """What the generator minimises: softplus(-l), -log of the probability of being taken for real; hinge: -l."""
    return F.softplus(-fake_logits) if kind == "non_saturating" else -fake_logits


def fake_loss(
    fake_logits: Float[Tensor, " b"], kind: AdversarialLoss = "non_saturating", limit: float | None = None
) -> Float[Tensor, " b"]:
    """What the discriminator minimises on fakes: softplus(l); hinge: relu(1 + l).

    Args:
        fake_logits: Logits.
        kind: The loss.
        limit: Logits below its negative count as that (3DGP).
    """
    logits = fake_logits if limit is None else fake_logits.clamp_min(-limit)
    return F.softplus(logits) if kind == "non_saturating" else F.relu(1 + logits)


def real_loss(
    real_logits: Float[Tensor, " b"], kind: AdversarialLoss = "non_saturating", limit: float | None = None
) -> Float[Tensor, " b"]:
    """What the discriminator minimises on real pictures: softplus(-l); hinge: relu(1 - l).

    Args:
        real_logits: Logits.
        kind: The loss.
        limit: Logits above it count as that (3DGP).
    """
    logits = real_logits if limit is None else real_logits.clamp_max(limit)
    return F.softplus(-logits) if kind == "non_saturating" else F.relu(1 - logits)
