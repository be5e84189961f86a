import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from PIL import Image

from gen3d_tools.errors import Gen3DError, InputError, MissingDependencyError
from gen3d_tools.media import video
from gen3d_tools.media.images import read_image
from gen3d_tools.media.video import QUEUE_FRAMES, VideoWriter

COLOURS = [(0.9, 0.2, 0.1), (0.1, 0.6, 0.3), (0.2, 0.3, 0.8), (1.0, 1.0, 1.0)]
SUFFIXES = [".mp4", ".webm", ".gif", ""]


def flat(colour: tuple[float, float, float], height: int = 48, width: int = 64) -> torch.Tensor:
    return torch.tensor(colour)[:, None, None].expand(3, height, width)


def write(path: Path, frames: int = 6, fps: float = 10, height: int = 48, width: int = 64) -> None:
    with VideoWriter(path, fps) as writer:
        for index in range(frames):
            writer.add(flat(COLOURS[index % len(COLOURS)], height, width))


@dataclass(frozen=True)
class Probe:
    """What ffmpeg itself says about a file, and every frame it decodes from it."""

    codec: str
    pix_fmt: str
    tags: str
    fps: float
    pixels: np.ndarray  # frames h w 3

    @classmethod
    def of(cls, path: Path) -> "Probe":
        raw = ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        done = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), *raw], capture_output=True, check=True)
        line = re.search(
            r"Stream.*Video: (\w+).*? (yuv\w+|bgra)(\([^)]*\))?.*? (\d+)x(\d+).*? ([\d.]+) fps", done.stderr.decode()
        )
        assert line is not None
        width, height = int(line[4]), int(line[5])
        pixels = np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)
        return cls(line[1], line[2], line[3] or "", float(line[6]), pixels)

    @property
    def count(self) -> int:
        return len(self.pixels)


def test_mp4_is_what_browsers_and_quicktime_play(tmp_path):
    write(tmp_path / "a.mp4", frames=7, fps=12.5)
    probe = Probe.of(tmp_path / "a.mp4")
    assert (probe.codec, probe.pix_fmt, probe.count, probe.fps) == ("h264", "yuv420p", 7, 12.5)
    assert "bt709" in probe.tags
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # playback starts before the end has arrived


def test_webm_is_vp9(tmp_path):
    write(tmp_path / "a.webm", frames=5)
    probe = Probe.of(tmp_path / "a.webm")
    assert (probe.codec, probe.pix_fmt, probe.count) == ("vp9", "yuv420p", 5)


def test_gif_loops_forever_at_its_own_size(tmp_path):
    write(tmp_path / "a.gif", frames=5, fps=20, height=31, width=45)
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"], gif.info["duration"]) == (5, (45, 31), 0, 50)


def test_a_name_without_suffix_is_a_folder_of_numbered_pictures(tmp_path):
    write(tmp_path / "frames", frames=3)
    assert sorted(file.name for file in (tmp_path / "frames").iterdir()) == ["00000.png", "00001.png", "00002.png"]
    assert torch.allclose(read_image(tmp_path / "frames/00001.png"), flat(COLOURS[1]), atol=0.5 / 255 + 1e-6)


def test_a_slash_at_the_end_means_folder_even_after_a_dot(tmp_path):
    with VideoWriter(f"{tmp_path}/take.2/", fps=10) as writer:
        writer.add(flat(COLOURS[0]))
    assert (tmp_path / "take.2/00000.png").is_file()


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_frames_keep_their_order_and_colours(tmp_path, suffix):
    write(tmp_path / f"a{suffix}", frames=4)
    centres = Probe.of(tmp_path / f"a{suffix}").pixels[:, 24, 32] / 255
    assert centres == pytest.approx(np.array(COLOURS), abs=0.04)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_odd_sizes_grow_to_even_ones_by_repeating_the_edge(tmp_path, suffix):
    write(tmp_path / f"a{suffix}", height=47, width=63)
    pixels = Probe.of(tmp_path / f"a{suffix}").pixels
    assert pixels.shape == (6, 48, 64, 3)
    assert pixels[3].min() > 240  # the white frame has no dark border


def test_one_pixel_is_a_video_too(tmp_path):
    write(tmp_path / "a.mp4", frames=1, height=1, width=1)
    assert Probe.of(tmp_path / "a.mp4").pixels.shape == (1, 2, 2, 3)


