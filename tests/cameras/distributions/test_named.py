"""Random cameras: uniform in area, one seed one camera, strict files; EG3D's samplers against recorded draws."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.testing import assert_close

from gen3d_tools.cameras.distributions.eg3d import eg3d_angles, eg3d_intrinsics, eg3d_look_at, eg3d_sample_views
from gen3d_tools.cameras.distributions.named import (
    FixedCamera,
    GaussianLookAt,
    UniformSphere,
    distribution_from_dict,
)
from gen3d_tools.errors import CheckpointError, InputError

GOLDEN = load_file(Path(__file__).parents[2] / "golden" / "eg3d" / "camera.safetensors")
PIVOT = (0.0, 0.0, 0.2)
BAND = UniformSphere(
    radius=2.0, fov_y_deg=30, pitch_min_deg=-10, pitch_max_deg=60, yaw_min_deg=-40, yaw_max_deg=80, target=(0, 0.5, 0)
)


def test_the_whole_sphere_is_covered_evenly():
    directions = UniformSphere(radius=1.0, fov_y_deg=30).sample(4000, range(4000)).position
    assert_close(directions.mean(dim=0), torch.zeros(3), atol=0.03, rtol=0)  # sigma of the mean: 0.009
    assert_close(directions.T.cov(), torch.eye(3) / 3, atol=0.03, rtol=0)


def test_a_band_keeps_its_bounds_and_is_uniform_in_height():
    yaw, pitch, radius = BAND.sample(2000, range(2000)).spherical((0, 0.5, 0))
    assert yaw.min() >= -40.001
    assert yaw.max() <= 80.001
    assert pitch.min() >= -10.001
    assert pitch.max() <= 60.001
    assert_close(radius, torch.full((2000,), 2.0))
    low, high = math.sin(math.radians(-10)), math.sin(math.radians(60))
    quantiles = pitch.deg2rad().sin().quantile(torch.tensor([0.25, 0.5, 0.75]))
    assert_close(quantiles, low + (high - low) * torch.tensor([0.25, 0.5, 0.75]), atol=0.04, rtol=0)


def test_mean_is_the_middle_of_the_band_by_area():
    yaw, pitch, _ = BAND.mean().spherical((0, 0.5, 0))
    assert yaw.item() == pytest.approx(20, abs=1e-3)
    middle = (math.sin(math.radians(-10)) + math.sin(math.radians(60))) / 2
    assert pitch.item() == pytest.approx(math.degrees(math.asin(middle)), abs=1e-3)
    assert BAND.mean().fov_y_deg.item() == pytest.approx(30, rel=1e-5)


def test_a_seed_is_the_same_camera_in_every_batch():
    together = BAND.sample(5, [7, 3, 2**32 - 1, 0, 7])
    alone = BAND.sample(1, [3])
    assert torch.equal(together[1].cam2world, alone[0].cam2world)
    assert torch.equal(together[0].cam2world, together[4].cam2world)
    assert not torch.equal(together[0].cam2world, together[1].cam2world)


def test_cameras_do_not_share_the_stream_of_the_latents():
    whole = UniformSphere(radius=1.0, fov_y_deg=30).sample(200, range(200))
    yaw = whole.spherical()[0].numpy() / 360 + 0.5
    latents = np.array([np.random.RandomState(seed).random_sample() for seed in range(200)])
    assert abs(np.corrcoef(yaw, latents)[0, 1]) < 0.25


def test_a_fixed_camera_is_every_seeds_camera():
    fixed = FixedCamera(radius=2.7, fov_y_deg=13, yaw_deg=10, pitch_deg=20, target=PIVOT)
    cameras = fixed.sample(3, [1, 2, 3])
    assert torch.equal(cameras.cam2world, fixed.mean().cam2world.expand(3, 4, 4))
    assert cameras[0].spherical(PIVOT)[0].item() == pytest.approx(10, abs=1e-3)


@pytest.mark.parametrize(
    "one", [BAND, FixedCamera(radius=1, fov_y_deg=10, yaw_deg=3), UniformSphere(radius=1.0, fov_y_deg=5)]
)
def test_dict_round_trip_passes_through_json(one):
    assert distribution_from_dict(json.loads(json.dumps(one.to_dict()))) == one


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "unknown key 'colour'"),
        ({"kind": "cube"}, "unknown camera distribution 'cube'; known are uniform_sphere, fixed"),
        ({"kind": ["uniform_sphere"]}, "unknown camera distribution"),
        ({"radius": None}, "radius of a camera distribution must be a number, got None"),
        ({"radius": True}, "must be a number"),
        ({"radius": -1}, "radius must be positive"),
        ({"radius": math.nan}, "radius must be finite"),
        ({"radius": 10**400}, "too large"),
        ({"target": [0, 0]}, "target of a camera distribution must be three numbers"),
        ({"target": "xyz"}, "three numbers"),
        ({"fov_y_deg": 180}, "fov_y_deg must lie between"),
        ({"pitch_min_deg": 70}, "pitch_min_deg <= pitch_max_deg"),
        ({"pitch_max_deg": 91}, "pitch_max_deg <= 90"),
        ({"yaw_max_deg": 400}, "at most one turn"),
    ],
)
def test_a_config_that_is_no_distribution_is_refused_by_name(change, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        distribution_from_dict({**BAND.to_dict(), **change})
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named():
    data = BAND.to_dict()
    del data["radius"]
    with pytest.raises(CheckpointError, match="missing key 'radius'"):
        distribution_from_dict(data)


@pytest.mark.parametrize("seeds", [[1], [1, 2, 3], [-1, 0], [0, 2**32]])
def test_seeds_that_name_no_camera_are_refused(seeds):
    with pytest.raises(InputError, match="seed"):
        BAND.sample(2, seeds)


def test_eg3d_look_at_matches_recorded_poses():
    yaw, pitch = GOLDEN["in.lookat.yaw_pitch"].float().T
    poses = eg3d_look_at(yaw[:, None], pitch[:, None], GOLDEN["in.lookat.pivots"], 2.7)
    assert_close(poses, GOLDEN["out.lookat.cam2world"], atol=2e-6, rtol=0)


def test_eg3d_vertical_value_is_linear_in_height():
    heights = eg3d_look_at(0.3, torch.tensor([math.pi / 4, math.pi / 2, 3 * math.pi / 4]), (0, 0, 0), 1.0)[:, 1, 3]
    assert_close(heights, torch.tensor([0.5, 0.0, -0.5]), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("case", "seed", "spreads", "shape", "pivot", "radius"),
    [
        ("gaussian", 3, (0.3, 0.155), "gaussian", (0, 0, 0), 2.7),
        ("uniform", 4, (math.pi / 2, 0.5), "uniform", (0, 0, 0), 1.7),
        ("lookat_random", 5, (0.3, 0.155), "gaussian", PIVOT, 2.7),
    ],
)
def test_eg3d_random_poses_match_recorded_draws(case, seed, spreads, shape, pivot, radius):
    generator = torch.Generator().manual_seed(seed)
    angles = eg3d_angles(4, spread_yaw_rad=spreads[0], spread_pitch_v=spreads[1], shape=shape, generator=generator)
    assert_close(eg3d_look_at(*angles, pivot, radius), GOLDEN[f"out.{case}.cam2world"], atol=2e-6, rtol=0)


def test_eg3d_spread_of_zero_still_draws():
    generator = torch.Generator().manual_seed(0)
    yaw, _ = eg3d_angles(4, spread_yaw_rad=0, spread_pitch_v=0, generator=generator)
    assert torch.equal(yaw, eg3d_angles(4, spread_yaw_rad=1, spread_pitch_v=1)[0])
    reference = torch.Generator().manual_seed(0)
    torch.randn(8, generator=reference)
    assert torch.equal(torch.rand(1, generator=generator), torch.rand(1, generator=reference))


def test_eg3d_field_of_view_is_diagonal():
    intrinsics = eg3d_intrinsics(GOLDEN["in.fov.degrees"])
    assert_close(intrinsics, GOLDEN["out.fov.intrinsics"], atol=0, rtol=3e-7)  # a true pi would be off by 8e-7
    focal = eg3d_intrinsics(18.837)[0, 0].item()
    assert focal == pytest.approx(4.2634, abs=1e-4)
    assert 2 * math.degrees(math.atan(math.hypot(0.5, 0.5) / focal)) == pytest.approx(18.837, abs=0.01)


def test_eg3d_image_script_views_match():
    cameras = eg3d_sample_views(PIVOT, 2.7, eg3d_intrinsics(18))
    assert_close(cameras.cam2world, GOLDEN["out.gen_samples.cam2world"], atol=2e-6, rtol=0)
    front = eg3d_look_at([math.pi / 2], math.pi / 2, PIVOT, 2.7)
    assert_close(front, GOLDEN["out.gen_samples.conditioning_cam2world"], atol=2e-6, rtol=0)


def test_gaussian_look_at_has_its_mean_and_spread_around_the_origin():
    prior = GaussianLookAt(radius=2.7, fov_y_deg=13.4, target=(0.0, 0.0, 0.2))
    cameras = prior.sample(400, range(400))
    assert_close(cameras.position.norm(dim=-1), torch.full((400,), 2.7), atol=1e-5, rtol=0)
    yaw = torch.atan2(cameras.position[:, 0], cameras.position[:, 2])
    assert yaw.mean().item() == pytest.approx(0, abs=0.05)
    assert yaw.std().item() == pytest.approx(0.3, abs=0.03)
    assert (math.pi / 2 * cameras.position[:, 1] / 2.7).std().item() == pytest.approx(0.155, abs=0.02)
    aim = torch.nn.functional.normalize(torch.tensor(prior.target) - cameras.position, dim=-1)
    assert_close(cameras.forward, aim, atol=1e-6, rtol=0)
    front = eg3d_look_at(math.pi / 2, math.pi / 2, prior.target, 2.7)
    assert_close(prior.mean().cam2world, front, atol=1e-6, rtol=0)
    assert prior.mean().fov_y_deg.item() == pytest.approx(13.4)


def test_gaussian_look_at_gives_each_seed_its_camera_and_survives_json():
    prior = GaussianLookAt(radius=1.7, fov_y_deg=30.0, spread_yaw_rad=1.0)
    assert torch.equal(prior.sample(3, [4, 7, 9]).cam2world[1], prior.sample(1, [7]).cam2world[0])
    assert distribution_from_dict(json.loads(json.dumps(prior.to_dict()))) == prior


@pytest.mark.parametrize("change", [{"radius": 0.0}, {"spread_yaw_rad": -0.1}, {"fov_y_deg": 0.0}])
def test_gaussian_look_at_refuses_impossible_numbers(change):
    with pytest.raises(InputError):
        GaussianLookAt(**({"radius": 2.0, "fov_y_deg": 30.0} | change))


@pytest.mark.parametrize("fov", [0, 180, -3])
def test_eg3d_field_of_view_out_of_range_is_refused(fov):
    with pytest.raises(InputError, match="fov_diagonal_deg"):
        eg3d_intrinsics(fov)


@given(
    radius=st.floats(width=32),
    fov=st.floats(width=32),
    target=st.tuples(*[st.floats(width=32)] * 3),
    angles=st.tuples(st.floats(width=32), st.floats(width=32)),
)
def test_what_is_accepted_without_torch_has_a_mean_camera(radius, fov, target, angles):
    try:
        camera = FixedCamera(radius=radius, fov_y_deg=fov, target=target, yaw_deg=angles[0], pitch_deg=angles[1])
    except InputError:
        return
    assert camera.mean().cam2world.isfinite().all()
