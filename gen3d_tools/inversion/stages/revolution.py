"""What a round thing shows from all sides: of a body of revolution every silhouette is that of the photo.

Lamps, trees, mushrooms and donuts are round, and most photos of such things say so themselves: their silhouettes are
their own mirror images. Where the pivot is far from the photo, so that the generator knows little of the other sides,
stage two then tunes to the photo's silhouette from all around.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.inversion.stages.mirror import MirroredSilhouettes, mirror_axis, solid_at
from gen3d_tools.inversion.stages.objective import Objective

_TURNS = (math.pi / 4, math.pi / 2)
_ROUND = 0.95  # least overlap of an object with itself, turned
# Least overlap of a silhouette with its mirror image. Of 57 artists' models seven lamps and mugs are above .95, and
# their silhouettes from five other sides overlap by .95 to 1 with this one; lamps at .88 by .82 to .93.
_UPRIGHT = 0.94
_WIDEST = 0.2  # of the picture: from its middle to an axis, at most


class TurnedSilhouettes:
    """How far an object's silhouettes from all around are from those of its photos.

    Args:
        objective: Has the photos, and how finely fields are looked at.
        cameras: One per photo.
        axes: Where the upright axes of the photos' silhouettes are, see `upright_axis`.
        move: Whether the cameras may move sideways, until they see the world's height where the axes are.
    """

    def __init__(self, objective: Objective, cameras: Camera, axes: list[float], *, move: bool = False) -> None:
        moved = [moved_to(camera, column) for camera, column in zip(cameras, axes, strict=True)] if move else cameras
        self.objective, self.axes, self.cameras = objective, axes, stack_cameras(list(moved))

    def __call__(self, field: RadianceField, generator: torch.Generator) -> Tensor:
        """Mean absolute difference of opacity and mask; the generator chooses side and rays."""
        gaps = []
        for camera, target, column in zip(self.cameras, self.objective.targets, self.axes, strict=True):
            assert target.mask is not None
            angle = float(torch.rand((), generator=generator)) * 2 * math.pi
            seen = turned_around(camera, column, angle)
            gaps.append(self.objective.silhouette_gap(field, seen, target.mask, generator))
        return torch.stack(gaps).mean()


ImpliedSilhouettes = TurnedSilhouettes | MirroredSilhouettes
"""How far silhouettes are from those that photos imply for other sides."""


def implied_silhouettes(
    typical: RadianceField, objective: Objective, cameras: Camera, *, move: bool
) -> ImpliedSilhouettes | None:
    """Tell what photos imply for other sides by the symmetry of their class; None where they imply nothing.

    Args:
        typical: The typical object of the class.
        objective: Has the photos, and how finely fields are looked at.
        cameras: One per photo.
        move: Whether the cameras may move sideways, see `TurnedSilhouettes`.
    """
    masks = [one.mask for one in objective.targets]
    axes = [None if mask is None else upright_axis(mask) for mask in masks] if is_round(typical) else []
    upright = [axis for axis in axes if axis is not None]
    if upright and len(upright) == len(masks):
        return TurnedSilhouettes(objective, cameras, upright, move=move)
    axis = mirror_axis(typical, only=False)
    return None if axis is None else MirroredSilhouettes(objective, cameras, axis)


@torch.no_grad()
def is_round(field: RadianceField) -> bool:
    """Tell whether an object is a body of revolution around the world's height."""
    solid = solid_at(field)
    if solid is None:
        return False
    turned = [solid_at(field, _turn(angle)) for angle in _TURNS]
    return all(one is not None and float((one & solid).sum() / (one | solid).sum()) > _ROUND for one in turned)


def upright_axis(mask: Float[Tensor, "1 n n"]) -> float | None:
    """Find the upright line in which a silhouette is its own mirror image.

    Returns:
        Where it is, 0 = the left side of the picture, 1 = its right side; None if there is none.
    """
    inside, side = mask[0] > 0.5, mask.shape[-1]
    best, axis = 0.0, None
    for sum_of_columns in range(round((1 - 2 * _WIDEST) * side), round((1 + 2 * _WIDEST) * side)):
        columns = sum_of_columns - torch.arange(side, device=mask.device)
        there = (columns >= 0) & (columns < side)
        image = inside[:, columns.clamp(0, side - 1)] & there
        overlap = float((image & inside).sum() / (image | inside).sum().clamp_min(1))
        if overlap > max(best, _UPRIGHT):
            best, axis = overlap, (sum_of_columns + 1) / (2 * side)
    return axis


def turned_around(camera: Camera, column: float, angle: float) -> Camera:
    """Carry a camera around the upright axis that it sees in a column of its picture, at the middle's distance.

    Args:
        camera: A single camera, without roll.
        column: 0 = the left side of the picture, 1 = its right side.
        angle: Radians.
    """
    axes, position, place = camera.cam2world[:3, :3], camera.position, _beside(camera, column)
    turn = _turn(angle).to(axes)
    moved = torch.cat([turn @ axes, (turn @ (position - place) + place)[:, None]], dim=1)
    return Camera(torch.cat([moved, camera.cam2world[3:]]), camera.intrinsics)


def moved_to(camera: Camera, column: float) -> Camera:
    """Move a camera sideways until it sees the world's height in a column of its picture.

    Args:
        camera: A single camera, without roll.
        column: 0 = the left side of the picture, 1 = its right side.
    """
    pose = camera.cam2world.clone()
    pose[:3, 3] -= _beside(camera, column)
    return Camera(pose, camera.intrinsics)


def _beside(camera: Camera, column: float) -> Float[Tensor, " 3"]:
    """The point beside the world's middle, as far from the camera, that it sees in a column."""
    x, _, depth = -camera.position @ camera.cam2world[:3, :3]  # the middle, as the camera sees it
    place: Tensor = ((column - camera.intrinsics[0, 2]) / camera.intrinsics[0, 0] * depth - x) * camera.cam2world[:3, 0]
    return place


def _turn(angle: float) -> Float[Tensor, "3 3"]:
    """The rotation about the world's height."""
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.tensor([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
