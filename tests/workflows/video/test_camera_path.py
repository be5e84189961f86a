"""Paths by name and from files: timing, closing, and the views they show."""

import json
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.cameras.formats import write_camera_path
from gen3d_tools.errors import InputError
from gen3d_tools.generators.settings import TrustedViews
from gen3d_tools.workflows.samples.views import ViewOptions
from gen3d_tools.workflows.video.camera_path import plan_motion, untrusted_views
from tests.support.camera_sets import write_transforms


def around(count, radius=2.7):
    return stack_cameras([Camera.from_spherical(20 * i, 10, radius, fov_y_deg=20) for i in range(count)])


def test_an_orbit_loops_without_a_stutter(tiny_generator):
    cameras = plan_motion("orbit", 0.6, 10).cameras(tiny_generator, ViewOptions())
    steps = (cameras.position.roll(-1, 0) - cameras.position).norm(dim=-1)
    assert_close(steps, steps[:1].expand(6), atol=1e-5, rtol=1e-5)  # the step from the last to the first is one more
    assert_close(cameras.position[0], tiny_generator.default_camera().position)


def test_angles_move_the_path(tiny_generator):
    cameras = plan_motion("wiggle", 1, 8).cameras(tiny_generator, ViewOptions(yaw=-20, pitch=5, fov=33))
    yaw, pitch, _ = cameras[0].spherical()
    assert_close(torch.stack([yaw, pitch, cameras[0].fov_y_deg]), torch.tensor([-20.0, 5, 33]), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("seconds", "fps", "frames", "rate"), [(None, None, 6, 12), (2, None, 24, 12), (None, 24, 12, 24), (2, 5, 10, 5)]
)
def test_a_camera_path_gives_way_to_what_is_asked_for(tmp_path, seconds, fps, frames, rate):
    write_camera_path(tmp_path / "path.json", around(6), fps=12)
    motion = plan_motion(str(tmp_path / "path.json"), seconds, fps)
    assert (motion.frames, motion.fps) == (frames, rate)


@pytest.mark.parametrize(("fps", "frames", "rate"), [(None, 6, 30), (10, 6, 10)])
def test_a_file_without_a_rate_shows_each_camera_once(tmp_path, fps, frames, rate):
    write_transforms(tmp_path / "transforms.json", around(6))
    motion = plan_motion(str(tmp_path / "transforms.json"), None, fps)
    assert (motion.frames, motion.fps) == (frames, rate)


def test_keyframes_are_passed_through(tmp_path, tiny_generator):
    write_transforms(tmp_path / "transforms.json", around(3))
    cameras = plan_motion(str(tmp_path / "transforms.json"), 0.5, 10).cameras(tiny_generator, ViewOptions())
    assert_close(cameras.position[::2], around(3).position, atol=1e-5, rtol=1e-5)


def test_trusted_views_wrap_around(tiny_generator):
    views = TrustedViews(yaw_min_deg=90, yaw_max_deg=270, pitch_min_deg=0, pitch_max_deg=45)
    settings = replace(tiny_generator.settings, trusted_views=views)
    behind = Camera.from_spherical([100.0, 180.0, -100.0], 20.0, 2.7, fov_y_deg=20)
    assert untrusted_views(behind, settings) == ""
    beside = Camera.from_spherical([80.0, 180.0, 180.0], [20.0, 50.0, 20.0], 2.7, fov_y_deg=20)
    assert "2 of 3 frames" in untrusted_views(beside, settings)


def test_an_exported_list_of_cameras_takes_its_lens_from_the_view(tmp_path):
    rows = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3]]
    (tmp_path / "list.json").write_text(json.dumps([{"file_path": "a.png", "transform": rows}] * 2))
    motion = plan_motion(str(tmp_path / "list.json"), None, None, 30)
    assert (motion.frames, motion.keyframes.fov_y_deg.tolist()) == (2, pytest.approx([30, 30]))
    with pytest.raises(InputError, match=r"holds no lens.*fov_y_deg"):
        plan_motion(str(tmp_path / "list.json"))


def test_a_square_shows_the_middle_of_a_wide_picture_whose_lens_is_beside_it(tmp_path, tiny_generator):
    lens = {"w": 800, "h": 400, "fl_x": 1000, "fl_y": 1000, "cx": 300, "cy": 210}
    (tmp_path / "wide.json").write_text(json.dumps({**lens, "frames": [{"transform_matrix": torch.eye(4).tolist()}]}))
    [camera] = plan_motion(str(tmp_path / "wide.json")).cameras(tiny_generator, ViewOptions())
    in_pixels = camera.intrinsics * torch.tensor([400.0, 400.0, 1.0])[:, None]
    assert_close(
        in_pixels, torch.tensor([[1000.0, 0, 300 - 200], [0, 1000, 210], [0, 0, 1]])
    )  # 200 columns are cut off
