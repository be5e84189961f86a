"""What a published 3DGP pickle says, in the words of `ThreeDGPConfig` and `ModelSettings`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gen3d_tools.cameras.conventions import LEVEL
from gen3d_tools.cameras.distributions.priors import PosePrior, Shape, Spread, fixed
from gen3d_tools.cameras.poses import Pose
from gen3d_tools.checkpoints.native import check_tensors
from gen3d_tools.checkpoints.official import OfficialModel
from gen3d_tools.errors import CheckpointError
from gen3d_tools.fields.backdrop import FAR_AWAY
from gen3d_tools.fields.render_config import Background, RenderConfig
from gen3d_tools.generators.configs import ThreeDGPConfig
from gen3d_tools.generators.families.threedgp import MEAN_CAMERA_SAMPLES, build_camera_generator
from gen3d_tools.generators.latents import latent_z
from gen3d_tools.generators.official.epigraf_base import (
    LICENCE,
    activated_iso_level,
    class_names,
    count,
    fixed_view,
    mean_camera_values,
    network_tensors,
    plane_values,
    setting,
    table,
    trusted_views,
)
from gen3d_tools.generators.official.settings_tables import number, refusals, rows, text
from gen3d_tools.generators.settings import ModelSettings
from gen3d_tools.printable import quoted

MEAN_CAMERA = "mapping.mean_camera_params"
_CAMERA_ADAPTOR = "synthesis.camera_adaptor"
_DEPTH_ADAPTOR = "synthesis.depth_adaptor"
_CLAMP = 256.0
_CLOSED = 1e-3  # length of the last interval of rays that are not closed
_ANGLE_SHAPES: dict[str, Shape] = {
    "uniform": "uniform",
    "normal": "normal",
    "truncnorm": "truncated_normal",
    "hybrid": "hybrid",
    "spherical_uniform": "uniform",  # of the yaw; the pitch is uniform in area
}


def from_official(model: OfficialModel) -> tuple[ThreeDGPConfig, ModelSettings, dict[str, Tensor]]:
    """Translate a pickle's settings and tensors.

    Returns:
        What the network is, how it wants to be used, and its state dict.

    Raises:
        CheckpointError: Something is missing, or asks for a network or renderer that 3DGP does not have.
    """
    settings = model.config
    if settings.get("has_view_cond", False):
        raise CheckpointError("has_view_cond is on, which 3DGP's own code cannot use either")
    if _marcher(settings) not in ("classical", "mip"):
        raise CheckpointError(f"ray_marcher_type is {quoted(_marcher(settings))}, it must be classical or mip")
    midpoint = _marcher(settings) == "mip"
    camera = _camera(settings)
    values = {
        **ThreeDGPConfig().to_dict(),  # for the parts that are not there
        **plane_values(model, model.tensors, None if settings.get("fp32_only", True) else _CLAMP),
        "mean_camera": mean_camera_values(model, MEAN_CAMERA, 5),
        "density_shift": number(settings.get("density_bias", 0.0), "density_bias") if midpoint else 0.0,
        "box_side": 2 * setting(camera, "cube_scale", "camera"),
        "color_activation": "sigmoid" if midpoint else "linear",
        **_camera_generator(model, camera),
        **_depth_adaptor(model, camera),
    }
    config = ThreeDGPConfig.from_dict(values)
    tensors = network_tensors(model, MEAN_CAMERA, {})
    progress = f"{_DEPTH_ADAPTOR}.progress_coef"
    if progress in tensors:  # published training writes a plain number there once its schedules run
        tensors[progress] = tensors[progress].reshape(-1)
    with refusals("the config"):
        use = _settings(config, settings, camera, tensors)
    return config, use, tensors


def _marcher(settings: Mapping[str, Any]) -> str:
    return text(settings.get("ray_marcher_type", "classical"), "ray_marcher_type")


def _camera(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The camera section; old files have it below the data set only."""
    if isinstance(settings.get("camera"), Mapping):
        return table(settings, "camera", "the config")
    return table(table(settings, "dataset", "the config"), "camera", "dataset")


