"""What a published StyleNeRF pickle says, in the words of `StyleNerfConfig` and `ModelSettings`.

`stylenerf_facts` says where in the file a setting stands.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gen3d_tools.cameras.distributions.named import FixedCamera
from gen3d_tools.cameras.distributions.priors import PosePrior, Spread, fixed
from gen3d_tools.checkpoints.official import OfficialModel
from gen3d_tools.errors import CheckpointError
from gen3d_tools.fields.choices import DensityActivation
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.configs import StyleNerfConfig
from gen3d_tools.generators.networks.stylenerf.enlarging import UPSAMPLE_MODES
from gen3d_tools.generators.official.epigraf_base import (
    activated_iso_level,
    class_names,
    count,
    table,
    trusted_views,
)
from gen3d_tools.generators.official.settings_tables import number, refusals, refuse_others, without_filters
from gen3d_tools.generators.official.stylenerf_facts import (
    PLANES,
    UNSUPPORTED,
    StyleNerfFacts,
    pair,
    refuse,
)
from gen3d_tools.generators.settings import ModelSettings

LICENCE = "CC BY-NC 4.0, in parts NVIDIA Source Code License (non-commercial)"
RAW_ISO_LEVEL = 30.0
"""Raw density at the surface in the published code's unfinished mesh export."""

_UNTRAINED_SAMPLES = 20  # per pass, of a network whose growth was never set
_MAPPING = ("num_layers", "embed_features", "layer_features", "lr_multiplier", "activation", "w_avg_beta")
_RENAMED = (
    (re.compile(r"^synthesis\.fg_nerf\."), "foreground."),
    (re.compile(r"^synthesis\.bg_nerf\."), "background."),
    (re.compile(r"^synthesis\.in_b"), "plane_blocks.b"),
    (re.compile(r"^synthesis\.b"), "upsampler.b"),
)


def from_official(model: OfficialModel) -> tuple[StyleNerfConfig, ModelSettings, dict[str, Tensor]]:
    """Translate a pickle's settings and tensors.

    Returns:
        What the network is, how it wants to be used, and its state dict.

    Raises:
        CheckpointError: Something asks for a network or renderer that is not supported, or two sources disagree.
    """
    facts = StyleNerfFacts(model)
    refuse(facts.all, UNSUPPORTED, "synthesis_kwargs")
    near, far = pair(facts.all, "depth_range")
    span = far - near
    if not (math.isfinite(span) and 0 < near < far):
        raise CheckpointError(f"depth_range is {near:g} to {far:g}, it must ascend from above 0")
    activation, shift = _density(facts.all["sigma_type"])
    gain = _density_gain(facts.all, activation, span)
    growth, untrained = _growth(facts.all, model.tensors)
    values = {
        **_mapping(model),
        **_sizes(facts, model.tensors),
        **_field(facts.foreground, "foreground", count(facts.all, "z_dim", "synthesis_kwargs")),
        **_field(facts.background, "background", count(facts.all, "z_dim_bg", "synthesis_kwargs")),
        **_background(facts.all),
        **_planes(facts, span),
        **_upsampler(facts.all),
        "growth": growth,
        "density_activation": activation,
        "density_shift": shift,
        "density_gain": gain,
        "box_side": span,
    }
    config = StyleNerfConfig.from_dict({**StyleNerfConfig().to_dict(), **values})
    with refusals("synthesis_kwargs"):
        settings = _settings(facts.all, config, untrained=untrained)
    return config, settings, _tensors(model.tensors)


def _density(name: Any) -> tuple[DensityActivation, float]:
    """The activation; every unknown name leaves the density to the compositor, which cuts off below zero."""
    if name == "exp_truncated":
        raise CheckpointError(f"sigma_type {name} is not supported; published models have relu")
    return ("softplus", -1.0) if name == "shiftedsoftplus" else ("relu", 0.0)


def _density_gain(settings: Mapping[str, Any], activation: DensityActivation, span: float) -> float:
    """Turn a density per share of the depth range into one per world unit."""
    if not settings["dists_normalized"]:
        return 1.0
    if activation != "relu":
        raise CheckpointError(f"dists_normalized with sigma_type {settings['sigma_type']!r:.40} is not supported")
    return 1 / span


