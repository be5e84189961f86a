"""Trajectories of the published scripts."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gen3d_tools.cameras.paths import PATHS
from gen3d_tools.cameras.poses import Pose, pose_of
from gen3d_tools.cameras.trajectories import front_circle, line, point, points, wiggle
from gen3d_tools.errors import InputError

GOLDEN = Path(__file__).parents[1] / "golden"
EPIGRAF, THREEDGP = (load_file(GOLDEN / family / "utils.safetensors") for family in ("epigraf", "3dgp"))
FRONT = Pose.build(0.0, math.pi / 2, fov_deg=12.0, yaw_zero="x")


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("front_circle_default", front_circle(64, FRONT, yaw=0.3, pitch=0.2)),
        (
            "front_circle_5",
            front_circle(5, Pose.build(0.0, fov_deg=30.0), yaw=0.5, pitch=0.3, fov_deg=2.0),
        ),
        ("points_default", points(3, Pose.build(0.0, 1.57, fov_deg=12.0), yaws=(0.0, -0.3, 0.3))),
        ("line_default", line(16, FRONT, pitch=(0.835, 0.835))),
        ("wiggle_default", wiggle(16, FRONT)),
    ],
)
def test_epigrafs_are_those_published(name, made):
    torch.testing.assert_close(made.angles, EPIGRAF[f"out.traj_{name}_angles"], atol=1e-6, rtol=0)
    if f"out.traj_{name}_fov" in EPIGRAF:
        torch.testing.assert_close(made.fov_deg, EPIGRAF[f"out.traj_{name}_fov"], atol=1e-5, rtol=0)


def canonical():
    return Pose(
        angles=THREEDGP["in.canonical_angles"],
        fov_deg=THREEDGP["in.canonical_fov"],
        radius=THREEDGP["in.canonical_radius"],
        look_at=THREEDGP["in.canonical_look_at"],
    )


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("front_circle", front_circle(6, canonical())),
        ("point", point(1, canonical(), yaw=0.1, pitch=-0.05, fov_deg=1.0)),
        ("points", points(3, canonical())),
        ("line", line(4, canonical())),
        ("line_fov", line(4, canonical(), pitch=(1.2, 1.57), fov_deg=18.0)),
    ],
)
def test_3dgps_are_those_published(name, made):
    parameters = made.parameters.reshape(-1, 8)
    expected = {key: THREEDGP[f"out.traj_{name}_{key}"] for key in ("angles", "fov", "radius", "look_at")}
    torch.testing.assert_close(parameters[:, :3], expected["angles"], atol=1e-6, rtol=0)
    torch.testing.assert_close(parameters[:, 3], expected["fov"], atol=1e-5, rtol=0)
    torch.testing.assert_close(parameters[:, 4], expected["radius"], atol=0, rtol=0)
    torch.testing.assert_close(parameters[:, 5:], expected["look_at"], atol=0, rtol=0)


def test_points_last_equally_long():
    made = points(4, FRONT, yaws=(0.1, 0.2))
    torch.testing.assert_close(made.angles[:, 0], torch.tensor([0.1, 0.1, 0.2, 0.2]))


@pytest.mark.parametrize("name", ["front_circle", "points", "line", "wiggle"])
@pytest.mark.parametrize("family", ["epigraf", "3dgp"])
def test_every_trajectory_is_a_path_by_name(family, name):
    frames = 5
    camera = Pose.build(0.4, 1.3, fov_deg=14.0, radius=1.2, look_at=(0.0, 1.0, 0.1)).camera()
    target = Pose.build(0.4, fov_deg=14.0, look_at=(0.0, 1.0, 0.1)).target
    made = PATHS[f"{family}_{name}"](frames, camera, target=target)
    assert made.batch_shape == (frames,)
    torch.testing.assert_close(made.position.norm(dim=-1), torch.full((frames,), 1.2), atol=1e-5, rtol=0)


def test_3dgps_circle_by_name_goes_around_the_camera_and_keeps_its_target():
    around = canonical()[1]
    made = PATHS["3dgp_front_circle"](6, around.camera(), target=around.target)
    torch.testing.assert_close(made.cam2world, front_circle(6, around).camera().cam2world, atol=1e-5, rtol=0)


def test_epigrafs_circle_by_name_is_the_published_one_wherever_the_camera_is():
    camera = Pose.build(1.0, 1.0, fov_deg=12.0, yaw_zero="x").camera()
    angles = pose_of(PATHS["epigraf_front_circle"](64, camera), yaw_zero="x").angles
    torch.testing.assert_close(angles, EPIGRAF["out.traj_front_circle_default_angles"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("trajectory", [front_circle, point, points, line, wiggle])
def test_no_frames_is_refused(trajectory):
    with pytest.raises(InputError, match="frames"):
        trajectory(0, FRONT)
