"""EG3D's renderings become finer while it learns, and so do those of the model that people get (section 4.3)."""

import pytest

from gen3d_tools.checkpoints.native import read_config
from gen3d_tools.errors import InputError
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.objectives import dual
from gen3d_tools.training.recipes.recipe import load_recipe
from gen3d_tools.training.run.snapshots import read_state, write_state
from gen3d_tools.training.run.trainer import Trainer
from gen3d_tools.training.schedules import rendering_resolution
from tests.training.tiny import tiny_recipe, write_pictures

GROWING = ("losses.render_start=4", "losses.render_kimg=0.008")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures", side=128, count=4)


def trainer_of(pictures, *more):
    recipe = tiny_recipe("eg3d", *more)
    return Trainer(recipe, open_pictures(pictures, recipe.data))


def test_the_second_stage_goes_from_64_to_128_rays_as_published():
    assert [rendering_resolution(kimg, 64, 128, 1000.0) for kimg in (0, 250, 999, 5000)] == [64, 80, 128, 128]


@pytest.mark.slow
def test_fakes_and_real_renderings_grow_together_and_the_average_with_them(pictures, tmp_path, monkeypatch):
    sides = []
    make, shrink = dual.dual.fakes, dual.raw_of_real
    monkeypatch.setattr(dual.dual, "fakes", lambda *a, **k: (sides.append(a[3]), make(*a, **k))[1])
    monkeypatch.setattr(dual, "raw_of_real", lambda images, side: (sides.append(side), shrink(images, side))[1])
    trainer = trainer_of(pictures, *GROWING)
    assert trainer.average.config.render_resolution == 4
    for now, after in ((4, 6), (6, 8), (8, 8)):  # batches of four pictures
        sides.clear()
        trainer.step()
        assert len(sides) > 1
        assert set(sides) == {now}
        assert trainer.average.config.render_resolution == after
        if trainer.iteration == 1:
            write_state(trainer, tmp_path, {})
            trainer.average.save(tmp_path / "latest")
    assert trainer.generator.config.render_resolution == 8
    assert read_config(tmp_path / "latest")["network"]["render_resolution"] == 6
    again = trainer_of(pictures, *GROWING)
    read_state(again, tmp_path)
    assert again.average.config.render_resolution == 6
    assert again.contest.objective.current(again.kimg)["render_resolution"] == 6


def test_without_a_start_nothing_grows(pictures):
    trainer = trainer_of(pictures)
    assert trainer.average.config.render_resolution == trainer.contest.objective.render_side(0.0) == 8
    assert "render_resolution" not in trainer.contest.objective.current(0.0)


def test_renderings_do_not_shrink():
    with pytest.raises(InputError, match=r"render_start is 64, more than generator\.render_resolution \(32\)"):
        load_recipe("eg3d", small=True, changes=["losses.render_start=64"])
