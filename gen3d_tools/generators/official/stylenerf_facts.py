"""Every setting of a published StyleNeRF pickle by its name, wherever in the file it stands.

The arguments the network was built with decide, as in the published scripts. What its camera, renderer and upsampler
hold as live attributes fills in what the arguments leave out; where both speak they must agree. Snapshots of an early
code generation have flat arguments, without tables for the camera, the renderer and the upsampler.
"""

from collections.abc import Mapping
from typing import Any

from gen3d_tools.checkpoints.official import OfficialModel
from gen3d_tools.errors import CheckpointError
from gen3d_tools.generators.official.epigraf_base import table
from gen3d_tools.generators.official.settings_tables import number, refuse_others

_CAMERA: dict[str, Any] = {
    "range_u": [0, 0],
    "range_v": [0.25, 0.25],
    "range_radius": [2.732, 2.732],
    "depth_range": [0.5, 6.0],
    "fov": 49.13,
    "gaussian_camera": False,
    "angular_camera": False,
    "depth_transform": None,
    "dists_normalized": False,
    "ray_align_corner": True,
    "bg_start": 1.0,
}
_RENDERER: dict[str, Any] = {
    "n_ray_samples": 14,
    "n_bg_samples": 4,
    "sigma_type": "relu",
    "hierarchical": True,
    "no_background": False,
    "white_background": False,
    "bound": None,
}
_UPSAMPLER: dict[str, Any] = {
    "no_2d_renderer": False,
    "no_residual_img": False,
    "block_reses": None,
    "shared_rgb_style": False,
    "channel_base_sz": None,
    "channel_dict": None,
    "out_channel_dict": None,
}
_SYNTHESIS: dict[str, Any] = {
    "channel_base": 1,
    "channel_max": 1024,
    "conv_clamp": None,
    "kernel_size": 3,
    "upsample_mode": "default",
    "use_noise": True,
    "magnitude_ema_beta": -1,
    "architecture": "skip",
    "use_single_layer": False,
    "disable_latents": False,
    "z_dim": 256,
    "z_dim_bg": 128,
    "resolution_vol": 32,
    "resolution_start": None,
    "rgb_out_dim": 256,
    "rgb_out_dim_bg": None,
    "progressive": True,
    "prog_nerf_only": False,
}
_FIELD: dict[str, Any] = {
    "hidden_size": 128,
    "n_blocks": 8,
    "positional_encoding": "normal",
    "n_freq_posenc": 10,
    "use_pos": False,
    "downscale_p_by": 1,
    "predict_rgb": False,
    "add_rgb": False,
    "use_skip": False,
    "inverse_sphere": False,
    "magnitude_ema_beta": -1,
    "input_dim": 3,
}
# Options that make another network, and the value under which they do nothing. The published code stops at the first
# two; the others are experiments of which nothing was published.
UNSUPPORTED_FIELD: dict[str, Any] = {
    "use_viewdirs": False,
    "use_sdf": None,
    "merge_sigma_feat": False,
    "no_sigma": False,
    "final_sigmoid_act": False,
    "normalized_feat": False,
    "use_normal": False,
    "activation": "lrelu",
}
UNSUPPORTED: dict[str, Any] = {
    "architecture": "skip",
    "use_single_layer": False,
    "disable_latents": False,
    "depth_transform": None,
    "no_2d_renderer": False,
    "block_reses": None,
    "channel_base_sz": None,
    "channel_dict": None,
    "out_channel_dict": None,
}
# What published settings hold beside these: used in training alone, left over from older code, overwritten by other
# settings, or of an encoding that is refused.
_IDLE: dict[str, tuple[str, ...]] = {
    "synthesis_kwargs": (
        *("module_name", "num_fp16_res", "margin", "no_bbox", "predict_camera", "n_reg_samples", "reg_full"),
        *("camera_kwargs", "renderer_kwargs", "upsampler_kwargs", "foreground_kwargs", "background_kwargs"),
        "input_kwargs",
    ),
    "camera_kwargs": ("random_rotate",),
    "renderer_kwargs": ("abs_sigma",),
    "upsampler_kwargs": ("channel_base", "channel_max", "in_res", "out_res", "img_channels", "upsample_type"),
    "field": (
        *("use_style", "skips", "n_freq_posenc_views", "gauss_dim_pos", "gauss_dim_view", "gauss_std"),
        *("z_dim", "w_dim", "rgb_out_dim"),
    ),
}
PLANES: dict[str, Any] = {
    "output_mode": "tri_plane_reshape",
    "input_mode": "random",
    "in_res": 4,
    "out_res": 256,
    "out_dim": 32,
    "keep_posenc": -1,
    "keep_nerf_latents": False,
}


