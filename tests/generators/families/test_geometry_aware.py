"""The geometry-aware family as users hold it: seeds and classes in, fields out."""

from dataclasses import replace

import pytest
import torch

from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.generators.families.geometry_aware import GeometryAwareConfig, GeometryAwareGenerator


def test_number_of_latents_is_four_per_resolution(tiny_generator):
    assert tiny_generator.num_ws == 4 * 3  # 4, 8, 16
    assert tiny_generator.latents([0], ["ball"]).shape == (1, 12, 16)


def test_a_seed_is_one_sample_in_every_batch_and_order(tiny_generator):
    together = tiny_generator.latents([3, 1, 2], ["ball", "cube", "ball"])
    alone = tiny_generator.latents([1], ["cube"])
    assert torch.equal(together[1:2], alone)
    planes = [field.planes for field in tiny_generator.fields(together)]
    assert torch.equal(planes[1], tiny_generator.fields(alone)[0].planes)


def test_without_a_class_the_seed_chooses_one_that_it_keeps(tiny_generator):
    chosen = tiny_generator.class_indices(range(40))
    assert set(chosen) == {0, 1}
    assert tiny_generator.class_indices([7]) == [chosen[7]]
    assert torch.equal(tiny_generator.latents([7]), tiny_generator.latents([7], [chosen[7]]))


def test_the_class_changes_the_planes(tiny_generator):
    ws = tiny_generator.latents([5, 5], ["ball", "cube"])
    first, second = tiny_generator.planes(ws)
    assert (first - second).abs().max() > 1e-3


def test_full_truncation_gives_the_mean_of_the_class(tiny_generator):
    ws = tiny_generator.latents([0, 1], ["ball", "cube"], truncation_psi=0.0)
    torch.testing.assert_close(ws[:, 0], tiny_generator.backbone.mapping.w_avg)
    assert not torch.equal(ws[0], ws[1])


def test_soft_labels_blend_the_class_means(tiny_generator):
    half = torch.tensor([[0.5, 0.5]])
    ws = tiny_generator.map(torch.zeros(1, 8), half, truncation_psi=0.0)
    torch.testing.assert_close(ws[0, 0], tiny_generator.backbone.mapping.w_avg.mean(0))


def test_extra_blocks_start_as_the_plain_generator(tiny_generator):
    """Fresh extra blocks add nothing to the planes: their torgb weights and biases are zero."""
    fresh = GeometryAwareGenerator(tiny_generator.config, tiny_generator.settings)
    extra = [block for name, _, block in fresh.backbone.synthesis.blocks() if name.startswith("x")]
    assert len(extra) == 3
    assert all(not block.torgb.weight.any() and not block.torgb.bias.any() for block in extra)


def test_planes_are_differentiable_with_respect_to_the_latents(tiny_generator):
    ws = tiny_generator.latents([0], ["ball"]).requires_grad_()
    tiny_generator.planes(ws).square().sum().backward()
    assert torch.isfinite(ws.grad).all()
    assert (ws.grad.abs().amax(-1) > 0).all()


def test_fields_carry_the_models_settings(tiny_generator):
    field = tiny_generator.fields(tiny_generator.latents([0], ["ball"]))[0]
    assert field.bounded
    assert field.box_side == 1.0
    assert field.render_config == tiny_generator.settings.render_config
    outside = torch.tensor([[0.6, 0.0, 0.0]])
    assert field.density(outside).item() == 0.0


def test_finite_for_extreme_latents(tiny_generator):
    z = torch.full((1, 8), 1e4)
    ws = tiny_generator.map(z, torch.tensor([[1.0, 0.0]]), truncation_psi=3.0)
    field = tiny_generator.fields(ws)[0]
    rgb, density = field.rgb_density(torch.rand(64, 3) - 0.5)
    assert torch.isfinite(rgb).all()
    assert torch.isfinite(density).all()


def test_cameras_follow_their_seeds(tiny_generator):
    cameras = tiny_generator.sample_cameras(2, [4, 9])
    torch.testing.assert_close(cameras[1].cam2world, tiny_generator.sample_cameras(1, [9])[0].cam2world)
    assert tiny_generator.default_camera().batch_shape == ()


@pytest.mark.parametrize(
    ("classes", "message"),
    [(["bal"], "did you mean ball"), (["ball", "cube"], "2 classes for 1 seeds"), ([2], "no class 2")],
)
def test_a_class_that_cannot_be_used_is_named(tiny_generator, classes, message):
    with pytest.raises(InputError, match=message):
        tiny_generator.latents([0], classes)


def test_no_seeds_is_an_error(tiny_generator):
    with pytest.raises(InputError, match="no seeds"):
        tiny_generator.latents([], [])


def test_unconditional_generators_refuse_classes(tiny_generator):
    config = replace(tiny_generator.config, num_classes=0)
    generator = GeometryAwareGenerator(config, replace(tiny_generator.settings, class_names=())).requires_grad_(False)
    assert generator.latents([0]).shape == (1, 12, 16)
    with pytest.raises(InputError, match="unconditional"):
        generator.latents([0], ["ball"])


def test_class_names_must_fit_the_network(tiny_generator):
    with pytest.raises(CheckpointError, match="holds 1 names, the network has 2"):
        GeometryAwareGenerator(tiny_generator.config, replace(tiny_generator.settings, class_names=("one",)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z_dim": "many"}, "z_dim is 'many'"),
        ({"decoder_hidden": []}, "decoder_hidden is"),
        ({"decoder_hidden": [8, 0]}, "decoder_hidden is"),
        ({"plane_axes": "xyz"}, "plane_axes is 'xyz'"),
        ({"bounded": 1}, "bounded is 1"),
        ({"plane_resolution": 2**40}, "plane_resolution is"),
        ({"wings": 2}, "unknown key wings"),
    ],
)
def test_a_config_that_does_not_fit_is_refused_by_name(change, message):
    values = GeometryAwareConfig().to_dict() | change
    with pytest.raises(CheckpointError, match=message):
        GeometryAwareConfig.from_dict(values)


def test_config_round_trip():
    config = GeometryAwareConfig(z_dim=3, decoder_hidden=(5, 6), bounded=True)
    assert GeometryAwareConfig.from_dict(config.to_dict()) == config
