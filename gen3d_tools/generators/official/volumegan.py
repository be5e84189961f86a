"""What a published VolumeGAN snapshot says, in the words of `VolumeGANConfig` and `ModelSettings`.

Everything comes from the arguments that the averaged generator was built with, with its class's defaults where the
training command left one out; the one thing that only the state dict knows is how far progressive growing got.
"""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from gen3d_tools.cameras.distributions.named import FixedCamera
from gen3d_tools.cameras.distributions.priors import PosePrior, fixed
from gen3d_tools.checkpoints.official import OfficialModel
from gen3d_tools.errors import CheckpointError
from gen3d_tools.fields.backdrop import FAR_AWAY
from gen3d_tools.fields.choices import DensityActivation
from gen3d_tools.fields.density import activate_density
from gen3d_tools.fields.render_config import Background, Jitter, RenderConfig
from gen3d_tools.generators.configs import VolumeGANConfig
from gen3d_tools.generators.networks.layers import low_pass_filter
from gen3d_tools.generators.official.epigraf_base import class_names, count
from gen3d_tools.generators.official.settings_tables import (
    ANGLE_DISTRIBUTIONS,
    angle_spread,
    demand,
    number,
    refusals,
    refuse_others,
)
from gen3d_tools.generators.settings import ModelSettings, TrustedViews
from gen3d_tools.printable import quoted

LICENCE = (
    "MIT repository (VolumeGAN); weights without a statement of their own, trained on FFHQ "
    "(non-commercial data set licence)"
)
_TRUSTED_RAD = 0.4, 0.2  # yaw and pitch of the video script's orbit
_LEVEL = "synthesis.lod"
_RAW_ISO_LEVEL = 10.0
_MAX_STEPS = 4096

_ARGUMENTS: dict[str, Any] = {
    "z_dim": 512,
    "w_dim": 512,
    "repeat_w": True,
    "normalize_z": True,
    "mapping_layers": 8,
    "mapping_fmaps": 512,
    "mapping_use_wscale": True,
    "mapping_wscale_gain": 1.0,
    "mapping_lr_mul": 0.01,
    "label_size": 0,
    "embedding_dim": 512,
    "embedding_bias": True,
    "embedding_use_wscale": True,
    "embedding_wscale_gian": 1.0,  # so it is spelled there
    "embedding_lr_mul": 1.0,
    "normalize_embedding": True,
    "normalize_embedding_latent": False,
    "resolution": None,
    "nerf_res": 32,
    "image_channels": 3,
    "final_tanh": False,
    "demodulate": True,
    "use_wscale": True,
    "wscale_gain": 1.0,
    "lr_mul": 1.0,
    "noise_type": "spatial",
    "fmaps_base": 32768,
    "fmaps_max": 512,
    "filter_kernel": (1, 3, 3, 1),
    "conv_clamp": None,
    "eps": 1e-8,
    "rgb_init_res_out": True,
    "fv_cfg": {},
    "embed_cfg": {},
    "fg_cfg": {},
    "bg_cfg": None,
    "out_dim": 512,
    "ps_cfg": None,
    "hs_cfg": {},
    "vr_cfg": {},
}
"""The constructor's arguments and their defaults; None must be given, but for those that may be None."""

_VOLUME = {"feat_res": 32, "init_res": 4, "base_channels": 256, "output_channels": 32, "w_dim": 512, "bounds": None}
_ENCODING = {"input_dim": 3, "max_freq_log2": 9, "N_freqs": 10, "log_sampling": True, "include_input": True}
_POINTS = {"num_layers": 4, "hidden_dim": 256, "activation_type": "lrelu"}
_CAMERA = (
    *("num_steps", "ray_start", "ray_end", "radius", "fov"),
    *("horizontal_mean", "horizontal_stddev", "vertical_mean", "vertical_stddev"),
)
_INTEGRATION = {
    "last_back": False,
    "white_back": False,
    "clamp_mode": None,
    "render_mode": None,
    "fill_mode": None,
    "max_depth": None,
    "num_per_group": None,
}
DENSITIES: dict[str, tuple[DensityActivation, float]] = {
    "relu": ("relu", 0.0),
    "softplus": ("softplus", 0.0),
    "mipnerf": ("softplus", -1.0),
}


