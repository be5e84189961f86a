"""What the values of a recipe may be, section by section; what does not fit is told before any work."""

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from gen3d_tools.checkpoints.configs.config_schema import RENDERING
from gen3d_tools.checkpoints.configs.schema import Choice, Either, Flag, ListOf, Nothing, Number, Schema, Text
from gen3d_tools.errors import InputError
from gen3d_tools.generators.families.eg3d import MAX_RENDER_RESOLUTION
from gen3d_tools.printable import quoted
from gen3d_tools.training.recipes.sections import (
    AugmentationSection,
    CamerasSection,
    DataSection,
    DiscriminatorSection,
    LossSection,
    OptimisationSection,
    PatchConfig,
    RunSection,
)

_MOST = 1 << 20
_count = Number(1, _MOST, whole=True)
_count_or_none = Number(0, _MOST, whole=True)
_number = Number(0, 1e12)
_positive = Number(0, 1e12, above=True)
_any_sign = Number(-1e12, 1e12)
_share = Number(0, 1)
_decay = Number(0, 1 - 1e-6)  # of an average; 1 would never move
_optional = Either(_positive, Nothing())


def _ranges(section: type, **numbers: Schema) -> Mapping[str, Schema]:
    """Take flags and choices from a section's types; what is a number has its range beside it."""
    ranges: dict[str, Schema] = {}
    for name, hint in get_type_hints(section).items():
        if name in numbers:
            ranges[name] = numbers[name]
        elif get_origin(hint) is Literal:
            ranges[name] = Choice(*get_args(hint))
        else:
            ranges[name] = {bool: Flag(), str: Text(4096)}[hint]
    return ranges


def _all(schema: Schema, *names: str) -> dict[str, Schema]:
    return dict.fromkeys(names, schema)


_GENERATOR: Mapping[str, Schema] = {
    **_all(_count, "z_dim", "w_dim", "plane_channels", "plane_resolution", "image_resolution", "channel_base"),
    **_all(_count, "channel_max", "mapping_layers", "mapping_width", "feature_channels", "decoder_layers"),
    **_all(_count, "decoder_width", "embed_dim", "render_resolution", "camera_hidden", "camera_embed", "camera_dim"),
    **_all(_count, "depth_hidden", "depth_layers", "depth_kernel_size"),
    **_all(_positive, "box_side", "density_gain", "conv_clamp", "camera_lr_multiplier"),
    "depth_near_offset_fraction": _number,
    "decoder_hidden": Either(_count, ListOf(_count, 16, 1)),
    "density_shift": _any_sign,
}
"""What a fresh network can fail with; the family's config checks the rest."""

RANGES: Mapping[str, Mapping[str, Schema]] = {
    "generator": _GENERATOR,
    "rendering": RENDERING.fields,
    "patches": _ranges(
        PatchConfig,
        side=Number(4, 4096, whole=True),
        least_scale=Number(0, 1, above=True),
        **_all(_positive, "beta_start", "beta_end"),
        anneal_kimg=_number,
        discrete_scales=_count,
    ),
    "discriminator": _ranges(
        DiscriminatorSection,
        **_all(_count, "channel_base", "channel_max", "group", "views"),
        **_all(_count_or_none, "half_blocks", "modulation", "table_width", "frequencies", "frozen"),
        clamp=_optional,
        camera_dropout=_decay,
        camera_noise=_number,
    ),
    "losses": _ranges(
        LossSection,
        logit_limit=_optional,
        render_start=Either(Number(1, MAX_RENDER_RESOLUTION, whole=True), Nothing()),
        render_kimg=_number,
        r1_gamma=Either(_number, Choice("auto")),
        **_all(_count, "r1_every", "density_every"),
        style_mixing=_share,
        **_all(_number, "blur_sigma", "blur_kimg", "density_noise", "density_noise_kimg"),
        **_all(_number, "distillation_weight", "distillation_kimg", "density_weight", "density_distance"),
        sparsity_weight=_number,
    ),
    "cameras": _ranges(
        CamerasSection,
        **_all(_number, "emd_angles", "emd_radius", "emd_fov", "emd_look_at", "emd_kimg", "force_mean"),
        **_all(_number, "slope_angles", "slope_radius", "slope_fov", "slope_look_at", "swap_kimg", "depth_kimg"),
        **_all(_count, "emd_samples", "force_mean_samples", "slope_samples"),
        **_all(_share, "swap_final", "prior_share"),
        identity_steps=_count_or_none,
    ),
    "optimisation": _ranges(
        OptimisationSection,
        **_all(_count, "batch", "round"),
        **_all(_number, "g_lr", "d_lr", "ema_kimg"),
        **_all(_decay, "beta1", "beta2"),
        **_all(_optional, "grad_clip", "ema_ramp"),
    ),
    "augmentation": _ranges(AugmentationSection, target=Number(-1, 1), speed_kimg=_positive, every=_count),
    "data": _ranges(DataSection, resolution=Number(4, 4096, whole=True)),
    "run": _ranges(
        RunSection,
        seed=Number(0, 2**53, whole=True),
        **_all(_number, "kimg", "tick_kimg", "snapshot_kimg", "sheet_kimg", "score_kimg"),
        processor_minutes=_optional,
        score_samples=Number(2, _MOST, whole=True),
    ),
}


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
