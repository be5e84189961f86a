import pytest
import torch

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
