"""EG3D's own cameras: its look-at sampler, random angles, lens, and the views of its image script.

The angles are its scripts' own: `yaw_rad` is pi/2 in front and grows towards +x; `pitch_v` is no angle but runs
linearly in the height, pi/2 at the equator and 0 straight above (polar angle arccos(1 - 2 v / pi)).
"""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera, intrinsics_from_focal, look_at_matrix
from gen3d_tools.cameras.checks import Numbers, broadcast, common_device, float_tensor, vectors
from gen3d_tools.errors import InputError


def eg3d_look_at(yaw_rad: Numbers, pitch_v: Numbers, pivot: Numbers, radius: Numbers) -> Float[Tensor, "*b 4 4"]:
    """EG3D's look-at pose sampler: cam2world on a sphere around the *origin*, aimed at `pivot`.

    The orbit does not move with the pivot; only the aim does. pi/2, pi/2 stands on +z.

    Args:
        yaw_rad: EG3D's horizontal angle, pi/2 = in front, growing towards +x, [*b].
        pitch_v: EG3D's vertical value, pi/2 = level, less = from above, [*b]. Clamped to [1e-5, pi - 1e-5].
        pivot: World point in the middle of the picture, [*b, 3].
        radius: Distance from the world origin, [*b].
    """
    device = common_device(yaw_rad, pitch_v, pivot, radius)
    yaw, height, distance = broadcast(
        yaw_rad=float_tensor("yaw_rad", yaw_rad, device),
        pitch_v=float_tensor("pitch_v", pitch_v, device),
        radius=float_tensor("radius", radius, device),
    )
    polar = torch.arccos(1 - 2 * height.clamp(1e-5, math.pi - 1e-5) / math.pi)
    outward = [polar.sin() * torch.cos(math.pi - yaw), polar.cos(), polar.sin() * torch.sin(math.pi - yaw)]
    position = distance[..., None] * torch.stack(outward, dim=-1)
    return look_at_matrix(position, vectors("pivot", pivot, device), position.new_tensor([0.0, 1.0, 0.0]))


def eg3d_angles(
    n: int,
    *,
    spread_yaw_rad: float,
    spread_pitch_v: float,
    mean_yaw_rad: float = math.pi / 2,
    mean_pitch_v: float = math.pi / 2,
    shape: Literal["gaussian", "uniform"] = "gaussian",
    generator: torch.Generator | None = None,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """EG3D's random angles, to be given to `eg3d_look_at`: all yaws are drawn first, then all pitches.

    Args:
        n: How many; the values depend on it, as in EG3D.
        spread_yaw_rad: Standard deviation (gaussian) or half the range (uniform).
        spread_pitch_v: The same for the vertical value. A spread of 0 still draws.
        mean_yaw_rad: Middle of the horizontal angle.
        mean_pitch_v: Middle of the vertical value.
        shape: Which of EG3D's samplers.
        generator: Source of randomness; `None` gives the means.
    """
    yaw, height = torch.full((n,), mean_yaw_rad), torch.full((n,), mean_pitch_v)
    if generator is None:
        return yaw, height
    if shape == "gaussian":
        draws = [torch.randn(n, generator=generator) for _ in range(2)]
    else:
        draws = [2 * torch.rand(n, generator=generator) - 1 for _ in range(2)]
    return yaw + spread_yaw_rad * draws[0], height + spread_pitch_v * draws[1]


def eg3d_intrinsics(fov_diagonal_deg: Numbers) -> Float[Tensor, "*b 3 3"]:
    """Intrinsics from the number EG3D's scripts call field of view, with their constants 3.14159 and 1.414.

    It is a *diagonal* field of view: 18.837 means 13.4 degrees from top to bottom.
    """
    fov = float_tensor("fov_diagonal_deg", fov_diagonal_deg)
    if not ((fov > 0) & (fov < 180)).all():
        raise InputError(f"fov_diagonal_deg must lie between 0 and 180 degrees, got {fov.flatten().tolist()[:4]}")
    return intrinsics_from_focal(1 / (torch.tan(fov * 3.14159 / 360) * 1.414))


def eg3d_sample_views(pivot: Numbers, radius: float, intrinsics: Float[Tensor, "3 3"]) -> Camera:
    """The three views of EG3D's image script, left to right: yaw +0.4, 0, -0.4, all from slightly above, [3]."""
    yaw = math.pi / 2 + torch.tensor([0.4, 0.0, -0.4])
    return Camera(eg3d_look_at(yaw, math.pi / 2 - 0.2, pivot, radius), intrinsics.expand(3, 3, 3))
