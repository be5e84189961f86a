"""StyleNeRF pickles: flat, nested and referring settings give one generator; what is unsupported is refused by name."""

import math
from pathlib import Path

import pytest
import torch

from gen3d_tools.errors import CheckpointError
from gen3d_tools.generators.configs import StyleNerfConfig
from gen3d_tools.generators.loading import load_generator
from tests.support.official_pickles import omega_node
from tests.support.stylenerf_generators import CAMERA, RENDERER, arguments, build, stylenerf_bytes, tensors

SNAPSHOT = Path(__file__).parents[2] / "golden" / "stylenerf" / "tiny_snapshot.pkl"


@pytest.fixture
def load(tmp_path):
    def write_and_load(*given, **options):
        path = tmp_path / "network-snapshot-000001.pkl"
        path.write_bytes(stylenerf_bytes(*given, **options))
        return load_generator(path, device="cpu")

    return write_and_load


def refused(load, reason, *given, **options):
    with pytest.raises(CheckpointError, match=reason) as caught:
        load(*given, **options)
    assert str(caught.value).isprintable()


@pytest.mark.slow
def test_the_generator_is_the_one_that_was_written(load):
    found, expected = load(), build()
    assert found.state_dict().keys() == expected.state_dict().keys()
    assert all(torch.equal(found.state_dict()[name], tensor) for name, tensor in expected.state_dict().items())
    render, view = found.settings.render_config, found.settings.default_view
    assert (render.near, render.far, render.coarse_samples, render.fine_samples) == (0.88, 1.12, 8, 8)
    assert (view.radius, view.fov_y_deg) == (1.0, 12.0)
    assert view.pitch_deg == pytest.approx(0, abs=1e-6)
    assert found.settings.iso_level == 30
    trusted = found.settings.trusted_views
    assert trusted.yaw_max_deg == pytest.approx(2 * math.degrees(0.3), abs=1e-4)
    assert "non-commercial" in found.settings.licence


@pytest.mark.slow
def test_flat_settings_of_early_files_are_the_same(load):
    nested, flat = arguments(), arguments()
    for table in ("camera_kwargs", "renderer_kwargs", "upsampler_kwargs"):
        flat["synthesis_kwargs"].update(flat["synthesis_kwargs"].pop(table))
    first, second = load(nested), load(flat, live={"C": {}, "V": {}})
    assert first.config == second.config
    assert first.settings.to_dict()["rendering"] == second.settings.to_dict()["rendering"]
    assert first.settings.to_dict()["cameras"] == second.settings.to_dict()["cameras"]


@pytest.mark.slow
def test_settings_of_hydra_with_references_are_the_same(load):
    kwargs = arguments()
    spec = {"map": kwargs["mapping_kwargs"]["num_layers"], "clamp": 256}
    kwargs["mapping_kwargs"]["num_layers"] = "${spec.map}"
    kwargs["synthesis_kwargs"]["conv_clamp"] = "${spec.clamp}"
    tree = omega_node(
        {"G_kwargs": {name: kwargs[name] for name in ("mapping_kwargs", "synthesis_kwargs")}, "spec": spec}, None
    )
    nodes = tree.state["_content"]["G_kwargs"].state["_content"]
    assert load({**kwargs, **nodes}).config == load(arguments()).config


@pytest.mark.slow
def test_live_settings_fill_in_what_the_arguments_leave_out(load):
    kwargs = arguments(camera_kwargs={"fov": 12})
    assert load(kwargs).settings.render_config.far == 1.12
    without = load(arguments(camera_kwargs={"fov": 12, "depth_range": [0.5, 2.0]}), live={"C": {}})
    assert without.settings.render_config.near == 0.5
    assert without.settings.camera_distribution.radius.center == 2.732  # the published default


