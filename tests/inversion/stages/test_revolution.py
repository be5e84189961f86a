"""Round things: found, told by their photos, and seen alike from all around."""

import math

import pytest
import torch

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages.mirror import MirroredSilhouettes
from gen3d_tools.inversion.stages.objective import Objective, Target
from gen3d_tools.inversion.stages.revolution import (
    TurnedSilhouettes,
    implied_silhouettes,
    is_round,
    turned_around,
    upright_axis,
)
from gen3d_tools.rendering.renderer import render

CAMERA = Camera.from_spherical(35.0, 20.0, 2.7, fov_y_deg=20.0)


def _field(inside, middle=(0.0, 0.0, 0.0)):
    return FunctionField(raw_density_fn=lambda at: 1000 * inside(at - torch.tensor(middle)), box_side=1.0, bounded=True)


def _lamp(at):
    """A foot that is wider than the pole on it."""
    around = at[..., [0, 2]].norm(dim=-1)
    return torch.maximum(
        torch.minimum(0.25 - around, 0.08 - (at[..., 1] + 0.2).abs()),
        torch.minimum(0.1 - around, 0.3 - at[..., 1].abs()),
    )


def _square(at):
    return 0.25 - at.abs().amax(-1)


def _hook(at):
    """A lamp that leans to one side."""
    return torch.maximum(_lamp(at), 0.12 - (at - torch.tensor([0.25, 0.2, 0.0])).norm(dim=-1))


def _objective(field, cameras, masked=True, size=48):
    seen = [render(field, camera, resolution=size) for camera in cameras]
    targets = [Target(one.rgb.clamp(0, 1), (one.opacity > 0.5).float() if masked else None) for one in seen]
    return Objective(targets, InversionSettings(), None, size**2, 1.0)


@pytest.mark.parametrize(("shape", "found"), [(_lamp, True), (_square, False), (_hook, False)])
def test_bodies_of_revolution_are_told_from_others(shape, found):
    assert is_round(_field(shape)) == found


def test_nothing_is_not_round():
    assert not is_round(_field(lambda at: -torch.ones_like(at[..., 0])))
    assert not is_round(FunctionField(raw_density_fn=_lamp, box_side=1.0))


@pytest.mark.parametrize("offset", [-0.15, 0.0, 0.1])
def test_the_axis_of_a_silhouette_is_found_where_it_is(offset):
    sideways = CAMERA.cam2world[:3, 0] * offset
    mask = _objective(_field(_lamp, sideways.tolist()), [CAMERA], size=96).targets[0].mask
    seen = 0.5 + offset / 2.7 * float(CAMERA.intrinsics[0, 0])
    assert upright_axis(mask) == pytest.approx(seen, abs=0.008)


def test_other_silhouettes_have_no_axis():
    assert upright_axis(_objective(_field(_hook), [CAMERA]).targets[0].mask) is None
    assert upright_axis(torch.zeros(1, 16, 16)) is None


def test_around_its_axis_a_round_thing_looks_the_same_wherever_it_stands():
    beside = _field(_lamp, (CAMERA.cam2world[:3, 0] * 0.1).tolist())
    seen = render(beside, CAMERA, resolution=96).opacity
    column = upright_axis((seen > 0.5).float())
    turned = render(beside, turned_around(CAMERA, column, 2.0), resolution=96).opacity
    assert float((seen - turned).abs().mean()) < 0.004
    usual = render(beside, turned_around(CAMERA, 0.5, 2.0), resolution=96).opacity
    assert float((seen - usual).abs().mean()) > 0.04


def test_a_camera_moves_sideways_until_the_thing_it_sees_stands_in_the_middle():
    sideways = CAMERA.cam2world[:3, 0] * 0.1
    target = _objective(_field(_lamp, sideways.tolist()), [CAMERA], size=96).targets[0]
    objective = Objective([target], InversionSettings(), None, 96**2, 1.0)
    cameras, column = stack_cameras([CAMERA]), upright_axis(target.mask)
    moved = TurnedSilhouettes(objective, cameras, [column], move=True).cameras[0]
    assert (moved.position + sideways - CAMERA.position).norm() < 0.01
    seen = render(_field(_lamp), moved, resolution=96).opacity
    assert float((seen - target.mask).abs().mean()) < 0.02
    assert torch.equal(TurnedSilhouettes(objective, cameras, [column]).cameras[0].position, CAMERA.position)


def test_a_camera_is_carried_around_the_height_of_the_world():
    turned = turned_around(CAMERA, 0.5, math.radians(50))
    wanted = Camera.from_spherical(85.0, 20.0, 2.7, fov_y_deg=20.0)
    torch.testing.assert_close(turned.cam2world, wanted.cam2world, atol=1e-5, rtol=0)


def test_a_round_thing_agrees_with_its_photo_from_all_sides_and_others_do_not():
    cameras, random = stack_cameras([CAMERA]), torch.Generator().manual_seed(0)
    gaps = []
    for shape in (_lamp, _hook):
        field = _field(shape)
        turned = TurnedSilhouettes(_objective(field, cameras), cameras, [0.5])
        gaps.append(sum(float(turned(field, random)) for _ in range(4)))
    assert gaps[0] < 0.5 * gaps[1]


@pytest.mark.parametrize(
    ("typical", "photo", "masked", "kind"),
    [
        (_lamp, _lamp, True, TurnedSilhouettes),
        (_lamp, _hook, True, MirroredSilhouettes),  # round as a rule; this one is not
        (_lamp, _lamp, False, MirroredSilhouettes),  # ... which has no mask, and says nothing
        (_square, _lamp, True, MirroredSilhouettes),  # a chair from the front
    ],
)
def test_class_and_photo_together_say_what_other_sides_look_like(typical, photo, masked, kind):
    cameras = stack_cameras([CAMERA])
    assert (
        type(implied_silhouettes(_field(typical), _objective(_field(photo), cameras, masked), cameras, move=True))
        is kind
    )


def test_a_class_without_symmetry_implies_nothing():
    def lopsided(at):
        return 0.1 - (at - torch.tensor([0.1, 0.0, 0.15])).abs().amax(-1)

    cameras = stack_cameras([CAMERA])
    assert implied_silhouettes(_field(lopsided), _objective(_field(lopsided), cameras), cameras, move=True) is None
