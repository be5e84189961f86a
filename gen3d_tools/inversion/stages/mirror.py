"""What a mirror tells: of a thing that is its own mirror image, a mirrored photo is a photo from another side.

Chairs, cars and mugs are their own image in one plane, and a photo in a mirror shows the same chair from the other side
of it. The encoder is asked about both photos; and where the pivot is far from the photo, so that the generator knows
little of the far side, stage two tunes to the silhouettes of both. (Wu et al., "Unsupervised learning of probably
symmetric deformable 3D objects from images in the wild", CVPR 2020, learn from such pairs.)

Round things look the same in many mirrors: what tells where they are seen from is the light, and that is not the
mirror's. So the encoder is not asked twice about them.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.inversion.stages.objective import Objective
from gen3d_tools.perception.prediction import Prediction

_LATTICE = 32  # points along each side of the box
_SAME, _OTHER = 0.97, 0.95  # overlaps of objects that are their own mirror image, and at most of those that are not
_ACROSS = (0, 2)  # axes across which the vertical planes through the middle mirror: x and z


class MirroredSilhouettes:
    """How far an object's silhouettes are from those of the photos in a mirror.

    Only silhouettes: light is not mirrored.

    Args:
        objective: Has the photos, and how finely fields are looked at; photos without a mask say nothing.
        cameras: One per photo.
        axis: Across which the mirror is, see `mirror_axis`.
    """

    def __init__(self, objective: Objective, cameras: Camera, axis: int) -> None:
        self.objective, self.cameras = objective, cameras
        pairs = zip(mirrored_camera(cameras, axis), objective.targets, strict=True)
        self.seen = [(camera, one.mask.flip(-1)) for camera, one in pairs if one.mask is not None]

    def __call__(self, field: RadianceField, generator: torch.Generator) -> Tensor:
        """Mean absolute difference of opacity and mask, 0 where there is no mask; the generator chooses the rays."""
        gaps = [self.objective.silhouette_gap(field, camera, mask, generator) for camera, mask in self.seen]
        return torch.stack(gaps).mean() if gaps else torch.zeros((), device=field.device)


@torch.no_grad()
def solid_at(field: RadianceField, turn: Float[Tensor, "3 3"] | None = None) -> Bool[Tensor, "side side side"] | None:
    """Tell which points of a coarse lattice lie in an object; None for an empty field, or one that no box holds.

    Args:
        field: The object.
        turn: By which the lattice is turned around the middle.
    """
    if not field.bounded:
        return None
    places = ((torch.arange(_LATTICE, device=field.device) + 0.5) / _LATTICE - 0.5) * field.box_side
    points = torch.stack(torch.meshgrid(places, places, places, indexing="ij"), dim=-1).reshape(-1, 3)
    points = points if turn is None else points @ turn.to(points).T
    solid = (field.raw_density(points) + field.density_shift > 0).reshape(_LATTICE, _LATTICE, _LATTICE)
    return solid if bool(solid.any()) else None


@torch.no_grad()
def mirror_axis(field: RadianceField, *, only: bool) -> int | None:
    """Find a vertical plane in which an object is its own mirror image.

    Args:
        field: The object.
        only: None also if it is so in both: such things are round or square.

    Returns:
        The axis across that plane, 0 (left and right change places) or 2 (front and back); None if there is none.
    """
    solid = solid_at(field)
    if solid is None:
        return None
    overlaps = {axis: float((solid & solid.flip(axis)).sum() / (solid | solid.flip(axis)).sum()) for axis in _ACROSS}
    best, other = sorted(_ACROSS, key=lambda axis: -overlaps[axis])
    if overlaps[best] < _SAME or (only and overlaps[other] > _OTHER):
        return None
    return best


def mirrored_camera(camera: Camera, axis: int) -> Camera:
    """Give the camera that sees the mirror image of the world as `camera` sees the world, left and right exchanged.

    Args:
        camera: One or a batch.
        axis: World axis across the mirror, which contains the origin.
    """
    pose, lens = camera.cam2world.clone(), camera.intrinsics.clone()
    pose[..., axis, :] *= -1
    pose[..., :, 0] *= -1
    lens[..., 0, 1] *= -1
    lens[..., 0, 2] = 1 - lens[..., 0, 2]
    return Camera(pose, lens)


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
