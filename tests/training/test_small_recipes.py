"""What a run of minutes needs of its recipe: each property was absent once, and pictures did not become better."""

import pytest
import torch
import torch.nn.functional as F

from gen3d_tools.training.discriminators.patch import PatchEncoder
from gen3d_tools.training.patches import Patches
from gen3d_tools.training.recipes.recipe import load_recipe
from gen3d_tools.training.run.building import build_discriminator

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
