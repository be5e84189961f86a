"""What a published EG3D pickle says, in the words of `EG3DConfig` and `ModelSettings`.

The live attributes of the networks win over the arguments they were built with: training changes the former.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.distributions.named import CameraDistribution, FixedCamera, GaussianLookAt, UniformSphere
from gen3d_tools.checkpoints.official import OfficialModel
from gen3d_tools.errors import CheckpointError
from gen3d_tools.fields.choices import PlaneAxes
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import PLANE_AXES
from gen3d_tools.generators.configs import EG3DConfig, VariantName
from gen3d_tools.generators.families.eg3d import DENSITY_SHIFT
from gen3d_tools.generators.networks.superresolution import VARIANTS
from gen3d_tools.generators.official.settings_tables import (
    demand,
    number,
    refusals,
    refuse_others,
    rows,
    text,
    without_filters,
)
from gen3d_tools.generators.settings import ModelSettings, TrustedViews
from gen3d_tools.printable import quoted

LICENCE = "NVIDIA Source Code License (non-commercial)"
RAW_ISO_LEVEL = 10.0
"""Raw density at the surface that EG3D's scripts use."""

# No pickle names its lens. Networks conditioned on a pose were trained on faces, the others on cars seen from
# everywhere; these are the focal lengths, in image sides, of EG3D's data sets and video script.
_FACE_FOCAL, _OBJECT_FOCAL = 4.2647, 1.7074

_ROOT = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")
_IDLE = ("fused_modconv_default", "num_fp16_res", "fp16_channels_last")
_FIXED = {
    "img_channels": 3,
    "architecture": "skip",
    "resample_filter": [1, 3, 3, 1],
    "activation": "lrelu",
    "kernel_size": 3,
}
_BACKBONE = ("channel_base", "channel_max", "conv_clamp", "use_noise")
_NESTED = ("sr_num_fp16_res", "mapping_kwargs", "rendering_kwargs", "sr_kwargs")
_MAPPING = ("num_layers", "embed_features", "layer_features", "lr_multiplier", "activation", "w_avg_beta")
_SUPER_RESOLUTION = ("channel_base", "channel_max", "fused_modconv_default", "num_fp16_res", "conv_clamp")
_RENDERING = (
    "depth_resolution",
    "depth_resolution_importance",
    "ray_start",
    "ray_end",
    "box_warp",
    "disparity_space_sampling",
    "clamp_mode",
    "superresolution_module",
    "superresolution_noise_mode",
    "c_gen_conditioning_zero",
)
_VARIANTS: dict[str, VariantName] = {
    f"SuperresolutionHybrid{name}": variant
    for name, variant in zip(("8XDC", "8X", "4X", "2X", "Deepfp32"), VARIANTS, strict=True)
}


def from_official(model: OfficialModel) -> tuple[EG3DConfig, ModelSettings, dict[str, Tensor]]:
    """Translate a pickle's settings and tensors.

    Returns:
        What the network is, how it wants to be used, and its state dict.

    Raises:
        CheckpointError: Something is missing, or asks for a network or renderer that EG3D does not have.
    """
    root = model.attributes.get("", {})
    arguments = dict(model.init_kwargs)
    demand(arguments, (*_ROOT, "rendering_kwargs"), "the generator's arguments")
    rendering = root.get("rendering_kwargs", arguments["rendering_kwargs"])
    demand(rendering, _RENDERING, "rendering_kwargs")
    tensors = without_filters(model.tensors)
    tensors.pop("dataset_label_std", None)  # a training statistic
    axes = model.attributes.get("renderer", {}).get("plane_axes")
    values = {
        **_mapping(arguments),
        **_backbone(arguments, tensors),
        **_decoder(rendering, tensors),
        **_super_resolution(arguments, rendering),
        "plane_axes": "xy-xz-zx" if axes is None else plane_axes_name(axes),
        "box_side": number(rendering["box_warp"], "box_warp"),
        "camera_scale": _camera_scale(rendering),
        "render_resolution": root.get("neural_rendering_resolution", 64),
    }
    assert set(values) == {field.name for field in fields(EG3DConfig)}
    config = EG3DConfig.from_dict(values)
    with refusals("rendering_kwargs"):
        settings = _settings(rendering)
    return config, settings, tensors


def plane_axes_name(axes: Any) -> PlaneAxes:
    """Name the planes' axes, given per plane as the rows of a 3x3 matrix [3, 3, 3].

    A point is looked up at the first two entries of `point @ inverse(matrix)`; for a permutation those are the
    coordinates that the first two rows point to.

    Raises:
        CheckpointError: No such arrangement is supported.
    """
    matrix = torch.as_tensor(axes).float()
    if matrix.shape == (3, 3, 3) and torch.isfinite(matrix).all():
        for name, pairs in PLANE_AXES.items():
            if torch.equal(matrix, torch.stack([torch.eye(3)[[u, v, 3 - u - v]] for u, v in pairs])):
                return name
    raise CheckpointError(f"plane_axes {list(matrix.shape)} is none of the arrangements {', '.join(PLANE_AXES)}")


def _mapping(arguments: Mapping[str, Any]) -> dict[str, Any]:
    options = arguments.get("mapping_kwargs") or {}
    refuse_others(options, _MAPPING, "mapping_kwargs")
    if options.get("activation", "lrelu") != "lrelu":
        raise CheckpointError(f"mapping_kwargs: activation is {quoted(options['activation'])}, only lrelu is supported")
    return {
        "z_dim": arguments["z_dim"],
        "w_dim": arguments["w_dim"],
        "camera_dim": arguments["c_dim"],
        "embed_dim": options.get("embed_features") or arguments["w_dim"],
        "mapping_layers": options.get("num_layers", 8),
        "mapping_width": options.get("layer_features") or arguments["w_dim"],
        "mapping_lr_multiplier": options.get("lr_multiplier", 0.01),
    }


