"""Knowledge of a pretrained network distilled into the discriminator (3DGP, section 3.3).

The discriminator predicts, from a patch, the features that the network finds in the whole picture.
"""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

DistillationLoss = Literal["l2", "kl"]


def distillation_distance(
    predicted: Float[Tensor, "b features"], features: Float[Tensor, "b features"], kind: DistillationLoss = "l2"
) -> Float[Tensor, " b"]:
    """Distance of predicted and true features.

    "l2" is the norm of the difference, not squared; "kl" the divergence of softmax(features) from softmax(predicted).
    """
    if kind == "l2":
        distance: Tensor = (predicted - features).norm(dim=1)
        return distance
    target = features.log_softmax(1)
    return (target.exp() * (target - predicted.log_softmax(1))).sum(1)


def sample_weights(scales: Float[Tensor, "b 2"]) -> Float[Tensor, " b"]:
    """Weight of each sample: small patches, which say less of the whole, count less; the mean is 1."""
    share = scales.mean(1)
    return share / (share.mean() + 1e-8)
