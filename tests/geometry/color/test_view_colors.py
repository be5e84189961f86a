import numpy as np
import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.super_resolution import SuperResolution
from gen3d_tools.geometry.color.view_colors import cameras_around, picture_colors, surface_colors
from gen3d_tools.rendering.renderer import render
from tests.geometry.conftest import ball_depth, union


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    monkeypatch.setattr("gen3d_tools.geometry.color.view_colors._PICTURE_RESOLUTION", 64)


def sphere(radius, count=500):
    """Points spread over a sphere, and their normals."""
    index = np.arange(count) + 0.5
    height, angle = 1 - 2 * index / count, np.pi * (1 + 5**0.5) * index
    level = np.sqrt(1 - height**2)
    normals = np.stack([level * np.cos(angle), height, level * np.sin(angle)], axis=1)
    return radius * normals, normals


@pytest.fixture
def fog():
    """A ball of fog, as soft as published models are: red outside, turning blue 0.1 further in."""

    def values(points):
        blue = ((0.6 - points.norm(dim=-1, keepdim=True)) / 0.1).clamp(0, 1)
        return torch.cat([1 - blue, torch.zeros_like(blue), blue], -1)

    return FunctionField(
        raw_density_fn=lambda points: 300 * (0.6 - points.norm(dim=-1)),
        values_fn=values,
        bounded=True,
        render_config=RenderConfig(near="box", far="box", coarse_samples=48, fine_samples=48),
    )


def seen_straight_on(field):
    camera = Camera.from_spherical(0.0, 0.0, 6.0, fov_y_deg=1.0)
    return render(field, camera, resolution=8).rgb[:, 4, 4].numpy()


@pytest.mark.slow
@pytest.mark.parametrize("source", ["views", "rays"])
def test_in_fog_cameras_see_another_colour_than_points_have(fog, source):
    level = 0.6 - 10 / 300
    points, normals = sphere(level)
    seen = seen_straight_on(fog)
    straight = surface_colors(fog, points, normals, source=source)
    at_points = surface_colors(fog, points, normals, source="points")
    assert np.abs(straight.mean(0) - seen).max() < 0.06
    assert np.abs(at_points.mean(0) - seen).max() > 0.25
    assert straight.std(axis=0).max() < 0.05  # from all sides alike


class GreenPictures(SuperResolution):
    """Makes every picture green."""

    render_resolution = 64
    resolution = 128

    def __call__(self, values, generator=None):
        image = torch.tensor([0.0, 1, 0])[:, None, None].expand(3, 128, 128)
        return image, values[:3]

    def to(self, device):
        return self


@pytest.mark.slow
def test_what_a_super_resolution_adds_is_in_the_views_only(field_of):
    class GreenField(FunctionField):
        super_resolution = GreenPictures()

    soft = field_of(ball_depth((0, 0, 0), 0.5))
    field = GreenField(raw_density_fn=soft.raw_density_fn, density_activation="softplus", density_shift=-1.0)
    points, normals = sphere(0.5, 50)
    green = np.tile([0.0, 1, 0], (50, 1))
    assert surface_colors(field, points, normals, source="views") == pytest.approx(green, abs=0.01)
    assert surface_colors(field, points, normals, source="points") == pytest.approx(0.5)


def test_hidden_points_keep_clear_of_what_hides_them(field_of):
    """A red ball inside a ring of views, a blue one in front of it: no blue on the red one."""

    def values(points):
        red = points[..., :1] < 0
        return torch.cat([red, torch.zeros_like(red), ~red], -1).float()

    field = field_of(union(ball_depth((-0.45, 0, 0), 0.3), ball_depth((0.45, 0, 0), 0.3)), values_fn=values)
    points, normals = sphere(0.3)
    points = points + np.array([-0.45, 0, 0])
    camera = Camera.from_spherical(90.0, 0.0, 6.0, fov_y_deg=20.0)  # the blue one hides all of the red one
    where, towards = (torch.from_numpy(array).float() for array in (points, normals))
    _, seen = picture_colors(field, where, towards, camera)
    assert not seen.any()
    colors = surface_colors(field, points, normals, cameras=camera)
    assert colors == pytest.approx(np.tile([1.0, 0, 0], (len(points), 1)), abs=1e-3)


def test_points_turned_away_are_not_seen(field_of):
    field = field_of(ball_depth((0, 0, 0), 0.5))
    points, normals = (torch.from_numpy(array).float() for array in sphere(0.5))
    _, seen = picture_colors(field, points, normals, Camera.from_spherical(0.0, 0.0, 6.0, fov_y_deg=11.0))
    assert not seen[normals[:, 2] < 0].any()
    assert seen[normals[:, 2] > 0.85].all()


@pytest.mark.slow
@pytest.mark.parametrize("grid", ["centers", "corners"])
def test_pictures_lie_where_the_points_are(field_of, grid):
    """Colours that change quickly come back from pictures within a pixel."""
    config = RenderConfig(near="box", far="box", pixel_grid=grid)
    field = field_of(
        ball_depth((0, 0, 0), 0.5),
        values_fn=lambda points: 0.5 + 0.5 * torch.sin(8 * points),
        render_config=config,
        bounded=True,
    )
    points, normals = sphere(0.49)
    views = surface_colors(field, points, normals)
    assert np.abs(views - surface_colors(field, points, normals, source="points")).mean() < 0.01


def test_cameras_stand_all_around_and_see_everything(field_of):
    field = field_of(ball_depth((0, 0, 0), 0.5))
    points = sphere(0.4)[0] + np.array([0.2, 0.1, 0])
    cameras = cameras_around(field, points)
    corners = torch.tensor([[x, y, z] for x in (-0.2, 0.6) for y in (-0.3, 0.5) for z in (-0.4, 0.4)])
    local = (corners - cameras.position[:, None]) @ cameras.cam2world[:, :3, :3]
    place = 2 * ((local / local[..., 2:]) @ cameras.intrinsics.mT)[..., :2] - 1
    assert place.abs().max() < 1
    assert place.abs().max() > 0.8
    assert (cameras.position.mean(0) - torch.tensor([0.2, 0.1, 0])).norm() < 2


def test_points_without_extent_are_refused(field_of):
    field = field_of(ball_depth((0, 0, 0), 0.5))
    with pytest.raises(InputError, match="no extent"):
        surface_colors(field, np.zeros((2, 3)), np.ones((2, 3)))


def test_progress_counts_pictures(field_of):
    seen = []
    field = field_of(ball_depth((0, 0, 0), 0.5))
    cameras = cameras_around(field, sphere(0.5)[0])[:3]
    surface_colors(field, *sphere(0.5, 5), cameras=cameras, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
