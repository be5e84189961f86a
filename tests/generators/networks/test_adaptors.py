"""3DGP's camera generator and depth adaptor, without recorded weights."""

import math
from dataclasses import replace

import pytest
import torch

from gen3d_tools.generators.networks.epigraf.camera_generator import CameraBounds, CameraGenerator
from gen3d_tools.generators.networks.epigraf.depth_adaptor import DepthAdaptor

BOUNDS = CameraBounds(low=(-1.5, 0.8, 10.0, -3.0, 0.0, 0.0), high=(1.5, 2.3, 45.0, 3.0, math.pi, 0.2))
PRIOR = torch.tensor([[0.3, 1.2, 0.0, 20.0, 1.0, 0.5, 1.0, 0.1], [-1.0, 2.0, 0.0, 40.0, 1.1, -2.0, 3.0, 0.0]])
Z = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))


def build(**changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        options = {"z_dim": 6, "num_classes": 0, "hidden": 8, "embed": 4, "lr_multiplier": 1.0, "residual": False}
        bounds = replace(BOUNDS, **changes.pop("bounds", {}))
        return CameraGenerator(bounds, **options | changes).requires_grad_(False)


def test_posterior_keeps_its_bounds_whatever_the_networks_say():
    generator = build()
    for parameter in generator.parameters():
        parameter.mul_(50)
    posterior = generator(PRIOR, Z)[:, [0, 1, 3, 5, 6, 7]]
    assert (posterior >= torch.tensor(BOUNDS.low) - 1e-5).all()
    assert (posterior <= torch.tensor(BOUNDS.high) + 1e-5).all()


@pytest.mark.parametrize(
    ("switch", "numbers"), [("angles", [0, 1, 2]), ("fov", [3]), ("radius", [4]), ("look_at", [5, 6, 7])]
)
def test_switches_keep_the_prior(switch, numbers):
    every = {f"adjust_{name}": True for name in ("angles", "fov", "radius", "look_at")}
    posterior = build(bounds=every | {f"adjust_{switch}": False})(PRIOR, Z)
    same = (posterior == PRIOR).all(0)
    assert [index for index in range(8) if same[index] and index != 2] == [index for index in numbers if index != 2]


def test_residual_adds_the_normalised_prior_before_the_sigmoid():
    plain, residual = build(), build(residual=True)
    normalized = plain.normalize(PRIOR)
    torch.testing.assert_close(residual.adapt(normalized, Z, None), plain.adapt(normalized, Z, None) + normalized)


def test_look_at_radius_begins_at_the_bound_of_the_look_at_pitch():
    """A slip that trained weights expect; without effect in published configurations, where both bounds are 0."""
    low, high = list(BOUNDS.low), list(BOUNDS.high)
    low[4] = 0.1
    generator = build(bounds={"low": tuple(low)})
    zero = torch.zeros(1, 8)
    middle = generator.denormalize(zero)[0]
    assert middle[7].item() == pytest.approx((0.1 + high[5]) / 2)
    lowest = generator.denormalize(zero.index_fill(1, torch.tensor([7]), -50.0))
    assert lowest[0, 7].item() == pytest.approx(0.1)


def test_bounds_are_six_on_each_side():
    with pytest.raises(ValueError, match="6 bounds"):
        CameraBounds(low=(0.0,), high=(1.0,) * 6)


def depth_adaptor(**changes):
    options = {"kernel_size": 3, "hidden": 4, "layers": 2, "near_offset_fraction": 0.25, "strategy": "last"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DepthAdaptor(0.75, 1.25, **options | changes).requires_grad_(False)


def test_without_convolutions_depth_is_scaled_between_its_planes():
    adaptor = depth_adaptor(layers=0)
    adaptor.near_plane_offset_raw.fill_(-50.0)  # the near plane stays
    depth = torch.tensor([0.75, 1.0, 1.25]).reshape(1, 1, 1, 3)
    assert adaptor(depth).flatten().tolist() == pytest.approx([-1.0, 0.0, 1.0], abs=1e-6)
    adaptor.near_plane_offset_raw.fill_(50.0)  # ... or moves by a quarter of the range
    assert adaptor(torch.full((1, 1, 1, 1), 0.875)).item() == pytest.approx(-1.0, abs=1e-6)


def test_mean_strategy_averages_all_answers():
    depth = torch.rand(2, 1, 6, 6) / 2 + 0.75
    answers = [depth_adaptor(layers=0)(depth)]
    whole = depth_adaptor(layers=2)
    x = answers[0]
    for layer in whole.layers:
        x = layer(x)
        answers.append(whole.head(x))
    torch.testing.assert_close(whole(depth), answers[-1])
    torch.testing.assert_close(depth_adaptor(strategy="mean")(depth), torch.stack(answers).mean(0))
