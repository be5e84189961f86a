"""Patches, schedules, blur, averages, Adam, order and cleaning as the published code has them."""

import math
from itertools import islice

import numpy as np
import pytest
import torch

from gen3d_tools.metrics.flatness import depth_histograms, non_flatness
from gen3d_tools.training.averaging import ema_beta
from gen3d_tools.training.blurring import blurred, smoothed_depth
from gen3d_tools.training.data.order import window_order
from gen3d_tools.training.losses.distillation import sample_weights
from gen3d_tools.training.optimisers import lazy_adam, sanitise_gradients
from gen3d_tools.training.patches import PatchConfig, Patches, crop_patches, draw_patches, patch_coordinates
from gen3d_tools.training.schedules import candidate_probabilities, linear, swap_probability
from tests.training.recorded import Recorded, cases


@pytest.fixture(params=cases("misc"))
def misc(request):
    return Recorded(request.param)


@pytest.fixture(params=cases("patches"))
def patches(request):
    return Recorded(request.param)


@pytest.mark.parametrize("distribution", ["beta", "uniform", "discrete_uniform"])
@pytest.mark.parametrize("kimg", [0, 2500, 10000])
def test_patches_are_those_of_the_seeds(patches, distribution, kimg):
    config = PatchConfig(side=16, distribution=distribution, least_scale=patches.info["min_scale_target"])
    numbers, generator = np.random.RandomState(11), torch.Generator().manual_seed(12)
    drawn = draw_patches(config, 16, 4, kimg, numbers, generator)
    assert torch.equal(drawn.scales, patches[f"out.{distribution}_{kimg}.scales"])
    assert torch.allclose(drawn.offsets, patches[f"out.{distribution}_{kimg}.offsets"], atol=1e-7)


@pytest.mark.parametrize("distribution", ["beta", "uniform", "discrete_uniform"])
@pytest.mark.parametrize("kimg", [0, 2500, 10000])
def test_moments_of_many_patches(patches, distribution, kimg):
    config = PatchConfig(side=16, distribution=distribution, least_scale=patches.info["min_scale_target"])
    drawn = draw_patches(config, 40000, 1, kimg, np.random.RandomState(1), torch.Generator().manual_seed(1))
    moments = patches.info["moments"][f"{distribution}_{kimg}"]
    assert float(drawn.scales.mean()) == pytest.approx(moments["scale_mean"], abs=0.005)
    assert float(drawn.scales[:, 0].std()) == pytest.approx(moments["scale_std"], abs=0.005)
    assert drawn.offsets.mean(0).tolist() == pytest.approx(moments["offset_mean"], abs=0.005)


def test_crops(patches):
    given = Patches(patches["in.scales"], patches["in.offsets"])
    coordinates = patch_coordinates(given, 16)
    assert torch.allclose(coordinates, patches["out.coords_y_up_res16"], atol=1e-6)
    assert torch.allclose(crop_patches(patches["in.image"], given, 16), patches["out.patches_res16"], atol=1e-5)


def test_schedules(patches):
    config = PatchConfig()
    info = patches.info
    assert [config.beta(k) for k in info["beta_kimg"]] == pytest.approx(patches["out.beta_schedule"].tolist())
    spoof = [swap_probability(k, 0.5, 1000) for k in info["spoof_kimg"]]
    assert spoof == pytest.approx(patches["out.spoof_schedule"].tolist())
    noise = [linear(k, 1, 0, 5000) for k in info["noise_kimg"]]
    assert noise == pytest.approx(patches["out.noise_schedule"].tolist())


@pytest.mark.parametrize("sigma", ["10.0", "2.0", "1.2", "0.34", "0.33"])
def test_blur(misc, sigma):
    image = misc["in.blur_img"]
    assert torch.allclose(blurred(image, float(sigma)), misc[f"out.blur_{sigma}"], atol=1e-5)


def test_depth_is_filtered_once_more(misc):
    image = misc["in.blur_img"]
    found = smoothed_depth(blurred(image, 2.0), 2.0)
    assert torch.allclose(found[:, 3:], misc["out.blur_2.0_depth_channel_extra"], atol=1e-5)


def test_depth_candidates(misc):
    for kimg in (0, 2500, 10000):
        expected = misc[f"out.depth_candidate_probs_{kimg}"].tolist()
        assert candidate_probabilities(kimg, 4, 10000) == pytest.approx(expected)


def test_average(misc):
    for row, (half_life, ramp, batch) in enumerate([(20, 0.05, 64), (10, 0.05, 32), (10, None, 32)]):
        betas = [ema_beta(i * batch, batch, half_life, ramp) for i in range(40)]
        assert betas == pytest.approx(misc["out.ema_beta_first40"][row].tolist())
    images = (0, 64, 6400, 100000, 399936, 400000, 1000000)
    far = [ema_beta(n, 64, 20, 0.05) for n in images]
    assert far == pytest.approx(misc["out.ema_beta_far_batch64_20kimg"].tolist())


def test_half_life_of_the_average():
    steps = 20_000 // 32
    assert ema_beta(10**9, 32, 20, None) ** steps == pytest.approx(0.5)


def test_lazy_adam(misc):
    parameter = torch.nn.Parameter(torch.zeros(3))
    gradients, expected = misc["in.adam_grads"], misc["out.adam_params"]
    parameter.data.copy_((expected[0] * 10).round() / 10)  # the first step moved it by less than .002
    optimiser = lazy_adam([parameter], lr=0.002, betas=(0.0, 0.99), interval=16)
    for gradient, after in zip(gradients, expected, strict=True):
        parameter.grad = gradient.clone()
        optimiser.step()
        assert torch.allclose(parameter.data, after, atol=1e-6)
    group = optimiser.param_groups[0]
    assert group["lr"] == pytest.approx(0.0018823529)
    assert group["betas"][1] == pytest.approx(0.9905854573)


def test_endless_order(misc):
    found = list(islice(window_order(10, seed=0), 40))
    assert found == misc["out.sampler_n10_seed0_replicas1_rank0"].tolist()
    found = list(islice(window_order(10, seed=3, replicas=2, rank=1), 40))
    assert found == misc["out.sampler_n10_seed3_replicas2_rank1"].tolist()


def test_distillation_weights(misc):
    assert torch.allclose(sample_weights(misc["in.kd_scales"]), misc["out.kd_weights"], atol=1e-6)


def test_cleaning(misc):
    gradient = torch.tensor([math.nan, math.inf, -math.inf, 3.0, -2e6])
    sanitise_gradients([gradient])
    assert torch.equal(gradient, misc["out.sanitised_of_nan_inf_-inf_3_-2e6"])


def test_flatness(misc):
    depth = misc["in.nfs_depth"]
    found, entropy = non_flatness(depth_histograms(depth, 0.75, 1.25))
    assert torch.allclose(entropy, misc["out.nfs_entropy"], atol=1e-5)
    assert float(found) == pytest.approx(float(misc["out.nfs"]), rel=1e-5)
