"""Runs that begin with trained networks."""

import pytest
import torch

from gen3d_tools.checkpoints.native import read_config
from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.generators.networks.layers import upsample_image
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.recipes.recipe import load_recipe
from gen3d_tools.training.run.snapshots import networks_of, read_facts, write_state
from gen3d_tools.training.run.starting import begin_with, trained_networks
from gen3d_tools.training.run.trainer import Trainer
from gen3d_tools.workflows.train import TrainOptions, train
from tests.training.tiny import smaller, tiny_recipe, write_pictures

NAMES = ("generator", "average", "discriminator")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures")


def trainer_of(pictures, *more):
    recipe = tiny_recipe("epigraf", *more)
    return Trainer(recipe, open_pictures(pictures, recipe.data))


@pytest.fixture(scope="module")
def earlier(pictures, tmp_path_factory):
    """A run of two steps, as it is in memory and on disk."""
    trainer, folder = trainer_of(pictures), tmp_path_factory.mktemp("run")
    for _ in range(2):
        trainer.step()
    write_state(trainer, folder, {})
    trainer.average.save(folder / "latest")
    return trainer, folder


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


def test_a_run_begins_where_another_ended_and_counts_from_zero(pictures, earlier):
    before, folder = earlier
    trainer = trainer_of(pictures, "run.seed=5", "discriminator.frozen=2")
    assert begin_with(trainer, trained_networks(folder)) == []
    for name in NAMES:
        assert same(networks_of(trainer)[name].state_dict(), networks_of(before)[name].state_dict())
    assert trainer.images == 0
    frozen = {key: value.clone() for key, value in trainer.discriminator.named_buffers()}
    trainer.step()
    assert all(torch.equal(value, frozen[key]) for key, value in trainer.discriminator.named_buffers())
    assert not same(trainer.generator.state_dict(), before.generator.state_dict())


def test_a_model_gives_its_generator_and_a_new_discriminator_is_told(pictures, earlier):
    before, folder = earlier
    trainer = trainer_of(pictures, "run.seed=5")
    fresh = {key: value.clone() for key, value in trainer.discriminator.state_dict().items()}
    assert begin_with(trainer, trained_networks(folder / "latest")) == [
        "its discriminator is not known: a new one begins"
    ]
    assert same(trainer.generator.state_dict(), trainer.average.state_dict())
    torch.testing.assert_close(trainer.average.state_dict(), before.average.state_dict(), rtol=1e-3, atol=1e-3)
    assert same(trainer.discriminator.state_dict(), fresh)


def test_other_classes_begin_anew_and_are_named(tmp_path, earlier):
    before, folder = earlier
    trainer = trainer_of(write_pictures(tmp_path / "three", classes=3))
    told = begin_with(trainer, trained_networks(folder))
    assert [line.split(":")[0] for line in told] == ["new in the generator", "new in the discriminator"]
    shared = [
        key
        for key, value in trainer.generator.state_dict().items()
        if value.shape == before.generator.state_dict()[key].shape
    ]
    assert 0 < len(shared) < len(trainer.generator.state_dict())
    assert all(torch.equal(trainer.generator.state_dict()[key], before.generator.state_dict()[key]) for key in shared)