def _camera_generator(model: OfficialModel, camera: Mapping[str, Any]) -> dict[str, Any]:
    """The camera generator's values; it is there if its tensors are."""
    if not any(name.startswith(f"{_CAMERA_ADAPTOR}.") for name in model.tensors):
        return {}
    options = table(model.config, "camera_adaptor", "the config")
    adjust = table(options, "adjust", "camera_adaptor")
    origin, look_at = table(camera, "origin", "camera"), table(camera, "look_at", "camera")
    origin_angles, aim_angles = (table(one, "angles", "camera") for one in (origin, look_at))
    entries = [
        table(origin_angles, "yaw", "angles"),
        table(origin_angles, "pitch", "angles"),
        table(camera, "fov", "camera"),
        table(aim_angles, "yaw", "angles"),
        table(aim_angles, "pitch", "angles"),
        table(look_at, "radius", "look_at"),
    ]
    low, high = (tuple(setting(entry, end, "a camera prior") for entry in entries) for end in ("min", "max"))
    return {
        "camera_generator": True,
        "camera_low": low,
        "camera_high": high,
        "camera_hidden": rows(model.tensors, f"{_CAMERA_ADAPTOR}.origin_adaptor.project_params.weight"),
        "camera_embed": rows(model.tensors, f"{_CAMERA_ADAPTOR}.look_at_adaptor.project_z.weight"),
        "camera_lr_multiplier": number(options.get("lr_multiplier", 0.1), "lr_multiplier"),
        "camera_residual": bool(options.get("residual", False)),
        **{
            f"adjust_{name}": bool(adjust.get(name, name != "radius"))
            for name in ("angles", "radius", "fov", "look_at")
        },
    }


def _depth_adaptor(model: OfficialModel, camera: Mapping[str, Any]) -> dict[str, Any]:
    """The depth adaptor's values; it is there if its tensors are."""
    if not any(name.startswith(f"{_DEPTH_ADAPTOR}.") for name in model.tensors):
        return {}
    options = table(model.config, "depth_adaptor", "the config")
    strategy = options.get("out_strategy", "random")
    if strategy not in ("random", "last", "mean"):
        raise CheckpointError(f"out_strategy is {quoted(strategy)}, it must be random, last or mean")
    made = model.attributes.get(_DEPTH_ADAPTOR, {})
    ray = table(camera, "ray", "camera")
    return {
        "depth_adaptor": True,
        "depth_near": number(made.get("min_depth", ray.get("start")), "min_depth"),
        "depth_far": number(made.get("max_depth", ray.get("end")), "max_depth"),
        "depth_kernel_size": count(options, "kernel_size", "depth_adaptor", 5),
        "depth_hidden": count(options, "hid_dim", "depth_adaptor", 64),
        "depth_layers": count(options, "num_hid_layers", "depth_adaptor", 3),
        "depth_near_offset_fraction": number(options.get("near_plane_offset_max_fraction", 0.25), "the offset"),
        "depth_strategy": "mean" if strategy == "mean" else "last",  # "random" is the last answer once trained
    }


def _settings(
    config: ThreeDGPConfig,
    settings: Mapping[str, Any],
    camera: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
) -> ModelSettings:
    prior = _prior(camera, config.mean_camera)
    return ModelSettings(
        render_config=_render_config(settings, camera),
        camera_distribution=prior,
        default_view=fixed_view(_mean_pose(config, prior, tensors)),
        trusted_views=trusted_views(prior),
        iso_level=activated_iso_level("softplus", config.density_shift),
        class_names=class_names(config.num_classes),
        provenance={"source": "3DGP pickle"},
        licence=LICENCE,
    )


def _render_config(settings: Mapping[str, Any], camera: Mapping[str, Any]) -> RenderConfig:
    steps = count(settings, "num_ray_steps", "the config", 32)
    midpoint, closed = _marcher(settings) == "mip", bool(settings.get("use_inf_depth", True))
    boxed = bool(settings.get("use_full_box", False))
    ray = table(camera, "ray", "camera")
    dataset = settings.get("dataset") or {}
    background: Background = "last" if dataset.get("last_back", False) else "grey"
    if midpoint:
        background = "white" if dataset.get("white_back", False) else "none"
    return RenderConfig(
        near="box" if boxed else setting(ray, "start", "ray"),
        far="box" if boxed else setting(ray, "end", "ray"),
        coarse_samples=steps,
        fine_samples=steps,
        jitter="outward" if midpoint else "intervals",
        marcher="midpoint" if midpoint else "classical",
        last_interval=FAR_AWAY if closed else None if midpoint else _CLOSED,
        background=background,
        last_in_coarse_pass=background == "last",
        importance="smoothed" if midpoint else "plain",
        coarse_unit="ray",
        distance_rule="sum",
        missed_rays="largest-far",
        pixel_grid="corners",
    )


