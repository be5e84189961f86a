"""R1: the discriminator's slope at real pictures is kept small (Mescheder et al. 2018, eq. 9)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

AUTO_GAMMA = 0.0002


def r1_penalty(logits: Float[Tensor, " b"], inputs: Sequence[Tensor]) -> Float[Tensor, " b"]:
    """Squared norm of each logit's gradient with respect to its picture: |dD/dx|^2, differentiable once more.

    Args:
        logits: Of real pictures.
        inputs: The pictures, which require gradients; the penalty is summed over them (EG3D has two).
    """
    gradients = torch.autograd.grad([logits.sum()], list(inputs), create_graph=True)
    return torch.stack([gradient.square().flatten(1).sum(1) for gradient in gradients]).sum(0)


def auto_gamma(resolution: int, batch: int) -> float:
    """The weight that suits a size of pictures and a batch (Karras et al. 2020, ADA, appendix C)."""
    return AUTO_GAMMA * resolution**2 / batch
