"""Values that no run could begin with are told when the recipe is read."""

from dataclasses import fields
from types import SimpleNamespace

import pytest
import torch

from gen3d_tools.errors import InputError
from gen3d_tools.training.recipes.ranges import RANGES
from gen3d_tools.training.recipes.recipe import _TYPED, load_recipe, recipe_names
from gen3d_tools.workflows.train import TrainOptions, _Watch, train

REFUSED = {
    "3dgp": [
        ("losses.r1_every", "0", "a whole number from 1 to"),
        ("losses.r1_gamma", "-0.1", "a number from 0 to"),
        ("losses.blur_sigma", "nan", "a number from 0 to"),
        ("losses.adversarial", "soft", "one of non_saturating"),
        ("discriminator.half_blocks", "-1", "a whole number from 0 to"),
        ("discriminator.clamp", "0", 'a number above 0, at most 1e+12, or "none"'),
        ("discriminator.group", "0", "a whole number from 1 to"),
        ("optimisation.g_lr", "-1", "a number from 0 to"),
        ("optimisation.beta1", "1", "a number from 0 to 0.999999"),
        ("optimisation.round", "1.5", "a whole number"),
        ("generator.w_dim", "0", "a whole number from 1 to"),
        ("generator.density_shift", "inf", "a number from"),
        ("rendering.coarse_samples", "0", "a whole number from 2 to"),
        ("prior.yaw", "{shape='uniform', low=nan, high=1.0}", "a number"),
        ("run.seed", "-1", "a whole number from 0 to"),
        ("run.processor_minutes", "0", "a number above 0"),
        ("data.mirror", "maybe", "true or false"),
    ],
    "eg3d": [("augmentation.every", "0", "a whole number from 1"), ("generator.decoder_width", "0", "a whole number")],
    "epigraf": [("generator.decoder_hidden", "0", "a whole number from 1"), ("patches.side", "2", "a whole number")],
    "geometry-aware": [("discriminator.views", "0", "a whole number from 1"), ("losses.density_every", "0", "a whole")],
}


@pytest.mark.parametrize(
    ("name", "value", "found", "wanted"), [(name, *case) for name, cases in REFUSED.items() for case in cases]
)
def test_a_value_out_of_range_is_one_line(name, value, found, wanted):
    with pytest.raises(InputError) as caught:
        load_recipe(name, small=True, changes=[f"{value}={found}"])
    message = str(caught.value)
    assert message.startswith(value)
    assert wanted in message
    assert "\n" not in message


@pytest.mark.parametrize("section", _TYPED)
def test_every_value_has_a_range_which_its_default_fits(section):
    kind = _TYPED[section]
    assert set(RANGES[section]) == {field.name for field in fields(kind)}
    assert all(RANGES[section][field.name].fits(getattr(kind(), field.name)) for field in fields(kind))


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("eg3d", {"resolution": 32}, r"data\.resolution is 32, .*=2x makes 128; train at 128, or .* 128, 256, 512"),
        ("3dgp", {"changes": ["generator.depth_adaptor=false"]}, r"set data\.depth=false as well"),
        (
            "epigraf",
            {"changes": ["patches.distribution=discrete_uniform", "patches.discrete_scales=1"]},
            "discrete_scales is 1, the whole picture is not among them; set 2 or more",
        ),
    ],
)
def test_values_that_the_first_step_would_fail_with_are_one_line(name, more, message):
    with pytest.raises(InputError, match=message):
        load_recipe(name, small=True, **more)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("3dgp", "generator.plane_resolution=7", "power of two >= 4 as resolution, got 7"),
        ("epigraf", "rendering.near=5", "need 0 <= near < far, got near=5"),
        ("3dgp", "rendering.near=box", 'need two numbers, or "box" for both'),
        ("3dgp", "prior.yaw={shape='normal', center=0.0}", r"prior\.yaw has no std"),
        ("epigraf", "prior.radius={shape='normal', center=-1.0, std=0.1}", "radius must be positive, got -1"),
        ("3dgp", "discriminator.frozen=50", "frozen is 50, there are"),
        ("3dgp", "patches.side=6", "a patch has a side of a power of two from 8, got 6"),
        ("3dgp", "generator.camera_generator=no", "camera_generator is .no., which is not what belongs there"),
        ("epigraf", "generator.use_noise=1", "use_noise is 1, which is not what belongs there"),
        ("3dgp", "generator.color_activation=foo", "color_activation is .foo., it must be one of "),
        ("eg3d", "generator.super_resolution=foo", "super_resolution is .foo., it must be one of "),
        ("3dgp", "generator.depth_kernel_size=2", "depth_kernel_size is 2; kernels have a middle, so give 3 or 5"),
        ("geometry-aware", "prior.radius=0", "radius must be positive, got 0"),
    ],
)
@pytest.mark.parametrize("small", [True, False])
def test_what_no_networks_can_be_made_of_is_explained_as_the_run_refuses_it(name, change, message, small, tmp_path):
    options = TrainOptions(recipe=name, small=small, changes=[change])
    with pytest.raises(InputError, match=message) as explained:
        options.load()
    with pytest.raises(InputError) as refused:  # before the pictures, which there are not, are read
        train(tmp_path / "none", tmp_path / "run", options)
    assert str(refused.value) == str(explained.value)


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("small", [True, False])
def test_networks_of_every_recipe_can_be_made(name, small):
    before = torch.random.get_rng_state()
    TrainOptions(recipe=name, small=small).load()
    assert torch.equal(torch.random.get_rng_state(), before)  # nothing is drawn where nothing is made


def test_what_goes_together_instead_is_taken():
    assert load_recipe("eg3d", small=True, resolution=256, changes=["generator.super_resolution=4x"])
    assert load_recipe("3dgp", small=True, changes=["generator.depth_adaptor=false", "data.depth=false"])


def test_what_is_due_more_often_than_every_picture_is_due_in_every_step():
    recipe = SimpleNamespace(optimisation=SimpleNamespace(batch=4))
    watch = SimpleNamespace(trainer=SimpleNamespace(images=8, recipe=recipe))
    assert [_Watch._due(watch, kimg) for kimg in (0.0, 1e-9, 0.0001, 0.003, 0.1)] == [False, True, True, True, False]
