"""What lies behind a field: blending, the geometry beyond the sphere, the screen."""

import math

import pytest
import torch
import torch.nn.functional as F

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.backdrop import ScreenBackdrop, SphereBackdrop, points_beyond_sphere
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.rendering.backdrops import behind
from gen3d_tools.rendering.renderer import render

CONFIG = RenderConfig(
    near=0.5,
    far=1.5,
    coarse_samples=8,
    fine_samples=8,
    marcher="classical",
    importance="plain",
    background="grey",
    last_interval=1e-3,
    pixel_grid="corners",
)
CAMERA = Camera.from_spherical(20.0, 10.0, 1.0, fov_y_deg=30.0)


def with_backdrop(backdrop, raw_density):
    field = TriplaneField(
        planes=torch.zeros(3, 2, 4, 4),
        decoder=lambda features: (torch.zeros(len(features), 3), torch.full_like(features[:, 0], raw_density)),
        render_config=CONFIG,
        box_side=1.0,
        plane_axes="xy-xz-yz",
        align_corners=True,
        backdrop=backdrop,
    )
    return field.to("cpu")


def test_empty_field_shows_the_screen_pixel_by_pixel():
    image = torch.rand(3, 8, 8)
    frames = render(with_backdrop(ScreenBackdrop(image), -1e6), CAMERA, resolution=8)
    torch.testing.assert_close(frames.rgb, image, atol=1e-6, rtol=0)
    assert frames.opacity.max() == 0


def test_screen_is_resized_with_aligned_corners():
    image = torch.rand(3, 5, 5)
    frames = render(with_backdrop(ScreenBackdrop(image), -1e6), CAMERA, resolution=12)
    expected = F.interpolate(image[None], (12, 12), mode="bilinear", align_corners=True)[0]
    torch.testing.assert_close(frames.rgb, expected, atol=1e-6, rtol=0)


def test_solid_field_hides_what_is_behind():
    seen = render(with_backdrop(ScreenBackdrop(torch.ones(3, 4, 4)), 1e4), CAMERA, resolution=4)
    assert seen.rgb.max() < 1e-6


def test_screen_asks_for_pixels():
    with pytest.raises(ValueError, match="needs the pixels"):
        behind(ScreenBackdrop(torch.ones(3, 4, 4)), "grey", torch.zeros(2, 3), torch.ones(2, 3), None)


def rays(count=64):
    generator = torch.Generator().manual_seed(0)
    origins = torch.rand(count, 3, generator=generator, dtype=torch.float64) - 0.5
    directions = F.normalize(torch.randn(count, 3, generator=generator, dtype=torch.float64), dim=-1)
    return origins, directions


def test_points_beyond_the_sphere_lie_on_the_ray():
    origins, directions = rays()
    q = torch.tensor([1.0, 0.7, 0.3, 0.05], dtype=torch.float64)
    found = points_beyond_sphere(origins, directions, q)
    points = found[..., :3] / found[..., 3:]
    away = torch.linalg.cross(points - origins[:, None], directions[:, None].expand_as(points)).norm(dim=-1)
    assert away.max() < 1e-12
    assert ((points - origins[:, None]) * directions[:, None]).sum(-1).min() > 0


def test_point_at_infinity_lies_in_the_rays_direction():
    origins, directions = rays()
    found = points_beyond_sphere(origins, directions, torch.zeros(1, dtype=torch.float64))
    torch.testing.assert_close(found[:, 0, :3], directions)


def test_rays_through_the_centre_and_beside_the_sphere_stay_finite():
    origins = torch.tensor([[0.0, 0.0, 0.5], [0.0, 1.5, 2.0]])
    found = points_beyond_sphere(origins, torch.tensor([[0.0, 0.0, -1.0]] * 2), torch.linspace(1, 0, 4))
    assert found.isfinite().all()
    torch.testing.assert_close(found[0, :, 2], -torch.ones(4))


def test_opaque_first_shell_is_all_one_sees_of_the_sphere():
    backdrop = SphereBackdrop(
        network=lambda points: (points[..., 3:].expand(*points.shape[:-1], 3), torch.full_like(points[..., 0], 1e3)),
        layers_per_ray=4,
    )
    origins, directions = rays(5)
    torch.testing.assert_close(
        behind(backdrop, "grey", origins.float(), directions.float()), torch.ones(5, 3), atol=1e-6, rtol=0
    )


def test_sphere_blends_its_shells_by_their_thickness():
    density = 1.5
    backdrop = SphereBackdrop(
        network=lambda points: (
            points[..., 3:].expand(*points.shape[:-1], 3),
            torch.full_like(points[..., 0], density),
        ),
        layers_per_ray=3,
        density_activation="relu",
    )
    through = math.exp(-density * 0.5)
    expected = (1 - through) * 1 + through * (1 - through) * 0.5  # the last shell is black and takes the rest
    seen = behind(backdrop, "white", torch.zeros(1, 3), torch.tensor([[0.0, 0.0, 1.0]]))
    torch.testing.assert_close(seen, torch.full((1, 3), expected), atol=1e-6, rtol=0)


def test_a_sphere_that_lets_light_through_ends_in_grey_whatever_the_fields_last_sample_takes():
    backdrop = SphereBackdrop(
        network=lambda points: (
            torch.full((*points.shape[:-1], 3), 0.75),
            torch.where(points[..., 3] > 0.5, 0.3, -1.0),
        ),
        layers_per_ray=4,
        density_activation="relu",
    )
    origins, directions = (one.float() for one in rays(5))
    stopped = 1 - math.exp(-0.3 * 2 / 3)  # by the two outer shells, a third apart
    expected = torch.full((5, 3), 0.75 * stopped + 0.5 * (1 - stopped))
    for background in ("grey", "last"):
        seen = behind(backdrop, background, origins, directions)
        torch.testing.assert_close(seen, expected, atol=1e-6, rtol=0)


def test_fields_have_no_backdrop_unless_given_one():
    assert FunctionField(raw_density_fn=lambda points: points[..., 0]).backdrop is None
