"""A way for the camera: key frames from the views of a session, a smooth path through them, and its film."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.cameras.formats import camera_path_timing, load_cameras, write_camera_path
from gen3d_tools.cameras.paths import interpolate_keyframes, orbit
from gen3d_tools.errors import InputError
from gen3d_tools.media.images import from_uint8
from gen3d_tools.media.video import VideoWriter
from gen3d_tools.viewer.drawing.look import Look, pixels_of, strips
from gen3d_tools.viewer.drawing.pace import in_turns
from gen3d_tools.viewer.drawing.painter import Scene
from gen3d_tools.viewer.drawing.window import View, view_of
from gen3d_tools.viewer.jobs import Job
from gen3d_tools.workflows.video.frames import depth_span

if TYPE_CHECKING:
    from gen3d_tools.viewer.session import Session

PREVIEW, FILM, LOADING = "Preview", "Film", "Camera path"
FORMATS = ("mp4", "gif", "webm")
FPS = 30.0
MOST_KEY_FRAMES = 64
LONGEST = 120.0
"""Seconds of a film."""

MOST_BYTES = 20 * 2**20
"""Of a camera path that is loaded."""

_PREVIEW_FPS = 20.0
_TARGET = (0.0, 0.0, 0.0)
_CENTRED = 2e-3  # of a picture's side: less than a pixel of 500


@dataclass
class KeyFrames:
    """The key frames of a session, and how fast the camera passes them."""

    views: list[View] = field(default_factory=list)
    seconds: float = 4.0
    loop: bool = False

    def add(self, view: View) -> None:
        """Put a view behind the others.

        Raises:
            InputError: There are too many.
        """
        if len(self.views) >= MOST_KEY_FRAMES:
            raise InputError(f"there are {MOST_KEY_FRAMES} key frames; remove some")
        self.views.append(view)

    def move(self, index: int, by: int) -> int:
        """Move a key frame before or behind its neighbours.

        Returns:
            Its new place.

        Raises:
            InputError: There is no such key frame.
        """
        self.check(index)
        place = min(max(index + by, 0), len(self.views) - 1)
        self.views.insert(place, self.views.pop(index))
        return place

    def remove(self, index: int) -> None:
        """Forget a key frame.

        Raises:
            InputError: There is no such key frame.
        """
        self.check(index)
        del self.views[index]

    def check(self, index: int) -> None:
        """Refuse a key frame that is not there.

        Raises:
            InputError: It is not.
        """
        if not 0 <= index < len(self.views):
            raise InputError(f"there is no key frame {index + 1}; there are {len(self.views)}")

    def set_seconds(self, seconds: float) -> None:
        """Say how long the film is.

        Raises:
            InputError: It is no time, or too long.
        """
        if not 0.1 <= seconds <= LONGEST:
            raise InputError(f"seconds is {seconds:g}; it must lie in 0.1..{LONGEST:g}")
        self.seconds = seconds

    def cameras(self, fps: float = FPS) -> Camera:
        """Give the camera of every picture, [frames]: Catmull-Rom through positions, slerp through rotations.

        Raises:
            InputError: There are fewer than two key frames.
        """
        if len(self.views) < 2:
            raise InputError(f"a path needs two key frames or more, there are {len(self.views)}; add the current view")
        cameras = stack_cameras([view.camera() for view in self.views])
        return interpolate_keyframes(cameras, max(2, round(self.seconds * fps)), loop=self.loop)


def read_path(content: bytes, window: View) -> tuple[KeyFrames, str]:
    """Read the camera file of any program that `load_cameras` knows, as key frames.

    Args:
        content: Of the file.
        window: Gives its shape to the views.

    Returns:
        The key frames, and a line that says what was left out; empty if nothing was.

    Raises:
        InputError: It is too large, or holds no cameras that can be read.
    """
    if len(content) > MOST_BYTES:
        raise InputError(f"the file has {len(content):,} bytes; camera paths have at most {MOST_BYTES:,}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "path.json"
        file.write_bytes(content)
        try:
            cameras, (fps, loop) = load_cameras(file, fov_y_deg=window.fov_deg), camera_path_timing(file)
        except InputError as error:
            raise InputError(str(error).replace(str(file), "the file")) from error
    count, notes = len(cameras), list[str]()
    if content.lstrip().startswith(b"["):
        notes.append("its cameras have no lens, and get that of the view")
    if count > MOST_KEY_FRAMES:
        kept = [round(i * (count - 1) / (MOST_KEY_FRAMES - 1)) for i in range(MOST_KEY_FRAMES)]
        cameras = cameras[kept]
        notes.append(f"{MOST_KEY_FRAMES} of its {count:,} cameras are kept as key frames")
    if ((cameras.intrinsics[:, :2, 2] - 0.5).abs() > _CENTRED).any():
        notes.append(
            "its lenses are beside the pictures' middle, and are put there; gen3d video --path takes them as they are"
        )
    views = [view_of(one, _TARGET, window.width, window.height) for one in cameras]
    seconds = min(max(count / (fps or FPS), 0.1), LONGEST) if count > 1 else 4.0
    return KeyFrames(views, seconds, loop), "; ".join(notes)


class PathActions:
    """What a session does with its key frames.

    Args:
        session: Whose.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self.keys = KeyFrames()

    def add(self) -> None:
        """Make a key frame of the current view."""
        self.keys.add(self._session.view)
        self._session.page.refresh()

    def move(self, index: int, by: int) -> int:
        """Move a key frame; see `KeyFrames.move`."""
        place = self.keys.move(index, by)
        self._session.page.refresh()
        return place

    def remove(self, index: int) -> None:
        """Forget a key frame."""
        self.keys.remove(index)
        self._session.page.refresh()

    def go(self, index: int) -> None:
        """Look from a key frame."""
        self.keys.check(index)
        self._session.look_from(self.keys.views[index])

    def turn(self) -> None:
        """Make key frames of a whole turn around the object, from the current view."""
        view = self._session.view
        cameras = orbit(8, view.camera(), target=view.look_at)
        self.keys.views = [view_of(one, view.look_at, view.width, view.height) for one in cameras]
        self.keys.loop = True
        self._session.page.refresh()

    def load(self, content: bytes) -> None:
        """Take the cameras of a file as key frames."""

        def work(job: Job) -> None:
            self.keys, note = read_path(content, self._session.view)
            if note:
                self._session.page.tell(note)
            self._session.page.refresh()

        self._session.jobs.begin(LOADING, work)

    def save(self) -> None:
        """Give the path as a nerfstudio camera path."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "path.json"
            write_camera_path(file, self.keys.cameras(), fps=FPS, closed=self.keys.loop)
            self._session.page.send_file("camera-path.json", file.read_bytes())

    def preview(self) -> None:
        """Move the page's camera along the path."""
        cameras = self.keys.cameras(_PREVIEW_FPS)
        self._session.jobs.begin(PREVIEW, lambda job: self._play(job, cameras), anew=True)

    def _play(self, job: Job, cameras: Camera) -> None:
        window, begun = self._session.view, time.monotonic()
        try:
            while (frame := int((time.monotonic() - begun) * _PREVIEW_FPS)) < len(cameras):
                job.report(frame / len(cameras))
                view = view_of(cameras[frame], window.look_at, window.width, window.height)
                self._session.look_from(view)
                job.cancelled.wait(1 / _PREVIEW_FPS)
        finally:  # between key frames it may be rolled, and nobody turns an object around a tilted axis
            if self._session.view.up != window.up:
                self._session.look_from(replace(self._session.view, up=window.up))

    def film(self, kind: str, size: int) -> None:
        """Render the path in the background, and give the film.

        Args:
            kind: One of `FORMATS`.
            size: Side of its pictures, pixels.

        Raises:
            InputError: There is no path, or no such format or size.
        """
        if kind not in FORMATS:
            raise InputError(f"there are no films of kind {kind!r}; choose {', '.join(FORMATS)}")
        look = replace(self._session.look, size=size).checked()
        fps = FPS if kind != "gif" else 25.0
        cameras, choice = self.keys.cameras(fps), self._session.choice
        name = f"{choice.sample(self._session.generator).stem}.{kind}"

        def work(job: Job) -> None:
            scene = self._session.scene_of(choice)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / name
                with VideoWriter(path, fps) as video:
                    for count, pixels in enumerate(film_frames(self._session, scene, look, cameras, job), 1):
                        video.add(from_uint8(pixels))
                        job.report(count / len(cameras), f"{count} of {len(cameras)}")
                self._session.page.send_file(name, path.read_bytes())

        self._session.jobs.begin(FILM, work)


def film_frames(
    session: "Session", scene: Scene, look: Look, cameras: Camera, job: Job
) -> Iterator[UInt8[np.ndarray, "side side 3"]]:
    """Draw square pictures from each camera, other sessions in between."""
    assert look.size is not None
    span = depth_span(cameras, scene.field.box_side)  # one for all: a colour means the same depth in every picture
    for camera in cameras.to(scene.field.device):
        work = strips(scene.field, camera, look, scene.settings, look.size, 1.0, sharp=True)
        picture = in_turns(work, session.studio.turns, job.cancelled.is_set)
        job.check()
        assert picture is not None, "it is dropped only when the job is cancelled"
        yield pixels_of(scene.field, picture, camera, look, 1.0, span)
