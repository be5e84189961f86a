"""Ways a camera can move. Each path starts from one camera and gives a batch of `frames` cameras.

Around a target, the radius and the lens of the given camera stay; only yaw and pitch move. Let s run
over a path, one turn per unit. A closed path samples s = 0, 1/frames, ... and leaves s = 1 to the next
round, so a film of it loops without a stutter. Pitch may pass the poles: the picture stays continuous
there, it only goes upside down.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation, Slerp
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.checks import Numbers, check_frames
from gen3d_tools.cameras.distributions.eg3d import eg3d_look_at
from gen3d_tools.cameras.trajectories import SCRIPT_PATHS
from gen3d_tools.errors import InputError

ORIGIN = (0.0, 0.0, 0.0)


def orbit(
    frames: int, camera: Camera, *, turns: float = 1.0, pitch_deg: float | None = None, target: Numbers = ORIGIN
) -> Camera:
    """Walk around the target, towards growing yaw (+x first), at one height.

    Args:
        frames: How many cameras.
        camera: Where to start. If it looks at `target`, it is frame 0.
        turns: Full turns; a whole number closes the loop, a negative one walks the other way.
        pitch_deg: Height of the walk; the camera's own if not given.
        target: World point in the middle of the picture, [3].
    """
    s = _closed(frames)
    return _around(camera, target, yaw_shift=360.0 * turns * s, pitch_deg=pitch_deg)


def wiggle(
    frames: int, camera: Camera, *, yaw_deg: float = 12.0, pitch_deg: float = 6.0, target: Numbers = ORIGIN
) -> Camera:
    """Swing a few degrees left and right in a lying eight, enough to see depth. Frame 0 is the camera.

    Args:
        frames: How many cameras.
        camera: Middle of the swing.
        yaw_deg: Largest angle to each side.
        pitch_deg: Largest angle up and down.
        target: World point in the middle of the picture, [3].
    """
    s = _closed(frames)
    return _around(
        camera,
        target,
        yaw_shift=yaw_deg * torch.sin(2 * math.pi * s),
        pitch_shift=pitch_deg * torch.sin(4 * math.pi * s),
    )


def front_circle(
    frames: int,
    camera: Camera,
    *,
    yaw_deg: float = math.degrees(0.5),
    pitch_deg: float = math.degrees(0.3),
    target: Numbers = ORIGIN,
) -> Camera:
    """Circle around the camera's own direction: the trajectory `front_circle` of EpiGRAF and 3DGP.

    There, yaw grows towards -x and pitch downwards from the pole, so the film begins from below and goes to
    -x first: yaw_0 + 0.5 sin 2 pi s, pitch_0 + 0.3 cos 2 pi s in their signs and radians. Their films show
    the first frame again at the end, and their field of view breathes by a degree; here neither happens.

    Args:
        frames: How many cameras.
        camera: Centre of the circle; no frame equals it.
        yaw_deg: Half width of the circle.
        pitch_deg: Half height of the circle.
        target: World point in the middle of the picture, [3].
    """
    s = _closed(frames)
    return _around(
        camera,
        target,
        yaw_shift=-yaw_deg * torch.sin(2 * math.pi * s),
        pitch_shift=-pitch_deg * torch.cos(2 * math.pi * s),
    )


def line(frames: int, camera: Camera, *, yaw_deg: float = 90.0, target: Numbers = ORIGIN) -> Camera:
    """Pass from the object's left profile to its right one at the camera's height, both ends included.

    This is the one open path. The camera is its middle (for one frame, all of it).

    Args:
        frames: How many cameras.
        camera: Middle of the line.
        yaw_deg: Angle from the middle to each end.
        target: World point in the middle of the picture, [3].
    """
    check_frames(frames)
    shift = torch.linspace(yaw_deg, -yaw_deg, frames) if frames > 1 else torch.zeros(1)
    return _around(camera, target, yaw_shift=shift)


def spiral(frames: int, camera: Camera, *, turns: int = 2, pitch_deg: float = 30.0, target: Numbers = ORIGIN) -> Camera:
    """Turn around the target while rising and sinking once. Frame 0 is the camera.

    Args:
        frames: How many cameras.
        camera: Where to start.
        turns: Full turns until the path closes.
        pitch_deg: Largest angle above and below the camera's own pitch.
        target: World point in the middle of the picture, [3].
    """
    s = _closed(frames)
    return _around(camera, target, yaw_shift=360.0 * turns * s, pitch_shift=pitch_deg * torch.sin(2 * math.pi * s))


def eg3d_circle(frames: int, camera: Camera, *, target: Numbers = ORIGIN) -> Camera:
    """Circle in front of the object as EG3D's video script does, whatever the camera's angles.

    The circle lies on a sphere around the origin, so the distance from `target` changes a little; see
    `eg3d_video_path`.

    Args:
        frames: How many cameras.
        camera: Gives the lens, and by its place the distance from the origin.
        target: World point in the middle of the picture, [3].
    """
    _check_single(camera)
    radius = camera.position.norm().item()
    return eg3d_video_path(frames, camera.intrinsics.cpu(), pivot=target, radius=radius).to(camera.device)


PATHS: dict[str, Callable[..., Camera]] = {
    "orbit": orbit,
    "wiggle": wiggle,
    "front_circle": front_circle,
    "line": line,
    "spiral": spiral,
    "eg3d_circle": eg3d_circle,
    **SCRIPT_PATHS,
}
"""Paths by name; all take (frames, camera, *, target)."""


def eg3d_video_path(frames: int, intrinsics: Float[Tensor, "3 3"], *, pivot: Numbers, radius: float) -> Camera:
    """The circle of EG3D's video script, with its literal 3.14 for pi; the first frame is not repeated.

    Args:
        frames: Frames of the whole film (keyframes times frames per keyframe).
        intrinsics: The lens; 4.2647 image sides focal length for faces, 1.7074 for cars.
        pivot: World point in the middle of the picture, [3].
        radius: Distance from the world origin.
    """
    check_frames(frames)
    angle = 2 * 3.14 * torch.arange(frames, dtype=torch.float64) / frames
    yaw, pitch_v = 3.14 / 2 + 0.35 * torch.sin(angle), 3.14 / 2 - 0.05 + 0.25 * torch.cos(angle)
    return Camera(eg3d_look_at(yaw, pitch_v, pivot, radius), intrinsics.expand(frames, 3, 3))


def interpolate_keyframes(cameras: Camera, frames: int, *, loop: bool = False) -> Camera:
    """Move smoothly through a few cameras, equally long from each to the next.

    Positions follow a Catmull-Rom spline, rotations a spherical interpolation, the field of view and the
    rest of the intrinsics a straight line.

    Args:
        cameras: The keyframes, [k].
        frames: How many cameras to give.
        loop: Return to the first keyframe and leave it out at the end; otherwise end on the last one.

    Raises:
        InputError: No keyframes, more than one leading axis, or `frames` below 1.
    """
    check_frames(frames)
    if len(cameras.batch_shape) != 1 or not len(cameras):
        raise InputError(f"keyframes must be a batch [k] of at least one camera, got {list(cameras.batch_shape)}")
    if len(cameras) == 1:
        return cameras[torch.zeros(frames, dtype=torch.long)]
    # In a loop the first keyframe comes once more, as the end of the last stretch.
    key = cameras.to("cpu")[[*range(len(cameras)), 0] if loop else slice(None)]
    times = np.linspace(0, len(key) - 1, frames, endpoint=not loop)
    cam2world = np.tile(np.eye(4), (frames, 1, 1))
    turn = Slerp(np.arange(len(key)), Rotation.from_matrix(key.cam2world[:, :3, :3].numpy()))
    cam2world[:, :3, :3] = turn(times).as_matrix()
    cam2world[:, :3, 3] = _catmull_rom(key.position.double().numpy(), times, loop=loop)
    lens = _linear(key.intrinsics.flatten(1), times).reshape(frames, 3, 3)
    fov_y_deg = _linear(key.fov_y_deg[:, None], times)[:, 0]
    return Camera(torch.from_numpy(cam2world), lens).with_fov(fov_y_deg).to(cameras.device)


def _check_single(camera: Camera) -> None:
    if camera.batch_shape:
        raise InputError(f"a path starts from one camera, got a batch {list(camera.batch_shape)}; index it first")


def _closed(frames: int) -> Float[Tensor, " frames"]:
    check_frames(frames)
    return torch.arange(frames, dtype=torch.float64) / frames


def _around(
    camera: Camera,
    target: Numbers,
    *,
    yaw_shift: Float[Tensor, " frames"],
    pitch_shift: Float[Tensor, " frames"] | float = 0.0,
    pitch_deg: float | None = None,
) -> Camera:
    """The camera moved on its sphere around `target`, by degrees."""
    _check_single(camera)
    yaw, pitch, radius = (number.cpu().double() for number in camera.spherical(target))
    height = pitch if pitch_deg is None else pitch_deg
    moved = Camera.from_spherical(
        yaw + yaw_shift, height + pitch_shift, radius, fov_y_deg=camera.fov_y_deg, target=target
    )
    return Camera(moved.cam2world.to(camera.device), camera.intrinsics.expand(*moved.batch_shape, 3, 3))


def _linear(values: Float[Tensor, "k numbers"], times: np.ndarray) -> Float[Tensor, "frames numbers"]:
    """`values` at fractional knots, on straight lines."""
    start = np.minimum(times.astype(int), len(values) - 2)
    share = torch.from_numpy(times - start).to(values)[:, None]
    return values[start] * (1 - share) + values[start + 1] * share


def _catmull_rom(points: np.ndarray, times: np.ndarray, *, loop: bool) -> np.ndarray:
    """Uniform Catmull-Rom spline at fractional knots through `points` [k, 3], the last one the first in a loop."""
    if loop:
        before_first, after_last = points[-2], points[1]
    else:  # beyond its ends the path goes on straight
        before_first, after_last = 2 * points[0] - points[1], 2 * points[-1] - points[-2]
    padded = np.concatenate([[before_first], points, [after_last]])
    segment = np.minimum(times.astype(int), len(points) - 2)
    u = (times - segment)[:, None]
    before, start, end, after = (padded[segment + shift] for shift in range(4))
    slope = 0.5 * (end - before)
    bend = before - 2.5 * start + 2 * end - 0.5 * after
    twist = 1.5 * (start - end) + 0.5 * (after - before)
    at: np.ndarray = start + u * (slope + u * (bend + u * twist))
    return at
