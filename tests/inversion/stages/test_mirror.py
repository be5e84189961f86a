"""Things that are their own mirror image: found, and shown to the encoder twice."""

import math

import pytest
import torch

from gen3d_tools.fields.field import FunctionField
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages import search as searching
from gen3d_tools.inversion.stages.mirror import mirror_axis, with_mirrored
from gen3d_tools.inversion.stages.search import Search
from gen3d_tools.perception.encoder import PhotoEncoder
from gen3d_tools.perception.prediction import Prediction
from gen3d_tools.photos.photo import Photo

BINS = 72


def _box(points, middle, half):
    return 0.1 - ((points - torch.tensor(middle)).abs() / torch.tensor(half)).amax(-1) * 0.1


def _chair(points):
    """A seat and, behind it, a back."""
    return torch.maximum(
        _box(points, (0.0, -0.1, 0.0), (0.3, 0.1, 0.3)), _box(points, (0, 0.2, -0.25), (0.3, 0.3, 0.1))
    )


def _mug(points):
    ball = 0.3 - (points - torch.tensor([-0.1, 0.0, 0.0])).norm(dim=-1)
    return torch.maximum(ball, _box(points, (0.3, 0.0, 0.0), (0.15, 0.2, 0.1)))


SHAPES = {
    "chair": (_chair, 0),
    "mug": (_mug, 2),
    "ball": (lambda points: 0.4 - points.norm(dim=-1), None),
    "square": (lambda points: _box(points, (0.0, 0.0, 0.0), (0.3, 0.4, 0.3)), None),
    "lopsided": (lambda points: _box(points, (0.1, 0.0, 0.15), (0.2, 0.3, 0.1)), None),
    "nothing": (lambda points: -torch.ones_like(points[..., 0]), None),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_plane_of_a_thing_with_one_is_found(name):
    raw_density, axis = SHAPES[name]
    assert mirror_axis(FunctionField(raw_density_fn=raw_density, box_side=1.0, bounded=True)) == axis


def test_a_field_that_no_box_holds_has_none():
    assert mirror_axis(FunctionField(raw_density_fn=_chair, box_side=1.0)) is None


def _prediction(*directions):
    """What an encoder says that sees these directions, degrees, with their probabilities."""
    chances = torch.full((1, BINS), 1e-6)
    for yaw, share in directions:
        chances[0, int((yaw + 180) // (360 / BINS))] = share
    zero = torch.zeros(1)
    return Prediction(
        class_logits=torch.tensor([[4.0, 0.0]]),
        yaw_logits=chances.log(),
        pitch_deg=zero,
        z=torch.zeros(1, 8),
        framing=torch.zeros(1, 4),
        known_logit=zero,
        familiarity=zero,
        unlikeness=zero,
        embedding=zero[:, None],
        features=(),
    )


@pytest.mark.parametrize(("axis", "truth", "in_mirror"), [(0, 42.5, -42.5), (2, 42.5, 137.5), (2, -132.5, -47.5)])
def test_a_doubt_that_the_mirrored_photo_does_not_share_is_settled(axis, truth, in_mirror):
    seen = _prediction((truth, 0.45), (truth - 90, 0.55))
    mirrored = _prediction((in_mirror, 0.9), (in_mirror - 90, 0.1))
    joined = with_mirrored(seen, mirrored, axis)
    yaws, shares = joined.yaw_modes(3)
    assert float(yaws[0, 0]) == pytest.approx(truth, abs=0.01)
    assert shares[0].tolist() == pytest.approx([0.675, 0.275, 0.05], abs=1e-3)
    assert joined.class_logits is seen.class_logits


class _Encoder(PhotoEncoder):
    """Knows the direction of the photo as it is in one of two cases only."""

    def __init__(self, photo):
        torch.nn.Module.__init__(self)
        self.photo = photo

    def forward(self, images, class_index=None):
        straight = torch.equal(images[0], self.photo.rgb)
        return _prediction((42.5, 0.4), (-137.5, 0.6)) if straight else _prediction((-42.5, 1.0))


@pytest.mark.parametrize(("axis", "first"), [(None, -137.5), (0, 42.5)])
def test_a_search_asks_twice_where_there_is_a_plane(tiny_generator, monkeypatch, axis, first):
    monkeypatch.setattr(searching, "mirror_axis", lambda field: axis)
    photo = Photo(torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1)), torch.ones(1, 16, 16))
    settings = InversionSettings().changed(w_samples=20)
    found = Search(tiny_generator, settings, _Encoder(photo), lambda *_: None).candidates(photo, [0], None)
    assert math.isclose(float(found[0].camera.spherical()[0]), first, abs_tol=0.01)
