"""Key frames, the way through them, and its film."""

import gc
import json
import math
import tempfile
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.cameras.formats import write_camera_path
from gen3d_tools.errors import InputError
from gen3d_tools.media.images import depth_picture, to_uint8
from gen3d_tools.media.reading import read_video
from gen3d_tools.rendering.renderer import render
from gen3d_tools.viewer.actions.camera_path import MOST_KEY_FRAMES, KeyFrames, film_frames, read_path
from gen3d_tools.viewer.browser.gestures import read_move
from gen3d_tools.viewer.drawing.window import View
from gen3d_tools.viewer.jobs import Job
from gen3d_tools.workflows.video.frames import depth_span
from tests.support.camera_sets import write_transforms
from tests.viewer.recording_page import PIXELS, session_of

FRONT = View(position=(0.0, 0.0, 2.7), look_at=(0.0, 0.0, 0.0), fov_deg=20.0)
SIDE = replace(FRONT, position=(2.7, 0.0, 0.0))
ABOVE = replace(FRONT, position=(0.0, 2.0, 2.0), fov_deg=30.0)


@pytest.fixture
def session(tiny_generator):
    session = session_of(tiny_generator)
    yield session
    session.close()


def test_the_way_passes_its_key_frames_at_even_times():
    keys = KeyFrames([FRONT, SIDE, ABOVE], seconds=2.0)
    cameras = keys.cameras(fps=10.5)
    assert len(cameras) == 21
    for place, view in ((0, FRONT), (10, SIDE), (20, ABOVE)):
        torch.testing.assert_close(cameras[place].position, view.camera().position, atol=1e-5, rtol=0)
        assert float(cameras[place].fov_y_deg) == pytest.approx(view.fov_deg, abs=1e-3)


def test_one_key_frame_is_no_way():
    with pytest.raises(InputError, match="two key frames"):
        KeyFrames([FRONT]).cameras()


def test_key_frames_change_places_and_go():
    keys = KeyFrames([FRONT, SIDE, ABOVE])
    assert keys.move(2, -1) == 1
    assert keys.views == [FRONT, ABOVE, SIDE]
    assert keys.move(0, -1) == 0
    keys.remove(1)
    assert keys.views == [FRONT, SIDE]
    for wrong in (-1, 2):
        with pytest.raises(InputError, match="no key frame"):
            keys.remove(wrong)


def test_there_is_an_end_to_key_frames_and_seconds():
    keys = KeyFrames([FRONT] * MOST_KEY_FRAMES)
    with pytest.raises(InputError, match="remove some"):
        keys.add(SIDE)
    for wrong in (0.0, float("nan"), 1e6):
        with pytest.raises(InputError):
            keys.set_seconds(wrong)


def test_a_saved_way_is_one_of_nerfstudio_and_comes_back(session):
    for view in (FRONT, SIDE, ABOVE):
        session.moved(view)
        session.path.add()
    session.path.keys.set_seconds(1.0)
    session.path.save()
    name, content = session.page.files[-1]
    assert name == "camera-path.json"
    assert len(json.loads(content)["camera_path"]) == 30
    session.path.load(content)
    session.jobs.wait()
    assert session.page.failures == []
    back = session.path.keys
    assert back.seconds == pytest.approx(1.0)
    torch.testing.assert_close(back.cameras()[-1].position, ABOVE.camera().position, atol=1e-3, rtol=0)
    assert not json.loads(content)["is_cycle"]
    session.path.keys.loop = True
    session.path.save()
    assert json.loads(session.page.files[-1][1])["is_cycle"]


def test_cameras_without_a_lens_get_that_of_the_view():
    poses = [{"transform": FRONT.camera().cam2world[:3].tolist()} for _ in range(2)]
    keys, note = read_path(json.dumps(poses).encode(), replace(FRONT, fov_deg=33.0))
    assert note == "its cameras have no lens, and get that of the view"
    assert [view.fov_deg for view in keys.views] == pytest.approx([33.0, 33.0])


def test_a_long_way_is_thinned_and_that_is_said(tmp_path):
    write_camera_path(tmp_path / "path.json", KeyFrames([FRONT, SIDE], seconds=10.0).cameras())
    thinned, note = read_path((tmp_path / "path.json").read_bytes(), FRONT)
    assert len(thinned.views) == MOST_KEY_FRAMES
    assert "300" in note


