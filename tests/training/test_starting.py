"""What a small run begins with: cameras and depth unchanged, and fakes that are made once."""

import pytest
import torch

from gen3d_tools.cameras.distributions.priors import DRAWS
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.draws import Draws
from gen3d_tools.training.objectives import multiview
from gen3d_tools.training.run.building import build_generator
from gen3d_tools.training.run.trainer import Trainer
from gen3d_tools.training.synthesis import dual, planes
from tests.training.tiny import tiny_recipe, write_pictures


def started(steps):
    torch.manual_seed(0)
    larger = ("generator.camera_hidden=32", "generator.camera_embed=8", "generator.depth_hidden=8")
    return build_generator(tiny_recipe("3dgp", f"cameras.identity_steps={steps}", *larger), ("a", "b"))


@torch.no_grad()
def moved(generator):
    """Prior cameras, and what the camera generator makes of them."""
    prior = generator.settings.camera_distribution
    cameras = prior.poses_at(torch.rand(256, DRAWS, generator=torch.Generator().manual_seed(1)).double().numpy())
    onehot = torch.eye(2)[torch.arange(256) % 2]
    adaptor = generator.synthesis.camera_adaptor
    return cameras.parameters, adaptor(cameras.parameters, torch.randn(256, generator.config.z_dim), onehot)


@pytest.mark.slow
def test_cameras_begin_where_the_prior_has_them():
    plain, posterior = moved(started(0))
    assert float(posterior[:, 0].std() / plain[:, 0].std()) < 0.5  # all in nearly one place, as initialised
    prior, posterior = moved(started(250))
    assert float(posterior[:, 0].std() / prior[:, 0].std()) == pytest.approx(1, abs=0.1)
    assert float((posterior - prior)[:, :2].abs().mean(0).max()) < 0.1


@pytest.mark.slow
def test_depth_begins_as_it_is_rendered():
    depth = 2.1 + 1.2 * torch.rand(4, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    errors = []
    for steps in (0, 150):
        adaptor = started(steps).synthesis.depth_adaptor
        with torch.no_grad():
            plain, *answers = adaptor.answers(depth)
        errors.append(max(float((one - plain).square().mean()) for one in answers))
    assert errors[1] < 0.1 * errors[0]


WHO_MAKES = {
    "3dgp": (planes, "fakes"),
    "epigraf": (planes, "fakes"),
    "eg3d": (dual, "fakes"),
    "geometry-aware": (multiview, "views"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WHO_MAKES)
def test_fakes_are_made_once_where_they_are_reused(name, tmp_path, monkeypatch):
    module, function = WHO_MAKES[name]
    calls, make = [], getattr(module, function)
    monkeypatch.setattr(module, function, lambda *more, **named: calls.append(1) or make(*more, **named))
    found = {}
    for reused in (True, False):
        recipe = tiny_recipe(name, f"losses.reuse_fakes={str(reused).lower()}")
        pictures = write_pictures(tmp_path / f"{reused}", side=recipe.data.resolution)
        trainer = Trainer(recipe, open_pictures(pictures, recipe.data))
        calls.clear()
        figures = trainer.step().means()
        found[reused] = len(calls)
        assert figures["loss/D"] > 0
        assert not trainer.contest.objective._made
    rounds = recipe.optimisation.batch // recipe.optimisation.round
    assert found == {True: rounds, False: 2 * rounds}


def test_poses_of_a_round_follow_the_prior_and_its_draws_alone():
    prior = started(0).settings.camera_distribution
    first, again, other = (Draws(0, step, 1, 0).poses(prior, 400).angles for step in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert -1 <= float(first[:, 0].min()) < -0.9 < 0.9 < float(first[:, 0].max()) <= 1
    assert 1.05 <= float(first[:, 1].min()) < 1.1
