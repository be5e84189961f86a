"""What a mirror tells: of a thing that is its own mirror image, a mirrored photo is a photo from another side.

Chairs, cars and mugs have one such plane, and a photo in a mirror shows the same chair from the other side of it: the
encoder is asked about both. Round things look the same in every mirror: what tells where they are seen from is the
light, and that is not the mirror's.
"""

from dataclasses import replace

import torch

from gen3d_tools.fields.field import RadianceField
from gen3d_tools.perception.prediction import Prediction

_LATTICE = 32  # points along each side of the box
_SAME, _OTHER = 0.97, 0.95  # overlaps of objects that are their own mirror image, and at most of those that are not
_ACROSS = (0, 2)  # axes across which the vertical planes through the middle mirror: x and z


@torch.no_grad()
def mirror_axis(field: RadianceField) -> int | None:
    """Find the one vertical plane in which an object is its own mirror image.

    Args:
        field: The object.

    Returns:
        The axis across that plane, 0 (left and right change places) or 2 (front and back); None if there is none, or
        both are: such things are round or square.
    """
    if not field.bounded:
        return None
    places = ((torch.arange(_LATTICE, device=field.device) + 0.5) / _LATTICE - 0.5) * field.box_side
    points = torch.stack(torch.meshgrid(places, places, places, indexing="ij"), dim=-1).reshape(-1, 3)
    solid = (field.raw_density(points) + field.density_shift > 0).reshape(_LATTICE, _LATTICE, _LATTICE)
    if not solid.any():
        return None
    overlaps = {axis: float((solid & solid.flip(axis)).sum() / (solid | solid.flip(axis)).sum()) for axis in _ACROSS}
    best, other = sorted(_ACROSS, key=lambda axis: -overlaps[axis])
    return best if overlaps[best] >= _SAME and overlaps[other] <= _OTHER else None


def with_mirrored(seen: Prediction, mirrored: Prediction, axis: int) -> Prediction:
    """Join what an encoder makes of photos with what it makes of them in a mirror: the mean of both directions.

    Args:
        seen: Of the photos.
        mirrored: Of the photos, left and right exchanged.
        axis: Of `mirror_axis`.
    """
    chances = mirrored.yaw_logits.softmax(1).flip(1)  # yaw is -yaw there
    if axis == 2:  # ... or 180 - yaw
        chances = chances.roll(chances.shape[1] // 2, dims=1)
    return replace(seen, yaw_logits=((seen.yaw_logits.softmax(1) + chances) / 2).log())
