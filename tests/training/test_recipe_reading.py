"""A value that a recipe does not read is refused, and what counts as read is what is read."""

import fnmatch
import shlex
import tomllib
from importlib import resources

import pytest

from gen3d_tools.errors import InputError
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.recipes import switches
from gen3d_tools.training.recipes.reading import is_read
from gen3d_tools.training.recipes.recipe import load_recipe, recipe_names
from gen3d_tools.training.recipes.sections import CamerasSection, LossSection
from gen3d_tools.training.run.trainer import Trainer
from tests.training.tiny import tiny_recipe, write_pictures

SECTIONS = {"losses": LossSection, "cameras": CamerasSection}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("eg3d", "losses.style_mixing=0.5"),
        ("eg3d", "patches.side=16"),
        ("epigraf", "cameras.emd_angles=1.0"),
        ("epigraf", "data.depth=true"),
        ("geometry-aware", "discriminator.camera_conditioned=true"),
        ("geometry-aware", 'cameras.source="labels"'),
        ("3dgp", "discriminator.views=2"),
    ],
)
def test_what_nothing_would_come_of_is_refused(name, change):
    with pytest.raises(InputError, match=f"{change.partition('=')[0]} cannot be set: the recipe {name} has no use"):
        load_recipe(name, small=True, changes=[change])


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (["losses.distillation_weight=1", "data.features=none"], "changes nothing while data.features is none"),
        (["discriminator.camera_dropout=0.5"], "camera_dropout changes nothing while .*camera_conditioned is false"),
        (["discriminator.camera_raw=true"], "camera_raw changes nothing while"),
        (["discriminator.camera_noise=1"], "camera_noise changes nothing while"),
        (["losses.r1_gamma=1\nx=2"], r"1\\nx=2' sets more than one value; give each its own changes"),
    ],
)
def test_what_another_value_switches_off_is_refused_where_somebody_sets_it(told, message):
    with pytest.raises(InputError, match=message):
        load_recipe("3dgp", small=True, changes=told)


EVERY_SWITCH = [
    ("3dgp", "losses.distillation=kl", ["losses.distillation_weight=0"]),
    ("3dgp", "losses.distillation_kimg=9", ["losses.distillation_weight=0"]),
    ("3dgp", "losses.distillation_kimg=9", ["data.features=none"]),
    ("epigraf", "losses.distillation_kimg=9", []),
    ("3dgp", "data.features=encoder", ["losses.distillation_weight=0"]),
    ("3dgp", "losses.distillation_weight=2", ["losses.distillation_kimg=0"]),
    ("eg3d", "losses.blur_kimg=9", ["losses.blur_sigma=0"]),
    ("geometry-aware", "losses.blur_sigma=9", ["losses.blur_kimg=0"]),
    ("eg3d", "losses.render_kimg=9", []),
    ("eg3d", "losses.render_start=16", ["losses.render_kimg=0"]),
    ("epigraf", "losses.density_noise_kimg=9", ["losses.density_noise=0"]),
    ("epigraf", "losses.density_noise=9", ["losses.density_noise_kimg=0"]),
    ("epigraf", "losses.r1_every=4", ["losses.r1_gamma=0"]),
    ("eg3d", "losses.density_every=9", ["losses.density_weight=0"]),
    ("geometry-aware", "losses.density_distance=0.1", ["losses.density=monotonic-fixed"]),
    ("3dgp", "cameras.prior_share=0.1", ["generator.camera_generator=false"]),
    ("3dgp", "generator.camera_hidden=16", ["generator.camera_generator=false"]),
    ("3dgp", "cameras.emd_fov=1", []),  # the small form does not move it
    ("3dgp", "cameras.slope_radius=1", []),
    ("3dgp", "cameras.force_mean=9", ["generator.adjust_angles=false"]),
    ("3dgp", "cameras.emd_kimg=9", ["cameras.emd_angles=0", "cameras.emd_fov=0", "cameras.emd_look_at=0"]),
    ("3dgp", "cameras.force_mean_samples=9", ["cameras.force_mean=0"]),
    ("3dgp", "cameras.slope_samples=9", []),
    ("3dgp", "cameras.depth_kimg=9", ["data.depth=false"]),
    ("3dgp", "generator.depth_hidden=9", ["data.depth=false"]),
    ("epigraf", "cameras.swap_final=0.9", []),
    ("3dgp", "patches.beta_end=0.9", ["patches.distribution=uniform"]),
    ("3dgp", "patches.discrete_scales=1", []),
    ("epigraf", "patches.anneal_kimg=9", ["patches.distribution=full"]),
    ("3dgp", "discriminator.frequencies=9", ["discriminator.modulation=0", "discriminator.label_has_patch=false"]),
    ("geometry-aware", "discriminator.view_mode=pack", ["discriminator.views=1"]),
    ("geometry-aware", "augmentation.target=0.5", []),
    ("epigraf", "data.mirror_yaw=mean", []),
    ("3dgp", "data.mirror_yaw=zero", ["cameras.source=labels", "data.mirror=false"]),
    ("3dgp", "rendering.importance=smoothed", []),
    ("eg3d", "run.score_samples=9", ["run.score_kimg=0"]),
]


