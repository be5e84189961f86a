"""How the camera moves in a video: a named path or a file, and its length."""

import difflib
import math
from dataclasses import dataclass
from pathlib import Path

import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.checks import one_line
from gen3d_tools.cameras.formats import camera_path_timing, load_cameras
from gen3d_tools.cameras.paths import PATHS, interpolate_keyframes
from gen3d_tools.errors import InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.settings import ModelSettings
from gen3d_tools.workflows.running.inputs import input_digest
from gen3d_tools.workflows.samples.views import ViewOptions

DEFAULT_SECONDS = 4.0
DEFAULT_FPS = 30.0
MAX_FRAMES = 100_000
MAX_FPS = 240
_ANGLE_SLACK = 0.5  # degrees beyond the trusted views that nobody sees
_SAME_ASPECT = 0.01  # relative difference of width and height that nobody sees


@dataclass(frozen=True)
class CameraPath:
    """A path of the camera and its timing, known before the model is."""

    name: str
    """One of `PATHS`, or the file it comes from."""
    frames: int
    fps: float
    keyframes: Camera | None = None
    """The cameras of a file, [k]."""
    loop: bool = False
    """Whether the file's path is a closed round."""

    @property
    def is_wide(self) -> bool:
        """Whether a file's pictures are not square, so that a square video shows another part of the scene."""
        if self.keyframes is None:
            return False
        lens = self.keyframes.intrinsics
        return bool(((lens[:, 1, 1] / lens[:, 0, 0] - 1).abs() > _SAME_ASPECT).any())

    def cameras(self, generator: Generator, look: ViewOptions) -> Camera:
        """Place the camera of every frame, [frames], on the generator's device.

        Raises:
            InputError: An angle is out of range, or yaw or pitch are given for a path from a file.
        """
        if self.keyframes is None:
            target = generator.default_view.target
            return PATHS[self.name](self.frames, look.camera(generator), target=target)
        if look.yaw is not None or look.pitch is not None:
            raise InputError(f"yaw and pitch come from {self.name}; leave --yaw and --pitch out")
        cameras = self.keyframes
        if len(cameras) != self.frames:
            cameras = interpolate_keyframes(cameras, self.frames, loop=self.loop)
        return _square(cameras if look.fov is None else cameras.with_fov(look.fov)).to(generator.device)


def plan_motion(
    path: str, seconds: float | None = None, fps: float | None = None, fov: float | None = None
) -> CameraPath:
    """Find the path and its timing.

    A file gives all its cameras at its own rate. With `seconds`, or another rate than its own, its cameras are
    keyframes of a smooth path.

    Args:
        path: A name of `PATHS`, with hyphens or underscores, or a camera file.
        seconds: Length of the video; 4 if neither this nor a file says.
        fps: Frames per second; 30 if neither this nor a file says.
        fov: Vertical field of view in degrees, for a file that holds no lens.

    Raises:
        InputError: Unknown name, malformed file, or a length or rate out of range.
        NotFoundError: There is no such file.
    """
    if seconds is not None and not 0 < seconds < math.inf:
        raise InputError(f"seconds is {seconds:g}; a video needs a length above 0")
    _check_fps(fps)
    name = _path_name(path)
    if name in PATHS:
        rate = DEFAULT_FPS if fps is None else fps
        return CameraPath(name, _count(DEFAULT_SECONDS if seconds is None else seconds, rate), rate)
    if not _means_file(path):
        raise InputError(_unknown_path(path))
    keyframes = load_cameras(path, fov_y_deg=fov)
    own_fps, loop = camera_path_timing(path)
    rate = next((given for given in (fps, own_fps) if given is not None), DEFAULT_FPS)
    _check_fps(rate)
    if seconds is not None:
        return CameraPath(path, _count(seconds, rate), rate, keyframes, loop)
    return CameraPath(path, _count(len(keyframes) / (own_fps or rate), rate), rate, keyframes, loop)


def path_digest(path: str) -> str | None:
    """Give the SHA-256 of a camera file; None for a path that has a name, which comes before any file's."""
    return None if _path_name(path) in PATHS else input_digest(path)


def untrusted_views(cameras: Camera, settings: ModelSettings) -> str:
    """Say in one line how a path leaves the views that the training data covered; nothing if it does not."""
    trusted = settings.trusted_views
    yaw, pitch, _ = cameras.spherical(settings.default_view.target)
    middle, half = (trusted.yaw_max_deg + trusted.yaw_min_deg) / 2, (trusted.yaw_max_deg - trusted.yaw_min_deg) / 2
    aside = (torch.remainder(yaw - middle + 180, 360) - 180).abs() > half + _ANGLE_SLACK
    above = (pitch < trusted.pitch_min_deg - _ANGLE_SLACK) | (pitch > trusted.pitch_max_deg + _ANGLE_SLACK)
    outside = int((aside | above).sum())
    if not outside:
        return ""
    ranges = (
        f"yaw {trusted.yaw_min_deg:g}..{trusted.yaw_max_deg:g}, pitch {trusted.pitch_min_deg:g}.."
        f"{trusted.pitch_max_deg:g} degrees"
    )
    return f"{outside} of {len(cameras)} frames leave the views this model was trained on ({ranges}); expect guesses"


def _square(cameras: Camera) -> Camera:
    """The same vertical field of view with square pixels in a square picture; the sides are cut or widened.

    They are cut alike, so that the picture's middle stays where it is: a principal point beside it is as many pixels
    beside that of the square, which are more of its sides.
    """
    lens = cameras.intrinsics.clone()
    stretch = (lens[:, 1, 1] / lens[:, 0, 0])[:, None]
    middle = lens.new_tensor([0.0, 0.0, 0.5])
    lens[:, 0] = (lens[:, 0] - middle) * stretch + middle
    return Camera(cameras.cam2world, lens)


def _check_fps(fps: float | None) -> None:
    if fps is not None and not 0 < fps <= MAX_FPS:
        raise InputError(f"fps is {fps:g}; it must lie above 0 and be at most {MAX_FPS} frames per second")


def _count(seconds: float, fps: float) -> int:
    frames = seconds * fps
    if frames > MAX_FRAMES:
        raise InputError(
            f"{seconds:g} seconds at {fps:g} frames per second are {frames:.0f} frames; at most {MAX_FRAMES} are made"
        )
    return max(1, round(frames))


def _path_name(path: str) -> str:
    return path.strip().lower().replace("-", "_")


def _means_file(path: str) -> bool:
    return Path(path).suffix != "" or "/" in path or Path(path).exists()


def _unknown_path(path: str) -> str:
    names = [name.replace("_", "-") for name in PATHS]
    near = difflib.get_close_matches(path.lower().replace("_", "-"), names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ";"
    return f"unknown path {one_line(path)!r}{hint} paths: {', '.join(names)}, or a camera file such as path.json"
