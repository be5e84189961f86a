"""Distributions of camera parameters."""

import json
import math

import numpy as np
import pytest
import torch

from gen3d_tools.cameras.distributions.named import distribution_from_dict
from gen3d_tools.cameras.distributions.priors import PosePrior, Spread, fixed
from gen3d_tools.errors import CheckpointError, InputError

SPREADS = {
    "fixed": fixed(0.7),
    "uniform": Spread(shape="uniform", low=-1.0, high=2.0),
    "uniform_area": Spread(shape="uniform_area", low=math.pi / 4, high=math.pi),
    "normal": Spread(shape="normal", center=0.5, std=0.2),
    "truncated_normal": Spread(shape="truncated_normal", center=0.5, std=1.0, low=0.0, high=1.0),
    "hybrid": Spread(shape="hybrid", center=0.5, std=0.2, low=-1.0, high=1.0),
}
PRIOR = PosePrior(
    yaw=SPREADS["uniform"],
    pitch=Spread(shape="uniform_area", low=0.3, high=2.0),
    fov_deg=Spread(shape="uniform", low=10.0, high=45.0),
    look_at_yaw=Spread(shape="uniform", low=-3.0, high=3.0),
    look_at_pitch=Spread(shape="uniform_area", low=0.0, high=math.pi),
    look_at_radius=Spread(shape="uniform", low=0.0, high=0.2),
)


def draws(spread, count=40_000):
    random = np.random.RandomState(0)
    return spread.at(random.random_sample(count), random.random_sample(count))


@pytest.mark.parametrize("name", ["uniform", "normal", "truncated_normal", "fixed"])
def test_draws_average_to_the_mean(name):
    assert draws(SPREADS[name]).mean() == pytest.approx(SPREADS[name].mean(), abs=0.02)


@pytest.mark.parametrize("name", ["uniform", "truncated_normal", "fixed"])
def test_draws_stay_in_range(name):
    low, high = SPREADS[name].range()
    assert low <= draws(SPREADS[name]).min()
    assert draws(SPREADS[name]).max() <= high


def test_uniform_area_is_uniform_in_height():
    height = np.cos(draws(SPREADS["uniform_area"]))
    assert height.min() >= -1
    assert height.max() == pytest.approx(0.5, abs=1e-3)  # v = 1/4: 1 - 2 v
    assert height.mean() == pytest.approx(-0.25, abs=0.01)


def test_hybrid_is_half_normal_half_uniform_within_two_deviations():
    found = draws(SPREADS["hybrid"])
    spread = SPREADS["hybrid"]
    assert found.std() == pytest.approx(spread.std * math.sqrt((1 + 4 / 3) / 2), rel=0.02)
    assert (abs(found - 0.5) > 0.4).mean() == pytest.approx(0.0455 / 2, abs=0.004)


def test_truncated_normal_follows_its_density():
    found = draws(SPREADS["truncated_normal"])
    middle, edge = ((abs(found - at) < 0.05).mean() for at in (0.5, 0.05))
    assert middle / edge == pytest.approx(math.exp(0.45**2 / 2), rel=0.05)


def test_a_seed_names_a_camera_whatever_is_drawn_with_it():
    alone = PRIOR.sample_poses(1, [7])
    among = PRIOR.sample_poses(3, [1, 7, 2])
    torch.testing.assert_close(alone.parameters[0], among.parameters[1], atol=0, rtol=0)
    assert not torch.equal(among.parameters[0], among.parameters[2])


def test_poses_stay_within_the_prior():
    parameters = PRIOR.sample_poses(200, range(200)).parameters
    low = torch.tensor([-1.0, 0.3, 0.0, 10.0, 1.0, -3.0, 0.0, 0.0])
    high = torch.tensor([2.0, 2.5, 0.0, 45.0, 1.0, 3.0, math.pi, 0.2])
    assert ((parameters >= low) & (parameters <= high)).all()
    assert parameters[:, [0, 1, 3, 5, 6, 7]].std(0).min() > 0.01


def test_config_keeps_every_number():
    stored = json.loads(json.dumps(PRIOR.to_dict()))
    assert distribution_from_dict(stored) == PRIOR


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("yaw"), "missing key 'yaw'"),
        (lambda d: d.update(roll=0), "unknown key 'roll'"),
        (lambda d: d["yaw"].update(shape="flat"), "shape is 'flat'"),
        (lambda d: d["yaw"].update(low="x"), "finite numbers"),
        (lambda d: d["yaw"].pop("std"), "missing key 'std'"),
        (lambda d: d.update(pitch=3), "must be a table"),
        (lambda d: d["fov_deg"].update(low=300.0, high=400.0), "fov_deg must lie"),
        (lambda d: d["yaw"].update(low=3.0, high=1.0), "low <= high"),
        (lambda d: d.update(yaw_zero="y"), "yaw_zero"),
    ],
)
def test_broken_config_is_refused(change, message):
    data = json.loads(json.dumps(PRIOR.to_dict()))
    change(data)
    with pytest.raises(CheckpointError, match=message):
        distribution_from_dict(data)


def test_spread_without_width_cannot_be_truncated():
    with pytest.raises(InputError, match="standard deviation"):
        Spread(shape="truncated_normal", center=0.0, low=-1.0, high=1.0)
