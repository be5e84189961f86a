"""Camera poses as EpiGRAF and 3DGP count them: angles in radians on a sphere around the origin, and a point to look at.

Both measure the pitch from the +y axis (pi/2 = level, 0 = straight above) and let the yaw grow towards -x of a
viewer at +z. They differ in which yaw stands on +z: 0 in 3DGP, pi/2 in EpiGRAF, whose aligned objects face +x, at
its yaw 0. The roll is carried along and has no effect.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera, intrinsics_from_fov, look_at_matrix
from gen3d_tools.cameras.checks import Numbers, broadcast, float_tensor, vectors

POLE_MARGIN = 1e-5
"""Pitches stay this far from straight above and below, in radians."""
LEVEL = math.pi / 2


@dataclass(frozen=True, eq=False, kw_only=True)
class Pose:
    """Camera parameters over any leading axes."""

    angles: Float[Tensor, "*b 3"]
    """Yaw, pitch and roll of the position, radians."""
    fov_deg: Float[Tensor, "*b"]
    """Vertical field of view, degrees."""
    radius: Float[Tensor, "*b"]
    """Distance from the origin, world units."""
    look_at: Float[Tensor, "*b 3"]
    """Yaw, pitch (radians) and distance from the origin of the point in the middle of the picture."""
    front_yaw: float = 0.0
    """The yaw that stands on +z."""

    @classmethod
    def build(
        cls,
        yaw: Numbers,
        pitch: Numbers = LEVEL,
        *,
        fov_deg: Numbers,
        radius: Numbers = 1.0,
        look_at: Numbers = (0.0, LEVEL, 0.0),
        front_yaw: float = 0.0,
    ) -> "Pose":
        """Put numbers or tensors together; all broadcast, and there is no roll."""
        yaw, pitch, fov, distance = broadcast(
            yaw=float_tensor("yaw", yaw),
            pitch=float_tensor("pitch", pitch),
            fov_deg=float_tensor("fov_deg", fov_deg),
            radius=float_tensor("radius", radius),
        )
        angles = torch.stack([yaw, pitch, torch.zeros_like(yaw)], -1)
        aim = vectors("look_at", look_at).expand_as(angles)
        return cls(angles=angles, fov_deg=fov, radius=distance, look_at=aim, front_yaw=front_yaw)

    @classmethod
    def from_parameters(cls, parameters: Float[Tensor, "*b 8"], front_yaw: float = 0.0) -> "Pose":
        """Read yaw, pitch, roll, field of view, radius, and the look-at point's yaw, pitch and radius."""
        return cls(
            angles=parameters[..., :3],
            fov_deg=parameters[..., 3],
            radius=parameters[..., 4],
            look_at=parameters[..., 5:],
            front_yaw=front_yaw,
        )

    @property
    def parameters(self) -> Float[Tensor, "*b 8"]:
        """All numbers in one row; the inverse of `from_parameters`."""
        return torch.cat([self.angles, self.fov_deg[..., None], self.radius[..., None], self.look_at], -1)

    def mean(self) -> "Pose":
        """The mean of each number over the first axis; the look-at point's too, as the published code takes it."""
        return Pose.from_parameters(self.parameters.mean(0), self.front_yaw)

    def camera(self) -> Camera:
        """Our camera. Pitches at the poles are moved away from them by `POLE_MARGIN`.

        Raises:
            InputError: A camera stands on the point it looks at, or its field of view is out of range.
        """
        yaw, pitch, _ = self.angles.unbind(-1)
        position = self._point(yaw, pitch.clamp(POLE_MARGIN, math.pi - POLE_MARGIN), self.radius)
        cam2world = look_at_matrix(
            position, self._point(*self.look_at.unbind(-1)), position.new_tensor([0.0, 1.0, 0.0])
        )
        return Camera(cam2world, intrinsics_from_fov(self.fov_deg))

    def _point(
        self, yaw: Float[Tensor, "*b"], pitch: Float[Tensor, "*b"], radius: Float[Tensor, "*b"]
    ) -> Float[Tensor, "*b 3"]:
        """World point of spherical coordinates, 3DGP's S(yaw, pitch, r)."""
        turned = yaw - self.front_yaw
        outward = [pitch.sin() * torch.sin(-turned), pitch.cos(), pitch.sin() * turned.cos()]
        return radius[..., None] * torch.stack(outward, -1)

    @property
    def target(self) -> Float[Tensor, "*b 3"]:
        """World point in the middle of the picture."""
        return self._point(*self.look_at.unbind(-1))

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> "Pose":
        return Pose.from_parameters(self.parameters[index], self.front_yaw)

    def __len__(self) -> int:
        return len(self.fov_deg)


def pose_of(camera: Camera, *, target: Numbers = (0.0, 0.0, 0.0), front_yaw: float = 0.0) -> Pose:
    """Count our cameras as poses, with yaws in (-pi, pi].

    Args:
        camera: Upright cameras.
        target: World point in the middle of their pictures.
        front_yaw: The yaw that stands on +z.
    """
    angles, radius = _spherical(camera.position, front_yaw)
    aim, distance = _spherical(vectors("target", target, camera.device).expand_as(angles), front_yaw)
    look_at = torch.cat([aim[..., :2], distance[..., None]], -1)
    return Pose(angles=angles, fov_deg=camera.fov_y_deg, radius=radius, look_at=look_at, front_yaw=front_yaw)


def _spherical(points: Float[Tensor, "*b 3"], front_yaw: float) -> tuple[Float[Tensor, "*b 3"], Float[Tensor, "*b"]]:
    """Yaw, pitch, no roll, and the distance from the origin."""
    x, y, z = points.unbind(-1)
    level = torch.hypot(x, z)
    yaw = math.pi - torch.remainder(math.pi - (front_yaw - torch.atan2(x, z)), 2 * math.pi)
    return torch.stack([yaw, torch.atan2(level, y), torch.zeros_like(yaw)], -1), points.norm(dim=-1)