class StyleNerfFacts:
    """Every setting by its name: from the arguments, else from live attributes, else the published default.

    Attributes:
        all: Of synthesis network, camera, renderer and upsampler; no name occurs in two of them.
        foreground: Of the foreground field.
        background: Of the background field.
        planes: Of the network that makes tri-planes, None without one.
    """

    def __init__(self, model: OfficialModel) -> None:
        arguments = table(model.init_kwargs, "synthesis_kwargs", "the generator's arguments")
        live = model.attributes
        _refuse_unknown(arguments)
        self.all = _merged(_SYNTHESIS, arguments, live.get("synthesis", {}), "synthesis_kwargs", agree=False)
        for name, defaults, owner in (
            ("camera_kwargs", _CAMERA, "C"),
            ("renderer_kwargs", _RENDERER, "V"),
            ("upsampler_kwargs", _UPSAMPLER, "U"),
        ):
            given = _optional_table(arguments, name)
            if not given or name == "upsampler_kwargs":  # flat, in files of an early code generation
                flat = {key: arguments[key] for key in defaults if key in arguments}
                given = {**flat, **given}
            self.all |= _merged(defaults, given, live.get(f"synthesis.{owner}", {}), name)
        self.foreground = self._field(arguments, "foreground_kwargs", live.get("synthesis.fg_nerf", {}))
        self.background = self._field(arguments, "background_kwargs", live.get("synthesis.bg_nerf", {}))
        given = _optional_table(arguments, "input_kwargs")
        self.planes = {**PLANES, **given} if given else None

    @staticmethod
    def _field(arguments: Mapping[str, Any], name: str, live: Mapping[str, Any]) -> dict[str, Any]:
        given = _optional_table(arguments, name)
        refuse_others(given, (*_FIELD, *UNSUPPORTED_FIELD, *_IDLE["field"]), name)
        refuse({**UNSUPPORTED_FIELD, **given}, UNSUPPORTED_FIELD, name)
        return _merged(_FIELD, given, live, name)


def _refuse_unknown(arguments: Mapping[str, Any]) -> None:
    """Refuse settings of a fork; the tables for camera, renderer and upsampler may lie flat among the others."""
    tables = {"camera_kwargs": _CAMERA, "renderer_kwargs": _RENDERER, "upsampler_kwargs": _UPSAMPLER}
    flat: tuple[str, ...] = (*_SYNTHESIS, *_IDLE["synthesis_kwargs"])
    for name, defaults in tables.items():
        refuse_others(_optional_table(arguments, name), (*defaults, *_IDLE[name]), name)
        flat += (*defaults, *_IDLE[name])
    refuse_others(arguments, flat, "synthesis_kwargs")


def _merged(
    defaults: Mapping[str, Any],
    given: Mapping[str, Any],
    live: Mapping[str, Any],
    where: str,
    *,
    agree: bool = True,
) -> dict[str, Any]:
    """Give every setting; arguments and live attributes must agree where both name it.

    Without `agree` the arguments win: the synthesis network keeps what it made of some of them.
    """
    found = {}
    for name, default in defaults.items():
        spoken = [source[name] for source in (given, live) if name in source]
        if agree and len(spoken) == 2 and not _same(*spoken):
            raise CheckpointError(
                f"{name} is {spoken[0]!r:.40} in {where}, but {spoken[1]!r:.40} in the network; the file is mixed up"
            )
        found[name] = spoken[0] if spoken else default
    return found


def _same(one: Any, other: Any) -> bool:
    """Whether two sources agree; lists and numbers may be of different kinds."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _optional_table(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return {} if settings.get(name) is None else table(settings, name, "synthesis_kwargs")


def refuse(settings: Mapping[str, Any], idle: Mapping[str, Any], where: str) -> None:
    """Refuse options that make a network or renderer other than those built here."""
    for name, only in idle.items():
        found = settings.get(name, only)
        if found != only and not (only in (None, False) and found in (None, False)):
            raise CheckpointError(
                f"{where}: {name} is {found!r:.40}, which is not supported; no published model has it"
            )


def pair(settings: Mapping[str, Any], name: str) -> tuple[float, float]:
    """Take the two ends of a range.

    Raises:
        CheckpointError: It is no pair of numbers, or descends.
    """
    value = settings[name]
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise CheckpointError(f"{name} is {value!r:.60}, it must be two numbers")
    low, high = (number(one, name) for one in value)
    if not low <= high:
        raise CheckpointError(f"{name} is {low:g} to {high:g}, it must not descend")
    return low, high
