"""What keeps a learned camera distribution from collapsing (3DGP, section 3.2).

Cameras are rows of eight numbers: yaw, pitch, roll, field of view, radius, and the look-at point's yaw, pitch and
radius; angles in radians, the field of view in degrees.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

YAW, PITCH, ROLL, FOV, RADIUS, AIM_YAW, AIM_PITCH, AIM_RADIUS = range(8)


@dataclass(frozen=True, kw_only=True)
class CameraWeights:
    """A weight for each group of camera numbers."""

    angles: float = 2.0
    radius: float = 0.0
    fov: float = 1e-4
    look_at: float = 1e-4

    def total(self, terms: Float[Tensor, " 8"]) -> Float[Tensor, ""]:
        """Weigh one term per camera number; the roll has no weight."""
        return (
            self.angles * (terms[YAW] + terms[PITCH])
            + self.radius * terms[RADIUS]
            + self.fov * terms[FOV]
            + self.look_at * (terms[AIM_YAW] + terms[AIM_PITCH] + terms[AIM_RADIUS])
        )


def earth_movers(posterior: Float[Tensor, "b 8"], prior: Float[Tensor, "b 8"]) -> Float[Tensor, " 8"]:
    """Squared optimal-transport distance of each camera number's two samples.

    In one dimension the best plan keeps the order: the mean over ranks of the squared difference.
    """
    return (posterior.sort(0).values - prior.sort(0).values).square().mean(0)


def force_mean(posterior: Float[Tensor, "b 8"], mean_angles: Float[Tensor, " 3"]) -> Float[Tensor, ""]:
    """Distance of the posterior's mean yaw, pitch and roll from the prior's; there is a 1e-8 as published."""
    return (posterior[:, : ROLL + 1].mean(0) - mean_angles + 1e-8).square().sum().sqrt()


def slope_terms(posterior: Float[Tensor, "b 8"], prior: Float[Tensor, "b 8"]) -> Float[Tensor, " 8"]:
    """Gradient-norm term: mean of g + 1/g for the slope g of each posterior number with respect to its prior number.

    Args:
        posterior: Computed from `prior`, which requires gradients.
        prior: The cameras before the camera generator.
    """
    terms = []
    for number in range(posterior.shape[1]):
        column = posterior[:, number].sum()
        (gradient,) = torch.autograd.grad([column], [prior], create_graph=True)
        slope = gradient[:, number].abs()
        terms.append((slope + 1 / (slope + 1e-4)).mean())
    return torch.stack(terms)
