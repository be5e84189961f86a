"""Which values another one switches off: who sets such a value is told, for nothing would come of it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from operator import not_
from typing import Any

from gen3d_tools.errors import InputError


@dataclass(frozen=True, kw_only=True)
class _Switch:
    """Values that count only while others do not switch them off."""

    values: tuple[str, ...]
    """Patterns of dotted names."""
    by: tuple[str, ...]
    """Names of what switches them off, all together."""
    off: Callable[[Any], bool] = not_
    """Whether one of these does."""
    remedy: str
    """What to set as well."""
    families: tuple[str, ...] = ("epigraf", "threedgp", "eg3d", "geometry_aware")


def _unless(*wanted: Any) -> Callable[[Any], bool]:
    return lambda value: value not in wanted


def _is(unwanted: Any) -> Callable[[Any], bool]:
    return lambda value: bool(value == unwanted)


def _adjusted(part: str, *more: str) -> _Switch:
    """Terms of what the camera generator may move."""
    terms = (f"cameras.emd_{part}", f"cameras.slope_{part}", *more)
    name = f"generator.adjust_{part}"
    return _Switch(values=terms, by=(name,), remedy=f"{name}=true")


_DISTILLATION = ("losses.distillation", "losses.distillation_kimg")
_EMD = ("cameras.emd_angles", "cameras.emd_radius", "cameras.emd_fov", "cameras.emd_look_at")
_SLOPE = ("cameras.slope_angles", "cameras.slope_radius", "cameras.slope_fov", "cameras.slope_look_at")
_OF_CAMERA_GENERATOR = (
    *("cameras.emd_*", "cameras.force_mean*", "cameras.slope_*", "cameras.prior_share"),
    *("generator.camera_hidden", "generator.camera_embed", "generator.camera_lr_multiplier"),
    *("generator.camera_residual", "generator.adjust_*"),
)
_TOLD_CAMERAS = ("discriminator.camera_dropout", "discriminator.camera_raw", "discriminator.camera_noise")

_SWITCHES = (
    _Switch(
        values=("losses.distillation_weight", *_DISTILLATION),
        by=("data.features",),
        off=_is("none"),
        remedy="data.features=encoder",
    ),
    _Switch(
        values=(*_DISTILLATION, "data.features"),
        by=("losses.distillation_weight",),
        remedy="losses.distillation_weight=1",
    ),
    _Switch(
        values=("losses.distillation_weight", "losses.distillation", "data.features"),
        by=("losses.distillation_kimg",),
        remedy="losses.distillation_kimg=100000",
    ),
    _Switch(values=("losses.blur_kimg",), by=("losses.blur_sigma",), remedy="losses.blur_sigma=10"),
    _Switch(values=("losses.blur_sigma",), by=("losses.blur_kimg",), remedy="losses.blur_kimg=200"),
    _Switch(values=("losses.render_kimg",), by=("losses.render_start",), remedy="losses.render_start=32"),
    _Switch(values=("losses.render_start",), by=("losses.render_kimg",), remedy="losses.render_kimg=1000"),
    _Switch(values=("losses.density_noise_kimg",), by=("losses.density_noise",), remedy="losses.density_noise=1"),
    _Switch(
        values=("losses.density_noise",), by=("losses.density_noise_kimg",), remedy="losses.density_noise_kimg=5000"
    ),
    _Switch(  # Adam of the others is corrected for a penalty that is off, too
        values=("losses.r1_every",),
        by=("losses.r1_gamma",),
        remedy="losses.r1_gamma=auto",
        families=("epigraf", "threedgp"),
    ),
    _Switch(
        values=("losses.density", "losses.density_every", "losses.density_distance"),
        by=("losses.density_weight",),
        remedy="losses.density_weight=0.25",
    ),
    _Switch(values=("losses.density_distance",), by=("losses.density",), off=_unless("l1"), remedy="losses.density=l1"),
    _Switch(values=_OF_CAMERA_GENERATOR, by=("generator.camera_generator",), remedy="generator.camera_generator=true"),
    _adjusted("angles", "cameras.force_mean*"),
    _adjusted("radius"),
    _adjusted("fov"),
    _adjusted("look_at"),
    _Switch(values=("cameras.emd_samples", "cameras.emd_kimg"), by=_EMD, remedy="one of them"),
    _Switch(values=("cameras.force_mean_samples",), by=("cameras.force_mean",), remedy="cameras.force_mean=10"),
    _Switch(values=("cameras.slope_samples",), by=_SLOPE, remedy="one of them"),
    _Switch(
        values=("cameras.depth_kimg", "generator.depth_*"),
        by=("data.depth",),
        remedy="data.depth=true",
        families=("threedgp",),
    ),
    _Switch(
        values=("cameras.swap_*",), by=("generator.camera_conditioned",), remedy="generator.camera_conditioned=true"
    ),
    _Switch(
        values=("patches.beta_*",),
        by=("patches.distribution",),
        off=_unless("beta"),
        remedy="patches.distribution=beta",
    ),
    _Switch(
        values=("patches.discrete_scales",),
        by=("patches.distribution",),
        off=_unless("discrete_uniform"),
        remedy="patches.distribution=discrete_uniform",
    ),
    _Switch(
        values=("patches.anneal_kimg", "patches.least_scale"),
        by=("patches.distribution",),
        off=_is("full"),
        remedy="patches.distribution=beta",
    ),
    _Switch(
        values=("discriminator.table_width", "discriminator.frequencies"),
        by=("discriminator.modulation", "discriminator.label_has_patch"),
        remedy="one of them",
    ),
    _Switch(
        values=("discriminator.view_mode",), by=("discriminator.views",), off=_is(1), remedy="discriminator.views=2"
    ),
    _Switch(
        values=_TOLD_CAMERAS,
        by=("discriminator.camera_conditioned",),
        remedy="discriminator.camera_conditioned=true and cameras.source=labels",
    ),
    _Switch(
        values=("augmentation.target", "augmentation.speed_kimg", "augmentation.every", "augmentation.mirror"),
        by=("augmentation.enabled",),
        remedy="augmentation.enabled=true",
    ),
    _Switch(values=("data.mirror_yaw",), by=("data.mirror",), remedy="data.mirror=true"),
    _Switch(values=("data.mirror_yaw",), by=("cameras.source",), off=_is("prior"), remedy="cameras.source=labels"),
    _Switch(values=("rendering.importance",), by=("rendering.fine_samples",), remedy="rendering.fine_samples=16"),
    _Switch(values=("run.score_samples",), by=("run.score_kimg",), remedy="run.score_kimg=10"),
)


def check_switches(family: str, values: Mapping[str, Mapping[str, Any]], told: Collection[str]) -> None:
    """Refuse what a person has set and what another value switches off; recipes' own values may wait for a switch.

    Args:
        family: That of the generator.
        values: All values, section by section.
        told: Dotted names of the values that the person has set. What they switch off themselves is no matter.

    Raises:
        InputError: Nothing would come of one of them.
    """
    known = {f"{section}.{key}": value for section, entries in values.items() for key, value in entries.items()}
    for switch in _SWITCHES:
        if family not in switch.families or any(name not in known or not switch.off(known[name]) for name in switch.by):
            continue
        for name in sorted(told):
            if any(fnmatchcase(name, one) for one in switch.values) and known[name] not in (0, None, "none"):
                off = " and ".join(f"{one} is {shown(known[one])}" for one in switch.by)
                raise InputError(f"{name} changes nothing while {off}; set {switch.remedy} as well, or leave it out")


def shown(value: Any) -> str:
    """A value as people set it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
