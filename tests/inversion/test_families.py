"""Stages ask a generator for nothing that only one family has: super-resolution, backdrops and noise come along."""

from dataclasses import dataclass, replace

import pytest
import torch

from gen3d_tools.cameras.camera import stack_cameras
from gen3d_tools.cameras.distributions.named import FixedCamera, UniformSphere
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.super_resolution import SuperResolution
from gen3d_tools.generators.families.epigraf import EpigrafConfig, EpigrafGenerator
from gen3d_tools.generators.settings import ModelSettings
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages.latent_prior import latent_prior
from gen3d_tools.inversion.stages.objective import Objective, target_of
from gen3d_tools.inversion.stages.stage_one import StageOne
from gen3d_tools.inversion.stages.stage_two import StageTwo
from gen3d_tools.photos.photo import Photo
from gen3d_tools.rendering.differentiable import render_differentiable
from gen3d_tools.rendering.ray_rendering import trace_rays
from gen3d_tools.rendering.rays import camera_rays, pixel_coordinates
from tests.generators.families.test_volumegan import small_volumegan
from tests.support.stylenerf_generators import build

SETTINGS = InversionSettings().changed(
    resolution=8, rays1=64, rays2=64, w_samples=20, steps1=3, steps2=3, far_stretch=1.0, locality_points=64
)


@dataclass(frozen=True)
class Double(SuperResolution):
    """Shows every pixel four times."""

    render_resolution: int = 6

    @property
    def resolution(self):
        return 2 * self.render_resolution

    def __call__(self, values, generator=None):
        return values[:3].repeat_interleave(2, -1).repeat_interleave(2, -2), values[:3]

    def to(self, device):
        return self


class Enlarging(EpigrafGenerator):
    """Fields with a super-resolution."""

    def fields(self, ws):
        return [replace(field, super_resolution=Double()) for field in super().fields(ws)]


