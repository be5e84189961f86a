"""Camera poses as EpiGRAF and 3DGP count them: angles in radians on a sphere around the origin, and a point to look at.

Both measure the pitch from the +y axis (pi/2 = level, 0 = straight above) and let the yaw grow towards -x of a
viewer at +z. They differ in where yaw 0 stands: on +z in 3DGP, on +x in EpiGRAF, whose aligned objects face that way
(its yaw pi/2 stands on +z). The roll is carried along and has no effect.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera, intrinsics_from_focal
from gen3d_tools.cameras.checks import Numbers, broadcast, float_tensor, vectors
from gen3d_tools.cameras.conventions import LEVEL, POLE_MARGIN, YawZero
from gen3d_tools.errors import InputError

_LEVEL = 1e-2  # sine of a roll that nobody sees: half a degree


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
    yaw_zero: YawZero = "z"
    """The axis that yaw 0 stands on."""

    @classmethod
    def build(
        cls,
        yaw: Numbers,
        pitch: Numbers = LEVEL,
        *,
        fov_deg: Numbers,
        radius: Numbers = 1.0,
        look_at: Numbers = (0.0, LEVEL, 0.0),
        yaw_zero: YawZero = "z",
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
        return cls(angles=angles, fov_deg=fov, radius=distance, look_at=aim, yaw_zero=yaw_zero)

    @classmethod
    def from_parameters(cls, parameters: Float[Tensor, "*b 8"], yaw_zero: YawZero = "z") -> "Pose":
        """Read yaw, pitch, roll, field of view, radius, and the look-at point's yaw, pitch and radius."""
        return cls(
            angles=parameters[..., :3],
            fov_deg=parameters[..., 3],
            radius=parameters[..., 4],
            look_at=parameters[..., 5:],
            yaw_zero=yaw_zero,
        )

    @property
    def parameters(self) -> Float[Tensor, "*b 8"]:
        """All numbers in one row; the inverse of `from_parameters`."""
        return torch.cat([self.angles, self.fov_deg[..., None], self.radius[..., None], self.look_at], -1)

    def mean(self) -> "Pose":
        """The mean of each number over the first axis; the look-at point's too, as the published code takes it."""
        return Pose.from_parameters(self.parameters.mean(0), self.yaw_zero)

    def camera(self) -> Camera:
        """Our camera. Pitches at the poles are moved away from them by `POLE_MARGIN`.

        The order of operations is that of the published code, bit for bit; see `rendering.rays` for why.

        Raises:
            InputError: A camera stands on the point it looks at, or its field of view is out of range.
        """
        yaw, pitch, _ = self.angles.unbind(-1)
        position = self._point(yaw, pitch.clamp(POLE_MARGIN, math.pi - POLE_MARGIN), self.radius)
        towards = self.target - position
        if (towards.norm(dim=-1) == 0).any():
            raise InputError("a camera stands on the point it looks at; move one of them")
        if not ((self.fov_deg > 0) & (self.fov_deg < 180)).all():
            raise InputError(f"fov_deg must lie between 0 and 180 degrees, got {self.fov_deg.flatten()[:4].tolist()}")
        forward = _unit(_unit(towards))
        left = _unit(torch.linalg.cross(forward.new_tensor([0.0, 1.0, 0.0]).expand_as(forward), forward))
        up = _unit(torch.linalg.cross(forward, left))
        upper = torch.stack([-left, -up, forward, position], -1)
        last_row = upper.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*upper.shape[:-2], 1, 4)
        focal = 1 / torch.tan(self.fov_deg / 360 * 2 * math.pi / 2) / 2
        return Camera(torch.cat([upper, last_row], -2), intrinsics_from_focal(focal))

    def _point(
        self, yaw: Float[Tensor, "*b"], pitch: Float[Tensor, "*b"], radius: Float[Tensor, "*b"]
    ) -> Float[Tensor, "*b 3"]:
        """World point of spherical coordinates, 3DGP's S(yaw, pitch, r), turned a quarter where yaw 0 is on +x."""
        level = radius * pitch.sin()
        aside, height, ahead = level * torch.sin(-yaw), radius * pitch.cos(), level * yaw.cos()
        if self.yaw_zero == "z":
            return torch.stack([aside, height, ahead], -1)
        return torch.stack([ahead, height, -aside], -1)

    @property
    def target(self) -> Float[Tensor, "*b 3"]:
        """World point in the middle of the picture."""
        return self._point(*self.look_at.unbind(-1))

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> "Pose":
        return Pose.from_parameters(self.parameters[index], self.yaw_zero)

    def __len__(self) -> int:
        return len(self.fov_deg)


def pose_of(camera: Camera, *, target: Numbers = (0.0, 0.0, 0.0), yaw_zero: YawZero = "z") -> Pose:
    """Count our cameras as poses, with yaws in [-pi, pi].

    Args:
        camera: Upright cameras.
        target: World point in the middle of their pictures.
        yaw_zero: The axis that their yaw 0 stands on.
    """
    angles, radius = _spherical(camera.position, yaw_zero)
    aim, distance = _spherical(vectors("target", target, camera.device).expand_as(angles), yaw_zero)
    look_at = torch.cat([aim[..., :2], distance[..., None]], -1)
    return Pose(angles=angles, fov_deg=camera.fov_y_deg, radius=radius, look_at=look_at, yaw_zero=yaw_zero)


def check_upright(camera: Camera) -> None:
    """Refuse cameras of which yaw and pitch say less than all: their picture's horizon is not level.

    Args:
        camera: One or several.

    Raises:
        InputError: One is rolled, or upside down; the message says which and how far.
    """
    right, up = camera.cam2world[..., 1, 0].flatten(), -camera.cam2world[..., 1, 1].flatten()
    wrong = (right.abs() > _LEVEL) | (up < -_LEVEL)
    if wrong.any():
        roll = torch.atan2(right, up).rad2deg().abs() * wrong
        worst = int(roll.argmax())
        raise InputError(
            f"camera {worst} is rolled by {roll[worst].item():.0f} degrees, and yaw and pitch say nothing of that"
        )


def _spherical(points: Float[Tensor, "*b 3"], yaw_zero: YawZero) -> tuple[Float[Tensor, "*b 3"], Float[Tensor, "*b"]]:
    """Yaw, pitch, no roll, and the distance from the origin."""
    x, y, z = points.unbind(-1)
    level = torch.hypot(x, z)
    yaw = torch.atan2(-x, z) if yaw_zero == "z" else torch.atan2(z, x)
    return torch.stack([yaw, torch.atan2(level, y), torch.zeros_like(yaw)], -1), points.norm(dim=-1)


def _unit(vectors: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    unit: Tensor = vectors / vectors.norm(dim=-1, keepdim=True)
    return unit
