"""What a published EpiGRAF pickle says, in the words of `EpigrafConfig` and `ModelSettings`."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gen3d_tools.cameras.distributions.priors import PosePrior, Spread, fixed
from gen3d_tools.cameras.poses import Pose
from gen3d_tools.checkpoints.official import OfficialModel
from gen3d_tools.errors import CheckpointError
from gen3d_tools.fields.backdrop import FAR_AWAY
from gen3d_tools.fields.render_config import Background, RenderConfig
from gen3d_tools.generators.configs import EpigrafConfig
from gen3d_tools.generators.families.epigraf import EpigrafGenerator
from gen3d_tools.generators.networks.epigraf.decoder import DIRECTION_PERIOD
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
from gen3d_tools.generators.official.settings_tables import ANGLE_DISTRIBUTIONS, angle_spread, number, refusals, text
from gen3d_tools.generators.settings import ModelSettings
from gen3d_tools.printable import quoted

MEAN_CAMERA = "mapping.mean_camera_pose"
_BEHIND_INTERVAL = 1e-3  # length of the last interval where there is a background behind it
_CLAMP = 256.0
_DISTRIBUTIONS = ("custom", *ANGLE_DISTRIBUTIONS)
_STAND_IN_SPREAD = (0.3, 0.155)  # yaw, pitch, radians: the spread of aligned faces, as EG3D's samples have it


def from_official(model: OfficialModel) -> tuple[EpigrafConfig, ModelSettings, dict[str, Tensor]]:
    """Translate a pickle's settings and tensors.

    Returns:
        What the network is, how it wants to be used, and its state dict.

    Raises:
        CheckpointError: Something is missing, or asks for a network or renderer that EpiGRAF does not have.
    """
    settings = model.config
    if settings.get("backbone", "stylegan2") != "stylegan2":
        raise CheckpointError(f"the backbone is {quoted(settings['backbone'])}, only stylegan2 is supported")
    background = _background(settings)
    tri_plane = table(settings, "tri_plane", "the config")
    dataset = table(settings, "dataset", "the config")
    values = {
        **plane_values(model, model.tensors, _CLAMP),
        "mean_camera": mean_camera_values(model, MEAN_CAMERA, 3),
        "density_shift": number(settings.get("density_shift", 0.0), "density_shift"),
        "density_activation": settings.get("clamp_mode", "softplus"),
        "box_side": 2 * setting(dataset, "cube_scale", "dataset"),
        "view_conditioned": bool(tri_plane.get("has_view_cond", False)),
        "posenc_period": number(tri_plane.get("posenc_period_len", 0), "posenc_period_len"),
        **background,
    }
    config = EpigrafConfig.from_dict(values)
    tensors = network_tensors(model, MEAN_CAMERA, _periods(config))
    with refusals("the config"):
        use = _settings(config, dataset, count(settings, "num_ray_steps", "the config", 48))
    return config, use, tensors


def _background(settings: Mapping[str, Any]) -> dict[str, Any]:
    options = settings.get("bg_model") or {}
    kind = options.get("type") or "none"
    defaults = EpigrafConfig()
    if kind == "sphere":
        if (options.get("fmm") or {}).get("enabled", False):
            raise CheckpointError("the background network is factorised (fmm), which is not supported")
        if options.get("output_channels", 4) != 4 or options.get("coord_dim", 4) != 4:
            raise CheckpointError("the background network must read 4 numbers and give 4")
    return {
        "background": kind,
        "sphere_blocks": count(options, "num_blocks", "bg_model", defaults.sphere_blocks),
        "sphere_channel_base": count(options, "cbase", "bg_model", defaults.sphere_channel_base),
        "sphere_channel_max": count(options, "cmax", "bg_model", defaults.sphere_channel_max),
        "sphere_posenc_period": number(options.get("posenc_period_len", 64.0), "posenc_period_len"),
        "sphere_steps": count(options, "num_steps", "bg_model", defaults.sphere_steps),
        "sphere_start": number(options.get("start", 1.0), "start"),
    }


def _periods(config: EpigrafConfig) -> dict[str, float]:
    """The buffers of Fourier frequencies that the network has, and their periods."""
    mlp = "synthesis.tri_plane_mlp"
    found = {}
    if config.posenc_period > 0:
        found[f"{mlp}.pos_enc.fourier_encoder.fourier_coefs"] = config.posenc_period
    if config.view_conditioned:
        found[f"{mlp}.ray_dir_enc.fourier_encoder.fourier_coefs"] = DIRECTION_PERIOD
    if config.background == "sphere":
        name = "synthesis.bg_model.blocks.0.scalar_enc.fourier_encoder.fourier_coefs"
        found[name] = config.sphere_posenc_period
    return found


def _settings(config: EpigrafConfig, dataset: Mapping[str, Any], steps: int) -> ModelSettings:
    camera = table(dataset, "camera", "dataset")
    prior, mean = _prior(camera, config.mean_camera)
    return ModelSettings(
        render_config=RenderConfig(
            near=setting(camera, "ray_start", "camera"),
            far=setting(camera, "ray_end", "camera"),
            coarse_samples=steps,
            fine_samples=steps,
            jitter="intervals",
            marcher="classical",
            last_interval=FAR_AWAY if config.background == "none" else _BEHIND_INTERVAL,
            background=_uniform_background(dataset),
            importance="plain",
            distance_rule="sum",
            pixel_grid="corners",
        ),
        camera_distribution=prior,
        default_view=fixed_view(mean),
        trusted_views=trusted_views(prior),
        iso_level=activated_iso_level(config.density_activation, config.density_shift),
        class_names=class_names(config.num_classes),
        provenance={"source": "EpiGRAF pickle", **_note(camera)},
        licence=LICENCE,
    )


def _uniform_background(dataset: Mapping[str, Any]) -> Background:
    white, last = bool(dataset.get("white_back", False)), bool(dataset.get("last_back", False))
    if white and last:
        raise CheckpointError("both white_back and last_back are on; only one of them is supported at a time")
    return "white" if white else "last" if last else "grey"


def _note(camera: Mapping[str, Any]) -> dict[str, str]:
    """What a user should know about the cameras."""
    if camera.get("dist", "custom") != "custom":
        return {}
    return {"cameras": "spread like those of aligned faces; the training pictures' own are not in the file"}


def _prior(camera: Mapping[str, Any], mean_camera: tuple[float, ...]) -> tuple[PosePrior, Pose]:
    """The prior of training cameras, and its mean."""
    name = text(camera.get("dist", "custom"), "dist of camera")
    if name not in _DISTRIBUTIONS:
        raise CheckpointError(f"unknown distribution of cameras {quoted(name)}; known are {', '.join(_DISTRIBUTIONS)}")
    if name == "custom":
        yaw, pitch = (
            Spread(shape="normal", center=center, std=std)
            for center, std in zip(mean_camera[:2], _STAND_IN_SPREAD, strict=True)
        )
    else:
        horizontal, vertical = (
            [setting(camera, f"{axis}_{which}", "camera") for which in ("mean", "stddev")]
            for axis in ("horizontal", "vertical")
        )
        yaw = angle_spread(name, *horizontal, is_pitch=False)
        pitch = angle_spread(name, *vertical, is_pitch=True)
    prior = PosePrior(
        yaw=yaw,
        pitch=pitch,
        fov_deg=fixed(setting(camera, "fov", "camera")),
        radius=fixed(number(camera.get("radius", 1.0), "radius")),
        yaw_zero=EpigrafGenerator.yaw_zero,
    )
    return prior, prior.mean_pose()