def _epigraf(background, kind=EpigrafGenerator):
    config = EpigrafConfig(
        z_dim=8,
        w_dim=8,
        plane_resolution=8,
        plane_channels=4,
        channel_base=64,
        channel_max=8,
        decoder_hidden=8,
        background=background,
        sphere_channel_base=64,
        sphere_channel_max=8,
        sphere_steps=4,
    )
    settings = ModelSettings(
        render_config=RenderConfig(near=2.0, far=3.4, coarse_samples=8, fine_samples=8, marcher="classical"),
        camera_distribution=UniformSphere(radius=2.7, fov_y_deg=20.0),
        default_view=FixedCamera(radius=2.7, fov_y_deg=20.0),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(config, settings).eval().requires_grad_(False)


def _both_stages(generator):
    prior = latent_prior(generator, None, SETTINGS.stage_one.w_samples)
    field = generator.fields(generator.same_ws(prior.start))[0]
    photo = Photo(torch.rand(3, 10, 10, generator=torch.Generator().manual_seed(0)), torch.ones(1, 10, 10))
    target = target_of(photo, field, SETTINGS)
    objective = Objective([target], SETTINGS, None, SETTINGS.stage_one.rays, 1.0)
    cameras = stack_cameras([generator.default_camera()])
    one = StageOne(generator, prior, prior.start, cameras, objective, SETTINGS, move_camera=True)
    while not one.finished:
        one.step()
    two = StageTwo(generator, one.ws(), one.cameras(), objective, SETTINGS, None)
    while not two.finished:
        two.step()
    return one, two, target


@pytest.mark.parametrize("background", ["none", "plane", "sphere"])
def test_backdrops_are_part_of_the_picture_and_are_tuned(background):
    generator = _epigraf(background)
    one, two, target = _both_stages(generator)
    assert target.mask is None
    assert all(loss == loss for loss in one.losses + two.losses)
    before, after = generator.state_dict(), two.tuned().state_dict()
    changed = [name for name in before if (before[name] != after[name]).any()]
    assert any("tri_plane_mlp" in name for name in changed)
    assert any("bg_model" in name for name in changed) == (background == "sphere")


@pytest.mark.parametrize("background", ["plane", "sphere"])
def test_views_show_the_backdrop_as_the_reference_does(background):
    generator = _epigraf(background)
    with torch.no_grad():
        field = generator.fields(generator.latents([1]))[0]
        camera = generator.default_camera()
        seen = render_differentiable(field, camera, pixel_coordinates(8), threshold=0.0)
        pixels = pixel_coordinates(8)
        traced = trace_rays(field, *camera_rays(camera, 8), sampling="default", pixels=pixels)
        wanted = traced.values[:, :3]
    torch.testing.assert_close(seen.rgb, wanted.T.reshape(3, 8, 8), atol=2e-4, rtol=0)


def test_a_super_resolution_is_compared_before_and_behind():
    generator = _epigraf("none", Enlarging)
    _, _, target = _both_stages(generator)
    assert target.size == 12
    field = generator.fields(latent_prior(generator, None, 20).mean.expand(1, generator.num_ws, -1))[0]
    only = Objective([target], SETTINGS.changed(raw_weight=0.0), None, 64, 1.0)
    both = Objective([target], SETTINGS.changed(raw_weight=1.0), None, 64, 1.0)
    cameras = stack_cameras([generator.default_camera()])
    assert float(both(field, cameras, None)[0]) > float(only(field, cameras, None)[0]) > 0


@pytest.mark.parametrize("size", [4, 8, 12])
def test_a_search_compares_a_super_resolution_at_a_size_of_its_own(size):
    generator = _epigraf("none", Enlarging)
    field = generator.fields(generator.latents([1]))[0]
    target = target_of(Photo(torch.rand(3, 12, 12), torch.ones(1, 12, 12)), field, SETTINGS).shrunk(size)
    loss, _ = Objective([target], SETTINGS, None, size**2, 1.0)(
        field, stack_cameras([generator.default_camera()]), None
    )
    assert torch.isfinite(loss)


def test_photos_lie_on_the_generators_own_background(tiny_generator):
    field = tiny_generator.fields(tiny_generator.latents([1], [0]))[0]
    mask = torch.zeros(1, 8, 8)
    mask[:, 2:6, 2:6] = 1
    photo = Photo(torch.where(mask > 0, 0.3, 1.0).expand(3, -1, -1).contiguous(), mask)
    for background, level in (("white", 1.0), ("grey", 0.5), ("none", 0.0)):
        other = replace(field, render_config=replace(field.render_config, background=background))
        rgb = target_of(photo, other, SETTINGS).rgb
        assert torch.allclose(rgb[:, 0, 0], torch.full((3,), level))
        assert torch.allclose(rgb[:, 3, 3], torch.full((3,), 0.3))


def test_latents_of_a_scenes_own_are_optimised_too():
    generator = build(background_latent=4)
    assert generator.own_rows == 1
    prior = latent_prior(generator, None, SETTINGS.stage_one.w_samples)
    field = generator.fields(generator.same_ws(prior.mean))[0]
    photo = Photo(torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.ones(1, 16, 16))
    objective = Objective([target_of(photo, field, SETTINGS)], SETTINGS, None, 64, 1.0)
    cameras = stack_cameras([generator.default_camera()])
    for space in ("w", "w+"):
        settings = SETTINGS.changed(space=space)
        one = StageOne(generator, prior, prior.mean[None], cameras, objective, settings, move_camera=False)
        assert torch.equal(one.ws()[0, -1], torch.zeros_like(prior.mean))
        for _ in range(3):
            one.step()
        ws = one.ws()
        assert ws.shape == (1, generator.num_ws, generator.config.w_dim)
        assert ws[0, -1, :4].abs().sum() > 0
        rows_differ = not torch.equal(ws[0, 0], ws[0, 1])
        assert rows_differ == (space == "w+")


@pytest.mark.parametrize("space", ["w", "w+"])
def test_layers_that_have_latents_of_their_own_start_at_their_own_means(space):
    generator = small_volumegan(shared_w=False)
    prior = latent_prior(generator, None, SETTINGS.stage_one.w_samples)
    assert len(prior.layers) == generator.num_ws
    mapped = generator.latents(range(40))
    assert prior.strangeness(mapped.mean(0)).max() < prior.strangeness(mapped[0]).min()
    field = generator.fields(generator.same_ws(prior.start))[0]
    photo = Photo(torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.ones(1, 16, 16))
    objective = Objective([target_of(photo, field, SETTINGS)], SETTINGS, None, 64, 1.0)
    cameras = stack_cameras([generator.default_camera()])
    settings = SETTINGS.changed(space=space)
    one = StageOne(generator, prior, prior.start, cameras, objective, settings, move_camera=False)
    torch.testing.assert_close(one.ws()[0], torch.stack([layer.mean for layer in prior.layers]))
    for _ in range(3):
        one.step()
    assert torch.equal(one.w(), one.ws()[0])
    assert (one.ws()[0] != prior.start).any(1).sum() >= generator.num_ws - 1  # one row is read by nothing


def test_a_volume_goes_through_both_stages():
    one, two, _ = _both_stages(small_volumegan())
    assert torch.equal(one.ws()[0, 0], one.ws()[0, 1])
    assert all(loss == loss for loss in one.losses + two.losses)
