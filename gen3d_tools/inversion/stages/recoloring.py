"""The pivot's colours as the photo has them, for what the photo does not show.

Where the pivot is far from the photo, its colours are often others than the photo's: a green chair stands for a brown
one. Held in place, its far side would stay green. So a map from the pivot's colours to the photo's is fitted where both
are seen, affine and near the identity, and the far side is held at what it makes of the pivot's colours.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.inversion.stages.objective import Objective
from gen3d_tools.rendering.rays import pixel_coordinates

_SIDE = 48  # pixels along each side of the pictures that are compared
_RIDGE = 0.02  # squared deviation from the identity, beside a mean squared error of colours
_BOTH = 0.9  # of a pixel, at least, for it to show the object


class Recoloring:
    """A map of colours, `colour @ matrix + offset`, within [0, 1].

    Args:
        matrix: [3, 3].
        offset: [3].
    """

    def __init__(self, matrix: Float[Tensor, "3 3"], offset: Float[Tensor, " 3"]) -> None:
        self.matrix, self.offset = matrix, offset

    def __call__(self, colors: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Map colours."""
        return (colors @ self.matrix + self.offset).clamp(0, 1)


@torch.no_grad()
def fit_recoloring(field: RadianceField, cameras: Camera, objective: Objective, share: float) -> Recoloring | None:
    """Find how a pivot's colours become those of its photos; None where no pixel shows both.

    Args:
        field: The pivot's.
        cameras: One per photo.
        objective: Has the photos, and how finely fields are looked at.
        share: Of the way from the pivot's own colours, 0, to the photos', 1.
    """
    pairs = [_seen_by_both(field, camera, objective, index) for index, camera in enumerate(cameras)]
    found, wanted = (torch.cat(colors) for colors in zip(*pairs, strict=True))
    return fitted(found, wanted, share) if len(found) else None


def fitted(found: Float[Tensor, "n 3"], target: Float[Tensor, "n 3"], share: float) -> Recoloring:
    """Fit a map of colours by least squares with a ridge towards the identity, and go a share of the way to it."""
    identity = torch.eye(3, device=found.device)
    middle, goal = found.mean(0), target.mean(0)
    centred, change = found - middle, (target - goal) - (found - middle)
    spread = centred.T @ centred / len(found) + _RIDGE * identity
    matrix = identity + share * torch.linalg.solve(spread, centred.T @ change / len(found))
    return Recoloring(matrix, middle + share * (goal - middle) - middle @ matrix)


def _seen_by_both(
    field: RadianceField, camera: Camera, objective: Objective, index: int
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Colours of the pivot and of a photo, pixel by pixel, where both show the object."""
    target = objective.targets[index].shrunk(_SIDE)
    if target.mask is None:
        nothing = target.rgb.new_zeros(0, 3)
        return nothing, nothing
    # The rays of the field's own pictures, as the objective's: others would see its colours up to half a pixel aside.
    share = 1.0 if field.super_resolution is None else field.super_resolution.grid_share
    pixels = share * pixel_coordinates(target.size, field.render_config.pixel_grid, device=target.rgb.device)
    seen = objective.look(field, camera, pixels, None)
    both = (seen.opacity[0] > _BOTH) & (target.mask[0] > _BOTH)
    return seen.rgb[:, both].T, target.rgb[:, both].T
