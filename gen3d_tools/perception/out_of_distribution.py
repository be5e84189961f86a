"""How far a picture is from what the encoder was trained on, as one honest number.

Two witnesses: a head that learned to tell the generator's objects from strangers, and the distance of the feature
statistics from those of known classes (Mahalanobis; Lee et al., "A simple unified framework for detecting
out-of-distribution samples", 2018), which also sees strangers that nobody trained it on. The doubtful one counts.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

STRANGER_BELOW = 0.3
"""Familiarity below which a picture is refused before any work. Border and width of the score are calibrated with each
encoder, so this is the same for all; the card of `weights/shapes` has what it was measured on."""

_SHRINKAGE = 0.05  # share of the mean variance added to every variance, for directions that hardly vary


def describe(features: Sequence[Tensor]) -> Float[Tensor, "b numbers"]:
    """Summarise feature maps: the mean of every channel of every stage."""
    return torch.cat([maps.mean(dim=(2, 3)) for maps in features], dim=1)


class OutOfDistributionScore(nn.Module):
    """Turns feature maps and the head's answer into a number in [0, 1]; 0.5 is the border.

    Everything it knows is in buffers, so it is stored with the encoder. `fit` fills them.
    """

    means: Float[Tensor, "classes numbers"]
    whitening: Float[Tensor, "numbers rank"]
    distance_scale: Float[Tensor, " 2"]
    """Distance at which familiarity is one half, and how fast it falls there."""
    logit_scale: Float[Tensor, " 2"]
    """The same for the head's logit, which rises with familiarity."""

    def __init__(self, classes: int, numbers: int, rank: int) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(classes, numbers))
        self.register_buffer("whitening", torch.zeros(numbers, min(rank, numbers)))
        self.register_buffer("distance_scale", torch.ones(2))
        self.register_buffer("logit_scale", torch.tensor([0.0, 1.0]))

    def forward(self, features: Sequence[Tensor], known_logit: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Say how familiar pictures are.

        Args:
            features: The encoder's feature maps.
            known_logit: The head's answer.
        """
        border, width = self.distance_scale
        far = (self.distance(describe(features)) - border) / width
        near = (known_logit - self.logit_scale[0]) / self.logit_scale[1]
        return torch.minimum(torch.sigmoid(-far), torch.sigmoid(near))

    def unlikeness(self, features: Sequence[Tensor]) -> Float[Tensor, " b"]:
        """Say how far pictures are from the known ones, in distances of the border: for what familiarity calls 0."""
        return self.distance(describe(features)) / self.distance_scale[0]

    def distance(self, numbers: Float[Tensor, "b numbers"]) -> Float[Tensor, " b"]:
        """Whitened distance to the nearest class's mean, per root of the number of dimensions (about 1 for a known)."""
        points, centers = numbers @ self.whitening, self.means @ self.whitening
        squared = (points[:, None] - centers).square().mean(dim=-1)
        return squared.amin(dim=1).sqrt()

    @torch.no_grad()
    def fit(self, numbers: Float[Tensor, "b numbers"], labels: Int[Tensor, " b"]) -> None:
        """Learn the means of the classes and their common covariance from known pictures.

        Args:
            numbers: `describe` of their feature maps.
            labels: Their classes; every class must occur.
        """
        for label in range(len(self.means)):
            self.means[label] = numbers[labels == label].mean(dim=0)
        rest = numbers - self.means[labels]
        variance, axes = torch.linalg.eigh(rest.T @ rest / len(rest))
        rank = self.whitening.shape[1]
        variance, axes = variance[-rank:].clamp_min(0), axes[:, -rank:]
        self.whitening.copy_(axes / (variance + _SHRINKAGE * variance.mean()).sqrt())

    @torch.no_grad()
    def calibrate(
        self,
        distance: Float[Tensor, " b"],
        known_logit: Float[Tensor, " b"],
        strange_logit: Float[Tensor, " s"],
        *,
        refused: float = 0.01,
        sure: float = 0.25,
        accepted: float = 0.007,
    ) -> None:
        """Place the borders by pictures that neither training nor `fit` has seen.

        The head was trained on strangers too, so they place its border: by known pictures alone, dark and blurred ones
        among them, it would lie where most strangers are.

        Args:
            distance: Distances of known pictures.
            known_logit: The head's answers to them.
            strange_logit: The head's answers to pictures of strangers.
            refused: Share of the known that may lie beyond the border of distances.
            sure: Share of the known whose familiarity by distance may be below 0.88 (two widths from the border); by
                the head, half of them may.
            accepted: Share of the strangers that may lie on the familiar side of the head's border.
        """
        border, inner = distance.quantile(1 - refused), distance.quantile(1 - sure)
        self.distance_scale.copy_(torch.stack([border, ((border - inner) / 2).clamp_min(1e-3)]))
        border, inner = strange_logit.quantile(1 - accepted), known_logit.median()
        self.logit_scale.copy_(torch.stack([border, ((inner - border) / 2).clamp_min(0.25)]))