def _growth(settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[float, bool]:
    """How far the network has grown, and whether that was never set."""
    stored = tensors.get("synthesis.alpha")
    if stored is None or stored.numel() != 1:
        raise CheckpointError("synthesis.alpha is missing or no number; the file is incomplete, or of another kind")
    alpha = float(stored)
    if settings["prog_nerf_only"] and alpha not in (-1.0, 1.0):
        raise CheckpointError(f"the network is unfinished (alpha {alpha:g}), which prog_nerf_only does not support")
    untrained = alpha == -1
    grown = untrained or not settings["progressive"]
    if not grown and not 0 <= alpha <= 1:
        raise CheckpointError(f"synthesis.alpha is {alpha:g}, it must lie in 0..1, or be -1")
    return 1.0 if grown else alpha, untrained


def _mapping(model: OfficialModel) -> dict[str, Any]:
    options = model.init_kwargs.get("mapping_kwargs")
    options = {} if options is None else table(model.init_kwargs, "mapping_kwargs", "the generator's arguments")
    refuse_others(options, _MAPPING, "mapping_kwargs")
    refuse(options, {"activation": "lrelu"}, "mapping_kwargs")
    layers = count(options, "num_layers", "mapping_kwargs", 8)
    w_dim = count(model.init_kwargs, "w_dim", "the generator's arguments", 512)
    return {
        "z_dim": count(model.init_kwargs, "z_dim", "the generator's arguments"),
        "w_dim": w_dim,
        "num_classes": count(model.init_kwargs, "c_dim", "the generator's arguments", 0),
        "mapping_layers": layers,
        "embed_dim": options.get("embed_features") or w_dim,
        "mapping_width": options.get("layer_features") or w_dim,
        "mapping_lr_multiplier": number(options.get("lr_multiplier", 0.01), "lr_multiplier"),
    }


def _sizes(facts: StyleNerfFacts, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    settings = facts.all
    features = count(settings, "rgb_out_dim", "synthesis_kwargs")
    if (settings["rgb_out_dim_bg"] or features) != features:
        raise CheckpointError("rgb_out_dim_bg differs from rgb_out_dim, so that the fields cannot be blended")
    beside = bool(facts.foreground["add_rgb"])
    if not beside and not facts.foreground["predict_rgb"]:
        raise CheckpointError("the foreground gives no colours (predict_rgb and add_rgb are off)")
    blocks = [re.match(r"synthesis\.b(\d{1,5})\.", name) for name in tensors]
    vol = count(settings, "resolution_vol", "synthesis_kwargs")
    start = settings["resolution_start"]
    return {
        "feature_channels": features,
        "rgb_beside_features": beside,
        "render_resolution": vol,
        "start_resolution": vol if start is None else count(settings, "resolution_start", "synthesis_kwargs"),
        "image_resolution": max((int(block[1]) for block in blocks if block), default=vol),
    }


def _field(settings: Mapping[str, Any], which: str, latent: int) -> dict[str, Any]:
    encoding = settings["positional_encoding"]
    if encoding not in ("normal", "none"):
        raise CheckpointError(f"positional_encoding {encoding!r:.40} is not supported; published models have normal")
    if settings["input_dim"] != 3:
        raise CheckpointError(f"input_dim is {settings['input_dim']!r:.40}, only points in space are supported")
    name = f"{which}_kwargs"
    return {
        f"{which}_width": count(settings, "hidden_size", name),
        f"{which}_layers": max(1, count(settings, "n_blocks", name)),
        f"{which}_octaves": count(settings, "n_freq_posenc", name) if encoding == "normal" else 0,
        f"{which}_divisor": number(settings["downscale_p_by"], "downscale_p_by"),
        f"{which}_append_points": bool(settings["use_pos"]) and encoding == "normal",
        f"{which}_reads_input_again": bool(settings["use_skip"]),
        f"{which}_normalised": number(settings["magnitude_ema_beta"], "magnitude_ema_beta") > 0,
        f"{which}_latent": latent,
    }


def _background(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "background": not settings["no_background"],
        "background_steps": count(settings, "n_bg_samples", "renderer_kwargs"),
        "background_start": number(settings["bg_start"], "bg_start"),
    }


def _planes(facts: StyleNerfFacts, span: float) -> dict[str, Any]:
    planes = facts.planes
    bound = facts.all["bound"]
    side = 2 * (span if bound is None else number(bound, "bound"))
    if planes is None:
        return {"plane_channels": 0, "plane_box_side": side}
    idle = {name: PLANES[name] for name in ("output_mode", "input_mode", "keep_posenc", "keep_nerf_latents")}
    refuse(planes, idle, "input_kwargs")
    return {
        "plane_channels": count(planes, "out_dim", "input_kwargs"),
        "plane_start": count(planes, "in_res", "input_kwargs"),
        "plane_resolution": count(planes, "out_res", "input_kwargs"),
        "plane_box_side": side,
        "foreground_octaves": 0,
        "foreground_append_points": False,
    }


def _upsampler(settings: Mapping[str, Any]) -> dict[str, Any]:
    mode, clamp = settings["upsample_mode"], settings["conv_clamp"]
    if mode not in UPSAMPLE_MODES:
        raise CheckpointError(f"upsample_mode {mode!r:.40} is not supported; known are {', '.join(UPSAMPLE_MODES)}")
    base = number(settings["channel_base"], "channel_base")
    if not 0 < base < 1 << 5:
        raise CheckpointError(f"channel_base is {base:g}, it must be a moderate number above 0")
    return {
        "upsample_mode": mode,
        "kernel_size": settings["kernel_size"],
        "use_noise": bool(settings["use_noise"]),
        "conv_clamp": None if clamp is None else number(clamp, "conv_clamp"),
        "channel_base": int(32768 * base),
        "channel_max": count(settings, "channel_max", "synthesis_kwargs"),
        "normalised": number(settings["magnitude_ema_beta"], "magnitude_ema_beta") > 0,
        "image_skip": not settings["no_residual_img"],
        "shared_rgb_row": bool(settings["shared_rgb_style"]),
        "every_kth_ray": bool(settings["ray_align_corner"]),
    }


def _settings(facts: Mapping[str, Any], config: StyleNerfConfig, *, untrained: bool) -> ModelSettings:
    near, far = pair(facts, "depth_range")
    samples = _UNTRAINED_SAMPLES if untrained else count(facts, "n_ray_samples", "renderer_kwargs")
    prior = _prior(facts)
    closed = not config.background and not facts["white_background"]
    return ModelSettings(
        render_config=RenderConfig(
            near=near,
            far=far,
            coarse_samples=samples,
            fine_samples=samples if facts["hierarchical"] else 0,
            jitter="ends",
            marcher="classical",
            background="last" if closed else "grey",
            last_in_coarse_pass=closed,
            importance="bare",
            distance_rule="sum",
            pixel_grid="corners" if config.every_kth_ray else "centers",
            limits_along="axis",
        ),
        camera_distribution=prior,
        default_view=_default_view(prior),
        trusted_views=trusted_views(prior),
        iso_level=activated_iso_level(config.density_activation, config.density_shift, RAW_ISO_LEVEL)
        * config.density_gain,
        class_names=class_names(config.num_classes),
        provenance={"source": "StyleNeRF pickle"},
        licence=LICENCE,
    )


def _prior(facts: Mapping[str, Any]) -> PosePrior:
    """Where training cameras stand. In training a range is one standard deviation either way, or evenly covered.

    The yaw of a pose grows the other way.
    """
    gaussian, angular = bool(facts["gaussian_camera"]), bool(facts["angular_camera"])
    if gaussian and not angular:
        raise CheckpointError("gaussian_camera without angular_camera is not supported; no published model has it")
    turn = 1.0 if angular else 2 * math.pi
    low, high = (-turn * end for end in reversed(pair(facts, "range_u")))
    yaw = _around(low, high) if gaussian else _evenly(low, high)
    low, high = pair(facts, "range_v")
    if angular:
        pitch = _around(low, high) if gaussian else _evenly(low, high)
    else:
        low, high = math.pi * low, math.pi * high
        pitch = Spread(shape="uniform_area", center=(low + high) / 2, low=low, high=high)
    return PosePrior(
        yaw=yaw,
        pitch=pitch,
        fov_deg=fixed(number(facts["fov"], "fov")),
        radius=_evenly(*pair(facts, "range_radius")),
        yaw_zero="z",
    )


def _default_view(prior: PosePrior) -> FixedCamera:
    """The middle of all ranges."""
    return FixedCamera(
        yaw_deg=-math.degrees(prior.yaw.mean()) + 0.0,  # no negative zero
        pitch_deg=_middle_pitch(prior.pitch),
        radius=prior.radius.mean(),
        fov_y_deg=prior.fov_deg.mean(),
    )


def _middle_pitch(pitch: Spread) -> float:
    middle = pitch.mean()
    if pitch.shape == "uniform_area":
        return math.degrees(math.asin(1 - 2 * middle / math.pi))
    return math.degrees(math.pi / 2 - middle)


def _around(low: float, high: float) -> Spread:
    return Spread(shape="normal", center=(low + high) / 2, std=(high - low) / 2)


def _evenly(low: float, high: float) -> Spread:
    if low == high:
        return fixed(low)
    return Spread(shape="uniform", center=(low + high) / 2, low=low, high=high)


def _tensors(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the state dict under our names, without constants and the state of growth, which the config has."""
    kept = {}
    for name, tensor in without_filters(stored).items():
        if name == "synthesis.alpha":
            continue
        for pattern, replacement in _RENAMED:
            name, changed = pattern.subn(replacement, name)
            if changed:
                break
        kept[name] = tensor
    return kept
