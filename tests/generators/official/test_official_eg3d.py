"""What a published EG3D file says becomes a config; what it cannot mean is refused by name."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gen3d_tools.cameras.distributions.eg3d import eg3d_look_at
from gen3d_tools.cameras.distributions.named import GaussianLookAt, UniformSphere
from gen3d_tools.checkpoints.official import OfficialModel
from gen3d_tools.errors import CheckpointError
from gen3d_tools.fields.triplane import PLANE_AXES
from gen3d_tools.generators.families.eg3d import EG3DGenerator
from gen3d_tools.generators.official.eg3d import from_official, plane_axes_name
from gen3d_tools.geometry.extraction.isosurface import raw_iso_level

GOLDEN = Path(__file__).parents[2] / "golden" / "eg3d"


def read(name):
    tensors = load_file(GOLDEN / f"{name}.safetensors")
    params = {key[7:]: value.float() for key, value in tensors.items() if key.startswith("params.")}
    return json.loads((GOLDEN / f"{name}.json").read_text())["init_kwargs"], params


KWARGS, PARAMS = read("auto_limits_4x")
STANDARD_AXES = torch.tensor(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[1, 0, 0], [0, 0, 1], [0, 1, 0]],
        [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
    ]
).float()


def model(arguments=None, rendering=None, attributes=None, params=None, without=()):
    """The recorded model with a few things changed."""
    kwargs = {key: value for key, value in (KWARGS | (arguments or {})).items() if key not in without}
    if isinstance(kwargs.get("rendering_kwargs"), dict):
        changed = kwargs["rendering_kwargs"] | (rendering or {})
        kwargs["rendering_kwargs"] = {key: value for key, value in changed.items() if key not in without}
    return OfficialModel(
        source="model.pkl",
        family="eg3d",
        init_kwargs=kwargs,
        attributes=attributes or {},
        classes={},
        config={},
        tensors=PARAMS if params is None else params,
        sha256="0" * 64,
    )


def config_of(*args, **kwargs):
    return from_official(model(*args, **kwargs))[0]


def test_arguments_and_tensors_become_a_config_that_the_tensors_fit():
    config, settings, tensors = from_official(model())
    assert (config.plane_resolution, config.plane_channels) == (32, 32)
    assert (config.embed_dim, config.mapping_width, config.mapping_layers) == (20, 28, 3)
    assert (config.decoder_width, config.feature_channels) == (64, 32)
    assert (config.super_resolution, config.super_resolution_noise, config.conv_clamp) == ("4x", "const", None)
    assert (config.camera_scale, config.box_side) == (0.5, 1.4)
    assert (settings.render_config.near, settings.render_config.coarse_samples) == ("box", 14)
    with torch.device("meta"):
        generator = EG3DGenerator(config, settings)
    generator.load_tensors(tensors, "here")
    assert generator.image_resolution == KWARGS["img_resolution"]


def test_defaults_are_those_of_the_published_classes():
    config = config_of(without=("conv_clamp", "channel_base", "sr_num_fp16_res", "decoder_lr_mul", "mapping_kwargs"))
    assert (config.conv_clamp, config.channel_base, config.super_resolution_clamped) == (256, 32768, False)
    assert (config.decoder_lr_multiplier, config.render_resolution) == (1.0, 64)
    assert (config.mapping_layers, config.embed_dim, config.mapping_width) == (8, 512, 512)


def test_live_attributes_win_over_arguments():
    rendering = KWARGS["rendering_kwargs"] | {"depth_resolution": 30, "ray_start": 1.0, "ray_end": 2.0}
    axes = STANDARD_AXES.clone()
    axes[2] = torch.tensor([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])
    attributes = {
        "": {"rendering_kwargs": rendering, "neural_rendering_resolution": 128},
        "renderer": {"plane_axes": axes},
    }
    config, settings, _ = from_official(model(attributes=attributes))
    assert config.render_resolution == 128
    assert config.plane_axes == "xy-xz-zy"
    assert (settings.render_config.coarse_samples, settings.render_config.near) == (30, 1.0)


def test_a_missing_camera_scale_means_no_conditioning():
    assert config_of().camera_scale == 0.5
    assert config_of(without=("c_scale",)).camera_scale == 0
    assert config_of(rendering={"c_gen_conditioning_zero": True}).camera_scale == 0


@pytest.mark.parametrize("name", PLANE_AXES)
def test_plane_axes_are_known_by_their_inverse(name):
    matrices = torch.stack([torch.eye(3)[[u, v, 3 - u - v]] for u, v in PLANE_AXES[name]])
    assert plane_axes_name(matrices) == name
    point = torch.tensor([1.0, 2.0, 3.0])
    for (u, v), matrix in zip(PLANE_AXES[name], matrices, strict=True):
        assert (point @ torch.linalg.inv(matrix))[:2].tolist() == [point[u], point[v]]


def test_the_published_axes_repeat_the_second_plane():
    assert plane_axes_name(STANDARD_AXES) == "xy-xz-zx"
    assert config_of().plane_axes == "xy-xz-zx"


@pytest.mark.parametrize("axes", [torch.eye(3).expand(3, 3, 3), torch.zeros(3, 3, 3), torch.zeros(2, 3, 3)])
def test_other_axes_are_refused(axes):
    with pytest.raises(CheckpointError, match="plane_axes"):
        plane_axes_name(axes)


def test_faces_are_seen_from_the_front_and_objects_from_everywhere():
    _, faces, _ = from_official(model(rendering={"avg_camera_radius": 2.7, "avg_camera_pivot": [0, 0, 0.2]}))
    _, objects, _ = from_official(model(rendering={"c_gen_conditioning_zero": True}))
    assert isinstance(faces.camera_distribution, GaussianLookAt)
    assert isinstance(objects.camera_distribution, UniformSphere)
    assert faces.trusted_views.yaw_max_deg < 90 < objects.trusted_views.yaw_max_deg
    front = faces.default_view.mean()
    expected = eg3d_look_at(math.pi / 2, math.pi / 2, (0, 0, 0.2), 2.7)
    torch.testing.assert_close(front.cam2world, expected, atol=1e-6, rtol=0)
    assert front.intrinsics[0, 0].item() == pytest.approx(4.2647, abs=1e-4)
    assert objects.default_view.mean().intrinsics[1, 1].item() == pytest.approx(1.7074, abs=1e-4)


def test_the_suggested_surface_is_the_scripts_raw_density_of_ten():
    _, settings, _ = from_official(model())
    assert raw_iso_level(settings.iso_level, "softplus", -1.0) == pytest.approx(10.0)


def test_constants_and_statistics_are_dropped():
    _, _, tensors = from_official(model(params=PARAMS | {"dataset_label_std": torch.ones(25)}))
    assert not [name for name in tensors if "resample_filter" in name or "label_std" in name]
    assert "backbone.synthesis.b4.conv1.noise_const" in tensors


def test_another_filter_is_refused():
    name = next(name for name in PARAMS if name.endswith("resample_filter"))
    with pytest.raises(CheckpointError, match=name):
        from_official(model(params=PARAMS | {name: torch.ones(4, 4) / 16}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"without": ("z_dim",)}, "lacks z_dim"),
        ({"without": ("rendering_kwargs",)}, "lacks rendering_kwargs"),
        ({"without": ("box_warp", "ray_end")}, "lacks ray_end, box_warp"),
        ({"arguments": {"rendering_kwargs": 3}}, "must be a table"),
        ({"arguments": {"mapping_kwargs": 3}}, "must be a table"),
        ({"arguments": {"architecture": "resnet"}}, "only 'skip'"),
        ({"arguments": {"img_channels": 4}}, "only 3"),
        ({"arguments": {"img_resolution": 512}}, "makes another size"),
        ({"arguments": {"c_dim": 7}}, "camera_dim"),
        ({"arguments": {"z_dim": "24"}}, "z_dim"),
        ({"arguments": {"triplane_depth": 3}}, "triplane_depth"),
        ({"arguments": {"mapping_kwargs": {"film": True}}}, "mapping_kwargs holds film"),
        ({"arguments": {"mapping_kwargs": {"activation": "relu"}}}, "only lrelu"),
        ({"arguments": {"sr_kwargs": {"depth": 3}}}, "sr_kwargs holds depth"),
        ({"rendering": {"clamp_mode": "relu"}}, "only softplus"),
        ({"rendering": {"superresolution_module": "other.Upsampler"}}, "Upsampler' is not supported"),
        ({"rendering": {"superresolution_noise_mode": "loud"}}, "super_resolution_noise"),
        ({"rendering": {"ray_start": "auto", "ray_end": 3.0}}, "ray_start"),
        ({"rendering": {"ray_start": 3.0, "ray_end": 2.0}}, "near < far"),
        ({"rendering": {"disparity_space_sampling": True}}, "disparity"),
        ({"rendering": {"depth_resolution": 10**9}}, "0..4096"),
        ({"rendering": {"depth_resolution": None}}, "must be a number"),
        ({"rendering": {"box_warp": [1]}}, "box_warp"),
        ({"rendering": {"avg_camera_pivot": [0, 0]}}, "three numbers"),
        ({"rendering": {"avg_camera_pivot": [0, 0, 2.0]}}, "stands on its target"),
        ({"attributes": {"": {"neural_rendering_resolution": 64.5}}}, "render_resolution"),
        ({"params": {}}, "b0.torgb.weight is missing"),
    ],
)
def test_what_eg3d_cannot_be_is_refused_in_one_line(change, message):
    with pytest.raises(CheckpointError, match=message) as refused:
        from_official(model(**change))
    assert "\n" not in str(refused.value)
