"""A standard head's five points, and the scaled orthographic fit that says how large and where a head is in a photo."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.photos.alignment.landmarks import Landmarks

HEAD_POINTS = (
    (-0.31148657, 0.29036078, 0.13377953),
    (0.30979887, 0.28972036, 0.13179526),
    (0.0032535, -0.04617932, 0.55244243),
    (-0.25216928, -0.38133916, 0.22405732),
    (0.2484662, -0.38128236, 0.22235769),
)
"""Places of the five landmarks on the head of Deep3DFaceRecon: x right, y up, z to the viewer; 1 is about 10 cm."""

_LEAST_SCALE = 1e-3  # pixels per unit of the head


@dataclass(frozen=True)
class HeadFit:
    """A head in a photo, y *up* from the lowest row of pixels."""

    scale: float
    """Pixels per unit of the head."""

    x: float
    """Where the head's origin is, pixels from the left."""

    y: float
    """... and from the bottom."""


def fit_head(landmarks: Landmarks, height: int) -> HeadFit:
    """Fit the standard head to five points: two independent linear least squares, x = R1 X + t and y = R2 X + t.

    This is the published preprocessing: it is not rigid, and it undoes no rotation, so a tilted head stays tilted.

    Args:
        landmarks: Five points, y down.
        height: Of the photo, pixels.

    Raises:
        InputError: The points are those of no face: the head would have no size.
    """
    head = torch.tensor(HEAD_POINTS, dtype=torch.float64)
    system = torch.cat([head, head.new_ones(5, 1)], dim=1)
    seen = landmarks.points.double().cpu()
    seen = torch.stack([seen[:, 0], height - 1 - seen[:, 1]], dim=1)
    solution: Float[Tensor, "4 2"] = torch.linalg.lstsq(system, seen).solution
    scale = float(solution[:3].norm(dim=0).mean())
    if scale < _LEAST_SCALE:
        raise InputError("the landmarks are those of no face: a head through them has no size; check the five points")
    return HeadFit(scale, float(solution[3, 0]), float(solution[3, 1]))
