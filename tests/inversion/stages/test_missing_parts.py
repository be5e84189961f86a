"""What a mask shows and an object lacks: found on its rays, and grown."""

import itertools
from dataclasses import replace

import pytest
import torch

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages.missing_parts import MissingParts
from gen3d_tools.inversion.stages.objective import Objective, Target
from gen3d_tools.inversion.stages.stage_two import StageTwo
from gen3d_tools.rendering.differentiable import render_differentiable
from gen3d_tools.rendering.rays import pixel_coordinates

SIDE = 12
CAMERAS = stack_cameras([Camera.from_spherical(35.0, 22.0, 2.7, fov_y_deg=20.0)])


@torch.no_grad()
def _seen(generator, ws):
    return render_differentiable(generator.fields(ws)[0], CAMERAS[0], pixel_coordinates(SIDE), threshold=0.0)


def _empty_place(opacity):
    """Rows and columns of nine pixels beside an object."""
    places = [(row, column) for row in range(1, SIDE - 4) for column in range(1, SIDE - 4)]
    row, column = min(places, key=lambda at: float(opacity[0, at[0] : at[0] + 3, at[1] : at[1] + 3].sum()))
    return slice(row, row + 3), slice(column, column + 3)


def _more_than_there_is(generator, ws):
    """An object's picture with a grey patch beside it, which the mask claims; and where it is."""
    seen = _seen(generator, ws)
    rgb, mask = seen.rgb.clamp(0, 1), seen.opacity.clone()
    place = (slice(None), *_empty_place(mask))
    rgb[place], mask[place] = 0.4, 1.0
    return Target(rgb, mask), place


@pytest.fixture(scope="module")
def ws(tiny_generator):
    return tiny_generator.latents([8], [0])


def test_nothing_is_missing_where_the_mask_is_the_objects_own(tiny_generator, ws):
    field = tiny_generator.fields(ws)[0]
    mask = (_seen(tiny_generator, ws).opacity > 0.9).float()
    parts = MissingParts([Target(torch.zeros(3, SIDE, SIDE), mask)], CAMERAS, 1.0)
    assert float(parts(field, torch.Generator().manual_seed(0)).detach()) == 0.0


def test_what_the_mask_claims_is_drawn_across_the_onset(tiny_generator, ws):
    target, _ = _more_than_there_is(tiny_generator, ws)
    planes = tiny_generator.fields(ws)[0].planes.detach().requires_grad_()
    field = replace(tiny_generator.fields(ws)[0], planes=planes)
    parts = MissingParts([target], CAMERAS, 1.0)
    loss = parts(field, torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad(loss, planes)
    assert float(loss.detach()) > 0
    nearer = replace(field, planes=(planes - 0.01 * gradient / gradient.abs().max()).detach())
    assert float(parts(nearer, torch.Generator().manual_seed(0))) < float(loss.detach())


def test_a_photo_without_a_mask_claims_nothing(tiny_generator, ws):
    target, _ = _more_than_there_is(tiny_generator, ws)
    field = tiny_generator.fields(ws)[0]
    parts = MissingParts([replace(target, mask=None)], CAMERAS, 1.0)
    assert float(parts(field, torch.Generator().manual_seed(0))) == 0.0
    nothing = FunctionField(raw_density_fn=lambda points: points[..., 0] * 0 - 1, iso_level=0.5)
    assert float(MissingParts([target], CAMERAS, 1.0)(nothing, torch.Generator().manual_seed(0))) == 0.0


def test_a_ray_in_a_face_of_the_box_does_no_harm(tiny_generator, ws):
    """It enters and leaves nowhere; the other rays of its mask are followed as ever."""
    field = tiny_generator.fields(ws)[0]
    cam2world = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    cam2world[:3, 3] = torch.tensor([field.box_side / 2, 0.0, 3.0])  # looks along -z, its middle column in a face
    camera = stack_cameras([Camera(cam2world, Camera.from_spherical(0, 0, 2.7, fov_y_deg=20.0).intrinsics)])
    planes = field.planes.detach().requires_grad_()
    parts = MissingParts([Target(torch.zeros(3, 5, 5), torch.ones(1, 5, 5))], camera, 1.0)
    loss = parts(replace(field, planes=planes), torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad(loss, planes)
    assert float(loss.detach()) > 0
    assert bool(gradient.isfinite().all())


@pytest.mark.slow
def test_an_object_grows_to_where_the_photo_shows_it(tiny_generator, ws):
    """Without that term it is luck whether it does: nothing tells the rays beside the object which way to go."""
    target, place = _more_than_there_is(tiny_generator, ws)
    opacity = {}
    for growth, seed in itertools.product((0.0, 0.3), (2, 3)):
        settings = InversionSettings().changed(
            rays2=SIDE**2, steps2=40, lr2=1e-2, locality_weight=0.5, locality_points=512, stop2_psnr=0.0, growth=growth
        )
        objective = Objective([target], settings, None, SIDE**2, 1.0)
        stage = StageTwo(tiny_generator, ws, CAMERAS, objective, settings.changed(seed=seed), 0)
        while not stage.finished:
            stage.step()
        opacity[growth, seed] = float(_seen(stage.tuned(), ws).opacity[place].mean())
    worst = {growth: min(value for (own, _), value in opacity.items() if own == growth) for growth in (0.0, 0.3)}
    assert worst[0.3] > worst[0.0] + 0.3


def test_masks_are_looked_through_along_the_rays_of_the_fields_pictures():
    target = Target(torch.zeros(3, SIDE, SIDE), torch.ones(1, SIDE, SIDE))
    [(_, claim)] = MissingParts([target], CAMERAS, 1.0, "corners").claims
    assert torch.equal(claim.pixels, pixel_coordinates(SIDE, "corners"))
