"""What a small run begins with: cameras and depth unchanged, and fakes that are made once."""

import json
from dataclasses import replace

import pytest
import torch

from gen3d_tools.cameras.distributions.priors import DRAWS
from gen3d_tools.cameras.poses import pose_of
from gen3d_tools.errors import InputError
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.draws import Draws
from gen3d_tools.training.objectives import multiview
from gen3d_tools.training.recipes.recipe import load_recipe, recipe_names
from gen3d_tools.training.run.building import build_generator, camera_distribution
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


@pytest.mark.parametrize("source", ["prior", "labels"])
@pytest.mark.parametrize(("name", "yaw"), [("epigraf", 0.0), ("3dgp", 0.3)])  # mirrored copies count
def test_the_mean_camera_is_that_of_the_cameras_fakes_are_seen_from(tmp_path, name, yaw, source):
    folder = write_pictures(tmp_path / "pictures", count=2)
    angles = [["00.png", [0.2, 1.2, 0.0]], ["01.png", [0.4, 1.4, 0.0]]]
    (folder / "dataset.json").write_text(json.dumps({"camera_angles": angles}))
    told = [f"cameras.source={source}", "prior.yaw={shape='uniform', low=0.5, high=0.7}", "cameras.identity_steps=0"]
    recipe = tiny_recipe(name, *told[: 2 if name == "epigraf" else 3])
    trainer = Trainer(recipe, open_pictures(folder, recipe.data))
    prior = trainer.generator.settings.camera_distribution.mean_pose()
    expected = prior.angles.tolist() if source == "prior" else [yaw, 1.3, 0.0]
    assert list(trainer.generator.config.mean_camera[:3]) == pytest.approx(expected, abs=1e-6)
    assert list(trainer.generator.config.mean_camera[3:]) == [prior.fov_deg, prior.radius][: 2 * (name == "3dgp")]
    seen = pose_of(trainer.generator.settings.default_view.mean(), yaw_zero=prior.yaw_zero)
    assert seen.angles.tolist() == pytest.approx(expected, abs=1e-5)


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


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("5", "prior.yaw is 5; needed is a table with a shape, such as"),
        ("{mean=0.1}", "prior.yaw is a table of 1; needed is a table with a shape"),
        ("{shape='foo', mean=1}", "unknown distribution 'foo'; known are fixed, uniform"),
        ("{shape='normal', std='x'}", "prior.yaw has 'std': 'x'; needed is a number"),
        (
            "{shape='normal', mean=0.1, std=0.1}",
            "prior.yaw has 'mean'; a normal distribution is told by shape, std, center",
        ),
        ("{shape='uniform', center=0.3}", "prior.yaw has 'center'; a uniform distribution is told by shape, low, high"),
        ("{shape='uniform', low=0.3}", "prior.yaw has no high; a uniform"),
    ],
)
def test_a_prior_is_told_all_that_its_shape_reads_and_no_more(told, found):
    with pytest.raises(InputError) as caught:
        camera_distribution(tiny_recipe("epigraf", f"prior.yaw={told}"))
    assert found in str(caught.value)
    assert "Spread" not in str(caught.value)


def test_priors_of_recipes_and_of_older_runs_are_read():
    for name in recipe_names():
        for small in (True, False):
            recipe = load_recipe(name, small=small)
            camera_distribution(recipe)
            told = dict.fromkeys(recipe.sources, "--set")
            camera_distribution(replace(recipe, sources=told))
    recipe = tiny_recipe("epigraf")
    older = {**recipe.prior, "yaw": {"shape": "fixed", "std": 1.0}}
    assert camera_distribution(replace(recipe, prior=older)).yaw.center == 0.0
