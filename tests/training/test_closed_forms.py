"""What can be computed by hand: penalties, distances, limits, flips."""

import math

import numpy as np
import pytest
import torch

from gen3d_tools.metrics.frechet import FeatureStatistics, feature_statistics, frechet_distance
from gen3d_tools.rendering.rays import pixel_coordinates
from gen3d_tools.training.augmentation import geometry
from gen3d_tools.training.augmentation.augment import Augmentation
from gen3d_tools.training.augmentation.color import recolored
from gen3d_tools.training.augmentation.geometry import random_warp, warped
from gen3d_tools.training.discriminators.body import minibatch_deviation
from gen3d_tools.training.discriminators.multiview import packable_classes, per_object, real_tuples, view_major
from gen3d_tools.training.draws import Draws, rolled_rows, swapped_labels
from gen3d_tools.training.losses.adversarial import fake_loss, generator_loss, real_loss
from gen3d_tools.training.losses.cameras import earth_movers, force_mean
from gen3d_tools.training.losses.gradient_penalty import auto_gamma, r1_penalty
from gen3d_tools.training.optimisers import lazy_adam
from gen3d_tools.training.patches import PatchConfig, draw_patches, patch_pixels, whole_pictures
from gen3d_tools.training.recipes.sections import AugmentationSection


def test_penalty_of_a_linear_discriminator_is_the_norm_of_its_weights():
    weights = torch.randn(3, 4, 4)
    images = torch.randn(5, 3, 4, 4, requires_grad=True)
    penalty = r1_penalty((images * weights).sum((1, 2, 3)), [images])
    assert penalty.tolist() == pytest.approx([float(weights.square().sum())] * 5, rel=1e-5)


def test_a_shifted_sample_is_moved_by_the_shift():
    prior = torch.randn(64, 8)
    shift = torch.arange(8.0)
    moved = (prior + shift)[torch.randperm(64)]
    assert earth_movers(moved, prior).tolist() == pytest.approx((shift**2).tolist(), abs=1e-4)


def test_force_mean_is_the_distance_of_means():
    posterior = torch.zeros(16, 8)
    posterior[:, :3] = torch.tensor([3.0, 4.0, 0.0])
    assert float(force_mean(posterior, torch.zeros(3))) == pytest.approx(5.0)


def test_logits_of_zero_cost_log_two():
    zero = torch.zeros(1)
    assert float(generator_loss(zero)) == pytest.approx(math.log(2))
    assert float(fake_loss(zero) + real_loss(zero)) == pytest.approx(2 * math.log(2))
    assert float(real_loss(torch.tensor([50.0]), limit=1.0)) == pytest.approx(math.log1p(math.exp(-1)))


def test_gamma_of_the_published_batch():
    assert auto_gamma(256, 64) == pytest.approx(0.2048)


def patches_of(kimg, **values):
    config = PatchConfig(side=16, least_scale=0.25, **values)
    return draw_patches(config, 4000, 1, kimg, np.random.RandomState(0), torch.Generator().manual_seed(0))


def test_patches_begin_whole_and_end_small():
    begin, end = patches_of(0.0), patches_of(1e9)
    assert float((begin.scales > 0.99).float().mean()) > 0.98
    assert float(end.scales.mean()) == pytest.approx(0.25 + 0.75 / 1.8, abs=0.02)  # mean of Beta(1, b): 1 / (1 + b)


@pytest.mark.parametrize("distribution", ["beta", "uniform", "discrete_uniform", "full"])
def test_patches_lie_within_the_picture(distribution):
    patches = patches_of(5000.0, distribution=distribution)
    assert float(patches.offsets.min()) >= 0
    assert float((patches.offsets + patches.scales).max()) <= 1 + 1e-6
    assert float(patches.scales.min()) >= 0.25


def test_pixels_of_the_whole_picture_are_the_cameras_own():
    found = patch_pixels(whole_pictures(1), 8)[0]
    assert torch.allclose(found, pixel_coordinates(8, "corners"), atol=1e-6)


def test_the_lower_left_patch_has_large_y():
    config = PatchConfig(side=8, distribution="full")
    patch = draw_patches(config, 1, 1, 0.0, np.random.RandomState(0), torch.Generator())
    corner = type(patch)(torch.tensor([[0.5, 0.5]]), torch.zeros(1, 2))
    pixels = patch_pixels(corner, 8)[0]
    assert pixels.amin(0).tolist() == pytest.approx([0.0, 0.5])
    assert pixels.amax(0).tolist() == pytest.approx([0.5, 1.0])


def test_deviation_of_equal_samples_is_nothing_and_groups_are_strided():
    x = torch.randn(8, 5, 4, 4)
    assert float(minibatch_deviation(x[:1].expand(8, -1, -1, -1), 4).max()) == pytest.approx(1e-4, rel=1e-3)
    swapped = x[[4, 1, 6, 3, 0, 5, 2, 7]]  # 0 and 4, 2 and 6 are of one group
    assert torch.allclose(minibatch_deviation(x, 4), minibatch_deviation(swapped, 4), atol=1e-6)
    found = minibatch_deviation(x, 4)[:, 0, 0, 0]
    assert torch.allclose(found[:2], found[2:4])
    assert not torch.allclose(found[0], found[1])


def test_views_of_one_object_never_share_a_statistic():
    views, count = 3, 4
    owner = view_major(torch.arange(float(count)).reshape(1, count, 1, 1, 1).expand(views, -1, 1, 1, 1))[:, 0, 0, 0]
    strided = owner.reshape(4, -1)  # a column is a group
    assert all(len(set(column.tolist())) == 4 for column in strided.T)


