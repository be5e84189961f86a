"""Videos, written frame by frame: memory does not grow with their length.

ffmpeg runs as a child process. Frames reach it through a short queue and a thread of their own, so rendering and
encoding overlap. imageio-ffmpeg brings the program; imageio writes the folders of pictures and reads all of it back
(`media.reading`). We start the encoder ourselves: imageio's writer takes the same processor time and makes the same
.mp4, but it does not look at ffmpeg's exit code (a full disk leaves half a video behind, and no error), lets ffmpeg
speak to the terminal for itself, waits for it to finish when the block is interrupted, and does not write .gif; the
.gif that imageio makes with Pillow holds all frames in memory.
"""

import subprocess
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from gen3d_tools.errors import Gen3DError, InputError, MissingDependencyError
from gen3d_tools.files import atomic_path, check_writable
from gen3d_tools.media.images import encode_pixels, to_uint8
from gen3d_tools.printable import printable

QUEUE_FRAMES = 8
"""Frames that may wait for the encoder before `VideoWriter.add` waits too."""

# Players guess the colour matrix of an untagged video from its size, so we convert to BT.709 and say so.
_BT709 = (
    "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,format=yuv420p,"
    "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
)
# One palette per frame: better colours, and no frame has to wait for the last one. Ordered dither stands still.
_PALETTE = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1:dither=bayer:bayer_scale=2"
_CODECS = {
    ".mp4": ["-vf", _BT709, "-c:v", "libx264", "-crf", "18", "-movflags", "+faststart"],
    ".webm": ["-vf", _BT709, "-c:v", "libvpx-vp9", "-crf", "24", "-b:v", "0", "-row-mt", "1", "-cpu-used", "3"],
    ".gif": ["-filter_complex", _PALETTE, "-loop", "0"],
}
_EVEN_SIZES = {".mp4", ".webm"}
_MAX_FPS = {".gif": 50}  # browsers slow faster GIFs down to 10
_INSTALL = "run `pip install imageio-ffmpeg`, or name a folder (no suffix) to get numbered .png files"


def frame_path(folder: Path, index: int) -> Path:
    """Name a picture of a video that is a folder of pictures."""
    return folder / f"{index:05d}.png"


@runtime_checkable
class HasColors(Protocol):
    """Pictures with their colours, such as `rendering.renderer.Frames`."""

    @property
    def rgb(self) -> Tensor:
        """Colours in [0, 1], [*b, 3, h, w]."""


class VideoWriter:
    """Write frames to a video; the path's suffix chooses the format.

    `.mp4` (H.264, plays in browsers and QuickTime), `.webm` (VP9), `.gif` (loops forever), or, without a
    suffix or with a `/` at the end, a folder of 00000.png, 00001.png, ... The video appears when the block
    ends; if it raises, Ctrl-C included, nothing remains. An encoder's error is raised by `add` or at the
    end of the block.

        with VideoWriter("orbit.mp4", fps=30) as video:
            for frames in render_frames(field, cameras):
                video.add(frames.rgb)
    """

    def __init__(self, path: str | Path, fps: float, *, overwrite: bool = False) -> None:
        """Check everything that can be checked before the first frame is rendered.

        Args:
            path: The video file or folder.
            fps: Frames per second, in (0, 240]; up to 50 for .gif.
            overwrite: Whether an existing output may be replaced once the new one is whole.

        Raises:
            InputError: The suffix is unknown, `fps` is out of range, or the output exists and may not be replaced.
            MissingDependencyError: There is no ffmpeg.
        """
        self.path = Path(path)
        self._suffix = "" if str(path).endswith("/") else self.path.suffix.lower()
        if self._suffix and self._suffix not in _CODECS:
            known = ", ".join(_CODECS)
            raise InputError(f"cannot write {path}: unknown video suffix '{self._suffix}'; choose {known} or a folder")
        self._rate = _exact_rate(fps, _MAX_FPS.get(self._suffix, 240))
        check_writable(self.path, overwrite=overwrite, kind="file" if self._suffix else "folder")
        self._ffmpeg = find_ffmpeg() if self._suffix else ""
        self._overwrite = overwrite
        self._frame_size = (0, 0)
        self._sink: _Sink | None = None
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> "VideoWriter":
        self._context = self._open()
        self._context.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return self._context.__exit__(kind, error, traceback)

    def add(self, frame: Float[Tensor, "3 h w"]) -> None:
        """Hand over the next frame, values in [0, 1]; waits while `QUEUE_FRAMES` are unwritten.

        Raises:
            InputError: The frame's size is not that of the first one.
            Gen3DError: The encoder failed on an earlier frame.
        """
        height, width = frame.shape[-2:]
        if self._sink is None:
            self._frame_size = (width, height)
            self._sink = self._start(width, height)
        if (width, height) != self._frame_size:
            first = "x".join(map(str, self._frame_size))
            raise InputError(f"all frames of {self.path} must have one size, got {width}x{height} after {first}")
        while self._pending and (self._pending[0].done() or len(self._pending) >= QUEUE_FRAMES):
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(self._sink.write, to_uint8(frame)))

    @contextmanager
    def _open(self) -> Iterator[None]:
        with (
            atomic_path(self.path, overwrite=self._overwrite) as self._temporary,
            ThreadPoolExecutor(1, thread_name_prefix="video") as self._thread,
        ):
            try:
                yield
                self._finish()
            except BaseException:
                if self._sink is not None:
                    self._sink.abort()
                self._thread.shutdown(cancel_futures=True)
                raise

    def _finish(self) -> None:
        if self._sink is None:
            raise Gen3DError(f"no frame was added to {self.path}, so there is no video; ask for at least one frame")
        while self._pending:
            self._pending.popleft().result()
        self._sink.finish()

    def _start(self, width: int, height: int) -> "_Sink":
        if not self._suffix:
            return _Folder(self._temporary)
        return _Ffmpeg(self._ffmpeg, self._temporary, self._rate, width, height)