def test_cameras_of_a_file_keep_their_roll_and_what_a_page_lacks_is_said(tmp_path):
    rolls = [0.0, 0.4, -1.2]
    cameras = stack_cameras(
        [Camera.look_at((0.3, 0.5, 2.5), up=(math.sin(roll), math.cos(roll), 0), fov_y_deg=25) for roll in rolls]
    )
    write_transforms(tmp_path / "t.json", cameras)
    keys, note = read_path((tmp_path / "t.json").read_bytes(), FRONT)
    assert note == ""
    assert keys.views[0].up == (0.0, 1.0, 0.0)
    for view, camera in zip(keys.views, cameras, strict=True):
        torch.testing.assert_close(view.camera().cam2world, camera.cam2world, atol=1e-4, rtol=0)
    lens = cameras.intrinsics.clone()
    lens[:, 0, 2] = 0.4
    write_transforms(tmp_path / "beside.json", Camera(cameras.cam2world, lens))
    assert "its lenses are beside the pictures' middle" in read_path((tmp_path / "beside.json").read_bytes(), FRONT)[1]


def test_a_preview_leaves_the_page_upright(session):
    """Between two views that are upright, a camera that turns evenly is rolled."""
    session.moved(FRONT)
    session.path.keys.views, session.path.keys.seconds = [SIDE, ABOVE], 0.3
    session.path.preview()
    session.jobs.wait()
    assert session.view.up == session.page.views[-1].up == FRONT.up


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"camera_path": [{"camera_to_world": [1]}]}'])
def test_a_file_that_holds_no_cameras_is_a_notice(session, content):
    session.path.load(content)
    session.jobs.wait()
    assert len(session.page.failures) == 1
    assert tempfile.gettempdir() not in session.page.failures[0]


def test_a_turn_is_a_closed_round(session):
    session.path.turn()
    cameras = session.path.keys.cameras(fps=8)
    radii = cameras.position.norm(dim=-1)
    torch.testing.assert_close(radii, radii[:1].expand_as(radii), atol=0.2, rtol=0)
    assert session.path.keys.loop


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["mp4", "gif"])
def test_a_film_has_the_seconds_and_the_size_that_were_asked_for(session, tmp_path, kind):
    for view in (FRONT, SIDE):
        session.moved(view)
        session.path.add()
    session.path.keys.set_seconds(0.2)
    session.path.film(kind, PIXELS)
    session.jobs.wait()
    assert session.page.failures == []
    name, content = session.page.files[-1]
    assert name.endswith(f"-0000.{kind}")
    (tmp_path / name).write_bytes(content)
    frames = list(read_video(tmp_path / name))
    with warnings.catch_warnings():  # imageio-ffmpeg leaves the closing of its pipes to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert {frame.shape for frame in frames} == {(3, PIXELS, PIXELS)}
    assert len(frames) == (6 if kind == "mp4" else 5)


@pytest.mark.slow
def test_a_colour_of_a_film_means_one_depth_from_wherever_the_camera_is(session):
    """As in those of `gen3d video`: what comes nearer grows brighter."""
    look = replace(session.look, kind="depth", size=PIXELS)
    cameras = stack_cameras([replace(FRONT, position=(0.0, 0.0, far)).camera() for far in (2.7, 3.2)])
    scene = session.scene_of(session.choice)
    near, far = film_frames(session, scene, look, cameras, Job("", session.page))
    frames = render(scene.field, cameras, resolution=PIXELS, config=look.config(scene.settings, cameras))
    ends = depth_span(cameras, scene.field.box_side)
    for pixels, depth, opacity in zip((near, far), frames.depth, frames.opacity, strict=True):
        wanted = to_uint8(depth_picture(depth, opacity, *ends))
        assert np.abs(pixels.astype(int) - wanted).mean() < 1


def test_a_cancelled_film_sends_nothing(session):
    session.path.turn()
    session.path.film("mp4", PIXELS)
    session.jobs.cancel("Film")
    session.jobs.wait()
    assert session.page.files == []
    assert session.page.failures == []


def test_a_preview_moves_the_page_along_the_way(session):
    session.path.keys.views, session.path.keys.seconds = [FRONT, SIDE], 0.3
    before = len(session.page.views)
    session.path.preview()
    session.jobs.wait()
    assert len(session.page.views) > before + 1
    with pytest.raises(InputError):
        session.path.go(5)
    session.path.go(1)
    assert session.page.views[-1].position == SIDE.position


@pytest.mark.parametrize(("said", "meant"), [(b"0 3", (0, 3)), (b"3 0", (3, -3)), (b"2 2", (2, 0))])
def test_a_dragged_key_frame_is_read_as_a_move(said, meant):
    assert read_move(said) == meant


@pytest.mark.parametrize("said", [b"", b"1", b"1 x", b"-1 2", b"1 2 3", b"99999 1", b"1 2\n", "１ ２".encode()])
def test_anything_else_that_a_page_says_of_key_frames_is_refused(said):
    with pytest.raises(InputError, match="two places"):
        read_move(said)
