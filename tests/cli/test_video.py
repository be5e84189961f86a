"""`gen3d video` end to end on a tiny generator."""

import errno
import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.cameras.formats import load_cameras, write_camera_path
from tests.support.camera_sets import write_transforms

SMALL = ("--size", 16)
SHORT = ("--seconds", 0.4, "--fps", 10)  # 4 frames
FAST = (*SMALL, *SHORT)


def probe(path):
    """What ffmpeg says about a video: pixel format, frames per second; and its frames [n, h, w, 3]."""
    raw = ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), *raw], capture_output=True, check=True)
    found = re.search(r"Video: .*? (yuv\w+|bgra).*? (\d+)x(\d+).*? ([\d.]+) fps", done.stderr.decode())
    assert found is not None
    pixels = np.frombuffer(done.stdout, np.uint8).reshape(-1, int(found[3]), int(found[2]), 3)
    return found[1], float(found[4]), pixels


def picture(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def around(count, radius=2.7, fov=20.0):
    return stack_cameras([Camera.from_spherical(20 * i, 10, radius, fov_y_deg=fov) for i in range(count)])


def test_one_video_per_sample_in_a_new_folder(gen3d, tiny_folder):
    result = gen3d("video", tiny_folder, "--class", "ball", "--seeds", "0,2", *FAST)
    assert result.code == 0, result.err
    assert result.paths == [f"gen3d-out/video-tiny-ball-seeds-0,2/ball-000{seed}.mp4" for seed in (0, 2)]
    assert "gen3d mesh" in result.err
    record = json.loads(Path("gen3d-out/video-tiny-ball-seeds-0,2/run.json").read_text())
    assert (record["command"], record["options"]["path"], record["details"]["frames"]) == ("video", "orbit", 4)


def test_an_mp4_has_the_length_rate_and_format_asked_for(gen3d, tiny_folder):
    assert gen3d("video", tiny_folder, "--size", 15, "--seconds", 0.5, "--fps", 12, "-o", "x.mp4").code == 0
    pixel_format, fps, frames = probe("x.mp4")
    assert (pixel_format, fps, frames.shape) == ("yuv420p", 12, (6, 16, 16, 3))


def test_the_default_is_four_seconds_of_thirty_frames(gen3d, tiny_folder):
    result = gen3d("video", tiny_folder, "--dry-run", "--json", *SMALL)
    assert (result.json["details"]["frames"], result.json["details"]["fps"]) == (120, 30)


@pytest.mark.parametrize("name", ["x.gif", "x.webm"])
def test_the_suffix_chooses_the_format(gen3d, tiny_folder, name):
    assert gen3d("video", tiny_folder, "-o", name, *FAST).code == 0
    assert len(probe(name)[2]) == 4


def test_frames_as_pictures_are_those_of_sample(gen3d, tiny_folder):
    orbit = gen3d("video", tiny_folder, "--class", "cube", "--format", "frames", "--pitch", 30, "-o", "film", *FAST)
    assert orbit.paths == ["film/cube-0000"]
    for frame in (0, 1):
        yaw = 35 + 90 * frame
        name = f"{frame}.png"
        gen3d("sample", tiny_folder, "--class", "cube", "--pitch", 30, "--yaw", yaw, "-o", name, *SMALL)
        assert np.abs(picture(name) - picture(f"film/cube-0000/0000{frame}.png")).max() <= 1
    assert np.array_equal(picture("0.png"), picture("film/cube-0000/00000.png"))


def test_kinds_stand_side_by_side(gen3d, tiny_folder):
    shown = ("--class", "ball", "--show", "rgb,depth,normal", "--format", "frames")
    assert gen3d("video", tiny_folder, *shown, "-o", "film", *FAST).code == 0
    frame = picture("film/ball-0000/00000.png")
    assert frame.shape == (16, 48, 3)
    gen3d("sample", tiny_folder, "--class", "ball", "--show", "rgb,normal", "-o", "alone", *SMALL)
    assert np.array_equal(frame[:, :16], picture("alone/ball-0000-rgb.png"))
    assert np.array_equal(frame[:, 32:], picture("alone/ball-0000-normal.png"))


def test_several_samples_in_one_file_become_a_grid_and_it_says_so(gen3d, tiny_folder):
    result = gen3d("video", tiny_folder, "--class", "all", "--seeds", "0-2", "-o", "x.mp4", *FAST)
    assert result.code == 0, result.err
    assert "a grid of 3 x 2" in result.err
    assert probe("x.mp4")[2].shape == (4, 32, 48, 3)


@pytest.mark.slow
def test_a_grid_holds_each_sample_in_its_cell_and_white_beyond(gen3d, tiny_folder):
    asked = ("--class", "ball", "--seeds", "0-2", "--format", "frames")
    assert gen3d("video", tiny_folder, *asked, "--grid", "2x2", "-o", "g", *FAST).paths == ["g/grid"]
    gen3d("video", tiny_folder, *asked, "-o", "alone", *FAST)
    frame = picture("g/grid/00002.png")
    assert np.array_equal(frame[16:, :16], picture("alone/ball-0002/00002.png"))
    assert (frame[16:, 16:] == 255).all()


def test_a_grid_without_a_size_is_about_square(gen3d, tiny_folder):
    made = gen3d("video", tiny_folder, "--seeds", "0-2", "--format", "frames", "--grid", "-o", "g", *FAST)
    assert made.paths == ["g/grid"], made.err
    assert picture("g/grid/00000.png").shape == (32, 32, 3)


def test_frames_come_with_their_cameras(gen3d, tiny_folder):
    made = gen3d("video", tiny_folder, "--class", "ball", "--cameras-out", "nerfstudio", "-o", "set", *FAST)
    assert made.code == 0, made.err
    assert made.paths == ["set/ball-0000", "set/transforms.json"]
    names = [frame["file_path"] for frame in json.loads(Path("set/transforms.json").read_text())["frames"]]
    assert names == [f"ball-0000/{index:05d}.png" for index in range(4)]
    assert all(picture(f"set/{name}").shape == (16, 16, 3) for name in names)
    yaw, _, _ = load_cameras("set/transforms.json").spherical()
    assert (yaw - yaw[0]).remainder(360).tolist() == pytest.approx([0, 90, 180, 270], abs=0.01)


@pytest.mark.parametrize("more", [("--interpolate", "--seeds", "0-1"), ("--format", "gif"), ("--show", "rgb,depth")])
def test_what_is_no_picture_of_one_object_gets_no_cameras(gen3d, tiny_folder, more):
    refused = gen3d("video", tiny_folder, "--cameras-out", "colmap", *more, *FAST)
    assert refused.code == 2
    assert "cameras belong to pictures" in refused.error


@pytest.mark.slow
def test_interpolation_passes_through_its_samples(gen3d, tiny_folder):
    still = ("--path", "still.json", "--format", "frames", "--class", "all", "--seeds", 1)
    write_camera_path("still.json", around(1)[[0] * 6], fps=10)
    result = gen3d("video", tiny_folder, *still, "--interpolate", "-o", "walk", *SMALL)
    assert result.paths == ["walk/interpolation"]
    gen3d("video", tiny_folder, *still, "-o", "alone", *SMALL)
    frames = [picture(f"walk/interpolation/0000{i}.png") for i in range(6)]
    for index, name in ((0, "ball"), (3, "cube")):
        assert np.abs(frames[index] - picture(f"alone/{name}-0001/00000.png")).max() <= 1
    assert np.abs(frames[0] - frames[3]).max() > 20
    away, back = np.abs(frames[1] - frames[0]).mean(), np.abs(frames[1] - frames[5]).mean()
    assert away > 1
    assert back < 0.2 * away  # two keyframes: the way back is nearly the way there


@pytest.mark.slow
def test_a_way_that_is_gone_once_ends_at_its_last_sample(gen3d, tiny_folder):
    still = ("--path", "still.json", "--format", "frames", "--class", "all", "--seeds", 1)
    write_camera_path("still.json", around(1)[[0] * 4], fps=10)
    once = gen3d("video", tiny_folder, *still, "--interpolate", "--once", "-o", "once", *SMALL)
    assert once.code == 0, once.err
    assert "(ball 1 > cube 1, " in once.err
    assert "each frame of a blend is an object of its own" in once.err
    gen3d("video", tiny_folder, *still, "-o", "alone", *SMALL)
    for index, name in ((0, "ball"), (3, "cube")):
        frame = picture(f"once/interpolation/0000{index}.png")
        assert np.abs(frame - picture(f"alone/{name}-0001/00000.png")).max() <= 1
    back = gen3d("video", tiny_folder, *still, "--interpolate", "-o", "back", *SMALL)
    assert "(ball 1 > cube 1 > ball 1, " in back.err
    refused = gen3d("video", tiny_folder, "--once", *SMALL)
    assert refused.code == 2
    assert "add --interpolate" in refused.error


def test_interpolating_grids_share_out_the_samples(gen3d, tiny_folder):
    asked = ("--seeds", "0-3", "--interpolate", "--grid", "2x1")
    result = gen3d("video", tiny_folder, *asked, "-o", "x.mp4", *FAST)
    assert result.code == 0, result.err
    assert probe("x.mp4")[2].shape == (4, 16, 32, 3)


@pytest.mark.parametrize("name", ["wiggle", "front-circle", "front_circle", "line", "SPIRAL"])
def test_every_path_by_either_spelling(gen3d, tiny_folder, name):
    result = gen3d("video", tiny_folder, "--path", name, "-o", "x.gif", *FAST)
    assert result.code == 0, result.err
    assert len(np.unique(probe("x.gif")[2], axis=0)) > 1


def test_a_camera_path_brings_its_frames_and_its_rate(gen3d, tiny_folder):
    write_camera_path("path.json", around(5), fps=12)
    assert gen3d("video", tiny_folder, "--path", "path.json", "-o", "x.mp4", *SMALL).code == 0
    _, fps, frames = probe("x.mp4")
    assert (fps, len(frames)) == (12, 5)


def test_with_a_length_the_cameras_of_a_file_are_keyframes(gen3d, tiny_folder):
    write_transforms("transforms.json", around(3))
    asked = ("--path", "transforms.json", "--seconds", 0.5, "--fps", 10, "--dry-run", "--json")
    assert gen3d("video", tiny_folder, *asked, *SMALL).json["details"]["frames"] == 5


def test_a_path_at_another_distance_does_not_cut_the_object(gen3d, tiny_folder):
    """The far camera with the narrower lens sees the same picture, though the model's far end lies before it."""
    narrow = math.degrees(2 * math.atan(math.tan(math.radians(10)) * 2.7 / 27))
    for name, cameras in (("near", around(2)), ("far", around(2, radius=27.0, fov=narrow))):
        write_camera_path(f"{name}.json", cameras, fps=10)
        asked = ("--class", "ball", "--path", f"{name}.json", "--format", "frames", "-o", name)
        assert gen3d("video", tiny_folder, *asked, *SMALL).code == 0
    near, far = (picture(f"{name}/ball-0000/00000.png") for name in ("near", "far"))
    assert (near < 250).any()
    assert np.abs(near - far).mean() < 12


def test_wide_camera_paths_are_cut_at_the_sides_and_it_says_so(gen3d, tiny_folder):
    wide = around(2)
    lens = wide.intrinsics.clone()
    lens[:, 0, 0] /= 2
    write_camera_path("wide.json", Camera(wide.cam2world, lens), fps=10)
    write_camera_path("square.json", wide, fps=10)
    for name in ("wide", "square"):
        asked = ("--path", f"{name}.json", "--format", "frames", "-o", name, "--class", "cube")
        result = gen3d("video", tiny_folder, *asked, *SMALL)
        assert ("sides are cut" in result.err) == (name == "wide")
    assert np.abs(picture("wide/cube-0000/00000.png") - picture("square/cube-0000/00000.png")).max() <= 1


def test_leaving_the_trusted_views_is_said_once(gen3d, tiny_folder, tmp_path):
    narrow = shutil.copytree(tiny_folder, tmp_path / "narrow")
    config = json.loads((narrow / "config.json").read_text())
    config["cameras"]["trusted"] |= {"yaw_min_deg": -60.0, "yaw_max_deg": 60.0}
    (narrow / "config.json").write_text(json.dumps(config))
    orbit = gen3d("video", narrow, "--seeds", "0-1", "-o", "a", *FAST)
    assert orbit.code == 0, orbit.err
    assert orbit.err.count("2 of 4 frames leave the views") == 1
    assert "leave the views" not in gen3d("video", narrow, "--path", "wiggle", "-o", "b", *FAST).err


def test_a_dry_run_tells_the_plan_and_writes_nothing(gen3d, tiny_folder, leftovers):
    result = gen3d("video", tiny_folder, "--seeds", "0-1", "--class", "ball", "-o", "out", "--dry-run", *FAST)
    assert result.code == 0
    assert result.paths == ["out/ball-0000.mp4", "out/ball-0001.mp4"]
    assert "4 frames of 16 x 16 pixels, 10 per second" in result.err
    assert "s of work" in result.err
    assert leftovers() == []


def test_json_is_one_object_and_quiet_prints_paths_only(gen3d, tiny_folder):
    result = gen3d("video", tiny_folder, "-o", "x.mp4", "--json", *FAST)
    assert (result.err, result.json["outputs"]) == ("", ["x.mp4"])
    quiet = gen3d("video", tiny_folder, "--seeds", "0-1", "-o", "y.mp4", "-q", *FAST)
    assert (quiet.out, quiet.err) == ("y.mp4\n", "")


@pytest.mark.slow
def test_existing_videos_are_kept_unless_overwritten(gen3d, tiny_folder):
    Path("out").mkdir()
    Path("out/ball-0001.mp4").write_text("precious")
    asked = ("--class", "ball", "--seeds", "0-1", "-o", "out", *FAST)
    refused = gen3d("video", tiny_folder, *asked)
    assert refused.code == 2
    assert "--overwrite" in refused.error
    assert [path.name for path in Path("out").iterdir()] == ["ball-0001.mp4"]  # nothing was rendered in vain
    assert Path("out/ball-0001.mp4").read_text() == "precious"
    kept = gen3d("video", tiny_folder, *asked, "--overwrite")  # no run of ours has made it
    assert kept.code == 2
    assert "no recorded run has made (ball-0001.mp4)" in kept.error
    Path("out/ball-0001.mp4").unlink()
    assert gen3d("video", tiny_folder, *asked).code == 0
    made = Path("out/ball-0001.mp4").read_bytes()
    assert gen3d("video", tiny_folder, *asked).code == 2
    assert gen3d("video", tiny_folder, *asked, "--overwrite").code == 0
    assert Path("out/ball-0001.mp4").read_bytes() == made
    assert len(probe("out/ball-0001.mp4")[2]) == 4


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--seconds", "0"], 2, "seconds is 0"),
        (["--seconds", "-1"], 2, "seconds is -1"),
        (["--seconds", "nan"], 2, "seconds is nan"),
        (["--seconds", "inf"], 2, "seconds is inf"),
        (["--seconds", "1e6"], 2, "at most 100000"),
        (["--fps", "0"], 2, "fps is 0"),
        (["--fps", "1000"], 2, "fps is 1000"),
        (["--fps", "60", "-o", "x.gif"], 2, "at most 50"),
        (["--size", "0"], 2, "size is 0"),
        (["--size", "4096"], 2, "1..2048"),
        (["--size", "2048", "--grid", "5x1"], 2, "10240 x 2048"),
        (["--grid", "2"], 2, "such as 3x2"),
        (["--grid", "0x2"], 2, "1..32"),
        (["--grid", "2x1", "--seeds", "0-2"], 2, "try --grid 2x2"),
        (["--interpolate"], 2, "two seeds or more"),
        (["--interpolate", "--grid", "2x1", "--seeds", "0-2"], 2, "equally many"),
        (["--interpolate", "--grid", "--seeds", "0-3"], 2, "share the samples to interpolate; write --grid 2x1, or"),
        (["--path", "wigle"], 2, "did you mean wiggle?"),
        (["--path", "zzz"], 2, "front-circle, line, spiral"),
        (["--path", "missing.json"], 3, "no camera file at missing.json"),
        (["--show", "rgb,smell"], 2, "cannot show smell"),
        (["--psi", "9"], 2, "psi is 9"),
        (["--fov", "180"], 2, "180"),
        (["--pitch", "91"], 2, "pitch is 91"),
        (["--class", "bal"], 2, "did you mean ball?"),
        (["--format", "avi"], 2, "choose from mp4, gif, webm, frames"),
        (["--format", "gif", "-o", "x.mp4"], 2, "leave one out"),
        (["-o", "x.avi"], 2, "unknown video suffix '.avi'"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(gen3d, tiny_folder, leftovers, arguments, code, message):
    result = gen3d("video", tiny_folder, *FAST, *arguments)
    assert result.code == code
    assert message in result.error
    assert leftovers() == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"camera_path": []}', '{"camera_path": [{"fov": 50}]}'])
def test_a_malformed_path_file_is_named(gen3d, tiny_folder, leftovers, text):
    Path("path.json").write_text(text)
    result = gen3d("video", tiny_folder, "--path", "path.json", "-o", "x.mp4", *FAST)
    assert result.code == 2
    assert "path.json" in result.error
    assert leftovers() == ["path.json"]


def test_angles_do_not_mix_with_a_path_file(gen3d, tiny_folder):
    write_camera_path("path.json", around(2))
    result = gen3d("video", tiny_folder, "--path", "path.json", "--yaw", 5, "-o", "x.mp4", *FAST)
    assert result.code == 2
    assert "leave --yaw and --pitch out" in result.error


def test_a_wrong_suffix_is_said_before_the_model_is_read(gen3d):
    result = gen3d("video", "no-such-model", "-o", "x.avi")
    assert result.code == 2
    assert "unknown video suffix" in result.error


def test_ctrl_c_keeps_finished_videos_and_nothing_of_the_one_in_progress(gen3d, tiny_folder, monkeypatch):
    from gen3d_tools.workflows.video import frames as film

    real, calls = film._picture, []

    def stop_in_the_second_video(*arguments):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(film, "_picture", stop_in_the_second_video)
    result = gen3d("video", tiny_folder, "--class", "all", "-o", "out", *FAST)
    assert result.code == 130
    assert result.err.splitlines()[-1].startswith("error: interrupted")
    assert sorted(path.name for path in Path("out").iterdir()) == ["ball-0000.mp4", "run.json"]
    assert len(probe("out/ball-0000.mp4")[2]) == 4


def test_a_full_disk_leaves_no_half_written_video(gen3d, tiny_folder, monkeypatch, leftovers):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    result = gen3d("video", tiny_folder, "--class", "ball", "--format", "frames", "-o", "out", *FAST)
    assert result.code == 1
    assert "disk is full" in result.error
    assert [path for path in leftovers() if path != "out"] == []