class _Sink(Protocol):
    """Where frames go. `write` is called from the writer's thread, one frame after the other."""

    def write(self, pixels: UInt8[np.ndarray, "h w 3"]) -> None: ...

    def finish(self) -> None: ...

    def abort(self) -> None: ...


class _Folder:
    """Numbered .png files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._count = 0

    def write(self, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        with frame_path(self._folder, self._count).open("wb") as file:
            encode_pixels(file, pixels)
        self._count += 1

    def finish(self) -> None:
        """Every file is whole as soon as it is written."""

    def abort(self) -> None:
        """The folder is removed by whoever named it."""


class _Ffmpeg:
    """An ffmpeg process that reads raw frames from a pipe."""

    def __init__(self, program: str, path: Path, rate: Fraction, width: int, height: int) -> None:
        self._program, self._path = program, path
        self._pad = path.suffix.lower() in _EVEN_SIZES
        if self._pad:
            width, height = width + width % 2, height + height % 2
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(rate), "-i", "-"]
        target = f"file:{path}"  # else "take:1.mp4" is a protocol, and "-dir/x.mp4" an option
        command = [program, "-v", "error", "-y", *source, "-an", *_CODECS[path.suffix.lower()], target]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process; a pipe could fill up)
        try:  # in an own session, so that Ctrl-C reaches us alone and we decide what becomes of the file
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=self._log, start_new_session=True)
        except OSError as error:
            self._log.close()
            raise MissingDependencyError(f"cannot start {program} ({error.strerror}); {_INSTALL}") from error
        assert self._process.stdin is not None
        self._pipe = self._process.stdin

    def write(self, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        try:
            self._pipe.write((_even(pixels) if self._pad else pixels).data)
        except BrokenPipeError as error:
            self._process.wait()
            raise self._failure() from error

    def finish(self) -> None:
        with suppress(BrokenPipeError):  # ffmpeg ended early: its exit code tells
            self._pipe.close()
        if self._process.wait() != 0:
            raise self._failure()
        self._log.close()

    def abort(self) -> None:
        self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):
            self._pipe.close()
        self._log.close()

    def _failure(self) -> Gen3DError:
        self._log.seek(0)
        said = printable("; ".join(self._log.read().decode(errors="replace").split("\n")[:2]), 200) or "no message"
        if "Unknown encoder" in said or "No such filter" in said:
            return MissingDependencyError(f"{self._program} cannot write {self._path.suffix} ({said}); {_INSTALL}")
        if "No space left" in said or "quota" in said:
            return Gen3DError(
                f"the disk is full: no {self._path.suffix} was written; free some space, or use another disk"
            )
        return Gen3DError(
            f"ffmpeg stopped while writing a {self._path.suffix} ({said}); try another format or a folder"
        )


def write_video(
    path: str | Path, frames: Iterable[Tensor | HasColors] | HasColors, fps: float = 30.0, *, overwrite: bool = False
) -> None:
    """Write a video in one call: `write_video("orbit.mp4", render_frames(field, cameras))`.

    Args:
        path: The video file or folder, as `VideoWriter` takes it.
        frames: Pictures [3, h, w] with values in [0, 1], a batch of them, or what has such as `rgb`: `Frames`, one
            with all or one each. They are asked for one at a time, so that memory need not grow with the video.
        fps: Frames per second.
        overwrite: Whether an existing output may be replaced once the new one is whole.

    Raises:
        InputError: Sizes differ, the suffix is unknown, or the output exists.
        MissingDependencyError: There is no ffmpeg.
        Gen3DError: There is no frame, or it cannot be written.
    """
    with VideoWriter(path, fps, overwrite=overwrite) as video:
        for frame in frames if isinstance(frames, Iterable) else frames.rgb:
            video.add(frame if isinstance(frame, Tensor) else frame.rgb)


def _even(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
    """Repeat the last row and column of odd sizes: 4:2:0 colour lives on blocks of two by two pixels."""
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _exact_rate(fps: float, highest: int) -> Fraction:
    rate = Fraction(fps).limit_denominator(100_000) if 0 < fps <= highest else Fraction(0)
    if rate == 0:
        raise InputError(f"frames per second must be above 0 and at most {highest} for this format, got {fps}")
    return rate


def find_ffmpeg() -> str:
    """Find the program that imageio-ffmpeg brings, or that `IMAGEIO_FFMPEG_EXE` names.

    Raises:
        MissingDependencyError: There is none.
    """
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise MissingDependencyError(f"no ffmpeg for the video; {_INSTALL}") from error