def _prior(camera: Mapping[str, Any], mean_camera: Sequence[float]) -> PosePrior:
    origin = table(camera, "origin", "camera")
    angles = table(origin, "angles", "origin")
    if angles.get("dist") == "custom":
        yaw, pitch, _, fov, radius = mean_camera
        return PosePrior(yaw=fixed(yaw), pitch=fixed(pitch), fov_deg=fixed(fov), radius=fixed(radius))
    yaw_spread, pitch_spread = _angles(angles, "origin.angles")
    aim = camera.get("look_at") or {}
    aim_yaw, aim_pitch = _angles(aim["angles"], "look_at.angles") if "angles" in aim else (fixed(0.0), fixed(LEVEL))
    return PosePrior(
        yaw=yaw_spread,
        pitch=pitch_spread,
        fov_deg=_scalar(table(camera, "fov", "camera"), "fov"),
        radius=_scalar(table(origin, "radius", "origin"), "origin.radius"),
        look_at_yaw=aim_yaw,
        look_at_pitch=aim_pitch,
        look_at_radius=_scalar(aim["radius"], "look_at.radius") if "radius" in aim else fixed(0.0),
    )


def _angles(entry: Mapping[str, Any], where: str) -> tuple[Spread, Spread]:
    """The distributions of yaw and pitch."""
    name = text(entry.get("dist"), f"dist of {where}")
    if name not in _ANGLE_SHAPES:
        raise CheckpointError(f"unknown distribution {quoted(name)} of {where}")
    spreads = []
    for which in ("yaw", "pitch"):
        bounds = table(entry, which, where)
        low, high = (number(bounds.get(end, 0.0), f"{where}.{which}") for end in ("min", "max"))
        shape = "uniform_area" if name == "spherical_uniform" and which == "pitch" else _ANGLE_SHAPES[name]
        # A truncated normal distribution is centred between its bounds, whatever its mean says.
        center = (low + high) / 2 if name == "truncnorm" else number(bounds.get("mean", 0.0), f"{where}.{which}")
        std = number(bounds.get("std", 0.0), f"{where}.{which}")
        spreads.append(Spread(shape=shape, center=center, std=std, low=low, high=high))
    return spreads[0], spreads[1]


def _scalar(entry: Any, where: str) -> Spread:
    """The distribution of a number; a normal one must be constant."""
    if not isinstance(entry, Mapping):
        raise CheckpointError(f"{where} is {type(entry).__name__}, it must be a table")
    name = entry.get("dist")
    if name == "normal":
        if number(entry.get("std", 0.0), where):
            raise CheckpointError(f"{where} is normal with a spread, which 3DGP does not have")
        return fixed(setting(entry, "mean", where))
    low, high = (setting(entry, end, where) for end in ("min", "max"))
    if name == "uniform":
        return Spread(shape="uniform", low=low, high=high)
    if name == "truncnorm":
        mean, std = (setting(entry, one, where) for one in ("mean", "std"))
        return Spread(shape="truncated_normal", center=mean, std=std, low=low, high=high)
    raise CheckpointError(f"unknown distribution {quoted(name)} of {where}")


def _mean_pose(config: ThreeDGPConfig, prior: PosePrior, tensors: Mapping[str, Tensor]) -> Pose:
    """The mean of many prior cameras, moved by the camera generator if there is one.

    Raises:
        CheckpointError: The camera generator's tensors do not fit.
    """
    seeds = range(MEAN_CAMERA_SAMPLES)
    poses = prior.sample_poses(len(seeds), seeds)
    if not config.camera_generator:
        return poses.mean()
    with refusals("the config"):
        adaptor = build_camera_generator(config)
    prefix = f"{_CAMERA_ADAPTOR}."
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    check_tensors(own, adaptor.state_dict(), _CAMERA_ADAPTOR)
    adaptor.load_state_dict(own)
    onehots = None
    if config.num_classes:
        drawn = [int(np.random.RandomState(seed).choice(config.num_classes)) for seed in seeds]
        onehots = torch.nn.functional.one_hot(torch.tensor(drawn), config.num_classes).float()
    with torch.no_grad():
        moved = adaptor(poses.parameters, latent_z(seeds, config.z_dim), onehots)
    return Pose.from_parameters(moved).mean()