def _backbone(arguments: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    refuse_others(arguments, (*_ROOT, *_NESTED, *_BACKBONE, *_IDLE, *_FIXED), "the generator's arguments")
    for name, only in _FIXED.items():
        found = arguments.get(name, only)
        if (list(found) if isinstance(found, tuple) else found) != only:
            raise CheckpointError(f"{name} is {quoted(found)}, only {only!r} is supported")
    blocks = [re.match(r"backbone\.synthesis\.b(\d{1,5})\.", name) for name in tensors]
    resolution = max((int(block[1]) for block in blocks if block), default=0)
    return {
        "plane_resolution": resolution,  # the published code has 256 fixed; what the file holds decides
        "plane_channels": rows(tensors, f"backbone.synthesis.b{resolution}.torgb.weight") // 3,
        "channel_base": arguments.get("channel_base", 32768),
        "channel_max": arguments.get("channel_max", 512),
        "use_noise": arguments.get("use_noise", True),
        "conv_clamp": arguments.get("conv_clamp", 256),
    }


def _decoder(rendering: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    return {
        "decoder_width": rows(tensors, "decoder.net.0.weight"),
        "feature_channels": rows(tensors, "decoder.net.2.weight") - 1,
        "decoder_lr_multiplier": rendering.get("decoder_lr_mul", 1.0),
        "density_noise": rendering.get("density_noise", 0.0),
    }


def _super_resolution(arguments: Mapping[str, Any], rendering: Mapping[str, Any]) -> dict[str, Any]:
    refuse_others(arguments.get("sr_kwargs") or {}, _SUPER_RESOLUTION, "sr_kwargs")
    module = text(rendering["superresolution_module"], "superresolution_module").rpartition(".")[2]
    if module not in _VARIANTS:
        raise CheckpointError(f"super-resolution {quoted(module)} is not supported; known are {', '.join(_VARIANTS)}")
    if arguments["img_resolution"] != VARIANTS[_VARIANTS[module]].resolution:
        raise CheckpointError(f"img_resolution is {quoted(arguments['img_resolution'])}, {module} makes another size")
    return {
        "super_resolution": _VARIANTS[module],
        "super_resolution_antialias": rendering.get("sr_antialias", False),
        "super_resolution_clamped": number(arguments.get("sr_num_fp16_res", 0), "sr_num_fp16_res") > 0,
        "super_resolution_noise": rendering["superresolution_noise_mode"],
    }


def _camera_scale(rendering: Mapping[str, Any]) -> float:
    """What the camera is multiplied by; the published code takes a missing `c_scale` for 0."""
    return 0.0 if rendering["c_gen_conditioning_zero"] else number(rendering.get("c_scale", 0), "c_scale")


def _settings(rendering: Mapping[str, Any]) -> ModelSettings:
    if rendering["clamp_mode"] != "softplus":
        raise CheckpointError(f"clamp_mode is {quoted(rendering['clamp_mode'])}, EG3D knows only softplus")
    posed = _camera_scale(rendering) != 0
    radius = number(rendering.get("avg_camera_radius", 2.7), "avg_camera_radius")
    target = _point(rendering.get("avg_camera_pivot", [0, 0, 0]))
    fov_y_deg = math.degrees(2 * math.atan(0.5 / (_FACE_FOCAL if posed else _OBJECT_FOCAL)))
    cameras: CameraDistribution = (
        GaussianLookAt(radius=radius, fov_y_deg=fov_y_deg, target=target)
        if posed
        else UniformSphere(radius=radius, fov_y_deg=fov_y_deg, target=target)
    )
    front = Camera.look_at((0.0, 0.0, radius), target, fov_y_deg=fov_y_deg)
    yaw, pitch, distance = (number_.item() for number_ in front.spherical(target))
    return ModelSettings(
        render_config=_render_config(rendering),
        camera_distribution=cameras,
        default_view=FixedCamera(radius=distance, fov_y_deg=fov_y_deg, target=target, yaw_deg=yaw, pitch_deg=pitch),
        trusted_views=TrustedViews(yaw_min_deg=-45, yaw_max_deg=45, pitch_min_deg=-25, pitch_max_deg=25)
        if posed
        else TrustedViews(),
        iso_level=math.log1p(math.exp(RAW_ISO_LEVEL + DENSITY_SHIFT)),
        licence=LICENCE,
    )


def _render_config(rendering: Mapping[str, Any]) -> RenderConfig:
    boxed = rendering["ray_start"] == rendering["ray_end"] == "auto"
    return RenderConfig(
        near="box" if boxed else number(rendering["ray_start"], "ray_start"),
        far="box" if boxed else number(rendering["ray_end"], "ray_end"),
        coarse_samples=_count(rendering, "depth_resolution"),
        fine_samples=_count(rendering, "depth_resolution_importance"),
        spacing="disparity" if rendering["disparity_space_sampling"] else "linear",
        background="white" if rendering.get("white_back", False) else "none",
    )


def _count(rendering: Mapping[str, Any], name: str) -> int:
    value = number(rendering[name], name)
    if not 0 <= value <= 4096:
        raise CheckpointError(f"{name} is {value:g}, it must lie in 0..4096")
    return int(value)


def _point(value: Any) -> tuple[float, float, float]:
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise CheckpointError(f"avg_camera_pivot is {quoted(value)}, it must be three numbers")
    x, y, z = (number(coordinate, "avg_camera_pivot") for coordinate in value)
    return x, y, z
