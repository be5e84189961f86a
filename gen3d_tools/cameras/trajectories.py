"""The camera trajectories of published scripts, to the letter, for comparing films.

Let s run evenly from 0 to 1, *both ends included*, so that a circle shows its first frame again at the end.
`cameras.paths` has paths that loop without that, in degrees and for any camera.

Every function takes poses [*b] to move around and gives [*b, frames]. Radius and look-at point stay. `SCRIPT_PATHS` has
them by name, with the parameters of each script, for one camera: EpiGRAF's move around the front of its objects, which
face +x, StyleNeRF's around the front, which faces +z, and the others' around the given camera; `line` and `wiggle` have
absolute angles.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.checks import Numbers, check_frames
from gen3d_tools.cameras.conventions import LEVEL
from gen3d_tools.cameras.poses import Pose, pose_of
from gen3d_tools.errors import InputError

Trajectory = Callable[[int, Pose], Pose]
"""Takes the number of frames and the poses to move around."""


def front_circle(frames: int, around: Pose, *, yaw: float = 0.5, pitch: float = 0.3, fov_deg: float = 1.0) -> Pose:
    """Circle around the poses; the field of view breathes.

    Args:
        frames: How many.
        around: The middle.
        yaw: Half the width, radians.
        pitch: Half the height, radians.
        fov_deg: Half the range of the field of view, degrees.
    """
    s = _turn(frames)
    return _moved(around, yaw * s.sin(), pitch * s.cos(), fov_deg * s.sin())


def point(frames: int, around: Pose, *, yaw: float = 0.0, pitch: float = 0.0, fov_deg: float = 0.0) -> Pose:
    """Stand still, `frames` times, at an offset. The offset of the field of view counts twice, as it does there."""
    check_frames(frames)
    still = torch.ones(frames, dtype=torch.float64)
    return _moved(around, yaw * still, pitch * still, 2 * fov_deg * still)


def points(frames: int, around: Pose, *, yaws: Sequence[float] = (-0.5, 0.0, 0.5), pitch: float = 0.0) -> Pose:
    """Stand at a few yaws beside the poses, one after another and equally long; there, for one frame each."""
    check_frames(frames)
    yaw = torch.tensor([yaws[i * len(yaws) // frames] for i in range(frames)], dtype=torch.float64)
    return _moved(around, yaw, torch.full_like(yaw, pitch), torch.zeros_like(yaw))


def line(
    frames: int,
    around: Pose,
    *,
    yaw: tuple[float, float] = (-1.57, 1.57),
    pitch: tuple[float, float] = (1.57, 1.57),
    fov_deg: float | None = None,
) -> Pose:
    """Go from one pair of angles to another. They are absolute: of the poses, only the lens and radius matter."""
    check_frames(frames)
    return _placed(around, _steps(frames, *yaw), _steps(frames, *pitch), fov_deg)


def sweep(frames: int, around: Pose, *, yaw: tuple[float, float] = (math.pi / 8, -math.pi / 8)) -> Pose:
    """Go past the poses at their own pitch, from one offset of the yaw to another (VolumeGAN's `front`)."""
    check_frames(frames)
    still = torch.zeros(frames, dtype=torch.float64)
    return _moved(around, _steps(frames, *yaw), still, still)


def wiggle(frames: int, around: Pose, *, yaw: tuple[float, float] = (-1.57, 1.57), pitch: float = 0.5) -> Pose:
    """Go from one yaw to another, going down and up once. The angles are absolute, as in `line`.

    3DGP's script fails here; this is what it means to do.
    """
    check_frames(frames)
    return _placed(around, _steps(frames, *yaw), LEVEL + pitch * _turn(frames).cos(), None)


def _steps(frames: int, start: float, end: float) -> Float[Tensor, " frames"]:
    return torch.linspace(start, end, frames, dtype=torch.float64)


def _turn(frames: int) -> Float[Tensor, " frames"]:
    """A full turn in radians, both ends included."""
    check_frames(frames)
    return 2 * math.pi * _steps(frames, 0.0, 1.0)


def _moved(
    around: Pose, yaw: Float[Tensor, " frames"], pitch: Float[Tensor, " frames"], fov_deg: Float[Tensor, " frames"]
) -> Pose:
    """Add to angles and field of view."""
    parameters = around.parameters.unsqueeze(-2)
    shift = torch.zeros(len(yaw), parameters.shape[-1], dtype=torch.float64)
    shift[:, 0], shift[:, 1], shift[:, 3] = yaw, pitch, fov_deg
    return Pose.from_parameters(parameters + shift.to(parameters), around.yaw_zero)


def _placed(
    around: Pose, yaw: Float[Tensor, " frames"], pitch: Float[Tensor, " frames"], fov_deg: float | None
) -> Pose:
    """Replace the angles, and the field of view if one is given."""
    parameters = around.parameters.unsqueeze(-2)
    placed = parameters.expand(*parameters.shape[:-2], len(yaw), -1).clone()
    placed[..., 0], placed[..., 1], placed[..., 2] = yaw.to(placed), pitch.to(placed), 0.0
    if fov_deg is not None:
        placed[..., 3] = fov_deg
    return Pose.from_parameters(placed, around.yaw_zero)


ORIGIN = (0.0, 0.0, 0.0)

EPIGRAF: dict[str, Trajectory] = {
    "front_circle": partial(front_circle, yaw=0.3, pitch=0.2),
    "points": partial(points, yaws=(0.0, -0.3, 0.3), pitch=1.57 - LEVEL),
    "line": partial(line, pitch=(0.835, 0.835)),
    "wiggle": wiggle,
}
"""There they have 64, 3, 16 and 16 frames."""

THREEDGP: dict[str, Trajectory] = {
    "front_circle": front_circle,
    "points": points,
    "line": line,
    "wiggle": wiggle,
}
"""There they have 64, 3, 16 and 16 frames."""

STYLENERF: dict[str, Trajectory] = {
    "rotation_camera": partial(line, yaw=(0.3, -0.3), pitch=(LEVEL, LEVEL)),
    "rotation_camera3": partial(front_circle, yaw=-0.4, pitch=0.2, fov_deg=0.0),
}
"""There they have 8 and 36 frames. The first sweeps the yaws of the FFHQ models; a pose's yaw grows the other way."""

VOLUMEGAN: dict[str, Trajectory] = {
    "orbit": partial(front_circle, yaw=0.4, pitch=0.2, fov_deg=0.0),
    "front": sweep,
}
"""There they have 70 frames each."""


def _epigraf(trajectory: Trajectory, frames: int, camera: Camera, *, target: Numbers = ORIGIN) -> Camera:
    """Move around the front at the camera's distance from the origin, looking there."""
    _check_single(camera)
    radius = camera.position.norm().item()
    front = Pose.build(0.0, fov_deg=camera.fov_y_deg.item(), radius=radius, yaw_zero="x")
    return trajectory(frames, front).camera().to(camera.device)


def _stylenerf(trajectory: Trajectory, frames: int, camera: Camera, *, target: Numbers = ORIGIN) -> Camera:
    """Move around the front at the camera's distance from the origin, looking there."""
    _check_single(camera)
    front = Pose.build(0.0, fov_deg=camera.fov_y_deg.item(), radius=camera.position.norm().item())
    return trajectory(frames, front).camera().to(camera.device)


def _around_camera(trajectory: Trajectory, frames: int, camera: Camera, *, target: Numbers = ORIGIN) -> Camera:
    """Move around the camera, looking at the target."""
    _check_single(camera)
    return trajectory(frames, pose_of(camera.to("cpu"), target=target)).camera().to(camera.device)


def _check_single(camera: Camera) -> None:
    if camera.batch_shape:
        raise InputError(f"a path starts from one camera, got a batch {list(camera.batch_shape)}; index it first")


SCRIPT_PATHS: dict[str, Callable[..., Camera]] = {
    **{f"epigraf_{name}": partial(_epigraf, trajectory) for name, trajectory in EPIGRAF.items()},
    **{f"3dgp_{name}": partial(_around_camera, trajectory) for name, trajectory in THREEDGP.items()},
    **{f"stylenerf_{name}": partial(_stylenerf, trajectory) for name, trajectory in STYLENERF.items()},
    **{f"volumegan_{name}": partial(_around_camera, trajectory) for name, trajectory in VOLUMEGAN.items()},
}
"""Paths by name; all take (frames, camera, *, target)."""