@pytest.mark.slow
def test_arguments_and_network_must_agree(load):
    refused(load, "fov is 12 in camera_kwargs, but 16 in the network", live={"C": {**CAMERA, "fov": 16}})
    refused(load, "n_ray_samples is 8 .* but 9", live={"V": {**RENDERER, "n_ray_samples": 9}})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"upsample_mode": "bilinear_ada"}, "upsample_mode 'bilinear_ada'"),
        ({"architecture": "resnet"}, "architecture is 'resnet'"),
        ({"rgb_out_dim_bg": 7}, "rgb_out_dim_bg"),
        ({"kernel_size": 5}, "kernel_size"),
        ({"channel_base": 1e9}, "channel_base"),
        ({"foreground_kwargs": {"use_viewdirs": True}}, "use_viewdirs is True"),
        ({"foreground_kwargs": {"use_sdf": "x"}}, "use_sdf"),
        ({"foreground_kwargs": {"positional_encoding": "gauss", "predict_rgb": True}}, "gauss"),
        ({"foreground_kwargs": {"hidden_size": 10}}, "no colours"),
        ({"foreground_kwargs": [1]}, "foreground_kwargs"),
        ({"camera_kwargs": {**CAMERA, "depth_transform": "InverseWarp"}}, "depth_transform"),
        ({"camera_kwargs": {**CAMERA, "depth_range": [1.12, 0.88]}}, "depth_range"),
        ({"camera_kwargs": {**CAMERA, "depth_range": [1.0]}}, "two numbers"),
        ({"camera_kwargs": {**CAMERA, "angular_camera": False}}, "gaussian_camera without"),
        ({"camera_kwargs": {**CAMERA, "fov": "wide"}}, "fov"),
        ({"renderer_kwargs": {**RENDERER, "sigma_type": "exp_truncated"}}, "exp_truncated"),
        ({"renderer_kwargs": {**RENDERER, "n_ray_samples": 2**70}}, "n_ray_samples"),
        ({"upsampler_kwargs": {"no_2d_renderer": True}}, "no_2d_renderer"),
        ({"input_kwargs": {"output_mode": "ngp"}}, "output_mode is 'ngp'"),
        ({"fork_option": 1}, "synthesis_kwargs holds fork_option, .* a fork"),
        ({"renderer_kwargs": {**RENDERER, "fork_option": 1}}, "renderer_kwargs holds fork_option"),
        ({"foreground_kwargs": {"predict_rgb": True, "fork_option": 1}}, "foreground_kwargs holds fork_option"),
        ({"foreground_kwargs": {"predict_rgb": True, "activation": "relu"}}, "activation is 'relu'"),
    ],
)
def test_what_is_unsupported_or_strange_is_refused_by_its_name(load, change, reason):
    refused(load, reason, arguments(**change), live={"C": {}, "V": {}})


@pytest.mark.slow
def test_the_mapping_networks_settings_are_read_and_others_refused(load):
    def mapping(**settings):
        return {**arguments(), "mapping_kwargs": {"num_layers": 2, **settings}}

    found = load(mapping(lr_multiplier=0.5, w_avg_beta=0.9, activation="lrelu"))
    assert found.mapping.fc0.lr_multiplier == found.config.mapping_lr_multiplier == 0.5
    assert load(mapping()).config.mapping_lr_multiplier == 0.01
    refused(load, "mapping_kwargs: activation is 'relu'", mapping(activation="relu"))
    refused(load, "mapping_kwargs holds depth", mapping(depth=3))
    refused(load, "mapping_lr_multiplier is 0", mapping(lr_multiplier=0))


@pytest.mark.slow
def test_settings_without_effect_are_accepted(load):
    idle = arguments(num_fp16_res=4, margin=0, reg_full=True, no_bbox=True)
    tables = idle["synthesis_kwargs"]
    tables["camera_kwargs"]["random_rotate"] = True
    tables["renderer_kwargs"]["abs_sigma"] = False
    tables["upsampler_kwargs"]["upsample_type"] = "bilinear"
    tables["foreground_kwargs"] |= {"use_style": "StyleGAN2", "skips": [], "activation": "lrelu"}
    assert load(idle).config == load().config


def test_folders_of_earlier_versions_say_nothing_of_the_mappings_learning_rate():
    values = build().config.to_dict()
    del values["mapping_lr_multiplier"]
    assert StyleNerfConfig.from_dict(values).mapping_lr_multiplier == 0.01


@pytest.mark.slow
def test_growth_is_read_from_the_networks_own_state(load):
    params = tensors(build())
    for alpha, growth, samples in ((1.0, 1.0, 8), (-1.0, 1.0, 20), (0.25, 0.25, 8)):
        found = load(None, params | {"synthesis.alpha": torch.tensor(alpha)})
        assert (found.config.growth, found.settings.render_config.coarse_samples) == (growth, samples)
    refused(load, "alpha is 3", None, params | {"synthesis.alpha": torch.tensor(3.0)})
    refused(load, "alpha 0.5", arguments(prog_nerf_only=True), params | {"synthesis.alpha": torch.tensor(0.5)})


@pytest.mark.slow
def test_a_missing_or_misshapen_tensor_is_named(load):
    params = tensors(build())
    del params["synthesis.fg_nerf.sigma_out.bias"]
    refused(load, "foreground.sigma_out.bias", None, params)
    params = tensors(build())
    params["synthesis.b8.conv0.weight"] = torch.zeros(2, 2, 1, 1)
    refused(load, r"upsampler.b8.conv0.weight", None, params)


@pytest.mark.slow
def test_nothing_but_the_averaged_generator_of_the_snapshot_is_used():
    generator = load_generator(SNAPSHOT, device="cpu")
    assert generator.class_names == ("0", "1", "2")
    assert generator.config.background
    assert generator.own_rows == 0
