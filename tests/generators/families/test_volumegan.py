"""VolumeGAN: what its settings become, what of them is refused, and pictures before and behind its 2-D network."""

import json
import math
from dataclasses import replace

import pytest
import torch

from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.generators.families.volumegan import VolumeGANConfig, VolumeGANGenerator
from gen3d_tools.generators.families.volumegan_seeds import script_latents
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.official.volumegan import from_arguments
from gen3d_tools.rendering.renderer import render
from tests.support.official_models import GOLDEN

CAMERA = {
    "num_steps": 12,
    "ray_start": 0.8,
    "ray_end": 1.2,
    "radius": 1,
    "horizontal_mean": 1.5707963267948966,
    "horizontal_stddev": 0.3,
    "vertical_mean": 1.5707963267948966,
    "vertical_stddev": 0.155,
    "camera_dist": "gaussian",
    "fov": 12,
    "perturb_mode": None,
}
RELU = {"clamp_mode": "relu"}
GIVEN = {"resolution": 256, "rgb_init_res_out": False, "ps_cfg": CAMERA, "hs_cfg": RELU, "vr_cfg": RELU}


def small_volumegan(**changes):
    """The published settings at a small size, with random weights."""
    config, settings = from_arguments(GIVEN)
    sizes = {
        "z_dim": 8,
        "mapping_width": 8,
        "mapping_layers": 2,
        "volume_resolution": 8,
        "volume_base_channels": 8,
        "volume_channels": 4,
        "point_width": 8,
        "feature_channels": 8,
        "render_resolution": 8,
        "resolution": 16,
        "channel_max": 8,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VolumeGANGenerator(replace(config, **(sizes | changes)), settings).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def generator():
    return load_generator(GOLDEN / "volumegan" / "official_tiny.pth", device="cpu")


def test_a_psi_above_one_truncates_nothing_and_no_cutoff_means_all_rows():
    generator = small_volumegan()
    generator.w_avg.fill_(0.5)
    full = generator.latents([1])
    assert torch.equal(generator.latents([1], truncation_psi=1.5), full)
    half = generator.latents([1], truncation_psi=0.5)
    torch.testing.assert_close(half, (full + 0.5) / 2)
    some = generator.latents([1], truncation_psi=0.5, truncation_cutoff=3)
    assert torch.equal(some, torch.cat([half[:, :3], full[:, 3:]], 1))
    assert torch.equal(generator.latents([1], truncation_psi=0.5, truncation_cutoff=0), full)
    torch.testing.assert_close(generator.latents([1], truncation_psi=-1.0), 1 - full)


def test_the_pitch_of_spherical_uniform_cameras_is_bent_even_without_a_spread():
    still = {"camera_dist": "spherical_uniform", "horizontal_stddev": 0.0, "vertical_stddev": 0.0}
    _, settings = from_arguments({**GIVEN, "ps_cfg": {**CAMERA, **still, "vertical_mean": 1.2}})
    prior = settings.camera_distribution
    assert prior.yaw.range() == pytest.approx((math.pi / 2, math.pi / 2))
    assert prior.pitch.range() == pytest.approx((math.acos(1 - 2 * 1.2 / math.pi),) * 2)


def test_the_published_settings_become_ours():
    config, settings = from_arguments(GIVEN)
    rendering = settings.render_config
    assert (rendering.near, rendering.far, rendering.samples) == (0.8, 1.2, 24)
    assert (rendering.jitter, rendering.background, rendering.last_interval) == ("centered", "grey", 1e10)
    assert config.num_ws == 12
    assert (config.density_activation, config.density_shift, settings.iso_level) == ("relu", 0.0, 10.0)
    assert settings.default_view.yaw_deg == pytest.approx(0)
    with torch.device("meta"):
        assert VolumeGANGenerator(config, settings).num_parameters() == 8_688_271


def test_the_published_size_has_the_channels_of_the_specification():
    config, _ = from_arguments(GIVEN)
    assert config.renderer_channels == [512, 512, 256, 128]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strange": 1}, "strange"),
        ({"resolution": None}, "lack resolution"),
        ({"resolution": "big"}, "resolution"),
        ({"w_dim": 256}, "w_dim is 256, it must be one of 512"),
        ({"bg_cfg": {"num_layers": 4}}, "background branch"),
        ({"filter_kernel": [1, 2, 1]}, "filter_kernel"),
        ({"noise_type": "pink"}, "noise is 'pink'"),
        ({"fg_cfg": {"activation_type": "gelu"}}, "point_activation is 'gelu'"),
        ({"fv_cfg": {"bounds": [[0, 0, 0]]}}, "two corners"),
        ({"embed_cfg": {"input_dim": 2}}, "input_dim 3"),
        ({"ps_cfg": None}, "ps_cfg is NoneType"),
        ({"ps_cfg": {**CAMERA, "num_steps": 2}}, "num_steps is 2"),
        ({"ps_cfg": {**CAMERA, "camera_dist": "ring"}}, "unknown distribution of cameras 'ring'"),
        ({"ps_cfg": {**CAMERA, "ray_end": 0.1}}, "need 0 <= near < far"),
        ({"vr_cfg": {}}, "clamp_mode of vr_cfg is None"),
        ({"hs_cfg": {"clamp_mode": "softplus"}}, "different clamp_mode"),
        ({"vr_cfg": {**RELU, "fill_mode": "weight"}}, "vr_cfg sets fill_mode"),
        ({"hs_cfg": {**RELU, "num_per_group": 4}}, "hs_cfg sets num_per_group"),
        ({"vr_cfg": {**RELU, "white_back": True, "last_back": True}}, "only one of them"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(change, message):
    with pytest.raises(CheckpointError, match=message):
        from_arguments(GIVEN | change)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"resolution": 96, "render_resolution": 32}, "cannot be grown from 32 rays"),
        ({"volume_resolution": 24, "volume_start": 4}, "cannot be grown from 4"),
        ({"volume_start": 16}, "256 channels do not become 32 in 2 stages"),
        ({"volume_bounds": (0.0,) * 6}, "not two corners"),
        ({"mapping_layers": 0}, "mapping_layers is 0"),
        ({"level": 9.0}, "level 9.0 is out of range"),
        ({"channel_base": 16}, "must be above 0"),
    ],
)
def test_sizes_that_make_no_network_are_refused(generator, sizes, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        VolumeGANGenerator(VolumeGANConfig(**sizes), generator.settings)


def test_classes_belong_to_the_settings(generator):
    with (
        torch.device("meta"),
        pytest.raises(CheckpointError, match="class_names holds 0 names, the network has 2 classes"),
    ):
        VolumeGANGenerator(VolumeGANConfig(num_classes=2), generator.settings)
    with pytest.raises(InputError, match="not conditioned on a camera"):
        generator.map(torch.zeros(1, generator.config.z_dim), None, torch.zeros(1, 25))


def test_pictures_come_from_the_network_behind_the_rays_and_raw_ones_from_the_field(generator):
    [field] = generator.fields(generator.latents([0]))
    camera = generator.default_camera()
    final = render(field, camera)
    assert final.rgb.shape == (3, 64, 64)
    assert final.raw.rgb.shape == (3, 16, 16)
    raw = render(field, camera, resolution=16, super_resolution=False)
    torch.testing.assert_close(raw.rgb, final.raw.rgb, atol=1e-5, rtol=0)
    torch.testing.assert_close(raw.depth, final.raw.depth, atol=1e-5, rtol=0)


def test_maps_of_another_size_are_resized_first(generator):
    [field] = generator.fields(generator.latents([0]))
    channels = field(torch.zeros(1, 3))[0].shape[-1]
    for side in (8, 16, 20):
        image, raw = field.super_resolution(torch.rand(channels, side, side))
        assert image.shape == (3, 64, 64)
        assert raw.shape == (3, side, side)


def test_what_closes_a_ray_before_its_last_sample_lets_light_through(generator):
    [field] = generator.fields(generator.latents([0]))
    camera = generator.default_camera()
    closed = render(field, camera, resolution=8, exact=True, super_resolution=False)
    config = replace(field.render_config, last_interval=None, last_interval_end=1.2)
    open_ = render(field, camera, resolution=8, exact=True, super_resolution=False, config=config)
    assert (open_.opacity <= closed.opacity + 1e-5).all()


def test_a_script_seed_depends_on_the_size_of_the_network(generator):
    first = script_latents(generator, 0, 2)
    assert torch.equal(first, script_latents(generator, 0, 2))
    assert first.shape == (2, generator.config.z_dim)
    larger = json.loads((GOLDEN / "volumegan" / "official_tiny_expected.json").read_text())["generator_kwargs"]
    described = from_arguments({k: v for k, v in larger.items() if k != "model_type"} | {"mapping_layers": 9})
    with torch.device("meta"):
        other = VolumeGANGenerator(*described)
    assert not torch.equal(first, script_latents(other, 0, 2))
    with pytest.raises(InputError, match="count is 0"):
        script_latents(generator, 0, 0)
