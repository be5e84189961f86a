"""The camera of a crop, from the five points in it: a perspective fit of the standard head.

The published labels come from a network that needs a registered face model. Five points give yaw and roll well; pitch
they hardly know (a smile moves the corners of the mouth as a nod does), so it is pulled towards level, and whoever
rebuilds the head moves the camera on from here.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera, intrinsics_from_focal
from gen3d_tools.photos.alignment.head import HEAD_POINTS

FOCAL = 2985.29 / 700
"""Focal length of every label in image sides: 1015 pixels at 224, for a crop of 700 of 1024 pixels."""

RADIUS = 2.7
"""Distance of every labelled camera from the world's origin."""

_HEAD_SCALE, _HEAD_PLACE = 0.27, (0.0, 0.006, 0.161)  # a head point X lies at 0.27 X + (0, .006, .161) in EG3D's world
_FRONT = np.diag([1.0, -1.0, -1.0])  # world to a camera in front: OpenCV's axes look along -z with y down
_ANGLE_PULL = 0.035  # image sides per radian: points are off by about .01, heads turned by about .3
_DISTANCE_PULL = 0.1  # image sides per unit of the logarithm of the distance


def world_points() -> Float[Tensor, "5 3"]:
    """Places of the five landmarks in EG3D's world: x right, y up, z to the camera in front."""
    return torch.tensor(HEAD_POINTS, dtype=torch.float64) * _HEAD_SCALE + torch.tensor(_HEAD_PLACE, dtype=torch.float64)


def fit_camera(points: Float[Tensor, "5 2"], *, aim_at_origin: bool = False) -> Camera:
    """Find the camera that sees the standard head's points where they are in a crop.

    Args:
        points: Where the landmarks are, in sides of the crop.
        aim_at_origin: Let the optical axis pass through the world's origin (PanoHead); otherwise only the distance from
            there is made `RADIUS`, as in EG3D's labels.

    Returns:
        A single camera in EG3D's world, of focal length `FOCAL`.
    """
    from scipy.optimize import least_squares  # every inversion imports this file, and few see a face

    world, seen = world_points().numpy(), points.double().cpu().numpy()

    def residuals(values: np.ndarray) -> np.ndarray:
        angles, offset, log_distance = values[:3], values[3:5], values[5]
        at = world @ _world_to_camera(angles).T + np.array([*offset, RADIUS * np.exp(log_distance)])
        projected = FOCAL * at[:, :2] / at[:, 2:] + 0.5
        pull = [*(_ANGLE_PULL * angles), _DISTANCE_PULL * log_distance]
        return np.concatenate([(projected - seen).ravel(), pull])

    start = np.zeros(6)
    start[2] = np.arctan2(*(seen[1] - seen[0])[::-1])  # the eyes' own roll, so that any turn is within reach
    found = least_squares(residuals, start, method="lm").x
    rotation = _world_to_camera(found[:3]).T
    place = -rotation @ np.array([*found[3:5], RADIUS * np.exp(found[5])])
    place = -rotation[:, 2] if aim_at_origin else place
    cam2world = np.eye(4)
    cam2world[:3, :3], cam2world[:3, 3] = rotation, RADIUS * place / np.linalg.norm(place)
    return Camera(torch.from_numpy(cam2world).float(), intrinsics_from_focal(torch.tensor(FOCAL, dtype=torch.float32)))


def _world_to_camera(angles: np.ndarray) -> np.ndarray:
    """The rotation of pitch, yaw and roll (radians) of the head, seen from the front."""
    pitch, yaw, roll = angles
    from scipy.spatial.transform import Rotation

    turned = Rotation.from_euler("YXZ", [yaw, pitch, 0.0]).as_matrix()
    return np.asarray(Rotation.from_euler("z", roll).as_matrix() @ _FRONT @ turned)


def roll_deg(camera: Camera) -> float:
    """Tell how far a camera's picture of an upright head is turned clockwise, degrees."""
    up = camera.cam2world[:3, :3].T @ torch.tensor([0.0, 1.0, 0.0]).to(camera.device)
    return float(torch.atan2(up[0], -up[1]).rad2deg())
