import math
from dataclasses import replace

import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.rendering.ray_rendering import render_rays
from gen3d_tools.rendering.rays import camera_rays
from gen3d_tools.rendering.renderer import normals, render, render_frames, surface_normals

RADIUS = 0.6
CENTER = torch.tensor([0.2, -0.1, 0.1])
CONFIG = RenderConfig(near=2.0, far=4.0, coarse_samples=32, fine_samples=32, background="white")
FRONT = Camera.from_spherical(0.0, 0.0, 3.0, fov_y_deg=40.0)


def solid_inside(height):
    """Raw density of a hard surface, opaque within 1/500."""
    return 2000 * (200 * height).clamp(-1, 1)


def ball_raw(points):
    return solid_inside(RADIUS - (points - CENTER).norm(dim=-1))


def position_as_color(points):
    return (points + 1) / 2


BALL = FunctionField(
    raw_density_fn=ball_raw, values_fn=position_as_color, box_side=2.0, bounded=True, render_config=CONFIG
)


def ball_hits(camera, resolution):
    """Distance to the ball per pixel, and how far each ray passes its centre, in closed form."""
    origins, directions = camera_rays(camera, resolution)
    along = ((CENTER - origins) * directions).sum(-1)
    miss = (origins + along[:, None] * directions - CENTER).norm(dim=-1)
    distance = along - (RADIUS**2 - miss**2).clamp_min(0).sqrt()
    points = origins + distance[:, None] * directions
    return [
        tensor.reshape(resolution, resolution, -1).movedim(-1, 0) for tensor in (distance, miss, points, directions)
    ]


@pytest.mark.parametrize("exact", [True, False])
def test_ball_has_its_silhouette_depth_and_colour(exact):
    camera = Camera.from_spherical(30.0, 20.0, 3.0, fov_y_deg=40.0)
    frames = render(BALL, camera, resolution=48, exact=exact)
    distance, miss, points, directions = ball_hits(camera, 48)
    inside, outside = miss < 0.9 * RADIUS, miss > 1.03 * RADIUS
    assert inside.sum() > 200
    assert (frames.opacity[inside] > 0.99).all()
    assert (frames.opacity[outside] == 0).all()
    assert (frames.rgb[outside.expand(3, -1, -1)] == 1).all()
    torch.testing.assert_close(frames.distance[inside], distance[inside], atol=0.01, rtol=0)
    depth = distance * (directions * camera.forward[:, None, None]).sum(0)
    torch.testing.assert_close(frames.depth[inside], depth[inside], atol=0.01, rtol=0)
    color = position_as_color(points)[inside.expand(3, -1, -1)]
    torch.testing.assert_close(frames.rgb[inside.expand(3, -1, -1)], color, atol=0.01, rtol=0)


def test_depth_of_a_wall_is_flat_while_distance_is_not():
    wall = FunctionField(raw_density_fn=lambda p: solid_inside(-p[..., 2]), render_config=CONFIG)
    frames = render(wall, FRONT, resolution=16)
    torch.testing.assert_close(frames.depth, torch.full_like(frames.depth, 3.0), atol=0.01, rtol=0)
    assert frames.distance.max() > 3.1


def test_light_sinks_into_a_soft_wall_as_far_as_the_closed_form_says():
    wall = FunctionField(raw_density_fn=lambda p: -2000 * p[..., 2], render_config=CONFIG)
    depth = render(wall, FRONT.with_fov(0.1), resolution=1).depth
    assert depth.item() == pytest.approx(3 + 0.5 * math.sqrt(math.pi / 1000), abs=0.002)  # integral of exp(-1000 s^2)


