"""Cameras that move: every offset does what its name says."""

import math

import pytest
import torch

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.inversion.stages.camera_fit import OFFSETS, CameraFit, angle_between_deg


def _start(target=(0.0, 0.0, 0.0)):
    return stack_cameras([Camera.from_spherical(30.0, 15.0, 2.7, fov_y_deg=20.0, target=target)])


def _moved(name, value, start=None):
    fit = CameraFit(start or _start())
    fit.offsets[:, OFFSETS.index(name)] = value
    return fit.cameras()


def test_without_offsets_nothing_moves():
    start = _start()
    torch.testing.assert_close(CameraFit(start).cameras().cam2world, start.cam2world)
    assert CameraFit(start).penalty() == 0


@pytest.mark.parametrize(("name", "yaw", "pitch"), [("yaw", 40.0, 15.0), ("pitch", 30.0, 25.0)])
def test_angles_place_the_camera_on_its_sphere(name, yaw, pitch):
    wanted = Camera.from_spherical(yaw, pitch, 2.7, fov_y_deg=20.0)
    torch.testing.assert_close(_moved(name, math.radians(10)).cam2world[0], wanted.cam2world, atol=1e-5, rtol=0)


def test_the_framing_is_surer_than_the_angles():
    fit = CameraFit(_start())
    fit.offsets[0, OFFSETS.index("yaw")] = 0.05
    turned = fit.penalty()
    fit.offsets[0] = 0
    fit.offsets[0, OFFSETS.index("zoom")] = 0.05
    assert fit.penalty() > 10 * turned > 0


def test_zoom_scales_the_focal_length():
    assert float(_moved("zoom", math.log(2)).intrinsics[0, 1, 1] / _start().intrinsics[0, 1, 1]) == pytest.approx(2)


def test_offsets_move_the_picture_in_picture_heights():
    for name, expected in (("right", (0.4, 0.5)), ("up", (0.5, 0.6))):
        camera = _moved(name, 0.1)[0]
        seen = torch.linalg.inv(camera.cam2world) @ torch.tensor([0.0, 0.0, 0.0, 1.0])
        place = camera.intrinsics @ (seen[:3] / seen[2])
        assert place[:2].tolist() == pytest.approx(expected, abs=1e-4)


def test_rolling_keeps_the_viewing_direction():
    start, moved = _start(), _moved("roll", 0.3)
    torch.testing.assert_close(moved.forward, start.forward)
    assert float(moved.cam2world[0, :3, 0] @ start.cam2world[0, :3, 0]) == pytest.approx(math.cos(0.3), abs=1e-5)


def test_gradients_reach_every_offset():
    fit = CameraFit(_start())
    fit.offsets.requires_grad_()
    cameras = fit.cameras()
    (cameras.cam2world * torch.randn(4, 4, generator=torch.Generator().manual_seed(0))).sum().backward()
    moving = fit.offsets.grad[0].clone()
    fit.offsets.grad = None
    fit.cameras().intrinsics.sum().backward()
    assert (moving[[0, 1, 2, 4, 5]] != 0).all()
    assert fit.offsets.grad[0, OFFSETS.index("zoom")] != 0


def test_angle_between_cameras():
    first, second = (Camera.from_spherical(yaw, 0.0, 2.7, fov_y_deg=20.0) for yaw in (10.0, 55.0))
    assert float(angle_between_deg(first, second)) == pytest.approx(45.0, abs=1e-3)
