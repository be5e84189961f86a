"""Distances, schedules and statistics of the published procedure, in closed form."""

import numpy as np
import pytest
import torch

from gen3d_tools.inversion.stages.latent_prior import latent_prior, map_z
from gen3d_tools.inversion.stages.noise import noise_penalty, renormalize
from gen3d_tools.inversion.stages.stage_one import learning_rate_share, noise_share
from gen3d_tools.metrics.pictures import psnr, pyramid_l1, ssim


def _picture(seed=0, side=16):
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed))


def test_equal_pictures_are_no_distance_apart():
    image = _picture()
    assert pyramid_l1(image, image) == 0
    assert float(ssim(image, image)) == pytest.approx(1, abs=1e-5)
    assert psnr(image, image) == pytest.approx(100)


def test_a_constant_shift_counts_on_every_level():
    image = _picture()
    assert float(pyramid_l1(image, image + 0.1)) == pytest.approx(0.1 * 2, abs=1e-5)
    assert psnr(image, image + 0.1) == pytest.approx(20, abs=1e-3)


def test_structure_falls_with_noise_and_works_on_tiny_pictures():
    image = _picture()
    assert float(ssim(image, _picture(1))) < 0.5
    assert torch.isfinite(ssim(_picture(side=2), _picture(1, side=2)))
    assert float(pyramid_l1(_picture(side=1), _picture(side=1) + 0.5)) == pytest.approx(0.5)


def test_noise_penalty_is_small_for_white_noise_and_large_for_a_picture():
    white = torch.randn(32, 32, generator=torch.Generator().manual_seed(0))
    ramp = torch.linspace(-1, 1, 32).expand(32, 32).clone()
    renormalize([white, ramp])
    assert float(noise_penalty([white])) < 0.02 < 1 < float(noise_penalty([ramp]))
    assert float(noise_penalty([])) == 0


def test_noise_penalty_is_the_squared_mean_of_shifted_products():
    one = torch.randn(8, 8, generator=torch.Generator().manual_seed(1))
    expected = sum((one * one.roll(1, axis)).mean() ** 2 for axis in (0, 1))
    torch.testing.assert_close(noise_penalty([one]), expected)


def test_renormalized_noise_has_mean_zero_and_size_one():
    one = 3 + 2 * torch.randn(16, 16, generator=torch.Generator().manual_seed(2))
    renormalize([one])
    assert float(one.mean()) == pytest.approx(0, abs=1e-5)
    assert float(one.square().mean()) == pytest.approx(1, abs=1e-5)


def test_schedules_are_the_published_ones():
    assert learning_rate_share(0.0, 0.05, 0.25) == 0
    assert learning_rate_share(0.025, 0.05, 0.25) == pytest.approx(0.5)
    assert learning_rate_share(0.5, 0.05, 0.25) == 1
    assert learning_rate_share(0.875, 0.05, 0.25) == pytest.approx(0.5)
    assert learning_rate_share(1.0, 0.05, 0.25) == pytest.approx(0)
    assert [noise_share(t, 0.75) for t in (0.0, 0.375, 0.75, 1.0)] == [1, 0.25, 0, 0]


def test_statistics_are_those_of_numpys_stream(tiny_generator):
    z = torch.from_numpy(np.random.RandomState(123).randn(50, 8)).float()
    w = map_z(tiny_generator, z, 1)[:, 0]
    prior = latent_prior(tiny_generator, 1, 50)
    torch.testing.assert_close(prior.mean, w.mean(0))
    assert prior.w_std == pytest.approx(float(((w - w.mean(0)) ** 2).sum(1).mean() ** 0.5), rel=1e-5)
    standard = prior.coordinates(w, "spread")
    assert float(standard.square().mean(0)[:4].mean()) == pytest.approx(1, rel=1e-3)
    assert float(prior.strangeness(prior.start)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", ["spread", "w"])
def test_coordinates_come_back(tiny_generator, kind):
    prior = latent_prior(tiny_generator, 0, 40)
    w = map_z(tiny_generator, torch.randn(3, 8, generator=torch.Generator().manual_seed(0)), 0)[:, 0]
    back = prior.mean + prior.coordinates(w, kind) @ prior.basis(kind)
    torch.testing.assert_close(back, w, atol=1e-4, rtol=1e-4)


def test_fewer_samples_than_dimensions_still_give_a_basis(tiny_generator):
    prior = latent_prior(tiny_generator, 0, 3)
    assert torch.isfinite(prior.coordinates(prior.mean + 1, "spread")).all()
    assert (prior.spreads > 0).all()