@pytest.mark.parametrize("marcher", ["midpoint", "classical"])
def test_slanted_wall_shows_no_bands(marcher):
    """Depth of a tilted plane is straight; what remains after the straight line is far below one coarse step."""
    config = replace(CONFIG, marcher=marcher)
    wall = FunctionField(raw_density_fn=lambda p: solid_inside(-p[..., 2] - 0.5 * p[..., 0]), render_config=config)
    depth = render(wall, FRONT, resolution=64).depth[0, 32]
    column = torch.linspace(-1, 1, 64) * math.tan(math.radians(20)) * 63 / 64
    expected = 3 / (1 - 0.5 * column)  # z + x / 2 = 0 met at x = column * depth, z = 3 - depth
    error = depth - expected
    assert error.abs().max() < 0.15 * 2.0 / 32
    assert error.std() < 0.04 * 2.0 / 32


def test_moving_camera_does_not_flicker():
    """A ball turns under the camera: opacity changes smoothly from frame to frame and repeats when asked again."""
    cameras = Camera.from_spherical(torch.linspace(0, 2, 9), 0.0, 3.0, fov_y_deg=40.0)
    frames = render(BALL, cameras, resolution=24)
    torch.testing.assert_close(render(BALL, cameras, resolution=24).rgb, frames.rgb, atol=0, rtol=0)
    middle = frames.rgb[:, :, 10:14, 10:14]
    assert (middle[2:] - 2 * middle[1:-1] + middle[:-2]).abs().max() < 0.01


@pytest.mark.parametrize("exact", [True, False])
def test_batch_is_a_loop_over_any_leading_axes(exact):
    yaw = torch.tensor([[0.0, 40.0, 80.0], [120.0, 160.0, 200.0]])
    cameras = Camera.from_spherical(yaw, 10.0, 3.0, fov_y_deg=40.0)
    frames = render(BALL, cameras, resolution=8, exact=exact)
    assert frames.rgb.shape == (2, 3, 3, 8, 8)
    assert frames.depth.shape == frames.opacity.shape == (2, 3, 1, 8, 8)
    for row in range(2):
        for column in range(3):
            one = render(BALL, cameras[row, column], resolution=8, exact=exact)
            torch.testing.assert_close(one.rgb, frames.rgb[row, column])
            torch.testing.assert_close(one.depth, frames.depth[row, column])


def test_frames_come_one_at_a_time():
    cameras = Camera.from_spherical(torch.tensor([0.0, 40.0]), 10.0, 3.0, fov_y_deg=40.0)
    stream = render_frames(BALL, cameras, resolution=8)
    together = render(BALL, cameras, resolution=8)
    for index, frame in enumerate(stream):
        assert torch.equal(frame.rgb, together.rgb[index])


@pytest.mark.parametrize("exact", [True, False])
def test_chunks_do_not_change_the_picture(exact):
    whole = render(BALL, FRONT, resolution=12, exact=exact)
    pieces = render(BALL, FRONT, resolution=12, exact=exact, chunk_rays=5)
    torch.testing.assert_close(pieces.rgb, whole.rgb, atol=1e-6, rtol=0)
    torch.testing.assert_close(pieces.depth, whole.depth, atol=1e-5, rtol=0)


@pytest.mark.parametrize("exact", [True, False])
def test_random_pictures_repeat_with_their_seed_in_every_chunking(exact):
    fog = FunctionField(raw_density_fn=lambda p: 2 + p[..., 0], values_fn=position_as_color, render_config=CONFIG)

    def picture(seed, **options):
        return render(fog, FRONT, resolution=8, exact=exact, generator=torch.Generator().manual_seed(seed), **options)

    torch.testing.assert_close(picture(0).rgb, picture(0, chunk_rays=7).rgb, atol=1e-6, rtol=0)
    assert not torch.equal(picture(0).rgb, picture(1).rgb)
    assert not torch.equal(picture(0).rgb, render(fog, FRONT, resolution=8, exact=exact).rgb)


def test_random_numbers_are_drawn_in_the_published_order():
    field = replace(BALL, render_config=replace(CONFIG, near="box", far="box"))
    picture = render(field, FRONT, resolution=4, exact=True, generator=torch.Generator().manual_seed(5))
    generator = torch.Generator().manual_seed(5)
    offsets = torch.rand(32, 1, 16, 1, generator=generator).permute(1, 2, 0, 3)[0, :, :, 0]  # sample-major, EG3D
    positions = torch.rand(16, 32, generator=generator)
    numbers = {"coarse_offsets": offsets, "fine_positions": positions}
    seen = render_rays(field, *camera_rays(FRONT, 4), sampling="reference", numbers=numbers)
    torch.testing.assert_close(picture.rgb.flatten(1).T, seen.values.clamp(0, 1))


