"""The map of colours that the far side follows."""

from dataclasses import replace

import pytest
import torch

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.inversion.stages.locality_regulariser import FieldLocality
from gen3d_tools.inversion.stages.objective import Objective, Target
from gen3d_tools.inversion.stages.recoloring import Recoloring, fit_recoloring, fitted
from gen3d_tools.rendering.rays import pixel_coordinates

SIDE = 16
CAMERAS = stack_cameras([Camera.from_spherical(35.0, 22.0, 2.7, fov_y_deg=20.0)])
COLORS = torch.rand(500, 3, generator=torch.Generator().manual_seed(0))


def test_a_map_is_found_and_half_of_it_is_half_of_the_way():
    matrix = torch.tensor([[0.5, 0.2, 0.0], [0.1, 0.6, 0.0], [0.0, 0.0, 0.7]])
    wanted = COLORS @ matrix + 0.05
    whole, half = (fitted(COLORS, wanted, share)(COLORS) for share in (1.0, 0.5))
    assert float((whole - wanted).abs().mean()) < 0.25 * float((COLORS - wanted).abs().mean())
    torch.testing.assert_close(half, (COLORS + whole) / 2, atol=1e-5, rtol=0)
    torch.testing.assert_close(fitted(COLORS, COLORS, 1.0)(COLORS), COLORS, atol=1e-5, rtol=0)


def test_one_colour_alone_is_moved_and_its_neighbours_with_it():
    green, brown = torch.tensor([0.3, 0.8, 0.2]), torch.tensor([0.5, 0.35, 0.2])
    recoloring = fitted(green.expand(50, 3), brown.expand(50, 3), 1.0)
    torch.testing.assert_close(recoloring(green[None])[0], brown, atol=1e-5, rtol=0)
    torch.testing.assert_close(recoloring(0.9 * green[None])[0], brown - 0.1 * green, atol=1e-5, rtol=0)


@pytest.mark.parametrize("masked", [True, False])
def test_it_is_fitted_where_pivot_and_photo_show_the_object(tiny_generator, masked):
    """A photo of the pivot itself, in darker colours; without a mask nobody knows where the object is."""
    field = tiny_generator.fields(tiny_generator.latents([8], [0]))[0]
    objective = Objective([], InversionSettings(), None, SIDE**2, 1.0)
    with torch.no_grad():
        seen = objective.look(field, CAMERAS[0], pixel_coordinates(SIDE), None)
    target = Target(0.5 * seen.rgb.clamp(0, 1), (seen.opacity > 0.9).float() if masked else None)
    objective = Objective([target], InversionSettings(), None, SIDE**2, 1.0)
    recoloring = fit_recoloring(field, CAMERAS, objective, 1.0)
    there = seen.rgb[:, seen.opacity[0] > 0.9].T.clamp(0, 1)
    if not masked:
        assert recoloring is None
        return
    change = float((recoloring(there) - there).mean())
    assert change == pytest.approx(-0.5 * float(there.mean()), abs=0.02)


def test_the_locality_asks_for_the_map_s_colours(tiny_generator):
    field = tiny_generator.fields(tiny_generator.latents([8], [0]))[0]
    with torch.no_grad():
        kept = FieldLocality(field, 1.0, 512)(field, torch.Generator().manual_seed(0))
        darker = Recoloring(0.5 * torch.eye(3), torch.zeros(3))
        asked = FieldLocality(field, 1.0, 512, darker)(field, torch.Generator().manual_seed(0))
    assert float(kept) == 0
    assert float(asked) > 0.05


def test_the_pivot_is_seen_along_the_rays_of_its_own_pictures(tiny_generator, monkeypatch):
    field = tiny_generator.fields(tiny_generator.latents([8], [0]))[0]
    field = replace(field, render_config=replace(field.render_config, pixel_grid="corners"))
    target, seen = Target(torch.zeros(3, SIDE, SIDE), torch.ones(1, SIDE, SIDE)), []
    objective, look = Objective([target], InversionSettings(), None, SIDE**2, 1.0), Objective.look

    def watched(self, field, camera, pixels, generator):
        seen.append(pixels)
        return look(self, field, camera, pixels, generator)

    monkeypatch.setattr(Objective, "look", watched)
    fit_recoloring(field, CAMERAS, objective, 1.0)
    assert torch.equal(seen[0], pixel_coordinates(SIDE, "corners"))