@pytest.mark.parametrize(
    "name", ["take:1.mp4", "-dir/x.mp4", "pipe:.mp4", "http:x.webm", "-y.gif", "a%d.gif", "file:a.mp4"]
)
def test_a_name_is_a_name_and_neither_a_protocol_nor_an_option(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write(Path(name), frames=2)
    assert [path for path in Path().rglob("*") if path.is_file()] == [Path(name)]
    assert Probe.of((tmp_path / name).resolve()).count == 2


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("av_interleaved_write_frame(): No space left on device", "the disk is full"),
        ("Unknown encoder 'libx264'", "cannot write .mp4"),
        (
            r"\033[31mInvalid argument\nmore",
            r"ffmpeg stopped while writing a .mp4 \(\\x1b\[31mInvalid argument; more\)",
        ),
    ],
)
def test_what_the_encoder_says_decides_what_is_blamed(tmp_path, monkeypatch, said, words):
    script = f"cat >/dev/null; printf '%b' '{said}' >&2; exit 1"
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", fake_ffmpeg(tmp_path / "ffmpeg", script))
    with pytest.raises(Gen3DError, match=words) as caught:
        write(tmp_path / "a.mp4", frames=2)
    assert ("disk" in str(caught.value)) == ("No space" in said)
    assert [path.name for path in tmp_path.iterdir()] == ["ffmpeg"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_block_that_raises_leaves_nothing(tmp_path, suffix, error):
    with pytest.raises(error), VideoWriter(tmp_path / f"a{suffix}", fps=10) as writer:  # noqa: PT012
        for colour in COLOURS:
            writer.add(flat(colour, 200, 200))
        raise error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_frame_is_no_video(tmp_path, suffix):
    with pytest.raises(Gen3DError, match="no frame"), VideoWriter(tmp_path / f"a{suffix}", fps=10):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_existing_video_stays_until_the_new_one_is_whole(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write(path, frames=2)
    with pytest.raises(InputError, match="exists already"):
        VideoWriter(path, fps=10)
    with pytest.raises(RuntimeError), VideoWriter(path, fps=10, overwrite=True) as writer:  # noqa: PT012
        writer.add(flat(COLOURS[0]))
        raise RuntimeError
    assert path.exists()
    with VideoWriter(path, fps=10, overwrite=True) as writer:
        writer.add(flat(COLOURS[0]))
    assert list(tmp_path.iterdir()) == [path]
    assert (len(list(path.iterdir())) if suffix == "" else Probe.of(path).count) == 1


def test_a_folder_with_other_things_in_it_is_never_replaced(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        VideoWriter(tmp_path / "home", fps=10, overwrite=True)
    (tmp_path / "home.mp4").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        VideoWriter(tmp_path / "home.mp4", fps=10, overwrite=True)


def test_frames_of_different_sizes_are_refused(tmp_path):
    with pytest.raises(InputError, match="got 32x48 after 64x48"), VideoWriter(tmp_path / "a.mp4", 10) as writer:  # noqa: PT012
        writer.add(flat(COLOURS[0]))
        writer.add(flat(COLOURS[0], width=32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fps", [0, -1, 240.5, float("nan"), float("inf"), 1e-9])
def test_impossible_rates_are_refused(tmp_path, fps):
    with pytest.raises(InputError, match="frames per second"):
        VideoWriter(tmp_path / "a.mp4", fps)


def test_gif_refuses_rates_that_browsers_slow_down(tmp_path):
    with pytest.raises(InputError, match="at most 50"):
        VideoWriter(tmp_path / "a.gif", 60)


def test_unknown_suffix_names_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"\.mp4, \.webm, \.gif or a folder"):
        VideoWriter(tmp_path / "a.avi2", 10)


class Slow:
    """An encoder slower than the renderer, which counts what it has written."""

    def __init__(self) -> None:
        self.written = 0

    def write(self, pixels: np.ndarray) -> None:
        time.sleep(0.005)
        self.written += 1

    def finish(self) -> None:
        pass

    def abort(self) -> None:
        pass


def test_the_queue_is_bounded(tmp_path, monkeypatch):
    sink = Slow()
    monkeypatch.setattr(VideoWriter, "_start", lambda self, width, height: self._temporary.touch() or sink)
    with VideoWriter(tmp_path / "a.mp4", fps=10) as writer:
        waiting = []
        for index in range(5 * QUEUE_FRAMES):
            writer.add(flat(COLOURS[0]))
            waiting.append(index + 1 - sink.written)
    assert max(waiting) <= QUEUE_FRAMES
    assert sink.written == 5 * QUEUE_FRAMES


def test_an_error_of_the_encoders_thread_stops_the_renderer(tmp_path, monkeypatch):
    def fail(self: object, pixels: np.ndarray) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(video._Folder, "write", fail)
    added = 0
    with pytest.raises(Gen3DError, match="disk is full"), VideoWriter(tmp_path / "frames", fps=10) as writer:  # noqa: PT012
        for added in range(100):  # noqa: B007
            writer.add(flat(COLOURS[0]))
    assert added <= QUEUE_FRAMES
    assert list(tmp_path.iterdir()) == []


def fake_ffmpeg(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_an_encoder_that_fails_at_the_very_end_leaves_no_half_video(tmp_path, monkeypatch):
    script = (
        'cat >/dev/null; for path; do :; done; echo half > "${path#file:}"; '
        "echo 'No space left on device' >&2; exit 228"
    )
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", fake_ffmpeg(tmp_path / "ffmpeg", script))
    with pytest.raises(Gen3DError, match="the disk is full"):
        write(tmp_path / "out/a.mp4")
    assert not (tmp_path / "out").exists()


def test_an_encoder_that_dies_at_once_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv(
        "IMAGEIO_FFMPEG_EXE", fake_ffmpeg(tmp_path / "ffmpeg", "echo 'Unknown encoder libx264' >&2; exit 1")
    )
    with pytest.raises(MissingDependencyError, match=r"Unknown encoder.*pip install imageio-ffmpeg"):
        write(tmp_path / "out/a.mp4", frames=30, height=256, width=256)


def test_without_ffmpeg_the_message_names_the_command_before_any_frame(tmp_path, monkeypatch):
    def missing() -> str:
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", missing)
    with pytest.raises(MissingDependencyError, match="pip install imageio-ffmpeg"):
        VideoWriter(tmp_path / "a.mp4", fps=10)
    write(tmp_path / "frames", frames=2)  # pictures need no ffmpeg


def test_an_ffmpeg_that_is_not_there_is_a_missing_dependency(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nowhere"))
    with pytest.raises(MissingDependencyError, match="pip install imageio-ffmpeg"):
        write(tmp_path / "a.mp4")
