"""Sampling with both ends and no draws, limits on planes, closed backdrops: what StyleNeRF asks of the renderer."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from gen3d_tools.cameras.distributions.stylenerf import CameraRanges, stylenerf_camera
from gen3d_tools.fields.backdrop import FrozenBackdrop, SphereBackdrop
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.rendering.backdrops import behind
from gen3d_tools.rendering.ray_rendering import render_rays, trace_rays
from gen3d_tools.rendering.rays import camera_rays, pixel_coordinates, rays_through, upper_left
from gen3d_tools.rendering.volume.sampling import importance_samples, inverse_cdf_samples

CONFIG = RenderConfig(
    near=0.8,
    far=1.2,
    coarse_samples=9,
    fine_samples=5,
    jitter="ends",
    marcher="classical",
    importance="bare",
    distance_rule="sum",
    limits_along="axis",
)
CAMERA = stylenerf_camera(0.3, 1.3, fov_deg=40.0)


@pytest.fixture
def seen():
    field = FunctionField(raw_density_fn=lambda points: 5 * torch.ones_like(points[..., 0]), render_config=CONFIG)
    origins, directions = camera_rays(CAMERA, 5)
    return trace_rays(field, origins, directions, keep_samples=True), directions


def test_rays_begin_and_end_on_planes_across_the_axis(seen):
    outputs, directions = seen
    depth = outputs.samples.coarse_distances * (directions @ CAMERA.forward)[:, None]
    assert torch.allclose(depth, torch.linspace(0.8, 1.2, 9).expand_as(depth), atol=1e-6)


def test_fine_samples_begin_and_end_with_the_outermost_bins(seen):
    outputs, directions = seen
    fine = outputs.samples.fine_distances * (directions @ CAMERA.forward)[:, None]
    step = 0.4 / 8
    assert torch.allclose(fine[:, 0], torch.full_like(fine[:, 0], 0.8 + step / 2), atol=1e-5)
    assert torch.allclose(fine[:, -1], torch.full_like(fine[:, -1], 1.2 - step / 2), atol=1e-4)


def test_nothing_is_drawn_and_the_default_takes_the_same_samples(seen):
    outputs, _ = seen
    field = FunctionField(raw_density_fn=lambda points: 5 * torch.ones_like(points[..., 0]), render_config=CONFIG)
    again = render_rays(field, *camera_rays(CAMERA, 5))
    assert torch.equal(again.opacity, outputs.opacity)


def test_rays_that_look_away_are_not_followed_without_end():
    origins = torch.tensor([[0.0, 0.0, 1.0]]).repeat(2, 1)
    directions = F.normalize(torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), dim=-1)
    field = FunctionField(raw_density_fn=lambda points: torch.ones_like(points[..., 0]), render_config=CONFIG)
    outputs = trace_rays(field, origins, directions, sampling="default", keep_samples=True)
    assert torch.isfinite(outputs.samples.distances).all()
    assert outputs.samples.distances.max() <= 12.1


def test_bare_weights_are_raised_once_and_plain_ones_twice():
    distances, weights = torch.linspace(0, 1, 6)[None], torch.tensor([[0.3, 0.2, 0.0, 0.0, 0.1, 0.4]])
    positions = torch.tensor([[0.6667]])
    bare, plain = (importance_samples(distances, weights, positions, kind) for kind in ("bare", "plain"))
    raised = importance_samples(distances, weights + 1e-5, positions, "bare")
    assert torch.equal(plain, raised)
    assert not torch.equal(bare, plain)


def test_the_last_position_is_the_end_of_the_last_bin():
    edges, weights = torch.linspace(0, 1, 5)[None], torch.tensor([[0.0, 1.0, 1.0, 2.0]])
    found = inverse_cdf_samples(edges, weights, torch.tensor([[0.0, 1.0]]))
    assert found[0].tolist() == pytest.approx([0.0, 1.0], abs=1e-4)


def test_settings_of_older_folders_have_limits_along_the_ray():
    stored = CONFIG.to_dict()
    del stored["limits_along"]
    assert RenderConfig.from_dict(stored) == replace(CONFIG, limits_along="ray")


def _empty_sphere(points):
    return points[..., :3].abs(), -torch.ones_like(points[..., 0])


def test_a_closed_backdrop_shows_its_last_layer_where_it_is_empty():
    backdrop = SphereBackdrop(network=_empty_sphere, layers_per_ray=3, start=0.5, density_activation="relu")
    origins, directions = camera_rays(CAMERA, 3)
    assert (behind(backdrop, "none", origins, directions) == 0).all()
    closed = behind(replace(backdrop, closed=True), "none", origins, directions)
    assert torch.allclose(closed, directions.abs(), atol=1e-5)  # at infinity the point is the direction


def test_a_frozen_backdrop_is_seen_through_the_other_cameras_pixels():
    backdrop = SphereBackdrop(network=_empty_sphere, layers_per_ray=2, closed=True, density_activation="relu")
    other = stylenerf_camera(1.0, 1.8)
    pixels = pixel_coordinates(4)
    frozen = behind(FrozenBackdrop(backdrop, other), "none", *camera_rays(CAMERA, 4), pixels)
    assert torch.allclose(frozen, behind(backdrop, "none", *camera_rays(other, 4), pixels), atol=1e-5)
    with pytest.raises(ValueError, match="pixels"):
        FrozenBackdrop(backdrop, other)(*camera_rays(CAMERA, 4), None)


def test_a_backdrop_may_have_features_behind_the_fields():
    field = FunctionField(
        raw_density_fn=lambda points: -torch.ones_like(points[..., 0]),
        values_fn=lambda points: torch.zeros(*points.shape[:-1], 4),
        render_config=replace(CONFIG, background="grey"),
    )

    def network(points):
        return torch.full((*points.shape[:-1], 4), 0.25), points[..., 0]

    object.__setattr__(field, "backdrop", SphereBackdrop(network=network, layers_per_ray=2, closed=True))
    outputs = render_rays(field, *camera_rays(CAMERA, 2))
    assert torch.allclose(outputs.values, torch.full((4, 4), 0.25), atol=1e-6)


def test_the_upper_left_of_a_picture_has_its_rays():
    share = 0.6
    _, part = camera_rays(upper_left(CAMERA, share), 4)
    _, expected = rays_through(CAMERA.cam2world, CAMERA.intrinsics, share * pixel_coordinates(4))
    assert torch.allclose(part, expected, atol=1e-6)


def test_cameras_stand_where_the_ranges_say():
    ranges = CameraRanges(u=(-0.5, 0.5), v=(1.2, 1.4), radius=(1.0, 2.0))
    yaw, pitch, radius = ranges.linear(torch.tensor([[1.0, 0.0, 0.5]])).spherical((0.0, 0.0, 0.0))
    assert float(yaw) == pytest.approx(28.648, abs=1e-2)  # towards +x
    assert float(pitch) == pytest.approx(90 - 68.755, abs=1e-2)
    assert float(radius) == pytest.approx(1.5)
