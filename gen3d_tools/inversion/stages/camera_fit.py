"""Cameras that move a little around where they start, by parameters of one size each."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera

OFFSETS = ("yaw", "pitch", "roll", "zoom", "right", "up")
"""What moves: two angles around the object and one around the viewing direction in radians, the logarithm of the focal
length, and the point looked at, sideways and upwards in picture heights."""

LIKELY = (0.3, 0.3, 0.05, 0.05, 0.03, 0.03)
"""Typical sizes of the offsets. Angles are guesses; photos are framed like the generator's own pictures, and a lens
that is free makes up for a wrong angle or size, which only other views would show. (With .02, .015 and .015 for the
last three, ten held-out toys, framed exactly so, came to novel views of 31.1 instead of 30.8 dB and to meshes of .931
instead of .922; a photo that is framed as photos are, examples/photos/mug.jpg, to 25.5 instead of 27.6 dB.)"""


class CameraFit:
    """A few cameras and their offsets, all zero at first.

    A camera turns around the point of its optical axis that is nearest to the world's origin.

    Args:
        start: Where the cameras stand at first, [n].
    """

    def __init__(self, start: Camera) -> None:
        self.start = start
        self.offsets = torch.zeros(len(start), len(OFFSETS), device=start.device)

    def cameras(self) -> Camera:
        """Give the moved cameras [n]; gradients reach the offsets."""
        yaw, pitch, roll, zoom, right, up = self.offsets.unbind(-1)
        cam2world, lens = self.start.cam2world, self.start.intrinsics
        turn, position = cam2world[:, :3, :3], cam2world[:, :3, 3]
        distance = -(position * turn[..., 2]).sum(-1, keepdim=True)
        target = position + distance * turn[..., 2]
        # Upwards the camera turns around its own right side, then everything turns around the world's height.
        turned = _turn_y(yaw) @ _turn_about(turn[..., 0], -pitch)
        axes = turned @ _turn_about(turn[..., 2], roll) @ turn
        height = distance.abs() / lens[:, 1, 1, None]
        target = target + (right[:, None] * axes[..., 0] - up[:, None] * axes[..., 1]) * height
        moved = torch.cat([axes, (target - distance * axes[..., 2])[..., None]], -1)
        last = cam2world.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(moved), 1, 4)
        scale = torch.ones_like(lens)
        focal = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]], device=lens.device)
        scale = scale + focal * (zoom.exp() - 1)[:, None, None]
        return Camera(torch.cat([moved, last], -2), lens * scale)

    def penalty(self) -> Tensor:
        """How unlikely the offsets are: the squares of their typical sizes, summed, mean over cameras."""
        return (self.offsets / self.offsets.new_tensor(LIKELY)).square().sum(-1).mean()


def _turn_y(angle: Float[Tensor, " n"]) -> Float[Tensor, "n 3 3"]:
    """Rotations about the world's height."""
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], -1).reshape(-1, 3, 3)


def _turn_about(axis: Float[Tensor, "n 3"], angle: Float[Tensor, " n"]) -> Float[Tensor, "n 3 3"]:
    """Rotations about unit vectors (Rodrigues)."""
    x, y, z = axis.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
    sin, rest = angle.sin()[:, None, None], (1 - angle.cos())[:, None, None]
    return torch.eye(3, device=axis.device) + sin * cross + rest * cross @ cross


def angle_between_deg(first: Camera, second: Camera) -> Float[Tensor, "*b"]:
    """Angle between two cameras' viewing directions."""
    cosine = (first.forward * second.forward).sum(-1).clamp(-1, 1)
    return torch.acos(cosine) * (180 / math.pi)
