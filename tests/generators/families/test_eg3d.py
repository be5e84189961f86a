"""EG3D as users hold it: seeds to fields that carry their super-resolution; conditioning; native checkpoints."""

import json
from dataclasses import replace

import pytest
import torch

from gen3d_tools.cameras.distributions.named import FixedCamera, GaussianLookAt
from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.families.eg3d import EG3DConfig, EG3DGenerator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.settings import ModelSettings
from gen3d_tools.rendering.renderer import render

SETTINGS = ModelSettings(
    render_config=RenderConfig(near=2.2, far=3.2, coarse_samples=8, fine_samples=6),
    camera_distribution=GaussianLookAt(radius=2.7, fov_y_deg=13.4, target=(0.0, 0.0, 0.2)),
    default_view=FixedCamera(radius=2.5, fov_y_deg=13.4, target=(0.0, 0.0, 0.2)),
)
CONFIG = EG3DConfig(
    z_dim=6,
    w_dim=8,
    embed_dim=5,
    mapping_width=7,
    mapping_lr_multiplier=1.0,
    plane_resolution=16,
    plane_channels=4,
    channel_base=64,
    channel_max=8,
    decoder_width=8,
    feature_channels=5,
    super_resolution="2x",
    render_resolution=12,
)


def build(**changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = EG3DGenerator(replace(CONFIG, **changes), SETTINGS).eval().requires_grad_(False)
        generator.backbone.mapping.w_avg.normal_()
    return generator


@pytest.fixture(scope="module")
def generator():
    return build()


@pytest.fixture(scope="module")
def other_camera():
    return SETTINGS.camera_distribution.sample(1, [3]).to_eg3d_label()


def test_number_of_latents(generator):
    assert generator.num_ws == 6  # 2 log2(16) - 2
    assert generator.latents([0]).shape == (1, 6, 8)


def test_a_seed_is_one_sample_in_every_batch_and_order(generator):
    together = generator.latents([3, 1])
    assert torch.equal(together[1:], generator.latents([1]))
    pictures = [render(field, generator.default_camera()).rgb for field in generator.fields(together)]
    assert torch.equal(pictures[1], render(generator.fields(generator.latents([1]))[0], generator.default_camera()).rgb)


def test_latents_are_conditioned_on_the_default_camera(generator, other_camera):
    z = torch.ones(1, 6)
    default = generator.map(z)
    assert torch.equal(default, generator.map(z, camera_cond=generator.default_camera().to_eg3d_label()[None]))
    assert (generator.map(z, camera_cond=other_camera) - default).abs().max() > 1e-3


def test_a_zeroed_camera_is_not_the_same_as_none(other_camera):
    zeroed = build(camera_scale=0.0)
    z = torch.ones(1, 6)
    assert torch.equal(zeroed.map(z), zeroed.map(z, camera_cond=other_camera))
    unconditioned = build(camera_dim=0)
    assert unconditioned.backbone.mapping.fc0.weight.shape == (7, 6)
    assert torch.equal(unconditioned.map(z), unconditioned.map(z, camera_cond=other_camera))


def test_the_camera_is_scaled_before_it_is_read(generator, other_camera):
    halved = build(camera_scale=0.5)
    z = torch.ones(1, 6)
    assert torch.equal(halved.map(z, camera_cond=other_camera), generator.map(z, camera_cond=other_camera / 2))


def test_it_has_no_classes(generator):
    with pytest.raises(InputError, match="no classes"):
        generator.map(torch.ones(1, 6), torch.ones(1, 2))
    with pytest.raises(CheckpointError, match="class_names holds 2"):
        EG3DGenerator(CONFIG, replace(SETTINGS, class_names=("a", "b")))


def test_random_noise_is_drawn_layer_by_layer_and_constant_by_default(generator):
    for _, _, block in generator.backbone.synthesis.blocks():
        torch.nn.init.constant_(block.conv1.noise_strength, 0.5)
    ws = generator.latents([0])
    assert torch.equal(generator.planes(ws), generator.planes(ws))
    seeded = [generator.planes(ws, noise_mode="random", generator=torch.Generator().manual_seed(2)) for _ in range(2)]
    assert torch.equal(*seeded)
    assert (seeded[0] - generator.planes(ws)).abs().max() > 1e-3


def test_pictures_come_from_the_super_resolution(generator):
    field = generator.fields(generator.latents([0]))[0]
    frames = render(field, generator.default_camera())
    assert generator.image_resolution == 128
    assert frames.rgb.shape == (3, 128, 128)
    assert frames.raw.rgb.shape == (3, 12, 12)
    assert generator.field(field.planes).super_resolution is None


def test_the_last_latent_alone_reaches_the_super_resolution(generator):
    ws = generator.latents([0])
    last, first = ws.clone(), ws.clone()
    last[:, -1] += 1
    first[:, 0] += 1
    found, changed, same = (generator.fields(one)[0].super_resolution.w for one in (ws, last, first))
    assert torch.equal(found, same)
    assert not torch.equal(found, changed)


def test_native_checkpoints_give_the_same_generator_back(generator, tmp_path):
    generator.save(tmp_path / "saved")
    loaded = load_generator(tmp_path / "saved", device="cpu")
    assert loaded.config == generator.config
    assert loaded.settings == generator.settings
    field, again = (one.fields(one.latents([5]))[0] for one in (generator, loaded))
    camera = generator.default_camera()
    assert torch.equal(render(field, camera).rgb, render(again, camera).rgb)
    assert loaded.state_dict().keys() == generator.state_dict().keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("camera_dim", 24),
        ("super_resolution", "16x"),
        ("plane_axes", "zz"),
        ("z_dim", 6.5),
        ("z_dim", True),
        ("w_dim", -1),
        ("conv_clamp", "3"),
        ("camera_scale", 1e9),
        ("use_noise", 1),
        ("super_resolution_noise", None),
    ],
)
def test_a_config_with_a_wrong_value_is_refused_by_name(generator, tmp_path, name, value):
    generator.save(tmp_path / "saved")
    path = tmp_path / "saved" / "config.json"
    config = json.loads(path.read_text())
    config["network"][name] = value
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=name):
        load_generator(tmp_path / "saved", device="cpu")


def test_a_config_that_no_network_has_is_refused():
    with pytest.raises(CheckpointError, match="power of two"):
        EG3DGenerator.from_config(replace(CONFIG, plane_resolution=24).to_dict(), SETTINGS)


def test_config_survives_json():
    config = replace(CONFIG, conv_clamp=256)
    assert EG3DConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
