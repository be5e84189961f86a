import math

import numpy as np
import pytest
import torch

from gen3d_tools.fields.field import FunctionField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.geometry.extraction.level import choose_level
from gen3d_tools.kernels.network.numbers import DecoderNumbers

WIDTH = 0.25
CLOSED_FORM = math.log(2) / (WIDTH * math.sqrt(2 * math.pi))


def soft_ball(height, center=(0.0, 0.0, 0.0), **settings):
    def density(points):
        return height * torch.exp(-(points - torch.tensor(center)).square().sum(-1) / (2 * WIDTH**2))

    return FunctionField(raw_density_fn=density, **({"box_side": 4.0} | settings))


@pytest.mark.parametrize("height", [5, 20, 200])
@pytest.mark.parametrize("center", [(0, 0, 0), (0.3, -0.2, 0.1)])
def test_level_of_a_soft_ball_is_where_half_the_light_is_stopped(height, center):
    """The thickness of a ray at distance b is `a s sqrt(2 pi) exp(-b^2 / 2 s^2)`, its largest density `a exp(...)`."""
    choice = choose_level(soft_ball(height, center, iso_level=10.0))
    assert choice.level == pytest.approx(CLOSED_FORM, rel=0.06)
    assert choice.silhouette_iou > 0.99
    assert "the model's own 10 has 0" in str(choice)


def test_suggested_level_stands_where_no_other_is_better():
    choice = choose_level(soft_ball(20, iso_level=1.02 * CLOSED_FORM))
    assert choice.level == choice.suggested == 1.02 * CLOSED_FORM
    assert "the model's own" in choice.reason


def test_steep_ball_keeps_its_own_level(field_of):
    """Any level from 1 to 100 lies within 0.005 world units of the others; the silhouettes hardly differ."""
    field = field_of(lambda points: 0.5 - points.norm(dim=-1))
    choice = choose_level(field)
    assert choice.level == field.iso_level
    assert choice.silhouette_iou > 0.99


@pytest.mark.parametrize(("density", "share"), [(1e3, "100%"), (0.0, "0%")], ids=["a room full of fog", "nothing"])
def test_without_a_silhouette_the_suggested_level_stands(density, share):
    choice = choose_level(
        FunctionField(raw_density_fn=lambda points: torch.full(points.shape[:-1], density), iso_level=7.0)
    )
    assert (choice.level, choice.silhouette_iou) == (7.0, None)
    assert f"{share} of the rays are opaque" in choice.reason


def test_fog_that_no_level_describes_keeps_the_suggested_level():
    """Long ways through thin fog on one side, short ones through a denser slab on the other."""

    def density(points):
        fog = (points[..., 0] > 0.3).float()
        slab = (points[..., 1].abs() < 0.05).float() * 1.1
        return torch.maximum(fog, slab)

    choice = choose_level(FunctionField(raw_density_fn=density, iso_level=7.0))
    assert choice.level == 7.0
    assert choice.silhouette_iou < 0.8
    assert "no level fits the pictures" in choice.reason


def test_chosen_level_does_not_depend_on_chance():
    assert choose_level(soft_ball(20)) == choose_level(soft_ball(20))


class BallDecoder:
    """Reads r^2 and gives the raw density `height (1 - r^2 / 0.6^2)`: both layers are the identity and a line."""

    def __init__(self, height):
        self.height = height

    def __call__(self, features):
        return torch.zeros(len(features), 3), self.height * (1 - features[:, 0] / 0.36)

    def numbers(self):
        slopes, biases = np.zeros((4, 1), np.float32), np.zeros(4, np.float32)
        slopes[3], biases[3] = -self.height / 0.36, self.height
        return DecoderNumbers(
            weights=(np.ones((1, 1), np.float32), slopes),
            biases=(np.zeros(1, np.float32), biases),
            activation="lrelu",
            density_row=3,
        )


def triplane_ball(height):
    along = torch.linspace(-1, 1, 64) ** 2 / 2
    return TriplaneField(
        planes=(along[:, None] + along).expand(3, 1, 64, 64).contiguous(),
        decoder=BallDecoder(height),
        render_config=RenderConfig(near="box", far="box"),
        box_side=2.0,
        plane_axes="xy-xz-yz",
        align_corners=True,
        combine="sum",
    )


@pytest.mark.slow
@pytest.mark.parametrize("height", [5.0, 40.0])
def test_compiled_code_finds_the_level_that_the_pictures_give(height, monkeypatch):
    """The plain way looks at the pictures; the compiled one at the same rays, more closely."""
    field = triplane_ball(height)
    fast = choose_level(field)
    monkeypatch.setattr("gen3d_tools.geometry.extraction.level.compiled_network", lambda field: None)
    plain = choose_level(field)
    assert fast.level == pytest.approx(plain.level, rel=0.03)
    assert fast.silhouette_iou == pytest.approx(plain.silhouette_iou, abs=0.005)
    assert (fast.level == fast.suggested) == (plain.level == plain.suggested)
