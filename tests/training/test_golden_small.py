"""Patches, schedules, blur, averages, Adam, order and cleaning as the published code has them."""

import re
from itertools import islice

import numpy as np
import pytest
import torch

from gen3d_tools.metrics.flatness import depth_histograms, non_flatness
from gen3d_tools.training.averaging import ema_beta, update_average
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


def test_patches_are_those_of_the_seeds(patches):
    first, second, group = patches.told(
        r"seed (\d+) for scales, .*manual_seed (\d+) .*groups of (\d+)", "11", "12", "4"
    )
    drawn_by_seeds = patches.outputs(r"(\w+)_(\d+)\.scales")
    assert drawn_by_seeds
    for match, scales in drawn_by_seeds.items():
        config = PatchConfig(distribution=match[1], least_scale=patches.info["min_scale_target"])
        numbers, generator = np.random.RandomState(int(first)), torch.Generator().manual_seed(int(second))
        drawn = draw_patches(config, len(scales), int(group), int(match[2]), numbers, generator)
        assert torch.equal(drawn.scales, scales), match[0]
        assert torch.allclose(drawn.offsets, patches[f"out.{match[1]}_{match[2]}.offsets"], atol=1e-7), match[0]


def test_moments_of_many_patches(patches):
    for name, moments in patches.info["moments"].items():
        distribution, kimg = name.rsplit("_", 1)
        config = PatchConfig(distribution=distribution, least_scale=patches.info["min_scale_target"])
        drawn = draw_patches(config, 40000, 1, int(kimg), np.random.RandomState(1), torch.Generator().manual_seed(1))
        assert float(drawn.scales.mean()) == pytest.approx(moments["scale_mean"], abs=0.005), name
        assert float(drawn.scales[:, 0].std()) == pytest.approx(moments["scale_std"], abs=0.005), name
        assert drawn.offsets.mean(0).tolist() == pytest.approx(moments["offset_mean"], abs=0.005), name


def test_crops(patches):
    given = Patches(patches["in.scales"], patches["in.offsets"])
    found = patches.outputs(r"patches_res(\d+)")
    assert found
    for match, cropped in found.items():
        side = int(match[1])
        assert torch.allclose(crop_patches(patches["in.image"], given, side), cropped, atol=1e-5)
        coordinates = patch_coordinates(given, side)
        assert torch.allclose(coordinates, patches[f"out.coords_y_up_res{side}"], atol=1e-6)
        downwards = torch.tensor([1.0, -1.0])
        assert torch.allclose(coordinates * downwards, patches[f"out.grid_res{side}"], atol=1e-6)


def test_schedules(patches):
    config = PatchConfig()
    info = patches.info
    final, length = info.get("camera_cond_spoof_p", 0.5), info.get("nerf_noise_kimg_growth", 5000)
    assert [config.beta(k) for k in info["beta_kimg"]] == pytest.approx(patches["out.beta_schedule"].tolist())
    spoof = [swap_probability(k, final, 1000) for k in info["spoof_kimg"]]
    assert spoof == pytest.approx(patches["out.spoof_schedule"].tolist())
    noise = [linear(k, 1, 0, length) for k in info["noise_kimg"]]
    assert noise == pytest.approx(patches["out.noise_schedule"].tolist())


def test_blur(misc):
    found = misc.outputs(r"blur_([\d.]+)")
    assert found
    for match, blurry in found.items():
        assert torch.allclose(blurred(misc["in.blur_img"], float(match[1])), blurry, atol=1e-5), match[0]


def test_depth_is_filtered_once_more(misc):
    found = misc.outputs(r"blur_([\d.]+)_depth_channel_extra")
    assert found
    for match, twice in found.items():
        sigma = float(match[1])
        images = smoothed_depth(blurred(misc["in.blur_img"], sigma), sigma)
        assert torch.allclose(images[:, 3:], twice, atol=1e-5), match[0]


def test_depth_candidates(misc):
    found = misc.outputs(r"depth_candidate_probs_(\d+)")
    assert found
    for match, expected in found.items():
        answers = candidate_probabilities(int(match[1]), len(expected), 10000)
        assert answers == pytest.approx(expected.tolist()), match[0]


def test_average(misc):
    settings = re.findall(r"\(([\d.]+),([\d.]+|none),(\d+)\)", misc.info["description"])
    first = misc["out.ema_beta_first40"]
    for (half_life, ramp, batch), expected in zip(settings, first, strict=True):
        told = int(batch), float(half_life), None if ramp == "none" else float(ramp)
        betas = [ema_beta(i * told[0], *told) for i in range(len(expected))]
        assert betas == pytest.approx(expected.tolist()), told
    (images,) = misc.told(r"EMA beta at images \(([\d,]+)\)", "0,64,6400,100000,399936,400000,1000000")
    found = misc.outputs(r"ema_beta_far_batch(\d+)_(\d+)kimg")
    assert found
    for match, expected in found.items():
        far = [ema_beta(int(n), int(match[1]), int(match[2]), 0.05) for n in images.split(",")]
        assert far == pytest.approx(expected.tolist())


def test_average_of_a_growing_parameter(misc):
    found = misc.outputs(r"ema_track_of_param_1_to_(\d+)_batch(\d+)")
    assert found
    for match, expected in found.items():
        current, average, batch = torch.nn.Linear(1, 1).double(), torch.nn.Linear(1, 1).double(), int(match[2])
        track = []
        for step in range(int(match[1])):
            torch.nn.init.constant_(current.bias, step + 1)
            update_average(average, current, ema_beta(step * batch, batch, 20, 0.05))
            track.append(average.bias.item())
        assert track == pytest.approx(expected.tolist()), match[0]


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
    found = misc.outputs(r"sampler_n(\d+)_seed(\d+)_replicas(\d+)_rank(\d+)")
    assert found
    for match, expected in found.items():
        count, seed, replicas, rank = map(int, match.groups())
        order = window_order(count, seed=seed, replicas=replicas, rank=rank)
        assert list(islice(order, len(expected))) == expected.tolist(), match[0]


def test_distillation_weights(misc):
    assert torch.allclose(sample_weights(misc["in.kd_scales"]), misc["out.kd_weights"], atol=1e-6)
    annealed = [linear(kimg, 1, 0, 10000) for kimg in (0, 2500, 10000)]
    assert annealed == pytest.approx(misc["out.kd_weight_schedule"].tolist())


def test_cleaning(misc):
    found = misc.outputs(r"sanitised_of_(.+)")
    assert found
    for match, expected in found.items():
        gradient = torch.tensor([float(number) for number in match[1].split("_")])
        sanitise_gradients([gradient])
        assert torch.equal(gradient, expected)


def test_flatness(misc):
    near, far, bins = misc.told(r"range ([\d.]+)-([\d.]+), (\d+) bins", "0.75", "1.25", "64")
    histograms = depth_histograms(misc["in.nfs_depth"], float(near), float(far), int(bins))
    assert torch.equal(histograms, misc["out.nfs_histograms"])
    found, entropy = non_flatness(histograms)
    assert torch.allclose(entropy, misc["out.nfs_entropy"], atol=1e-5)
    assert float(found) == pytest.approx(float(misc["out.nfs"]), rel=1e-5)
