"""What the values of a recipe may be, section by section; what does not fit is told before any work."""

import math
from collections.abc import Mapping
from typing import Any, get_args

from gen3d_tools.checkpoints.configs.config_schema import RENDERING
from gen3d_tools.checkpoints.configs.schema import Choice, Either, Flag, ListOf, Nothing, Number, Schema, Text
from gen3d_tools.errors import InputError
from gen3d_tools.printable import quoted
from gen3d_tools.training.losses.adversarial import AdversarialLoss
from gen3d_tools.training.losses.density import DensityRegulariser
from gen3d_tools.training.losses.distillation import DistillationLoss
from gen3d_tools.training.patches import Grouping, PatchDistribution

_MOST = 1 << 20
_count = Number(1, _MOST, whole=True)
_count_or_none = Number(0, _MOST, whole=True)
_number = Number(0, 1e12)
_positive = Number(0, 1e12, above=True)
_any_sign = Number(-1e12, 1e12)
_share = Number(0, 1)
_decay = Number(0, 1 - 1e-6)  # of an average; 1 would never move
_flag = Flag()
_optional = Either(_positive, Nothing())

RANGES: Mapping[str, Mapping[str, Schema]] = {
    "generator": {
        **dict.fromkeys(("z_dim", "w_dim", "plane_channels", "plane_resolution", "image_resolution"), _count),
        **dict.fromkeys(("channel_base", "channel_max", "mapping_layers", "mapping_width", "feature_channels"), _count),
        **dict.fromkeys(("decoder_layers", "decoder_width", "embed_dim", "render_resolution"), _count),
        **dict.fromkeys(("camera_hidden", "camera_embed", "camera_dim"), _count),
        **dict.fromkeys(("depth_hidden", "depth_layers", "depth_kernel_size"), _count),
        **dict.fromkeys(("box_side", "density_gain", "conv_clamp", "camera_lr_multiplier"), _positive),
        "depth_near_offset_fraction": _number,
        "decoder_hidden": Either(_count, ListOf(_count, 16, 1)),
        "density_shift": _any_sign,
    },
    "rendering": RENDERING.fields,
    "patches": {
        "side": Number(4, 4096, whole=True),
        "distribution": Choice(*get_args(PatchDistribution)),
        "least_scale": Number(0, 1, above=True),
        "beta_start": _positive,
        "beta_end": _positive,
        "anneal_kimg": _number,
        "discrete_scales": _count,
    },
    "discriminator": {
        "kind": Choice("patch", "dual", "image"),
        **dict.fromkeys(("channel_base", "channel_max", "group", "views"), _count),
        **dict.fromkeys(("half_blocks", "modulation", "table_width", "frequencies", "frozen"), _count_or_none),
        "clamp": _optional,
        "grouping": Choice(*get_args(Grouping)),
        **dict.fromkeys(("label_has_patch", "camera_conditioned", "camera_raw"), _flag),
        "camera_dropout": _decay,
        "camera_noise": _number,
        "view_mode": Choice("mean", "pack"),
    },
    "losses": {
        "adversarial": Choice(*get_args(AdversarialLoss)),
        "logit_limit": _optional,
        "r1_gamma": Either(_number, Choice("auto")),
        **dict.fromkeys(("r1_every", "density_every"), _count),
        "style_mixing": _share,
        "reuse_fakes": _flag,
        **dict.fromkeys(("blur_sigma", "blur_kimg", "density_noise", "density_noise_kimg"), _number),
        **dict.fromkeys(("distillation_weight", "distillation_kimg"), _number),
        "distillation": Choice(*get_args(DistillationLoss)),
        "density": Choice(*get_args(DensityRegulariser)),
        **dict.fromkeys(("density_weight", "density_distance"), _number),
    },
    "cameras": {
        "source": Choice("prior", "labels"),
        **dict.fromkeys(("emd_angles", "emd_radius", "emd_fov", "emd_look_at", "emd_kimg", "force_mean"), _number),
        **dict.fromkeys(("slope_angles", "slope_radius", "slope_fov", "slope_look_at"), _number),
        **dict.fromkeys(("emd_samples", "force_mean_samples", "slope_samples"), _count),
        "swap_final": _share,
        **dict.fromkeys(("swap_kimg", "depth_kimg"), _number),
        "identity_steps": _count_or_none,
    },
    "optimisation": {
        **dict.fromkeys(("batch", "round"), _count),
        **dict.fromkeys(("g_lr", "d_lr", "ema_kimg"), _number),
        **dict.fromkeys(("beta1", "beta2"), _decay),
        **dict.fromkeys(("grad_clip", "ema_ramp"), _optional),
    },
    "augmentation": {
        **dict.fromkeys(("enabled", "mirror"), _flag),
        "target": Number(-1, 1),
        "speed_kimg": _positive,
        "every": _count,
    },
    "data": {
        "resolution": Number(4, 4096, whole=True),
        **dict.fromkeys(("mirror", "classes", "depth"), _flag),
        "features": Text(4096),
    },
    "run": {
        "seed": Number(0, 2**31 - 1, whole=True),
        **dict.fromkeys(("kimg", "tick_kimg", "snapshot_kimg", "sheet_kimg", "score_kimg"), _number),
        "processor_minutes": _optional,
        "score_samples": Number(2, _MOST, whole=True),
    },
}
"""Of the section `generator` those that a fresh network can fail with; its family's config checks the rest."""


def check_ranges(section: str, values: Mapping[str, Any]) -> None:
    """Refuse values that are not what belongs in a section.

    Args:
        section: Such as "losses".
        values: Its values; None stands for the "none" of TOML.

    Raises:
        InputError: One line: which value, what was found, what was needed.
    """
    if section == "prior":
        _check_numbers(section, values)
    for key, schema in RANGES.get(section, {}).items():
        if key not in values or schema.fits(values[key]) or (section == "rendering" and values[key] == "none"):
            continue
        wanted = schema.wanted.replace("null", '"none"')
        raise InputError(f"{section}.{key} is {quoted(values[key])}; needed is {wanted}")


def _check_numbers(place: str, values: Mapping[str, Any]) -> None:
    """Refuse infinities and NaN, which TOML has, anywhere in a table."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            _check_numbers(f"{place}.{key}", value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{place}.{key} is {value}; needed is a number")