def from_official(model: OfficialModel) -> tuple[VolumeGANConfig, ModelSettings, dict[str, Tensor]]:
    """Translate a snapshot's settings and tensors.

    Returns:
        What the network is, how it wants to be used, and its state dict.

    Raises:
        CheckpointError: Something is missing, or asks for a network or renderer that is not supported.
    """
    tensors, level = _tensors(model.tensors)
    return *from_arguments(model.init_kwargs, level), tensors


def from_arguments(given: Mapping[str, Any], level: float = 0.0) -> tuple[VolumeGANConfig, ModelSettings]:
    """Translate the constructor's arguments.

    Args:
        given: What the training command wrote; the class's defaults fill in the rest.
        level: Of progressive growing, which only the state dict knows.

    Raises:
        CheckpointError: Something is missing, or asks for a network or renderer that is not supported.
    """
    arguments = _with_defaults(given, _ARGUMENTS, "the generator's arguments")
    if arguments["bg_cfg"] is not None:
        raise CheckpointError("bg_cfg asks for a background branch, which the published code cannot run")
    if arguments["image_channels"] != 3 or list(arguments["filter_kernel"]) != [1, 3, 3, 1]:
        raise CheckpointError("image_channels must be 3 and filter_kernel [1, 3, 3, 1], the only ones supported")
    final = _with_defaults(arguments["vr_cfg"], _INTEGRATION, "vr_cfg")
    values = {
        **_mapping(arguments),
        **_structure(arguments),
        **_texture(arguments),
        **_density(final),
        "level": level,
        "box_side": 0.3,  # of the cube that the published script meshes
    }
    assert set(values) == {field.name for field in fields(VolumeGANConfig)}
    config = VolumeGANConfig.from_dict(values)
    with refusals("the generator's arguments"):
        return config, _settings(config, arguments, final)


