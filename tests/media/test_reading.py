import gc
import warnings

import pytest
import torch

from gen3d_tools.errors import InputError, MissingDependencyError, NotFoundError
from gen3d_tools.media.reading import read_video
from gen3d_tools.media.video import VideoWriter

# imageio-ffmpeg leaves the closing of its pipes to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected():
    """Let that happen here: its warnings would fail a later test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


SUFFIXES = [".mp4", ".webm", ".gif", ""]


def ramp(frames: int, height: int = 48, width: int = 64) -> list[torch.Tensor]:
    return [torch.full((3, height, width), index / frames) for index in range(frames)]


def write(path, frames, fps=12.5):
    with VideoWriter(path, fps) as writer:
        for frame in frames:
            writer.add(frame)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("count", [1, 2, 9])
def test_every_frame_comes_back_once_and_in_order(tmp_path, suffix, count):
    write(tmp_path / f"a{suffix}", ramp(count))
    found = list(read_video(tmp_path / f"a{suffix}"))
    assert torch.stack(found) == pytest.approx(torch.stack(ramp(count)), abs=0.02)


@pytest.mark.parametrize("fps", [0.5, 29.97, 60, 240])
def test_no_rate_doubles_or_drops_a_frame(tmp_path, fps):
    write(tmp_path / "a.mp4", ramp(5), fps)
    assert len(list(read_video(tmp_path / "a.mp4"))) == 5


@pytest.mark.parametrize(
    "name", ["take:1.mp4", "-dir/x.mp4", "imageio:a.mp4", "renders.zip/a.gif", "renders.zip/a.webm", "<video0>.mp4"]
)
def test_a_name_is_a_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write(name, ramp(2))
    assert len(list(read_video(name))) == 2


def test_frames_are_read_as_they_are_asked_for(tmp_path):
    write(tmp_path / "a.mp4", ramp(9))
    frames = read_video(tmp_path / "a.mp4")
    assert next(frames).shape == (3, 48, 64)
    frames.close()  # ends ffmpeg too: the file can be replaced everywhere


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_what_is_no_video_is_told_in_one_line(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n")
    with pytest.raises(InputError, match=f"is not a {suffix} video"):
        next(read_video(tmp_path / f"a{suffix}"))


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_video_cut_short_is_no_shorter_video(tmp_path, suffix):
    generator = torch.Generator().manual_seed(0)
    write(tmp_path / f"a{suffix}", [torch.rand(3, 48, 64, generator=generator) for _ in range(20)])
    data = (tmp_path / f"a{suffix}").read_bytes()
    (tmp_path / f"a{suffix}").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cut short|broken video") as caught:
        list(read_video(tmp_path / f"a{suffix}"))
    assert "\n" not in str(caught.value)


def test_a_broken_head_is_told_in_one_line(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(500))
    with pytest.raises(InputError, match="is a broken video") as caught:
        next(read_video(tmp_path / "a.mp4"))
    assert "\n" not in str(caught.value)


def test_a_gif_of_a_bomb_is_not_opened(tmp_path):
    (tmp_path / "a.gif").write_bytes(b"GIF89a" + b"\xff\xff\xff\xff" + bytes(100))
    with pytest.raises(InputError, match="65535 x 65535 pixels"):
        next(read_video(tmp_path / "a.gif"))


def test_what_is_not_there_or_has_no_known_suffix_says_so(tmp_path, monkeypatch):
    with pytest.raises(NotFoundError, match="no video at"):
        next(read_video(tmp_path / "none.mp4"))
    (tmp_path / "a.avi").write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"give one of \.mp4, \.webm, \.gif"):
        next(read_video(tmp_path / "a.avi"))
    with pytest.raises(InputError, match=r"no numbered \.png files"):
        next(read_video(tmp_path))
    write(tmp_path / "a.mp4", ramp(1))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nowhere"))
    with pytest.raises((InputError, MissingDependencyError)) as caught:
        next(read_video(tmp_path / "a.mp4"))
    assert "\n" not in str(caught.value)