def test_a_permutation_of_views_leaves_the_loss():
    losses = torch.randn(3, 4)
    turned = losses[[2, 0, 1]]  # sums in another order
    torch.testing.assert_close(per_object(losses.flatten(), 3), per_object(turned.flatten(), 3), rtol=1e-5, atol=1e-6)


def test_tuples_hold_different_pictures_of_one_class():
    labels = np.array([0] * 5 + [1] * 2 + [2] * 4)
    assert packable_classes(labels, 3) == [0, 2]
    found = real_tuples(labels, [0, 2, 2, 0], 3, np.random.RandomState(0))
    assert all(len(set(row)) == 3 for row in found)
    assert all(len(set(labels[row])) == 1 for row in found)


def test_labels_are_swapped_with_the_one_before():
    labels = torch.arange(4.0)[:, None]
    uniform = torch.tensor([0.1, 0.9, 0.1, 0.9])
    assert swapped_labels(labels, uniform, 0.5)[:, 0].tolist() == [3, 1, 1, 3]
    assert rolled_rows(labels, uniform, 0.5)[:, 0].tolist() == [2, 1, 0, 3]
    assert torch.equal(rolled_rows(labels, uniform, 0.0), labels)


def test_draws_are_named_by_their_key():
    first, again, other = Draws(1, 2, 3, 4), Draws(1, 2, 3, 4), Draws(1, 2, 3, 5)
    assert torch.equal(first.latents(2, 3), again.latents(2, 3))
    assert not torch.equal(first.latents(2, 3), other.latents(2, 3))


def test_distance_of_shifted_gaussians_is_the_squared_shift():
    one = FeatureStatistics(np.zeros(4), np.eye(4), 9)
    assert frechet_distance(one, FeatureStatistics(np.full(4, 2.0), np.eye(4), 9)) == pytest.approx(16.0)
    assert frechet_distance(one, FeatureStatistics(np.zeros(4), 4 * np.eye(4), 9)) == pytest.approx(4.0)
    rows = torch.randn(50, 4)
    assert frechet_distance(feature_statistics([rows]), feature_statistics([rows[:20], rows[20:]])) < 1e-9


def test_the_warp_that_does_nothing_gives_the_picture_back():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    image = torch.exp(-4 * (x**2 + y**2)).expand(2, 3, -1, -1)
    assert torch.allclose(warped(image, torch.eye(3).expand(2, 3, 3)), image, atol=2e-3)


def test_a_picture_is_shifted_along_both_axes_or_not_at_all(monkeypatch):
    monkeypatch.setattr(geometry, "_SCALE", 0.0)
    monkeypatch.setattr(geometry, "_rotations", lambda angle: torch.eye(3).expand(len(angle), 3, 3))
    moved = random_warp(4000, 10**6, 10**6, 0.3, False, Draws(0))[:, :2, 2] != 0
    assert torch.equal(moved[:, 0], moved[:, 1])
    assert float(moved[:, 0].float().mean()) == pytest.approx(1 - 0.7**2, abs=0.03)


def test_a_warp_by_whole_pixels_moves_the_picture():
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    image = torch.exp(-((x - 15) ** 2 + (y - 15) ** 2) / 40)[None, None]
    shift = torch.eye(3)[None].clone()
    shift[0, 0, 2] = 3.0  # pixels of the result look 3 to the right
    moved = warped(image, shift)
    assert torch.allclose(moved[..., 8:24, 8:20], image[..., 8:24, 11:23], atol=5e-3)


def test_colours_are_mapped_and_depth_is_not():
    images = torch.rand(1, 4, 5, 5)
    double = torch.cat([2 * torch.eye(3), torch.full((3, 1), 0.1)], 1)[None]
    found = recolored(images, double)
    assert torch.allclose(found[:, :3], 2 * images[:, :3] + 0.1)
    assert torch.equal(found[:, 3:], images[:, 3:])


def test_augmentation_follows_the_discriminator_and_carries_gradients():
    augment = Augmentation(AugmentationSection(enabled=True, speed_kimg=1.0))
    images = torch.rand(4, 3, 16, 16, requires_grad=True)
    assert augment(images, Draws(0)) is images
    augment.adapt(0.9, 500)
    assert augment.strength == pytest.approx(0.5)
    augment.adapt(0.1, 2000)
    assert augment.strength == 0.0
    augment.strength = 1.0
    changed = augment(images, Draws(0))
    assert changed.shape == images.shape
    changed.square().sum().backward()
    assert images.grad.isfinite().all()
    assert float(images.grad.abs().sum()) > 0


def test_runs_that_adam_moved_tensor_by_tensor_go_on_in_one_pass():
    generator = torch.Generator().manual_seed(0)
    start, slopes = torch.randn(7, generator=generator), torch.randn(6, 7, generator=generator)
    found = []
    for moved in (False, True):
        weight = torch.nn.Parameter(start.clone())
        optimiser = torch.optim.Adam([weight], lr=0.1 * 4 / 5, betas=(0.0, 0.99 ** (4 / 5)), eps=1e-8)
        for step, slope in enumerate(slopes):
            if moved and step == 3:
                stored, optimiser = optimiser.state_dict(), lazy_adam([weight], lr=0.1, betas=(0.0, 0.99), interval=4)
                optimiser.load_state_dict(stored)
            weight.grad = slope.clone()
            optimiser.step()
        found.append(weight.detach())
    torch.testing.assert_close(found[1], found[0], rtol=1e-6, atol=1e-7)
