"""What a run of minutes needs of its recipe: each property was absent once, and pictures did not become better."""

import pytest
import torch
import torch.nn.functional as F

from gen3d_tools.errors import InputError
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.discriminators.body import minibatch_deviation
from gen3d_tools.training.discriminators.patch import PatchEncoder
from gen3d_tools.training.patches import Patches
from gen3d_tools.training.recipes.recipe import load_recipe
from gen3d_tools.training.run.building import build_discriminator
from gen3d_tools.training.run.trainer import Trainer
from tests.training.tiny import tiny_recipe, write_pictures

PATCHWISE = ("3dgp", "epigraf")
CLASSES = 3
NARROW = ["discriminator.channel_base=256", "discriminator.channel_max=8", "discriminator.modulation=64"]
PIXEL = 1 / 64  # of a small recipe's pictures, in picture sides


@torch.no_grad()
def turned_by_a_pixel(name, *, small):
    """How much the vector that scales channels turns when a patch moves by a pixel: 1 less its cosine."""
    torch.manual_seed(0)
    network = build_discriminator(load_recipe(name, small=small, changes=NARROW), CLASSES, 0)
    patches = Patches(torch.full((2, 2), 0.5), torch.tensor([[0.25, 0.25], [0.25 + PIXEL, 0.25]]))
    here, there = network.hyper_mod_mapping(network.scalar_enc(patches.parameters))
    return 1 - float(F.cosine_similarity(here, there, dim=0))


@pytest.mark.parametrize("name", PATCHWISE)
def test_a_small_discriminator_judges_neighbouring_patches_by_the_same_network(name):
    """The published embedding gives each place numbers of its own, which minutes do not suffice to learn."""
    assert turned_by_a_pixel(name, small=True) < 0.02
    assert turned_by_a_pixel(name, small=False) > 0.1


def test_the_lowest_frequencies_are_those_of_all():
    parameters = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    few, every = (
        PatchEncoder(table_width=0, frequencies=count)(parameters).unflatten(1, (3, 2, count)) for count in (3, 10)
    )
    torch.testing.assert_close(few, every[..., :3])


def test_neighbours_that_are_all_the_same_have_no_deviation_however_groups_differ():
    of_groups = torch.randn(4, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    x = of_groups.repeat_interleave(4, 0)
    assert float(minibatch_deviation(x, 4, "neighbours").max()) == pytest.approx(1e-4, rel=1e-3)
    assert float(minibatch_deviation(x, 4, "strided").min()) > 0.5
    x[1] += 1
    assert (minibatch_deviation(x, 4, "neighbours")[:, 0, 0, 0] > 1e-3).tolist() == [True] * 4 + [False] * 12


@pytest.mark.slow
@pytest.mark.parametrize("name", PATCHWISE)
def test_a_statistic_compares_samples_of_one_patch_and_class(name, tmp_path):
    """Else it tells patches and classes apart, and a class whose samples are all the same goes unnoticed."""
    recipe = tiny_recipe(name, "optimisation.batch=16", "optimisation.round=16")
    trainer = Trainer(recipe, open_pictures(write_pictures(tmp_path / "pictures"), recipe.data))
    ((_, real),) = trainer._real_rounds()
    request, draws = trainer._made_of(0, 0, 16)
    patches = draws.patches(recipe.patches, 16, recipe.discriminator.group, kimg=1e6)
    for onehot in (real.class_onehot, request.class_onehot):
        classes = onehot.argmax(1)
        assert 0 < int(classes.sum()) < 16
        assert classes.tolist() == sorted(classes.tolist())
    groups = patches.parameters.unflatten(0, (-1, recipe.discriminator.group))
    assert torch.equal(groups, groups[:, :1].expand_as(groups))
    assert not torch.equal(groups[0], groups[1])
    assert trainer.discriminator.b4.grouping == "neighbours"


def test_neighbours_are_for_discriminators_of_patches():
    with pytest.raises(
        InputError, match=r'discriminator\.grouping is "neighbours", which is for discriminators of patches'
    ):
        load_recipe("eg3d", small=True, changes=["discriminator.grouping=neighbours"])