@pytest.mark.parametrize(("name", "told", "off"), EVERY_SWITCH)
def test_every_value_that_another_one_switches_off_is_told(name, told, off):
    value = told.partition("=")[0]
    with pytest.raises(InputError, match=rf"^{value} changes nothing while .*; set .* as well, or leave it out$"):
        load_recipe(name, small=True, changes=[*off, told])


def test_switches_name_values_of_recipes():
    tables = [load_recipe(name).to_dict() for name in recipe_names()]
    every = {f"{section}.{key}" for table in tables for section, values in table.items() for key in values}
    named = {pattern for switch in switches._SWITCHES for pattern in (*switch.values, *switch.by)}
    assert [pattern for pattern in sorted(named) if not fnmatch.filter(every, pattern)] == []


def test_published_values_may_wait_for_their_switch():
    changes = ["losses.r1_gamma=0", "losses.r1_every=4"]  # EG3D corrects Adam for a penalty that is off
    assert load_recipe("eg3d", small=True, changes=changes).losses.r1_every == 4
    assert load_recipe("3dgp", changes=["cameras.emd_fov=1"]).cameras.emd_fov == 1
    assert load_recipe("epigraf", changes=["augmentation.target=0.5"]).augmentation.target == 0.5
    with pytest.raises(InputError, match=r"blur_kimg changes nothing while losses\.blur_sigma is 0"):
        load_recipe("epigraf", trained=True, changes=["losses.blur_kimg=9"])


def test_values_of_a_recipe_may_wait_for_their_switch():
    recipe = load_recipe("3dgp", small=True, changes=["data.features=none", "discriminator.camera_raw=false"])
    assert recipe.losses.distillation_weight > 0
    told = ["cameras.source=labels", "discriminator.camera_conditioned=true", "discriminator.camera_noise=1"]
    assert load_recipe("3dgp", small=True, changes=told).discriminator.camera_noise == 1


def test_another_discriminator_is_another_recipe():
    with pytest.raises(InputError, match=r"discriminator\.kind belongs to the recipe 3dgp; take another"):
        load_recipe("3dgp", small=True, changes=["discriminator.kind=dual", "discriminator.grouping=strided"])


@pytest.mark.parametrize(("name", "inner"), [("3dgp", "yaw.std"), ("epigraf", "fov_deg.center"), ("eg3d", "target.x")])
def test_how_a_table_is_set_is_said_with_what_it_is_now(name, inner):
    with pytest.raises(
        InputError, match=rf"no value prior\.{inner}: prior\.\w+ is one value; give all of it"
    ) as caught:
        load_recipe(name, small=True, changes=[f"prior.{inner}=0.1"])
    _, told = shlex.split(str(caught.value).partition("such as ")[2])
    assert load_recipe(name, small=True, changes=[told]).to_dict() == load_recipe(name, small=True).to_dict()


def test_what_a_value_is_already_may_be_said():
    assert load_recipe("eg3d", small=True, changes=["losses.style_mixing=0.0"]).losses.style_mixing == 0


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("name", recipe_names())
def test_recipes_say_and_explain_only_what_counts(name, small):
    table = tomllib.loads(resources.files("gen3d_tools.training.recipes").joinpath(f"{name}.toml").read_text())
    recipe = load_recipe(name, small=small)
    for part in (table, table["small"]):
        said = [f"{section}.{key}" for section, entries in part.items() if section != "small" for key in entries]
        assert all(is_read(one, recipe.family) for one in said)
    assert all(is_read(one, recipe.family) for one, _, _ in recipe.explain())


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe_names())
def test_what_does_not_count_is_not_looked_at(name, tmp_path, monkeypatch):
    recipe = tiny_recipe(name)
    trainer = Trainer(recipe, open_pictures(write_pictures(tmp_path, side=recipe.data.resolution), recipe.data))
    looked_at = set()
    for section, kind in SECTIONS.items():
        monkeypatch.setattr(kind, "__getattribute__", recording(section, looked_at), raising=False)
    trainer.step()
    monkeypatch.undo()
    assert "losses.adversarial" in looked_at
    looked_at -= {"cameras.depth_kimg", "cameras.prior_share"}  # handed on to what only some generators have
    assert [one for one in looked_at if not is_read(one, recipe.family)] == []


def recording(section, looked_at):
    def look(self, name):
        if not name.startswith("_"):
            looked_at.add(f"{section}.{name}")
        return object.__getattribute__(self, name)

    return look
