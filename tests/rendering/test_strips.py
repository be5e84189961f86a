"""Windows rendered strip by strip: the same pictures, and an end whenever nobody wants them any more."""

import copy

import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.fields.super_resolution import SuperResolution
from gen3d_tools.rendering.renderer import normals, render
from gen3d_tools.rendering.strips import enlarged_in_strips, window_in_strips, window_normals

BALL = FunctionField(
    raw_density_fn=lambda points: 500 * (0.5 - points.norm(dim=-1)),
    values_fn=lambda points: (points + 1) / 2,
)
CAMERA = Camera.from_spherical(30.0, 20.0, 4.0, fov_y_deg=30.0)


def last(strips):
    *between, picture = strips
    assert all(one is None for one in between)
    return picture


@pytest.mark.parametrize(("width", "height"), [(24, 24), (36, 24), (24, 40), (25, 31)])
def test_the_middle_square_of_a_window_is_the_square_picture(width, height):
    side = min(width, height)
    x, y = (width - side) // 2, (height - side) // 2
    seen = last(window_in_strips(BALL, CAMERA, width, height, strip_rays=100))
    square = render(BALL, CAMERA, resolution=side)
    for name in ("rgb", "depth", "opacity"):
        torch.testing.assert_close(
            getattr(seen, name)[:, y : y + side, x : x + side], getattr(square, name), atol=1e-4, rtol=1e-4
        )


def test_compiled_strips_are_the_square_picture_too(tiny_generator, coarse_occupancy_grid):
    [field] = tiny_generator.fields(tiny_generator.latents([0]))
    camera = tiny_generator.default_camera()
    seen = last(window_in_strips(field, camera, 16, 16, strip_rays=60))
    torch.testing.assert_close(seen.rgb, render(field, camera, resolution=16).rgb, atol=1e-5, rtol=1e-5)


def test_a_picture_ends_where_it_is_no_longer_asked_for():
    asked = []
    watched = FunctionField(raw_density_fn=lambda points: asked.append(len(points)) or points[..., 0])
    strips = window_in_strips(watched, CAMERA, 40, 40, strip_rays=400)
    next(strips)
    after_one = len(asked)
    strips.close()
    assert after_one == len(asked)
    list(window_in_strips(watched, CAMERA, 40, 40, strip_rays=400))
    assert len(asked) > 3 * after_one


def test_normals_of_a_window_are_those_of_the_square():
    seen = last(window_in_strips(BALL, CAMERA, 24, 24))
    expected = normals(BALL, CAMERA, render(BALL, CAMERA, resolution=24))
    torch.testing.assert_close(window_normals(BALL, seen), expected, atol=1e-3, rtol=1e-3)


def test_what_has_no_network_is_not_enlarged():
    with pytest.raises(InputError, match="no super-resolution"):
        next(enlarged_in_strips(BALL, CAMERA))


@pytest.mark.parametrize("size", [(0, 4), (4, 0)])
def test_a_window_without_pixels_is_refused(size):
    with pytest.raises(InputError, match="at least 1"):
        next(window_in_strips(BALL, CAMERA, *size))


class Doubled(SuperResolution):
    """Repeats every pixel, in the other colours."""

    render_resolution = 12
    resolution = 24

    def __call__(self, values, generator=None):
        return 1 - values[:3].repeat_interleave(2, -1).repeat_interleave(2, -2), values[:3]

    def to(self, device):
        return self


def test_strips_before_a_network_are_the_square_picture():
    field = copy.copy(BALL)
    object.__setattr__(field, "super_resolution", Doubled())
    seen = last(enlarged_in_strips(field, CAMERA, strip_rays=50))
    torch.testing.assert_close(seen.rgb, render(field, CAMERA).rgb, atol=1e-4, rtol=1e-4)
    assert seen.points is None
    with pytest.raises(InputError, match="no points"):
        window_normals(field, seen)
