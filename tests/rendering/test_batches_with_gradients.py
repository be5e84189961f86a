"""Pictures of a batch in one call: the same numbers and gradients as one after the other."""

from dataclasses import replace

import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.poses import Pose
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.networks.epigraf.decoder import PlaneDecoder
from gen3d_tools.rendering import differentiable
from gen3d_tools.rendering.differentiable import render_differentiable, render_together

RAYS = RenderConfig(near=2.0, far=3.4, coarse_samples=12, background="white", marcher="classical", last_interval=None)
COUNT, SIDE = 3, 8


@pytest.fixture
def scene(request):
    axes, outside, fine = request.param
    torch.manual_seed(0)
    decoder = PlaneDecoder(5, 16, 2, density_gain=20.0)
    planes = torch.randn(COUNT, 3, 5, 6, 6).requires_grad_()
    one = TriplaneField(
        planes=planes[0],
        decoder=decoder,
        render_config=replace(RAYS, fine_samples=fine),
        box_side=1.0,
        plane_axes=axes,
        align_corners=True,
        outside=outside,
    )
    yaw = torch.tensor([-0.6, 0.1, 2.0], requires_grad=True)
    cameras = Pose.build(yaw, 1.3, fov_deg=30.0, radius=2.7).camera()
    pixels = torch.rand(COUNT, SIDE * SIDE, 2)
    leaves = [planes, yaw, *decoder.parameters()]
    return [replace(one, planes=part) for part in planes], cameras, pixels, leaves


def outcome(view, leaves):
    loss = sum((one * torch.linspace(-1, 1, one.numel()).reshape(one.shape)).sum() for one in view)
    return [*(one.detach() for one in view), *torch.autograd.grad(loss, leaves, retain_graph=True)]


SCENES = [("xy-xz-yz", "empty", 0), ("xy-xz-yz", "decode", 6), ("xy-xz-zx", "empty", 0)]


@pytest.mark.slow  # kernels are compiled
@pytest.mark.parametrize(
    ("scene", "jittered"), [*((one, False) for one in SCENES), (SCENES[0], True)], indirect=["scene"]
)
def test_a_batch_is_its_pictures(scene, jittered, monkeypatch):
    fields, cameras, pixels, leaves = scene
    random = [torch.Generator().manual_seed(7) if jittered else None for _ in range(2)]
    alone = [
        render_differentiable(field, cameras[index], pixels[index], threshold=1e-4, generator=random[0])
        for index, field in enumerate(fields)
    ]
    monkeypatch.setattr(differentiable, "render_differentiable", None)  # nothing is seen in turn
    together = render_together(fields, cameras, pixels, threshold=1e-4, generator=random[1])
    parts = ("values", "opacity", "distance")
    one = outcome([torch.stack([getattr(view, part) for view in alone]) for part in parts], leaves)
    other = outcome([getattr(together, part) for part in parts], leaves)
    assert 0.1 < float(one[1].mean()) < 0.95
    for expected, found in zip(one, other, strict=True):
        assert float((expected - found).abs().max()) <= 2e-4 * max(float(expected.abs().max()), 1.0)


@pytest.mark.parametrize("scene", SCENES[:1], indirect=True)
def test_threads_do_not_change_a_batch(scene):
    fields, cameras, pixels, leaves = scene
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            view = render_together(fields, cameras, pixels)
            found.append(outcome([view.values, view.opacity, view.distance], leaves))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("scene", SCENES[:1], indirect=True)
def test_fields_that_share_no_decoder_are_seen_in_turn(scene):
    fields, cameras, pixels, _ = scene
    other = PlaneDecoder(5, 16, 2)
    view = render_together([fields[0], replace(fields[1], decoder=other), fields[2]], cameras, pixels)
    assert isinstance(cameras, Camera)
    alone = render_differentiable(replace(fields[1], decoder=other), cameras[1], pixels[1])
    assert torch.equal(view.values[1], alone.values)


@pytest.mark.parametrize("scene", SCENES[:1], indirect=True)
def test_pictures_that_look_past_everything_are_background(scene):
    fields, cameras, pixels, leaves = scene
    view = render_together(fields, cameras, pixels + 40)
    assert not bool(view.opacity.any())
    assert bool((view.values == 1).all())
    assert all(float(one.abs().max()) == 0 for one in torch.autograd.grad(view.values.sum(), leaves))


@pytest.mark.parametrize("scene", SCENES[:1], indirect=True)
def test_gradients_are_those_of_the_noisy_densities(scene):
    fields, cameras, pixels, leaves = scene
    planes = leaves[0]

    def loss(moved, noise=2.0):
        seen = [replace(field, planes=part) for field, part in zip(fields, moved, strict=True)]
        random = torch.Generator().manual_seed(5)
        view = render_together(seen, cameras, pixels, threshold=0.0, generator=random, density_noise=noise)
        return view.values.square().sum() + view.distance.sum()

    (slopes,) = torch.autograd.grad(loss(planes), planes)
    direction = slopes / slopes.norm()
    step = 1e-2
    with torch.no_grad():
        ahead, behind = loss(planes + step * direction), loss(planes - step * direction)
        assert abs(float(loss(planes) - loss(planes, noise=0.0))) > 1
    assert float(ahead - behind) / (2 * step) == pytest.approx(float(slopes.norm()), rel=0.02)
