"""Things that are their own mirror image: found, and shown to the encoder twice."""

import math
from dataclasses import replace

import pytest
import torch

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages import search as searching
from gen3d_tools.inversion.stages.mirror import MirroredSilhouettes, mirror_axis, mirrored_camera, with_mirrored
from gen3d_tools.inversion.stages.objective import Objective, Target
from gen3d_tools.inversion.stages.search import Search
from gen3d_tools.inversion.stages.stage_two import StageTwo
from gen3d_tools.perception.encoder import PhotoEncoder
from gen3d_tools.perception.prediction import Prediction
from gen3d_tools.photos.photo import Photo
from gen3d_tools.rendering.renderer import render

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
    assert mirror_axis(FunctionField(raw_density_fn=raw_density, box_side=1.0, bounded=True), only=True) == axis


def test_a_field_that_no_box_holds_has_none():
    assert mirror_axis(FunctionField(raw_density_fn=_chair, box_side=1.0), only=False) is None


@pytest.mark.parametrize(("name", "found"), [("ball", True), ("square", True), ("lopsided", False), ("nothing", False)])
def test_of_two_planes_one_is_given_where_that_is_enough(name, found):
    field = FunctionField(raw_density_fn=SHAPES[name][0], box_side=1.0, bounded=True)
    assert (mirror_axis(field, only=False) is not None) == found


def _two_colors(points):
    """Red where x > 0, the lighter the higher and the farther in front."""
    return torch.stack([points[..., 0] > 0, points[..., 1] + 0.5, points[..., 2] + 0.5], dim=-1).float()


@pytest.mark.parametrize("axis", [0, 2])
def test_a_mirrored_camera_sees_the_mirrored_thing_as_the_camera_sees_the_thing(axis):
    camera = Camera.from_spherical(35.0, 20.0, 2.7, fov_y_deg=20.0)
    camera = Camera(camera.cam2world, camera.intrinsics + torch.tensor([[0, 0.1, 0.03], [0, 0, -0.02], [0, 0, 0]]))
    signs = torch.ones(3).index_fill(0, torch.tensor([axis]), -1.0)
    thing = FunctionField(raw_density_fn=lambda at: 1000 * _mug(at), values_fn=_two_colors, box_side=1.0, bounded=True)
    image = replace(
        thing, raw_density_fn=lambda at: 1000 * _mug(at * signs), values_fn=lambda at: _two_colors(at * signs)
    )
    seen = render(thing, camera, resolution=24)
    found = render(image, mirrored_camera(camera, axis), resolution=24)
    assert float(seen.opacity.mean()) > 0.1
    torch.testing.assert_close(found.rgb.flip(-1), seen.rgb, atol=1e-3, rtol=0)
    assert not torch.allclose(found.rgb, seen.rgb, atol=0.1)


def _objective(field, cameras, size=12):
    """Photos of a field."""
    seen = [render(field, camera, resolution=size) for camera in cameras]
    targets = [Target(one.rgb.clamp(0, 1), (one.opacity > 0.5).float()) for one in seen]
    return Objective(targets, InversionSettings(), None, size**2, 1.0)


def test_the_mirrored_silhouette_agrees_with_a_thing_that_is_its_own_image_and_with_no_other():
    cameras = stack_cameras([Camera.from_spherical(35.0, 20.0, 2.7, fov_y_deg=20.0)])
    losses = []
    for shape in (_mug, _chair):  # of these the mug is its own image across z
        field = FunctionField(raw_density_fn=lambda at, shape=shape: 1000 * shape(at), box_side=1.0, bounded=True)
        random = torch.Generator().manual_seed(0)
        losses.append(float(MirroredSilhouettes(_objective(field, cameras), cameras, 2)(field, random)))
    assert losses[0] < 0.25 * losses[1]


def test_a_photo_without_a_mask_says_nothing():
    cameras = stack_cameras([Camera.from_spherical(35.0, 20.0, 2.7, fov_y_deg=20.0)])
    field = FunctionField(raw_density_fn=_chair, box_side=1.0, bounded=True)
    objective = Objective([Target(torch.ones(3, 8, 8), None)], InversionSettings(), None, 64, 1.0)
    assert float(MirroredSilhouettes(objective, cameras, 2)(field, torch.Generator())) == 0


@pytest.mark.slow
def test_stage_two_tunes_to_the_mirrored_silhouette_too(tiny_generator):
    ws = tiny_generator.latents([8], [0])
    cameras = stack_cameras([Camera.from_spherical(35.0, 20.0, 2.7, fov_y_deg=20.0)])
    with torch.no_grad():
        objective = _objective(tiny_generator.fields(ws)[0], cameras)
    settings = InversionSettings().changed(steps2=20, stop2_psnr=0.0, locality_points=64, lr2=3e-3)
    found = {}
    mirrored = MirroredSilhouettes(objective, cameras, 2)
    for weight, implied in ((0.0, None), (4.0, mirrored)):
        two = StageTwo(tiny_generator, ws, cameras, objective, settings.changed(mirror=weight), 0, implied)
        while not two.finished:
            two.step()
        with torch.no_grad():
            field = two.tuned().fields(ws)[0]
            found[weight] = float(mirrored(field, torch.Generator().manual_seed(5)))
    assert found[4.0] < 0.8 * found[0.0]


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
    monkeypatch.setattr(searching, "mirror_axis", lambda typical, only: axis)
    photo = Photo(torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(1)), torch.ones(1, 16, 16))
    settings = InversionSettings().changed(w_samples=20)
    found = Search(tiny_generator, settings, _Encoder(photo), lambda *_: None).candidates(photo, [0], None)
    assert math.isclose(float(found[0].camera.spherical()[0]), first, abs_tol=0.01)
