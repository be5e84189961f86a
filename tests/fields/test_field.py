import math

import pytest
import torch

import gen3d_tools as g3
from gen3d_tools.fields.field import EMPTY_RAW_DENSITY, FunctionField, activate_density

POINTS = torch.tensor([[0.0, 0.0, 0.0], [0.9, 0.0, 0.0], [0.0, 1.1, 0.0]])


def ball(points):  # positive inside the unit ball
    return 1 - points.norm(dim=-1)


def test_softplus_and_relu_match_their_formulas():
    raw = torch.tensor([-3.0, 0.0, 2.0])
    assert activate_density(raw, "softplus", -1.0) == pytest.approx(torch.log1p(torch.exp(raw - 1)), abs=1e-6)
    assert activate_density(raw, "relu", 1.0).tolist() == [0.0, 1.0, 3.0]


@pytest.mark.parametrize("activation", ["softplus", "relu"])
def test_empty_space_has_density_exactly_zero_even_beside_a_dense_sample(activation):
    raw = torch.tensor([EMPTY_RAW_DENSITY, (EMPTY_RAW_DENSITY + 1e5) / 2])
    assert activate_density(raw, activation, 5.0).tolist() == [0.0, 0.0]


def test_bounded_field_is_empty_outside_its_box():
    field = FunctionField(raw_density_fn=lambda p: ball(p) + 5, box_side=2.0, bounded=True)
    assert field.density(POINTS) == pytest.approx(torch.tensor([6.0, 5.1, 0.0]), abs=1e-6)
    assert FunctionField(raw_density_fn=lambda p: ball(p) + 5).density(POINTS)[2] == pytest.approx(4.9)


def test_rgb_is_the_first_three_values_clamped_to_the_picture_range():
    field = FunctionField(raw_density_fn=ball, values_fn=lambda p: (p[..., :1] * 2).expand(*p.shape[:-1], 5))
    rgb, density = field.rgb_density(POINTS)
    assert rgb.tolist() == [[0.0] * 3, [1.0] * 3, [0.0] * 3]
    assert density.tolist() == field.density(POINTS).tolist()


def test_field_moves_without_forgetting_anything():
    field = FunctionField(raw_density_fn=ball, box_side=3.0, bounded=True)
    moved = field.to("meta")
    assert moved.device == torch.device("meta")
    assert (moved.box_side, moved.bounded, moved.raw_density_fn) == (3.0, True, ball)


@pytest.mark.parametrize("gain", [1.0, 30.0, 1000.0])
def test_the_defaults_give_the_volume_of_a_torus_and_a_white_background(gain):
    def depth_inside(points):
        ring = torch.hypot(points[..., 0], points[..., 2]) - 0.6
        return gain * (0.25 - torch.hypot(ring, points[..., 1]))

    field = g3.FunctionField(raw_density_fn=depth_inside)
    mesh = g3.extract_mesh(field, resolution=64, colors=False)
    assert mesh.volume == pytest.approx(2 * math.pi**2 * 0.6 * 0.25**2, rel=0.01)
    front = g3.Camera.from_spherical(0, 0, 5, fov_y_deg=30)
    assert (g3.render(field, front, resolution=8).rgb[:, 0, 0] == 1).all()


def test_a_density_without_a_sign_gets_the_level_of_its_pictures():
    field = g3.FunctionField(raw_density_fn=lambda points: 50 * torch.exp(-8 * points.square().sum(-1)))
    level = g3.choose_level(field).level
    assert level == pytest.approx(math.log(2) / (0.25 * math.sqrt(2 * math.pi)), rel=0.1)  # s = 1/4
