"""Compiled rays against the plain ones, on balls written into planes and a decoder by hand."""

from dataclasses import replace

import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.networks.decoder import Decoder
from gen3d_tools.rendering import ray_rendering
from gen3d_tools.rendering.compiled.rays import without_gradients
from gen3d_tools.rendering.ray_rendering import render_rays, trace_rays
from gen3d_tools.rendering.renderer import render

LIFT = 12.0  # softplus(u + LIFT) is u + LIFT for all u that occur, so the hidden layers pass numbers on
CONFIG = RenderConfig(near=2.0, far=4.0, coarse_samples=48, fine_samples=32, background="white")
CAMERA = Camera.from_spherical(35.0, 22.0, 3.0, fov_y_deg=30.0)
RADIUS = 0.6


def pass_on(layer, matrix, bias):
    layer.weight.data = torch.as_tensor(matrix) * layer.weight.shape[1] ** 0.5
    layer.bias.data = torch.as_tensor(bias)


def decoder(gain, layers=1, width=4):
    """Features (r^2, x, y, z) / 3 -> raw density gain (R^2 - r^2), colours a ramp per axis."""
    network = Decoder(4, [width] * layers, 3, density_gain=gain)
    linear = network.net[::2]
    pass_on(linear[0], torch.eye(width, 4) * 3, torch.full((width,), LIFT))
    for layer in linear[1:-1]:
        pass_on(layer, torch.eye(width), torch.zeros(width))
    head = torch.zeros(4, width)
    head[0, 0] = -1
    head[1:, 1:4] = 4 * torch.eye(3)
    pass_on(linear[-1], head, torch.tensor([LIFT + RADIUS**2, -4 * LIFT, -4 * LIFT, -4 * LIFT]))
    return network


def ball(gain, *, layers=1, width=4, size=64, **options):
    side = 2.0
    axis = ((torch.arange(size) + 0.5) / size - 0.5) * side
    v, u = torch.meshgrid(axis, axis, indexing="ij")
    nothing = torch.zeros_like(u)
    planes = [
        torch.stack([u * u + v * v, u, v, nothing]),  # x-y
        torch.stack([v * v, nothing, nothing, v]),  # x-z
        torch.zeros(4, size, size),  # y-z
    ]
    field = TriplaneField(
        planes=torch.stack(planes),
        decoder=decoder(gain, layers, width),
        render_config=CONFIG,
        box_side=side,
        plane_axes="xy-xz-yz",
        align_corners=False,
        outside="empty",
        density_shift=-1.0,
    )
    return replace(field, **options)


def decibels(a, b):
    return -10 * torch.log10((a - b).square().mean()).item()


def converged(field, resolution):
    fine = replace(field.render_config, coarse_samples=300, fine_samples=200)
    return render(field, CAMERA, resolution=resolution, config=fine, generator=torch.Generator().manual_seed(0))


@pytest.mark.slow
@pytest.mark.parametrize("gain", [20.0, 1500.0])
@pytest.mark.parametrize("layers", [1, 2])
def test_picture_is_close_to_the_converged_one_and_nearer_than_the_plain_if_sharp(monkeypatch, gain, layers):
    field = ball(gain, layers=layers)
    truth = converged(field, 40)
    ours = render(field, CAMERA, resolution=40)
    monkeypatch.setattr(ray_rendering, "without_gradients", lambda *_: None)
    plain = render(field, CAMERA, resolution=40)
    assert decibels(ours.rgb, truth.rgb) > 45
    if gain > 1000:
        assert decibels(ours.rgb, truth.rgb) > decibels(plain.rgb, truth.rgb)
    assert (ours.opacity - truth.opacity).abs().mean() < 1e-3
    opaque = truth.opacity > 0.999
    assert opaque.any() or gain < 100
    torch.testing.assert_close(ours.depth[opaque], truth.depth[opaque], atol=0.01, rtol=0)
    above = ours.rgb[:, :2]  # only the soft ball's haze reaches up there
    torch.testing.assert_close(above, truth.rgb[:, :2] if gain < 1000 else torch.ones(3, 2, 40), atol=1e-3, rtol=0)
    assert gain < 1000 or (above == 1).all()


