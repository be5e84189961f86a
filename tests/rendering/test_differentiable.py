"""Pictures with gradients: the same picture, the same gradients, only cheaper."""

import math
from dataclasses import replace

import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.rendering.differentiable import onset_width, render_differentiable, sample_pixels
from gen3d_tools.rendering.ray_rendering import render_rays
from gen3d_tools.rendering.rays import camera_rays, pixel_coordinates

SIDE = 12


def _leaf_field(generator, seed=3):
    with torch.no_grad():
        planes = generator.planes(generator.latents([seed], [0]))[0]
    leaf = planes.clone().requires_grad_()
    return leaf, generator.field(leaf)


def _loss(rgb):
    weights = torch.linspace(-1, 1, rgb.numel(), device=rgb.device).reshape(rgb.shape)
    return (rgb * weights).sum() + rgb.square().sum()


def _full(field, camera):
    seen = render_rays(field, *camera_rays(camera, SIDE))
    return seen.values[:, :3].T.reshape(3, SIDE, SIDE), seen.opacity.reshape(1, SIDE, SIDE)


def test_without_softening_the_picture_is_that_of_the_reference(tiny_generator):
    _, field = _leaf_field(tiny_generator)
    camera = tiny_generator.default_camera()
    seen = render_differentiable(field, camera, pixel_coordinates(SIDE), threshold=1e-6)
    rgb, opacity = _full(field, camera)
    assert 0.05 < opacity.mean() < 0.95
    torch.testing.assert_close(seen.rgb, rgb, atol=1e-4, rtol=0)
    torch.testing.assert_close(seen.opacity, opacity, atol=1e-4, rtol=0)


@pytest.mark.parametrize("threshold", [1e-5, 1e-4])
def test_gradients_of_the_cheap_pass_are_those_of_full_autograd_within_a_hundredth(tiny_generator, threshold):
    camera = tiny_generator.default_camera()
    leaf, field = _leaf_field(tiny_generator)
    _loss(render_differentiable(field, camera, pixel_coordinates(SIDE), threshold=threshold).rgb).backward()
    cheap = leaf.grad.clone()
    leaf, field = _leaf_field(tiny_generator)
    _loss(_full(field, camera)[0]).backward()
    assert (cheap - leaf.grad).norm() < 0.01 * leaf.grad.norm()


def test_a_second_round_of_samples_meets_a_thin_surface():
    ball = FunctionField(
        raw_density_fn=lambda points: 1500 * (0.3 - points.norm(dim=-1)),
        values_fn=lambda points: (0.5 + 0.5 * (300 * points.norm(dim=-1, keepdim=True)).sin()).expand(points.shape),
        box_side=1.0,
        bounded=True,
        render_config=RenderConfig(near=2.2, far=3.2, coarse_samples=32, fine_samples=16, background="white"),
    )
    camera, pixels = Camera.from_spherical(20.0, 10.0, 2.7, fov_y_deg=20.0), pixel_coordinates(32)
    many = replace(ball.render_config, coarse_samples=1024, fine_samples=512)
    truth = render_differentiable(ball, camera, pixels, config=many).rgb
    errors = [
        (render_differentiable(ball, camera, pixels, fine_rounds=rounds).rgb - truth).square().mean()
        for rounds in (1, 2)
    ]
    assert errors[1] < 0.3 * errors[0]


def test_an_object_outside_the_picture_is_background_that_still_takes_a_gradient(tiny_generator):
    leaf, field = _leaf_field(tiny_generator)
    away = Camera.look_at((0.0, 0.0, 3.0), (0.0, 0.0, 6.0), fov_y_deg=20.0)
    seen = render_differentiable(field, away, pixel_coordinates(SIDE))
    assert torch.equal(seen.rgb.detach(), torch.ones(3, SIDE, SIDE))
    seen.rgb.sum().backward()
    assert not leaf.grad.any()


def _soft_ball(radius=0.3, slope=40.0):
    return FunctionField(
        raw_density_fn=lambda points: slope * (radius - points.norm(dim=-1)),
        box_side=1.0,
        bounded=True,
        density_activation="softplus",
        render_config=RenderConfig(near=2.2, far=3.2, coarse_samples=64, fine_samples=0, background="white"),
    )


def test_camera_gradients_agree_with_finite_differences():
    def loss(yaw, fov):
        field = replace(_soft_ball(), raw_density_fn=lambda p: 40 * (0.3 - (p - 0.1).norm(dim=-1)))
        camera = Camera.from_spherical(yaw, 10.0, 2.7, fov_y_deg=fov)
        return (
            render_differentiable(field, camera, pixel_coordinates(16), threshold=0.0).opacity[:, :, :8].double().sum()
        )

    yaw, fov = torch.tensor(20.0, requires_grad=True), torch.tensor(20.0, requires_grad=True)
    loss(yaw, fov).backward()
    for one, step, others in ((yaw, 1.0, lambda v: (v, fov)), (fov, 0.5, lambda v: (yaw, v))):
        with torch.no_grad():
            slope = (loss(*others(one + step)) - loss(*others(one - step))) / (2 * step)
        assert float(one.grad) == pytest.approx(float(slope), rel=0.05)


