"""Poses as EpiGRAF and 3DGP count them."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.poses import Pose, check_upright, pose_of
from gen3d_tools.errors import InputError

GOLDEN = Path(__file__).parents[1] / "golden"
OPENGL = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))


def golden_pose(tensors, name):
    return Pose(
        **{
            key: tensors[f"in.{name}_{stored}"]
            for key, stored in (("angles", "angles"), ("fov_deg", "fov"), ("radius", "radius"), ("look_at", "look_at"))
        }
    )


def test_3dgp_cameras_are_those_published():
    tensors = load_file(GOLDEN / "3dgp" / "utils.safetensors")
    pose = golden_pose(tensors, "cams")
    camera = pose.camera()
    torch.testing.assert_close(camera.position, tensors["out.cams_origin_xyz"], atol=1e-6, rtol=0)
    torch.testing.assert_close(pose.target, tensors["out.cams_look_at_xyz"], atol=1e-6, rtol=0)
    torch.testing.assert_close(camera.cam2world @ OPENGL, tensors["out.cams_c2w"], atol=1e-5, rtol=0)
    torch.testing.assert_close(camera.fov_y_deg, pose.fov_deg, atol=1e-4, rtol=0)


def test_epigraf_cameras_are_those_published():
    tensors = load_file(GOLDEN / "epigraf" / "utils.safetensors")
    yaw, pitch, _ = tensors["in.camera_angles"].unbind(-1)
    camera = Pose.build(yaw, pitch, fov_deg=12.0, yaw_zero="x").camera()
    torch.testing.assert_close(camera.cam2world @ OPENGL, tensors["out.c2w_radius1"], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("yaw_zero", "front"), [("z", 0.0), ("x", math.pi / 2)])
def test_yaw_grows_towards_minus_x_seen_from_z(yaw_zero, front):
    camera = Pose.build(torch.tensor([front, front + 0.1]), fov_deg=20.0, yaw_zero=yaw_zero).camera()
    torch.testing.assert_close(camera.position[0], torch.tensor([0.0, 0.0, 1.0]), atol=1e-6, rtol=0)
    assert camera.position[1, 0] < -0.09


def test_small_pitch_looks_down_from_above():
    assert Pose.build(0.0, 0.4, fov_deg=20.0).camera().position[1] > 0.9


def test_poles_have_a_camera():
    camera = Pose.build(0.3, torch.tensor([0.0, math.pi]), fov_deg=20.0).camera()
    assert camera.cam2world.isfinite().all()


@pytest.mark.parametrize("yaw_zero", ["z", "x"])
def test_pose_comes_back_from_its_camera(yaw_zero):
    angles = torch.tensor([[0.3, 1.2, 0.0], [-3.0, 2.5, 0.0], [3.1, 1.5, 0.0]])
    pose = Pose(
        angles=angles,
        fov_deg=torch.tensor([10.0, 20.0, 30.0]),
        radius=torch.tensor([1.0, 2.0, 0.9]),
        look_at=torch.tensor([[0.5, 1.0, 0.1], [-2.0, 2.0, 0.2], [1.0, 0.5, 0.3]]),
        yaw_zero=yaw_zero,
    )
    back = pose_of(pose.camera(), target=pose.target, yaw_zero=yaw_zero)
    torch.testing.assert_close(back.parameters, pose.parameters, atol=2e-5, rtol=0)


def test_parameters_round_trip_and_average_by_component():
    parameters = torch.rand(5, 8)
    pose = Pose.from_parameters(parameters)
    torch.testing.assert_close(pose.parameters, parameters)
    torch.testing.assert_close(pose.mean().parameters, parameters.mean(0))
    torch.testing.assert_close(pose[2].parameters, parameters[2])
    assert len(pose) == 5


def test_views_from_straight_above_are_upright_and_those_beyond_the_pole_are_not():
    check_upright(Camera.from_spherical([0.0, 120.0, 30.0], [0.0, 90.0, -90.0], 2.7, fov_y_deg=20))
    with pytest.raises(InputError, match="camera 1 is rolled by 180 degrees"):
        check_upright(Camera.from_spherical([0.0, 0.0], [80.0, 100.0], 2.7, fov_y_deg=20))
