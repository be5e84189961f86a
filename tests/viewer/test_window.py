"""Windows of any shape, and the model's square in their middle."""

import pytest
import torch
import trimesh

from gen3d_tools.errors import InputError
from gen3d_tools.geometry.color.rasterize import render_mesh
from gen3d_tools.viewer.drawing.look import window_size
from gen3d_tools.viewer.drawing.window import View, angles_of, around, default_view, fov_of_square, fov_of_window


@pytest.mark.parametrize("aspect", [0.4, 1.0, 1.8])
def test_fields_of_view_of_window_and_square_are_inverse(aspect):
    assert fov_of_square(fov_of_window(25.0, aspect), aspect) == pytest.approx(25.0)


def test_an_upright_window_sees_more_above_and_below():
    assert fov_of_window(30.0, 2.0) == pytest.approx(30.0)
    assert fov_of_window(30.0, 0.5) == pytest.approx(56.37, abs=0.01)  # 2 atan(2 tan 15)


@pytest.mark.parametrize(("side", "aspect"), [(96, 1.777), (97, 0.462), (256, 1.0), (128, 2.35)])
def test_both_sides_are_even_or_both_odd(side, aspect):
    width, height = window_size(side, aspect)
    assert min(width, height) == side
    assert (width - height) % 2 == 0
    assert width / height == pytest.approx(aspect, rel=0.02)


def test_the_default_view_is_the_models_camera_and_is_said_in_angles(tiny_generator):
    view = default_view(tiny_generator)
    camera = tiny_generator.default_camera()
    torch.testing.assert_close(view.camera().cam2world, camera.cam2world, atol=1e-5, rtol=0)
    assert angles_of(view, tiny_generator) == pytest.approx((35.0, 22.0), abs=1e-3)


def test_angles_do_not_say_a_camera_that_is_nearer_or_looks_past(tiny_generator):
    view = default_view(tiny_generator)
    near = View(position=tuple(0.5 * one for one in view.position), look_at=view.look_at, fov_deg=20.0)
    aside = View(position=view.position, look_at=(0.3, 0.0, 0.0), fov_deg=20.0)
    assert angles_of(near, tiny_generator) is None
    assert angles_of(aside, tiny_generator) is None


@pytest.mark.parametrize(
    "wrong", [{"position": (0.0, 0.0, 0.0)}, {"position": (float("nan"), 0.0, 1.0)}, {"width": 0}, {"fov_deg": 200.0}]
)
def test_what_no_browser_shows_is_refused(wrong):
    view = {"position": (0.0, 0.0, 3.0), "look_at": (0.0, 0.0, 0.0), "fov_deg": 30.0} | wrong
    with pytest.raises(InputError):
        View(**view).checked()


def test_meshes_alone_are_seen_whole_wherever_they_are():
    box = trimesh.creation.box(extents=(40.0, 2.0, 6.0)).apply_translation((100.0, 5.0, -30.0))
    view = around([box])
    assert view.look_at == pytest.approx((100.0, 5.0, -30.0), abs=1e-3)
    seen = render_mesh(box, view.camera(), 64).mask[0]
    assert seen.max() == 1
    assert seen[[0, -1]].max() == seen[:, [0, -1]].max() == 0  # nothing of it touches the picture's edge
    assert float(view.camera().spherical(view.look_at)[2]) == pytest.approx(86.06, abs=0.1)  # 1.1 |(20, 1, 3)| / sin 15
    assert around([]).look_at == pytest.approx((0.0, 0.0, 0.0), abs=1e-5)
