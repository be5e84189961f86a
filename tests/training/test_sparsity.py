"""Space is empty unless pictures say otherwise."""

import math

import pytest
import torch

from gen3d_tools.errors import InputError
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.losses.sparsity import LENGTH, opaque_share
from gen3d_tools.training.recipes.recipe import load_recipe
from gen3d_tools.training.run.trainer import Trainer
from tests.training.tiny import tiny_recipe, write_pictures


def even_field(raw, *, side=1.0):
    """A field of one raw density everywhere."""
    return TriplaneField(
        planes=torch.full((3, 1, 4, 4), raw).requires_grad_(),
        decoder=lambda features: (features, features[..., 0]),
        render_config=RenderConfig(near=1.0, far=3.0),
        box_side=side,
        plane_axes="xy-xz-yz",
        align_corners=True,
        density_activation="relu",
    )


@pytest.mark.parametrize("side", [1.0, 3.0])
def test_share_of_even_fields_is_the_opacity_of_the_path(side):
    uniform = torch.rand(3, 50, 3, generator=torch.Generator().manual_seed(0))
    shares = opaque_share([even_field(raw, side=side) for raw in (0.0, 2.0, 1e4)], uniform)
    assert shares.tolist() == pytest.approx([0.0, 1 - math.exp(-2 * LENGTH * side), 1.0], abs=1e-6)


def test_fog_thins_and_what_is_empty_has_no_gradient():
    uniform = torch.rand(3, 50, 3, generator=torch.Generator().manual_seed(0))
    fields = [even_field(raw) for raw in (1e-30, 1.0, 2.0)]
    opaque_share(fields, uniform).sum().backward()
    empty, fog, thicker = (float(field.planes.grad.sum()) for field in fields)
    assert empty == 0
    assert fog > thicker > 0  # what is opaque already is let be


@pytest.mark.slow
@pytest.mark.parametrize("name", ["3dgp", "epigraf"])
def test_a_generator_without_an_opponent_empties_its_space(name, tmp_path):
    recipe = tiny_recipe(name, "losses.sparsity_weight=1000", "optimisation.g_lr=0.01")
    trainer = Trainer(recipe, open_pictures(write_pictures(tmp_path / "pictures"), recipe.data))
    solid = []
    for _ in range(12):
        trainer.step()
        request, draws = trainer._made_of(0, 0, 8)
        made, _ = trainer.contest.objective._fakes(request, draws, 0.0, with_opaque=True)
        solid.append(float(made.opaque.mean()))
    assert solid[-1] < 0.7 * solid[0]


@pytest.mark.parametrize("name", ["eg3d", "geometry-aware"])
def test_recipes_without_patches_have_no_use_for_it(name):
    with pytest.raises(InputError, match="sparsity_weight"):
        load_recipe(name, small=True, changes=["losses.sparsity_weight=1"])


def test_a_negative_weight_is_refused():
    with pytest.raises(InputError, match="sparsity_weight"):
        load_recipe("3dgp", small=True, changes=["losses.sparsity_weight=-1"])
