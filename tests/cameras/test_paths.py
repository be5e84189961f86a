"""Paths: seamless, on the sphere of the camera they start from, and the published scripts' own circles."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.testing import assert_close

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.cameras.distributions.eg3d import eg3d_intrinsics, eg3d_look_at
from gen3d_tools.cameras.paths import (
    PATHS,
    eg3d_video_path,
    front_circle,
    interpolate_keyframes,
    line,
    orbit,
    spiral,
    wiggle,
)
from gen3d_tools.cameras.trajectories import SCRIPT_PATHS
from gen3d_tools.errors import InputError

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "eg3d" / "camera.safetensors")
TARGET = (0.1, -0.2, 0.3)
CAMERA = Camera.from_spherical(20, 10, 2.5, fov_y_deg=25, target=TARGET)
OWN = set(PATHS) - set(SCRIPT_PATHS)  # those of EpiGRAF and 3DGP are tested with their trajectories
CLOSED = sorted(OWN - {"line"})
AROUND_TARGET = sorted(OWN - {"eg3d_circle"})  # that one goes around the origin


@pytest.mark.parametrize("name", AROUND_TARGET)
def test_every_path_keeps_target_radius_and_lens(name):
    cameras = PATHS[name](17, CAMERA, target=TARGET)
    assert cameras.batch_shape == (17,)
    to_target = torch.tensor(TARGET) - cameras.position
    assert_close(to_target.norm(dim=-1), torch.full((17,), 2.5))
    assert_close(to_target / 2.5, cameras.forward, atol=1e-6, rtol=0)
    assert torch.equal(cameras.intrinsics, CAMERA.intrinsics.expand(17, 3, 3))


@pytest.mark.parametrize("name", CLOSED)
def test_closed_paths_run_through_their_seam_as_through_any_frame(name):
    cam2world = PATHS[name](64, CAMERA, target=TARGET).cam2world.flatten(1)
    steps = (cam2world.roll(-1, 0) - cam2world).norm(dim=1)
    bends = (cam2world.roll(-1, 0) - 2 * cam2world + cam2world.roll(1, 0)).norm(dim=1)
    assert steps[-1] > 0  # the first frame is not repeated
    assert steps[-1] <= 1.2 * steps[:-1].max()
    assert bends[[-1, 0]].max() <= 1.2 * bends[1:-1].max()


@pytest.mark.parametrize("name", ["orbit", "wiggle", "spiral"])
def test_a_path_starts_at_its_camera(name):
    assert_close(PATHS[name](5, CAMERA, target=TARGET)[0].cam2world, CAMERA.cam2world, atol=1e-5, rtol=0)


def test_orbit_goes_around_at_the_cameras_own_height():
    yaw, pitch, _ = orbit(8, CAMERA, target=TARGET).spherical(TARGET)
    assert_close(pitch, torch.full((8,), 10.0), atol=1e-3, rtol=0)
    expected = (20 + 45 * torch.arange(8.0) + 180) % 360 - 180
    assert_close(yaw, expected, atol=1e-3, rtol=0)


def test_orbit_can_change_height_direction_and_length():
    yaw, pitch, _ = orbit(4, CAMERA, turns=-0.5, pitch_deg=40, target=TARGET).spherical(TARGET)
    assert_close(pitch, torch.full((4,), 40.0), atol=1e-3, rtol=0)
    assert_close(yaw, torch.tensor([20.0, -25.0, -70.0, -115.0]), atol=1e-3, rtol=0)


def test_an_orbit_at_the_pole_spins_the_picture():
    top = Camera.from_spherical(0, 90, 2, fov_y_deg=25)
    cameras = orbit(4, top)
    assert_close(cameras.position, torch.tensor([0.0, 2.0, 0.0]).expand(4, 3), atol=1e-6, rtol=0)
    assert_close(cameras.cam2world[1, :3, 0], torch.tensor([0.0, 0.0, -1.0]), atol=1e-6, rtol=0)


def test_default_target_is_the_world_origin():
    assert_close(orbit(3, CAMERA).position.norm(dim=-1), CAMERA.position.norm().expand(3), atol=1e-5, rtol=0)


def test_wiggle_is_a_lying_eight():
    yaw, pitch, _ = wiggle(8, CAMERA, yaw_deg=10, pitch_deg=4, target=TARGET).spherical(TARGET)
    half = 10 * math.sqrt(0.5)
    assert_close(yaw - 20, torch.tensor([0, half, 10, half, 0, -half, -10, -half]), atol=1e-3, rtol=0)
    assert_close(pitch - 10, torch.tensor([0.0, 4, 0, -4, 0, 4, 0, -4]), atol=1e-3, rtol=0)


def test_front_circle_is_that_of_epigraf_and_3dgp():
    # 3DGP: position = r (sin(pitch) sin(-yaw), cos(pitch), sin(pitch) cos(yaw)), radians, front = (0, pi/2).
    yaw_0, pitch_0, radius = 0.1, 1.5, 1.0
    s = torch.linspace(0, 1, 65)[:-1]
    yaw = yaw_0 + 0.5 * torch.sin(2 * math.pi * s)
    pitch = pitch_0 + 0.3 * torch.cos(2 * math.pi * s)
    expected = radius * torch.stack([pitch.sin() * (-yaw).sin(), pitch.cos(), pitch.sin() * yaw.cos()], dim=-1)
    camera = Camera.from_spherical(-math.degrees(yaw_0), 90 - math.degrees(pitch_0), radius, fov_y_deg=20)
    assert_close(front_circle(64, camera).position, expected, atol=1e-5, rtol=0)


def test_line_runs_from_profile_to_profile():
    yaw, pitch, _ = line(5, CAMERA, target=TARGET).spherical(TARGET)
    assert_close(yaw - 20, torch.tensor([90.0, 45, 0, -45, -90]), atol=1e-3, rtol=0)
    assert_close(pitch, torch.full((5,), 10.0), atol=1e-3, rtol=0)
    assert_close(line(1, CAMERA, target=TARGET)[0].cam2world, CAMERA.cam2world, atol=1e-5, rtol=0)


def test_spiral_turns_while_it_rises_and_sinks():
    yaw, pitch, _ = spiral(8, CAMERA, turns=1, pitch_deg=30, target=TARGET).spherical(TARGET)
    assert_close((yaw - 20) % 360, 45 * torch.arange(8.0), atol=1e-3, rtol=0)
    assert_close(pitch[[0, 2, 4, 6]], torch.tensor([10.0, 40, 10, -20]), atol=1e-3, rtol=0)


def test_a_path_over_the_pole_stays_continuous():
    steep = Camera.from_spherical(0, 80, 2, fov_y_deg=25)
    cam2world = spiral(200, steep, turns=1, pitch_deg=30).cam2world
    assert (cam2world.roll(-1, 0) - cam2world).abs().max() < 0.15


@pytest.mark.parametrize("name", sorted(PATHS))
@pytest.mark.parametrize("frames", [0, -1])
def test_no_frames_are_refused(name, frames):
    with pytest.raises(InputError, match=f"frames must be at least 1, got {frames}"):
        PATHS[name](frames, CAMERA)


@pytest.mark.parametrize("name", sorted(PATHS))
def test_a_batch_of_cameras_starts_no_path(name):
    with pytest.raises(InputError, match="one camera"):
        PATHS[name](3, CAMERA.flatten())


def test_eg3d_video_path_matches_recorded_frames():
    cameras = eg3d_video_path(240, eg3d_intrinsics(18.837), pivot=(0, 0, 0.2), radius=2.7)
    recorded = GOLDEN["out.gen_videos.cam2world"]
    assert_close(cameras.cam2world[GOLDEN["in.gen_videos.frames"]], recorded, atol=2e-6, rtol=0)
    conditioning = eg3d_look_at([3.14 / 2], 3.14 / 2, (0, 0, 0.2), 2.7)
    assert_close(conditioning, GOLDEN["out.gen_videos.conditioning_cam2world"], atol=2e-6, rtol=0)


def test_eg3d_circle_is_the_video_path_with_the_cameras_lens_and_distance():
    front = Camera.look_at((0.0, 0.0, 2.7), (0.0, 0.0, 0.2), fov_y_deg=13.4)
    cameras = PATHS["eg3d_circle"](240, front, target=(0.0, 0.0, 0.2))
    recorded = GOLDEN["out.gen_videos.cam2world"]
    assert_close(cameras.cam2world[GOLDEN["in.gen_videos.frames"]], recorded, atol=2e-6, rtol=0)
    assert torch.equal(cameras.intrinsics, front.intrinsics.expand(240, 3, 3))


def keyframes(count: int) -> Camera:
    draw = torch.rand(4, count, generator=torch.Generator().manual_seed(count))
    return Camera.from_spherical(90 * draw[0], 60 * draw[1], 1 + draw[2], fov_y_deg=20 + 30 * draw[3])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.booleans())
def test_keyframes_are_passed_through(count, between, loop):
    key = keyframes(count)
    cameras = interpolate_keyframes(key, count * between if loop else (count - 1) * between + 1, loop=loop)
    if count == 1:
        key = key[torch.zeros(between, dtype=torch.long)] if loop else key
        between = 1
    assert_close(cameras.cam2world[::between], key.cam2world, atol=1e-5, rtol=0)
    assert_close(cameras.fov_y_deg[::between], key.fov_y_deg, atol=1e-3, rtol=0)


def test_between_two_keyframes_all_is_even():
    key = stack_cameras([Camera.from_spherical(yaw, 0, 2, fov_y_deg=fov) for yaw, fov in ((0, 20), (60, 40))])
    middle = interpolate_keyframes(key, 3)[1]
    assert_close(middle.position, key.position.mean(dim=0))
    assert middle.fov_y_deg.item() == pytest.approx(30, abs=1e-3)
    turned = math.radians(30)
    assert_close(middle.forward, torch.tensor([-math.sin(turned), 0, -math.cos(turned)]), atol=1e-6, rtol=0)


def test_equally_spaced_keyframes_on_a_straight_line_give_even_steps():
    key = Camera.look_at(torch.tensor([[x, 0.0, 3.0] for x in (-1.0, 0.0, 1.0, 2.0)]), (0, 0, -9), fov_y_deg=30)
    x = interpolate_keyframes(key, 31).position[:, 0]
    assert_close(x, torch.linspace(-1, 2, 31), atol=1e-5, rtol=0)


def test_keyframes_that_cannot_be_joined_are_refused():
    with pytest.raises(InputError, match="keyframes must be a batch"):
        interpolate_keyframes(CAMERA, 5)
    with pytest.raises(InputError, match="keyframes must be a batch"):
        interpolate_keyframes(keyframes(2)[:0], 5)
    with pytest.raises(InputError, match="frames must be at least 1"):
        interpolate_keyframes(keyframes(2), 0)