def test_rays_beside_the_box_see_the_background():
    camera = Camera.from_spherical(0.0, 0.0, 2.7, fov_y_deg=60.0)
    seen = render_differentiable(_soft_ball(), camera, pixel_coordinates(16))
    assert torch.equal(seen.rgb[:, 0, 0], torch.ones(3))
    assert seen.opacity[0, 8, 8] > 0.8 > 0.01 > seen.opacity[0, 0, 0]


def test_a_steep_onset_is_widened_to_the_length_asked_for():
    assert onset_width(_soft_ball(slope=5000.0), 0.002) == pytest.approx(10.0, rel=0.02)
    assert onset_width(_soft_ball(slope=50.0), 0.002) == 1.0


def test_softening_lets_a_ray_beside_a_hard_ball_feel_it():
    def gradient(width):
        radius = torch.tensor(0.3, requires_grad=True)
        field = replace(_soft_ball(), raw_density_fn=lambda p: 1e5 * (radius - p.norm(dim=-1)))
        camera = Camera.from_spherical(0.0, 0.0, 2.7, fov_y_deg=2 * math.degrees(math.atan(0.5)))
        beside = torch.tensor([[0.5 + math.tan(math.asin(0.312 / 2.7)), 0.5]])  # passes the ball at 0.012
        render_differentiable(field, camera, beside, width=width, threshold=0.0).opacity.sum().backward()
        return float(radius.grad)

    assert gradient(1.0) < 1e-3 < gradient(400.0)


def test_a_grid_is_regular_and_never_larger_than_asked(tiny_generator):
    _, field = _leaf_field(tiny_generator)
    random = torch.Generator().manual_seed(0)
    for rays, count in ((16 * 16, 16), (100, 8), (1, 1)):
        chosen, pixels = sample_pixels(16, rays, field, random)
        assert chosen.shape == (2, count)
        assert len(pixels) == count**2 <= max(rays, 1)
        assert ((pixels > 0) & (pixels < 1)).all()
        middles = torch.stack([(chosen[1] + 0.5) / 16, (chosen[0] + 0.5) / 16])
        along = pixels.reshape(count, count, 2)
        assert (along[0, :, 0] - middles[0]).abs().max() <= 0.5 / 16
        assert (along[:, 0, 1] - middles[1]).abs().max() <= 0.5 / 16


def test_in_a_series_all_starts_have_their_turn_before_one_comes_again(tiny_generator):
    _, field = _leaf_field(tiny_generator)

    def series(seed, first, last):
        random = torch.Generator().manual_seed(seed)
        return [sample_pixels(18, 40, field, random, turn)[0][:, 0].tolist() for turn in range(first, last)]

    once, again = series(0, 0, 9), series(0, 9, 18)  # every third of 18 places: starts 0, 1, 2
    assert sorted(once) == sorted(again) == [[row, column] for row in range(3) for column in range(3)]
    assert once != again
    assert series(1, 0, 9) == once  # whatever the seed


def test_rays_pass_the_middles_of_their_pixels_or_each_a_place_of_its_own_around(tiny_generator):
    _, field = _leaf_field(tiny_generator)

    def places(jitter, seed):
        return sample_pixels(18, 40, field, torch.Generator().manual_seed(seed), 0, jitter)[1]

    middles = places(0.0, 0)
    assert torch.equal(middles, places(0.0, 1))
    away = (places(0.5, 0) - middles) * 18  # pixels
    assert 0.2 < away.abs().max() <= 0.25
    assert len(away.unique()) > 60  # of 72: none goes where its neighbour goes, as a picture that is shifted would
    assert not torch.equal(places(0.5, 0), places(0.5, 1))
    assert torch.equal(sample_pixels(18, 40, field, None, jitter=0.5)[1], sample_pixels(18, 40, field, None)[1])


def test_without_a_generator_pictures_repeat(tiny_generator):
    _, field = _leaf_field(tiny_generator)
    camera = tiny_generator.default_camera()
    first, second = (render_differentiable(field, camera, pixel_coordinates(8)).rgb for _ in range(2))
    assert torch.equal(first, second)
    jittered = render_differentiable(
        field, camera, pixel_coordinates(8), generator=torch.Generator().manual_seed(1)
    ).rgb
    assert not torch.equal(first, jittered)
