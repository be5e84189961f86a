"""Rendering through a super-resolution, here one that can be predicted: it repeats pixels and turns colours round."""

from dataclasses import dataclass, replace

import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.paths import orbit
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.super_resolution import SuperResolution
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.rendering.renderer import render

FRONT = Camera.from_spherical(10.0, 5.0, 2.7, fov_y_deg=20.0)


@dataclass(frozen=True)
class Repeat(SuperResolution):
    """Shows 1 - the fifth feature, each pixel four times per side; its published raw picture is zero."""

    render_resolution: int = 8

    @property
    def resolution(self):
        return 4 * self.render_resolution

    def __call__(self, values, generator=None):
        large = values.repeat_interleave(4, -1).repeat_interleave(4, -2)
        return 1 - large[4:5].expand(3, -1, -1), torch.zeros_like(values[:3])

    def to(self, device):
        return self


def decoder(features):
    values = torch.sigmoid(features[..., :6])
    return values, 40 * features[..., 6]


@pytest.fixture(scope="module")
def field():
    planes = torch.randn(3, 7, 16, 16, generator=torch.Generator().manual_seed(0))
    config = RenderConfig(near=2.0, far=3.4, coarse_samples=12, fine_samples=8)
    return TriplaneField(
        planes=planes,
        decoder=decoder,
        render_config=config,
        box_side=1.0,
        plane_axes="xy-xz-zx",
        align_corners=False,
        super_resolution=Repeat(),
    )


def test_the_picture_is_the_networks_and_raw_is_what_the_rays_saw(field):
    frames = render(field, FRONT)
    assert frames.rgb.shape == (3, 32, 32)
    assert frames.raw.rgb.shape == (3, 8, 8)
    direct = render(replace(field, super_resolution=None), FRONT, resolution=8)
    for name in ("rgb", "depth", "opacity", "distance"):
        assert torch.equal(getattr(frames.raw, name), getattr(direct, name)), name
    fifth = replace(field, decoder=lambda x: (decoder(x)[0][..., 4:5].expand(*x.shape[:-1], 3), decoder(x)[1]))
    seen = render(fifth, FRONT, resolution=8, super_resolution=False).rgb
    torch.testing.assert_close(frames.rgb[:, 1::4, 1::4], 1 - seen)


def test_geometry_is_interpolated_to_the_pictures_size(field):
    frames = render(field, FRONT)
    assert frames.depth.shape == frames.opacity.shape == frames.distance.shape == (1, 32, 32)
    torch.testing.assert_close(frames.opacity.mean(), frames.raw.opacity.mean(), atol=0.01, rtol=0)
    assert frames.depth.min() >= frames.raw.depth.min()


def test_another_size_is_the_same_picture_resized(field):
    full, half = render(field, FRONT).rgb, render(field, FRONT, resolution=16).rgb
    assert half.shape == (3, 16, 16)
    torch.testing.assert_close(half.mean((1, 2)), full.mean((1, 2)), atol=0.01, rtol=0)


def test_without_it_rays_go_through_every_pixel(field):
    frames = render(field, FRONT, resolution=20, super_resolution=False)
    assert frames.raw is None
    assert torch.equal(frames.rgb, render(replace(field, super_resolution=None), FRONT, resolution=20).rgb)


def test_only_exact_rendering_shows_the_published_raw_picture(field):
    assert render(field, FRONT).raw.rgb.max() > 0.1
    assert render(field, FRONT, exact=True).raw.rgb.max() == 0


def test_batches_of_cameras_carry_their_raw_pictures(field):
    cameras = orbit(3, FRONT)
    frames = render(field, cameras, supersample=2)
    assert frames.rgb.shape == (3, 3, 32, 32)
    assert frames.raw.depth.shape == (3, 1, 8, 8)
    assert torch.equal(frames.raw.rgb[1], render(field, cameras[1], supersample=2).raw.rgb)


def test_density_noise_needs_exact_rendering_and_a_generator(field):
    noisy = replace(field, density_noise=30.0)

    def picture(of, **options):
        return render(of, FRONT, **options).raw.opacity

    def seeded():
        return torch.Generator().manual_seed(1)

    assert torch.equal(picture(noisy, exact=True), picture(field, exact=True))
    assert torch.equal(picture(noisy, generator=seeded()), picture(field, generator=seeded()))
    changed = picture(noisy, exact=True, generator=seeded()) - picture(field, exact=True, generator=seeded())
    assert changed.abs().max() > 0.05
