"""The trajectories of EpiGRAF's and 3DGP's video scripts as paths by name, with the parameters they have there.

As there, both ends are included and the field of view of a circle breathes. EpiGRAF's move around the front of its
objects, which face +x, and 3DGP's around the given camera; `line` and `wiggle` have absolute angles.
"""

from collections.abc import Callable
from functools import partial

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.checks import Numbers
from gen3d_tools.cameras.poses import LEVEL, Pose, pose_of
from gen3d_tools.cameras.trajectories import Trajectory, front_circle, line, points, wiggle
from gen3d_tools.errors import InputError

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


def _epigraf(trajectory: Trajectory, frames: int, camera: Camera, *, target: Numbers = ORIGIN) -> Camera:
    """Move around the front at the camera's distance from the origin, looking there."""
    _check_single(camera)
    radius = camera.position.norm().item()
    front = Pose.build(0.0, fov_deg=camera.fov_y_deg.item(), radius=radius, yaw_zero="x")
    return trajectory(frames, front).camera().to(camera.device)


def _threedgp(trajectory: Trajectory, frames: int, camera: Camera, *, target: Numbers = ORIGIN) -> Camera:
    """Move around the camera, looking at the target."""
    _check_single(camera)
    return trajectory(frames, pose_of(camera.to("cpu"), target=target)).camera().to(camera.device)


def _check_single(camera: Camera) -> None:
    if camera.batch_shape:
        raise InputError(f"a path starts from one camera, got a batch {list(camera.batch_shape)}; index it first")


SCRIPT_PATHS: dict[str, Callable[..., Camera]] = {
    **{f"epigraf_{name}": partial(_epigraf, trajectory) for name, trajectory in EPIGRAF.items()},
    **{f"3dgp_{name}": partial(_threedgp, trajectory) for name, trajectory in THREEDGP.items()},
}
"""Paths by name; all take (frames, camera, *, target)."""