@pytest.mark.slow
def test_haze_along_the_whole_ray_is_as_accurate_as_the_plain_path(monkeypatch):
    field = ball(5.0)
    field.decoder.requires_grad_(False)
    many = replace(field.render_config, coarse_samples=512, fine_samples=512)
    truth = render(field, CAMERA, resolution=24, config=many, exact=True).rgb
    ours = render(field, CAMERA, resolution=24).rgb
    monkeypatch.setattr(ray_rendering, "without_gradients", lambda *_: None)
    plain = render(field, CAMERA, resolution=24).rgb
    assert decibels(ours, truth) > max(70, decibels(plain, truth) - 1)


def test_every_ray_is_by_itself():
    field = ball(1500.0)
    generator = torch.Generator().manual_seed(0)
    origins = torch.randn(150, 3, generator=generator) * 0.2 + torch.tensor([0.0, 0.0, 3.0])
    directions = torch.tensor([0.0, 0.0, -1.0]).expand(150, 3)
    with torch.no_grad():
        together = render_rays(field, origins, directions)
        order = torch.randperm(150, generator=generator)
        shuffled = render_rays(field, origins[order], directions)
    for name in ("values", "distance", "opacity", "transmittance"):
        assert torch.equal(getattr(shuffled, name), getattr(together, name)[order])


def test_rays_beside_the_box_and_a_field_without_anything_show_the_background():
    empty = replace(ball(1.0), density_shift=-100.0)
    frames = render(empty, CAMERA, resolution=6)
    assert (frames.rgb == 1).all()
    assert (frames.opacity == 0).all()
    assert (frames.distance == 4.0).all()


@pytest.mark.slow
@pytest.mark.parametrize("background", ["none", "last"])
def test_classical_settings_blend_as_the_plain_path_does(monkeypatch, background):
    config = replace(CONFIG, marcher="classical", background=background, coarse_samples=200, fine_samples=100)
    field = ball(20.0, render_config=config)
    ours = render(field, CAMERA, resolution=24)
    monkeypatch.setattr(ray_rendering, "without_gradients", lambda *_: None)
    plain = render(field, CAMERA, resolution=24)
    assert decibels(ours.rgb, plain.rgb) > 40
    assert (ours.opacity - plain.opacity).abs().mean() < 5e-3


@pytest.mark.slow
def test_changed_numbers_are_seen():
    field = ball(1500.0)
    before = render(field, CAMERA, resolution=12).rgb
    field.planes[0, 0] += 1.0  # the ball is gone
    assert (render(field, CAMERA, resolution=12).rgb == 1).all()
    assert not (before == 1).all()


def test_the_plain_path_serves_what_the_compiled_one_cannot():
    field = ball(20.0)
    assert without_gradients(field) is None  # the decoder may want gradients
    with torch.no_grad():
        assert without_gradients(field) is not None
        assert without_gradients(ball(20.0, outside="decode")) is not None
        assert without_gradients(ball(20.0, decoder=lambda features: (features[:, 1:], features[:, 0]))) is None
        assert without_gradients(ball(20.0, width=65)) is None
        assert without_gradients(ball(20.0, planes=torch.full((3, 4, 8, 8), torch.nan))) is None


def test_gradients_match_finite_differences_of_the_plain_path():
    field = ball(20.0)
    planes = field.planes.clone().requires_grad_()
    rays = torch.tensor([[0.1, 0.2, 3.0]]), torch.tensor([[0.0, 0.0, -1.0]])
    (gradient,) = torch.autograd.grad(render_rays(replace(field, planes=planes), *rays).opacity.sum(), planes)
    step = torch.zeros_like(field.planes)
    step[:, 0] = 1e-3
    ahead, behind = (
        trace_rays(replace(field, planes=field.planes + sign * step), *rays, sampling="default").opacity
        for sign in (1, -1)
    )
    expected = ((ahead - behind) / 2e-3).item()
    assert gradient[:, 0].sum().item() == pytest.approx(expected, rel=0.02)
