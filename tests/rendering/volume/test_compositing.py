import math

import pytest
import torch

from gen3d_tools.rendering.volume.compositing import absorb, add_background, blend, composite, march_rays

RELU = torch.nn.functional.relu


@pytest.mark.parametrize("steps", [1, 2, 50])
def test_slab_opacity_is_one_minus_exp_however_it_is_cut(steps):
    density, length = 1.7, 0.8
    weights, transmittance = absorb(torch.full((1, steps), density), torch.full((1, steps), length / steps))
    assert weights.sum().item() == pytest.approx(1 - math.exp(-density * length), abs=1e-6)
    assert transmittance[0, -1].item() == pytest.approx(math.exp(-density * length), abs=1e-6)


def test_two_slabs_show_front_before_back():
    density, lengths = torch.tensor([[2.0, 3.0]]), torch.tensor([[0.5, 1.0]])
    values = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    blended, weights = composite(density, values, lengths)
    front = 1 - math.exp(-1.0)
    expected = torch.tensor([[front, math.exp(-1.0) * (1 - math.exp(-3.0))]])
    torch.testing.assert_close(blended, expected)
    torch.testing.assert_close(weights, expected)


def test_order_matters():
    density, lengths = torch.tensor([[2.0, 3.0]]), torch.tensor([[0.5, 1.0]])
    values = torch.tensor([[[1.0], [0.0]]])
    assert composite(density, values, lengths)[0] > composite(density.flip(-1), values.flip(-2), lengths.flip(-1))[0]


def test_weights_and_what_is_left_sum_to_one():
    generator = torch.Generator().manual_seed(0)
    density = torch.rand(100, 40, generator=generator) ** 8 * 1e3
    weights, transmittance = absorb(density, torch.rand(100, 40, generator=generator) * 0.1)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1) + transmittance[:, -1], torch.ones(100))
    assert (transmittance.diff(dim=-1) <= 0).all()


@pytest.mark.parametrize("density", [0.0, 1e-30, 1e10, 1e30, 3e38])
def test_extreme_densities_stay_finite_with_finite_gradients(density):
    raw = torch.full((1, 6), density, requires_grad=True)
    for marcher in ("midpoint", "classical"):
        for last in (None, 1e-3, 1e10):
            marched = march_rays(raw, torch.linspace(1, 2, 6)[None], RELU, marcher=marcher, last_interval=last)
            (gradient,) = torch.autograd.grad(marched.sample_weights.square().sum(), raw)
            assert gradient.isfinite().all()
            assert marched.opacity.isfinite().all()
            assert 0 <= marched.opacity.item() <= 1 + 1e-6


@pytest.mark.parametrize("last", [None, 0.25])
def test_both_marchers_agree_on_a_uniform_density(last):
    distances = torch.linspace(1, 2, 11)[None]
    for marcher in ("midpoint", "classical"):
        marched = march_rays(torch.full((1, 11), 0.9), distances, RELU, marcher=marcher, last_interval=last)
        assert marched.opacity.item() == pytest.approx(1 - math.exp(-0.9 * (1 + (last or 0))), abs=1e-6)


def test_midpoint_marcher_averages_before_the_activation():
    marched = march_rays(torch.tensor([[-3.0, 1.0, 5.0]]), torch.tensor([[0.0, 1.0, 2.0]]), RELU, marcher="midpoint")
    assert marched.ray_weights.tolist() == [[0.0, pytest.approx(1 - math.exp(-3.0))]]
    torch.testing.assert_close(marched.sample_weights, marched.ray_weights[:, 1] / 2 * torch.tensor([[0.0, 1.0, 1.0]]))


def test_closing_interval_of_the_midpoint_marcher_belongs_to_the_last_sample():
    marched = march_rays(
        torch.tensor([[0.0, 0.0, 5.0]]), torch.tensor([[0.0, 1.0, 1.0]]), RELU, marcher="midpoint", last_interval=1e10
    )
    assert marched.sample_weights.tolist() == [[0.0, 0.0, 1.0]]
    assert marched.transmittance.item() == 0
    assert marched.transmittance_before_last.item() == 1


@pytest.mark.parametrize(("marcher", "last"), [("midpoint", None), ("midpoint", 1e-3), ("classical", 1e10)])
def test_sample_weights_carry_the_same_light_as_the_intervals(marcher, last):
    raw = torch.randn(30, 12, generator=torch.Generator().manual_seed(0))
    marched = march_rays(raw, torch.linspace(1, 3, 12).expand(30, 12), RELU, marcher=marcher, last_interval=last)
    torch.testing.assert_close(marched.sample_weights.sum(-1), marched.opacity)


def test_last_sample_takes_the_rest_but_opacity_does_not_count_it():
    marched = march_rays(
        torch.full((1, 4), 0.1), torch.linspace(1, 2, 4)[None], RELU, marcher="classical", last_takes_rest=True
    )
    assert marched.sample_weights.sum().item() == pytest.approx(1)
    assert marched.opacity.item() == pytest.approx(1 - math.exp(-0.1))


@pytest.mark.parametrize(("background", "level"), [("none", 0.0), ("grey", 0.5), ("white", 1.0), ("last", 0.0)])
def test_background_is_exact_where_nothing_is_and_hidden_where_something_is(background, level):
    values = add_background(torch.tensor([[0.0], [0.3]]), torch.tensor([0.0, 1.0]), background)
    torch.testing.assert_close(values, torch.tensor([[level], [0.3]]), atol=0, rtol=0)


def test_blending_is_a_weighted_sum():
    torch.testing.assert_close(
        blend(torch.tensor([[0.25, 0.5]]), torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])), torch.tensor([[1.75, 2.5]])
    )