def _with_defaults(found: Any, defaults: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Fill in what a table leaves out; one that holds anything else would not have been accepted there either."""
    refuse_others(found, tuple(defaults), where)
    return {**defaults, **found}


def _tensors(stored: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], float]:
    """The state dict without constants, and the level of progressive growing.

    Raises:
        CheckpointError: A constant is another one, which this network could not reproduce.
    """
    standard = low_pass_filter(torch.float32, torch.device("cpu"))
    kept, level = {}, 0.0
    for name, tensor in stored.items():
        if name == _LEVEL:
            if tensor.numel() != 1:
                raise CheckpointError(f"{name} has {tensor.numel()} elements, it must be a single number")
            level = float(tensor)
        elif name.startswith("synthesis.") and name.rpartition(".")[2] == "filter":
            if tensor.shape != standard.shape or not torch.allclose(tensor, standard, atol=1e-6):
                raise CheckpointError(f"{name} is not the filter [1, 3, 3, 1], the only one supported; retrain, or ask")
        else:
            kept[name] = tensor
    return kept, level


def _mapping(arguments: Mapping[str, Any]) -> dict[str, Any]:
    where = "the generator's arguments"
    return {
        "z_dim": count(arguments, "z_dim", where),
        "w_dim": count(arguments, "w_dim", where),
        "num_classes": count(arguments, "label_size", where),
        "embed_dim": count(arguments, "embedding_dim", where),
        "embed_bias": bool(arguments["embedding_bias"]),
        "embed_scaled": bool(arguments["embedding_use_wscale"]),
        "embed_gain": number(arguments["embedding_wscale_gian"], "embedding_wscale_gian"),
        "embed_lr_multiplier": number(arguments["embedding_lr_mul"], "embedding_lr_mul"),
        "normalize_z": bool(arguments["normalize_z"]),
        "normalize_embedding": bool(arguments["normalize_embedding"]),
        "normalize_embedded_z": bool(arguments["normalize_embedding_latent"]),
        "mapping_layers": count(arguments, "mapping_layers", where),
        "mapping_width": count(arguments, "mapping_fmaps", where),
        "mapping_scaled": bool(arguments["mapping_use_wscale"]),
        "mapping_gain": number(arguments["mapping_wscale_gain"], "mapping_wscale_gain"),
        "mapping_lr_multiplier": number(arguments["mapping_lr_mul"], "mapping_lr_mul"),
        "shared_w": bool(arguments["repeat_w"]),
    }


def _structure(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The feature volume and the network at points."""
    volume = _with_defaults(arguments["fv_cfg"], _VOLUME, "fv_cfg")
    encoding = _with_defaults(arguments["embed_cfg"], _ENCODING, "embed_cfg")
    points = _with_defaults(arguments["fg_cfg"], _POINTS, "fg_cfg")
    if volume["w_dim"] != 512 or encoding["input_dim"] != 3:
        raise CheckpointError("fv_cfg must have w_dim 512 and embed_cfg input_dim 3, the only ones that run")
    return {
        "volume_resolution": count(volume, "feat_res", "fv_cfg"),
        "volume_start": count(volume, "init_res", "fv_cfg"),
        "volume_base_channels": count(volume, "base_channels", "fv_cfg"),
        "volume_channels": count(volume, "output_channels", "fv_cfg"),
        "volume_bounds": _bounds(volume["bounds"]),
        "posenc_count": count(encoding, "N_freqs", "embed_cfg"),
        "posenc_max_log2": number(encoding["max_freq_log2"], "max_freq_log2"),
        "posenc_logarithmic": bool(encoding["log_sampling"]),
        "posenc_include_input": bool(encoding["include_input"]),
        "point_layers": count(points, "num_layers", "fg_cfg"),
        "point_width": count(points, "hidden_dim", "fg_cfg"),
        "point_activation": points["activation_type"],
        "feature_channels": count(arguments, "out_dim", "the generator's arguments"),
    }


def _bounds(corners: Any) -> tuple[float, ...]:
    """Both corners in one row; they are constants of the published code unless they are given."""
    if corners is None:
        return VolumeGANConfig().volume_bounds
    rows = corners if isinstance(corners, list) and len(corners) == 2 else []
    if not rows or not all(isinstance(row, list) and len(row) == 3 for row in rows):
        raise CheckpointError(f"bounds of fv_cfg are {quoted(corners)}, they must be two corners of three numbers")
    return tuple(number(value, "bounds") for row in rows for value in row)


def _texture(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The 2-D network."""
    where = "the generator's arguments"
    if arguments["resolution"] is None:
        raise CheckpointError(f"{where} lack resolution; the file is incomplete, or of another kind")
    clamp = arguments["conv_clamp"]
    return {
        "resolution": count(arguments, "resolution", where),
        "render_resolution": count(arguments, "nerf_res", where),
        "channel_base": count(arguments, "fmaps_base", where),
        "channel_max": count(arguments, "fmaps_max", where),
        "renderer_scaled": bool(arguments["use_wscale"]),
        "renderer_gain": number(arguments["wscale_gain"], "wscale_gain"),
        "renderer_lr_multiplier": number(arguments["lr_mul"], "lr_mul"),
        "demodulate": bool(arguments["demodulate"]),
        "noise": str(arguments["noise_type"]).lower(),
        "conv_clamp": None if clamp is None else number(clamp, "conv_clamp"),
        "eps": number(arguments["eps"], "eps"),
        "first_image": bool(arguments["rgb_init_res_out"]),
        "final_tanh": bool(arguments["final_tanh"]),
    }


def _density(final: Mapping[str, Any]) -> dict[str, Any]:
    if final["clamp_mode"] not in DENSITIES:
        known = ", ".join(DENSITIES)
        raise CheckpointError(f"clamp_mode of vr_cfg is {quoted(final['clamp_mode'])}, it must be one of {known}")
    activation, shift = DENSITIES[final["clamp_mode"]]
    return {"density_activation": activation, "density_shift": shift}


def _settings(config: VolumeGANConfig, arguments: Mapping[str, Any], final: Mapping[str, Any]) -> ModelSettings:
    camera = arguments["ps_cfg"]
    demand(camera, _CAMERA, "ps_cfg")
    numbers = {name: number(camera[name], name) for name in _CAMERA}
    prior = _prior(str(camera.get("camera_dist", "gaussian")), numbers)
    yaw_deg = 90 - math.degrees(numbers["horizontal_mean"])
    pitch_deg = 90 - math.degrees(numbers["vertical_mean"])
    yaw_reach, pitch_reach = map(math.degrees, _TRUSTED_RAD)
    return ModelSettings(
        render_config=_render_config(camera, numbers, arguments["hs_cfg"], final),
        camera_distribution=prior,
        default_view=FixedCamera(
            yaw_deg=yaw_deg + 0.0,
            pitch_deg=pitch_deg + 0.0,
            radius=numbers["radius"],
            fov_y_deg=numbers["fov"],
        ),
        trusted_views=TrustedViews(
            yaw_min_deg=yaw_deg - yaw_reach,
            yaw_max_deg=yaw_deg + yaw_reach,
            pitch_min_deg=pitch_deg - pitch_reach,
            pitch_max_deg=pitch_deg + pitch_reach,
        ),
        iso_level=_iso_level(config),
        class_names=class_names(config.num_classes),
        provenance={"source": "VolumeGAN snapshot"},
        licence=LICENCE,
    )


def _iso_level(config: VolumeGANConfig) -> float:
    """The script's raw density at the surface, as density per world unit."""
    raw = torch.tensor(_RAW_ISO_LEVEL, dtype=torch.float64, device="cpu")
    return float(activate_density(raw, config.density_activation, config.density_shift))


def _prior(name: str, numbers: Mapping[str, float]) -> PosePrior:
    if name not in ANGLE_DISTRIBUTIONS:
        raise CheckpointError(
            f"unknown distribution of cameras {quoted(name)}; known are {', '.join(ANGLE_DISTRIBUTIONS)}"
        )
    spreads = {}
    for angle, which in (("yaw", "horizontal"), ("pitch", "vertical")):
        mean, std = numbers[f"{which}_mean"], numbers[f"{which}_stddev"]
        bent = name == "spherical_uniform" and angle == "pitch"  # the mean too, whatever the spread
        spreads[angle] = angle_spread(name, mean, std, is_pitch=angle == "pitch") if std > 0 or bent else fixed(mean)
    return PosePrior(**spreads, fov_deg=fixed(numbers["fov"]), radius=fixed(numbers["radius"]), yaw_zero="x")


def _render_config(
    camera: Mapping[str, Any], numbers: Mapping[str, float], coarse_table: Any, final: Mapping[str, Any]
) -> RenderConfig:
    """How rays are sampled and blended.

    The coarse pass only places the fine samples, and its outermost weights place none: of its settings those that
    close the ray have no effect.
    """
    coarse = _with_defaults(coarse_table, _INTEGRATION, "hs_cfg")
    if coarse["clamp_mode"] != final["clamp_mode"]:
        raise CheckpointError("hs_cfg and vr_cfg have different clamp_mode, which is not supported")
    for where, table in (("hs_cfg", coarse), ("vr_cfg", final)):
        unusual = [name for name in ("render_mode", "fill_mode", "num_per_group") if table[name] is not None]
        if unusual:
            raise CheckpointError(f"{where} sets {', '.join(unusual)}, which is not supported; leave it out")
    end = final["max_depth"]
    steps = int(numbers["num_steps"])
    if not 4 <= steps <= _MAX_STEPS or steps != numbers["num_steps"]:
        raise CheckpointError(f"num_steps is {numbers['num_steps']:g}, it must be a whole number of 4..{_MAX_STEPS}")
    return RenderConfig(
        near=numbers["ray_start"],
        far=numbers["ray_end"],
        coarse_samples=steps,
        fine_samples=steps,
        jitter=_jitter(camera.get("perturb_mode")),
        marcher="classical",
        last_interval=FAR_AWAY if end is None else None,
        last_interval_end=None if end is None else number(end, "max_depth"),
        background=_background(final),
        last_in_coarse_pass=bool(coarse["last_back"] and final["last_back"]),
        importance="plain",
        distance_rule="sum",
        pixel_grid="corners",
    )


def _jitter(mode: Any) -> Jitter:
    """Anything but the two texts jitters around the grid points, None included."""
    if mode == "none":
        return "grid"
    return "intervals" if mode == "mid" else "centered"


def _background(final: Mapping[str, Any]) -> Background:
    if final["white_back"] and final["last_back"]:
        raise CheckpointError("both white_back and last_back are on; only one of them is supported at a time")
    return "white" if final["white_back"] else "last" if final["last_back"] else "grey"