def test_supersampling_softens_the_silhouette_and_keeps_the_inside():
    frames = render(BALL, FRONT, resolution=24)
    smooth = render(BALL, FRONT, resolution=24, supersample=3)
    fine = render(BALL, FRONT, resolution=72)
    torch.testing.assert_close(smooth.rgb, torch.nn.functional.avg_pool2d(fine.rgb, 3), atol=1e-4, rtol=0)
    between = (smooth.opacity > 0.15) & (smooth.opacity < 0.85)
    assert between.sum() > ((frames.opacity > 0.15) & (frames.opacity < 0.85)).sum()
    solid = smooth.opacity == 1
    torch.testing.assert_close(smooth.depth[solid], frames.depth[solid], atol=0.02, rtol=0)
    edge = between & (smooth.opacity > 0.3)
    assert (smooth.depth[edge] < 3.2).all()  # not mixed with the far end behind the ball


def test_values_wider_than_colours_are_left_to_render_rays():
    field = replace(BALL, values_fn=lambda p: torch.cat([position_as_color(p)] * 3, -1))
    torch.testing.assert_close(render(field, FRONT, resolution=6).rgb, render(BALL, FRONT, resolution=6).rgb)


SMOOTH_BALL = replace(BALL, raw_density_fn=lambda p: 20000 * (RADIUS - (p - CENTER).norm(dim=-1)))


def test_surface_normals_point_away_from_the_ball():
    directions = torch.nn.functional.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    found = surface_normals(SMOOTH_BALL, CENTER + RADIUS * directions)
    torch.testing.assert_close(found, directions, atol=1e-3, rtol=0)


def test_normals_are_world_axes_where_the_ball_is():
    cameras = Camera.from_spherical(torch.tensor([0.0, 90.0]), 0.0, 3.0, fov_y_deg=40.0)
    frames = render(SMOOTH_BALL, cameras, resolution=32)
    picture = normals(SMOOTH_BALL, cameras, frames)
    assert picture.shape == (2, 3, 32, 32)
    solid = (frames.opacity > 0.5).expand_as(picture)
    assert (picture[~solid] == 0).all()
    _, miss, points, _ = ball_hits(cameras[0], 32)
    inside = (miss < 0.9 * RADIUS).expand(3, -1, -1)
    expected = (points - CENTER[:, None, None]) / RADIUS
    torch.testing.assert_close(picture[0][inside], expected[inside], atol=0.02, rtol=0)
    assert picture[1, 0].max() > 0.99  # from +x the surface faces +x


def test_normals_of_an_empty_picture_are_zero():
    empty = FunctionField(raw_density_fn=lambda p: 0 * p[..., 0], render_config=CONFIG)
    assert (normals(empty, FRONT, render(empty, FRONT, resolution=4)) == 0).all()


def test_pictures_keep_no_graph():
    color = torch.tensor(0.3, requires_grad=True)
    field = replace(BALL, values_fn=lambda p: color.expand_as(p))
    assert not render(field, FRONT, resolution=4).rgb.requires_grad
    assert not next(render_frames(field, FRONT, resolution=4)).rgb.requires_grad


@pytest.mark.parametrize("options", [{"resolution": 0}, {"supersample": 0}, {"chunk_rays": 0}])
def test_sizes_below_one_are_refused(options):
    with pytest.raises(InputError):
        render(BALL, FRONT, **{"resolution": 4, **options})


def test_cone_of_a_pixel_covers_the_field_of_view():
    _, miss, _, directions = ball_hits(FRONT, 64)
    corner = directions[:, 0, 31:33].mean(-1)
    assert math.degrees(math.atan2(corner[1], -corner[2])) == pytest.approx(20.0, abs=0.4)
    assert miss.min() < 0.05