def test_finer_planes_begin_as_the_trained_ones_enlarged(pictures, earlier):
    before, folder = earlier
    trainer = trainer_of(pictures, "run.seed=5", "generator.plane_resolution=16")
    (told,) = begin_with(trainer, trained_networks(folder))
    assert told.startswith("new in the generator: synthesis.tri_plane_decoder.b16.")
    ws = torch.randn(2, 12, before.generator.config.w_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        coarse = before.average.synthesize(ws[:, : before.average.num_ws], noise_mode="none")
        fine = trainer.average.synthesize(ws[:, : trainer.average.num_ws], noise_mode="none")
    enlarged = upsample_image(coarse)
    torch.testing.assert_close(fine, enlarged)
    trainer.step()
    trainer.step()
    assert trainer.generator.state_dict()["synthesis.tri_plane_decoder.b16.torgb.weight"].abs().max() > 0


def test_networks_of_another_size_are_refused(pictures, earlier):
    trainer = trainer_of(pictures, "generator.channel_base=128", "generator.channel_max=16", "generator.w_dim=16")
    before = {key: value.clone() for key, value in trainer.generator.state_dict().items()}
    with pytest.raises(InputError, match="numbers of the generator fit; give the recipe, the resolution"):
        begin_with(trainer, trained_networks(earlier[1]))
    assert same(trainer.generator.state_dict(), before)


def test_what_is_no_run_and_no_model_is_refused(tmp_path):
    with pytest.raises(NotFoundError):
        trained_networks(tmp_path / "nothing")


def test_what_spares_the_first_pictures_is_left_out_and_says_why():
    recipe = load_recipe("epigraf", trained=True)
    assert recipe.optimisation.ema_ramp is None
    assert recipe.losses.blur_sigma == 0
    assert recipe.sources["losses.blur_sigma"] == "--start-from"
    assert load_recipe("epigraf", changes=["losses.blur_sigma=3"], trained=True).losses.blur_sigma == 3
    assert load_recipe("epigraf").losses.blur_sigma > 0


def test_the_last_part_has_values_of_its_own_which_may_be_set_otherwise():
    recipe = load_recipe("3dgp", small=True, trained=True, finish=True, changes=["losses.sparsity_weight=2"])
    assert recipe.title == "3dgp small finish"
    assert recipe.generator["plane_resolution"] == 64
    assert recipe.losses.sparsity_weight == 2
    assert 0 < recipe.cameras.prior_share < 1
    before = load_recipe("3dgp", small=True)
    assert recipe.optimisation.g_lr < before.optimisation.g_lr
    assert recipe.optimisation.ema_kimg > before.optimisation.ema_kimg
    assert before.losses.sparsity_weight == before.cameras.prior_share == 0


@pytest.mark.parametrize(("name", "small"), [("3dgp", False), ("epigraf", True)])
def test_other_recipes_have_no_last_part(name, small):
    with pytest.raises(InputError, match=r"has no values for a last part; leave finish out, or take 3dgp with small"):
        load_recipe(name, small=small, finish=True)


def test_a_last_part_goes_on_from_something(pictures, tmp_path):
    with pytest.raises(InputError, match=r"finish goes on from a trained run; say which: start='RUN'"):
        train(pictures, tmp_path / "run", TrainOptions(recipe="3dgp", small=True, finish=True))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_last_part_is_resumed_as_what_it_is(pictures, tmp_path):
    tiny = (
        *smaller("3dgp", "data.depth=false"),
        "run.processor_minutes=none",
        "generator.plane_resolution=8",
        "data.depth=false",
    )
    tiny = (*tiny, "generator.depth_adaptor=false", "cameras.identity_steps=0", "discriminator.half_blocks=0")
    shared = {"recipe": "3dgp", "small": True, "resolution": 16}
    train(pictures, tmp_path / "run", TrainOptions(**shared, changes=(*tiny, "run.kimg=0.016")))
    finer = (*tiny, "generator.plane_resolution=16", "run.kimg=0.016")
    last = TrainOptions(**shared, changes=finer, start=str(tmp_path / "run"), finish=True)
    train(pictures, tmp_path / "finished", last)
    assert read_facts(tmp_path / "finished")["finish"] is True
    assert read_config(tmp_path / "finished" / "latest")["provenance"]["source"].endswith("recipe 3dgp small finish")
    train(pictures, tmp_path / "finished", TrainOptions(resume=True, changes=("run.kimg=0.032",)))
    facts = read_facts(tmp_path / "finished")
    assert (facts["images"], facts["finish"]) == (32, True)
    with pytest.raises(InputError, match="begun with the recipe 3dgp, small; leave recipe, small and finish out"):
        train(pictures, tmp_path / "run", TrainOptions(resume=True, finish=True))
