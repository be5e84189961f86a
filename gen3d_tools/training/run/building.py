"""From a recipe to networks, freshly initialised, and the objective that they play for."""

import math
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.cameras.distributions.named import (
    CameraDistribution,
    FixedCamera,
    UniformSphere,
    distribution_from_dict,
)
from gen3d_tools.cameras.distributions.priors import SPREAD_KEYS, PosePrior, Spread
from gen3d_tools.cameras.poses import Pose
from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.configs import EG3DConfig, EpigrafConfig, GeometryAwareConfig, ThreeDGPConfig
from gen3d_tools.generators.families.eg3d import EG3DGenerator
from gen3d_tools.generators.families.epigraf import EpigrafGenerator
from gen3d_tools.generators.families.epigraf_base import PlaneGenerator
from gen3d_tools.generators.families.geometry_aware import GeometryAwareGenerator
from gen3d_tools.generators.families.threedgp import ThreeDGPGenerator
from gen3d_tools.generators.network_config import NetworkConfig
from gen3d_tools.generators.official.epigraf_base import activated_iso_level, fixed_view, trusted_views
from gen3d_tools.generators.settings import ModelSettings, TrustedViews
from gen3d_tools.printable import quoted
from gen3d_tools.training.augmentation.augment import Augmentation
from gen3d_tools.training.discriminators.body import BodyConfig, freeze_first
from gen3d_tools.training.discriminators.dual import DualDiscriminator, ImageDiscriminator
from gen3d_tools.training.discriminators.patch import PatchDiscriminator
from gen3d_tools.training.losses.gradient_penalty import auto_gamma
from gen3d_tools.training.objectives.base import Objective
from gen3d_tools.training.objectives.dual import DualObjective
from gen3d_tools.training.objectives.multiview import MultiviewObjective
from gen3d_tools.training.objectives.patchwise import PatchObjective
from gen3d_tools.training.recipes.recipe import Recipe
from gen3d_tools.training.synthesis.starting import prepare

_FAMILIES: dict[str, tuple[type[NetworkConfig], type[Generator]]] = {
    "epigraf": (EpigrafConfig, EpigrafGenerator),
    "threedgp": (ThreeDGPConfig, ThreeDGPGenerator),
    "geometry_aware": (GeometryAwareConfig, GeometryAwareGenerator),
    "eg3d": (EG3DConfig, EG3DGenerator),
}
_CAMERA_NUMBERS = 25


def build_generator(
    recipe: Recipe, class_names: tuple[str, ...], angles: Float[Tensor, "n 3"] | None = None
) -> Generator:
    """Make the generator with fresh weights.

    Args:
        recipe: Sizes, rendering and cameras.
        class_names: Classes of the data.
        angles: Yaw, pitch and roll of every entry of the data, radians, where fakes are seen from these.

    Raises:
        InputError: Values of the recipe do not go together.
    """
    generator = _fresh_generator(recipe, class_names, angles, torch.device("cpu"))
    if isinstance(generator, PlaneGenerator):
        prepare(generator, recipe.cameras.identity_steps)
    return generator


def check_networks(recipe: Recipe) -> None:
    """Refuse, without making anything, what `build_generator` and the others refuse whatever the pictures are.

    Raises:
        InputError: Values of the recipe do not go together.
    """
    nowhere = torch.device("meta")
    generator = _fresh_generator(recipe, (), None, nowhere)
    with nowhere:
        build_objective(recipe, generator, build_discriminator(recipe, 0, 0), None)


def _fresh_generator(
    recipe: Recipe, class_names: tuple[str, ...], angles: Float[Tensor, "n 3"] | None, device: torch.device
) -> Generator:
    """Make the generator as its family initialises it; its settings are numbers on any device."""
    config_type, family = _FAMILIES[recipe.family]
    distribution = camera_distribution(recipe)
    mean = _mean_pose(recipe, distribution, angles)
    try:
        render = RenderConfig(**{name: _or_none(name, value) for name, value in recipe.rendering.items()})
        config = _network_config(recipe, config_type, render, distribution, mean, len(class_names))
        settings = _settings(recipe, render, distribution, mean, class_names)
        with device:
            return family.from_config(config, settings)
    except (CheckpointError, TypeError) as error:
        raise InputError(f"the recipe {recipe.name} does not describe a generator: {error}") from error


def _or_none(name: str, value: Any) -> Any:
    """TOML has no null: a closing interval that is "none" is left out."""
    return None if name.startswith("last_interval") and value == "none" else value


def build_discriminator(recipe: Recipe, num_classes: int, feature_dim: int) -> nn.Module:
    """Make the discriminator with fresh weights; its first layers may be frozen.

    Args:
        recipe: Sizes.
        num_classes: Classes of the data.
        feature_dim: Width of the features that are distilled; 0 = none.
    """
    network = _discriminator(recipe, num_classes, feature_dim)
    freeze_first(network, recipe.discriminator.frozen)
    return network


def _discriminator(recipe: Recipe, num_classes: int, feature_dim: int) -> nn.Module:
    section, resolution = recipe.discriminator, recipe.data.resolution
    channels = {"patch": 3 + recipe.data.depth, "dual": 6, "image": 3}[section.kind]
    if section.kind == "image" and section.view_mode == "pack":
        channels *= section.views
    config = BodyConfig(
        image_channels=channels,
        channel_base=section.channel_base,
        channel_max=section.channel_max,
        clamp=section.clamp,
        group=section.group,
        grouping=section.grouping,
        half_blocks=section.half_blocks,
    )
    if section.kind == "dual":
        label = _CAMERA_NUMBERS if section.camera_conditioned else 0
        return DualDiscriminator(config, resolution=resolution, label_dim=label)
    if section.kind == "image":
        return ImageDiscriminator(config, resolution=resolution, label_dim=num_classes)
    return PatchDiscriminator(
        config,
        side=recipe.patches.side,
        extra_blocks=int(math.log2(resolution / recipe.patches.side)),
        num_classes=num_classes,
        camera_conditioned=section.camera_conditioned,
        feature_dim=feature_dim if recipe.losses.distillation_weight else 0,
        table_width=section.table_width,
        frequencies=section.frequencies,
        modulation=section.modulation,
        label_has_patch=section.label_has_patch,
        camera_raw=section.camera_raw,
        camera_dropout=section.camera_dropout,
    )


def build_objective(
    recipe: Recipe, generator: Generator, discriminator: nn.Module, augmentation: Augmentation | None
) -> Objective:
    """Put generator and discriminator against each other."""
    losses, cameras = recipe.losses, recipe.cameras
    if losses.r1_gamma == "auto":
        losses = replace(losses, r1_gamma=auto_gamma(recipe.data.resolution, recipe.optimisation.batch))
    if isinstance(generator, PlaneGenerator):
        assert isinstance(discriminator, PatchDiscriminator)
        return PatchObjective(
            generator,
            discriminator,
            losses,
            cameras,
            judged=recipe.discriminator,
            patches=recipe.patches,
            augmentation=augmentation,
            sampling="reference" if recipe.rendering.get("coarse_unit") == "ray" else "fast",
        )
    if isinstance(generator, EG3DGenerator):
        assert isinstance(discriminator, DualDiscriminator)
        return DualObjective(generator, discriminator, losses, cameras, augmentation=augmentation)
    assert isinstance(generator, GeometryAwareGenerator)
    assert isinstance(discriminator, ImageDiscriminator)
    return MultiviewObjective(
        generator,
        discriminator,
        losses,
        cameras,
        judged=recipe.discriminator,
        resolution=recipe.data.resolution,
        augmentation=augmentation,
    )


def camera_distribution(recipe: Recipe) -> CameraDistribution:
    """Where the recipe assumes cameras to be.

    Raises:
        InputError: The section `prior` does not describe a distribution.
    """
    try:
        if "kind" in recipe.prior:
            return distribution_from_dict(recipe.prior)
        spreads = {name: _spread(recipe, f"prior.{name}", values) for name, values in recipe.prior.items()}
        return PosePrior(**spreads, yaw_zero="x" if recipe.family == "epigraf" else "z")
    except (CheckpointError, TypeError) as error:
        raise InputError(f"the section prior of the recipe {recipe.name} is no distribution: {error}") from error


def _spread(recipe: Recipe, name: str, values: Any) -> Spread:
    """How a number of the prior is distributed; what is set must be what its shape reads, and all of that it needs.

    Runs that were begun with more or less than that go on.

    Raises:
        InputError: It is no table, or holds something else.
    """
    hint = f"such as --set '{name}={{shape=\"normal\", center=0.0, std=0.1}}'"
    if not isinstance(values, Mapping) or not isinstance(values.get("shape"), str):
        raise InputError(f"{name} is {quoted(values)}; needed is a table with a shape, {hint}")
    if values["shape"] not in SPREAD_KEYS:
        return Spread(shape=values["shape"])  # which says what there is
    required, optional = SPREAD_KEYS[values["shape"]]
    for key, value in values.items():
        if key != "shape" and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise InputError(f"{name} has {quoted(key)}: {quoted(value)}; needed is a number, {hint}")
    if recipe.sources.get(name) == "--set":
        read = ("shape", *required, *optional)
        wrong = [f"has {quoted(key)}" for key in values if key not in read]
        wrong += [f"has no {key}" for key in required if key not in values]
        if wrong:
            raise InputError(f"{name} {wrong[0]}; a {values['shape']} distribution is told by {', '.join(read)}")
    return Spread(**values)


def _mean_pose(recipe: Recipe, distribution: CameraDistribution, angles: Float[Tensor, "n 3"] | None) -> Pose | None:
    """The mean of the cameras that fakes are seen from: angles of the data where they have these; None for EG3D's."""
    if not isinstance(distribution, PosePrior):
        return None
    mean = distribution.mean_pose()
    if recipe.cameras.source == "prior" or angles is None:
        return mean
    return replace(mean, angles=angles.double().mean(0).to(mean.angles))


def _network_config(
    recipe: Recipe,
    kind: type[NetworkConfig],
    render: RenderConfig,
    distribution: CameraDistribution,
    mean: Pose | None,
    classes: int,
) -> NetworkConfig:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in recipe.generator.items()
    }
    if kind is not EG3DConfig:
        values["num_classes"] = classes
    if mean is not None:
        values["mean_camera"] = tuple(float(number) for number in mean.angles)
    if kind is ThreeDGPConfig and mean is not None and isinstance(distribution, PosePrior):
        values |= _bounds(distribution)
        values["mean_camera"] = (*values["mean_camera"], float(mean.fov_deg), float(mean.radius))
        values["depth_adaptor"] = bool(values.get("depth_adaptor", False)) and recipe.data.depth
        values["depth_near"], values["depth_far"] = render.near, render.far
    every = fields(kind)  # type: ignore[arg-type]
    defaults = {one.name: one.default for one in every if one.name not in values}
    return kind.from_dict({**defaults, **values})  # which checks the type of each


def _bounds(prior: PosePrior) -> Mapping[str, tuple[float, ...]]:
    """Ends of the ranges that the camera generator keeps to."""
    spreads = (
        prior.yaw,
        prior.pitch,
        prior.fov_deg,
        prior.look_at_yaw,
        prior.look_at_pitch,
        prior.look_at_radius,
    )
    ends = [(one.low, one.high) if one.shape == "uniform_area" else one.range() for one in spreads]
    return {"camera_low": tuple(low for low, _ in ends), "camera_high": tuple(high for _, high in ends)}


def _settings(
    recipe: Recipe,
    render: RenderConfig,
    distribution: CameraDistribution,
    mean: Pose | None,
    class_names: tuple[str, ...],
) -> ModelSettings:
    shift = float(recipe.generator.get("density_shift", -1.0))
    return ModelSettings(
        render_config=render,
        camera_distribution=distribution,
        default_view=_default_view(distribution, mean),
        trusted_views=_trusted(distribution),
        iso_level=activated_iso_level("softplus", shift),
        class_names=class_names,
        provenance={"source": f"gen3d train, recipe {recipe.title}"},
        licence="that of the pictures it learned from",
    )


def _default_view(distribution: CameraDistribution, mean: Pose | None) -> FixedCamera:
    if isinstance(distribution, FixedCamera):
        return distribution
    if isinstance(distribution, PosePrior):
        assert mean is not None
        return fixed_view(mean)
    target = distribution.target
    camera = distribution.mean()
    yaw, pitch, radius = (float(value) for value in camera.spherical(torch.tensor(target).to(camera.position)))
    return FixedCamera(
        yaw_deg=yaw, pitch_deg=pitch, radius=radius, fov_y_deg=float(distribution.fov_y_deg), target=target
    )


def _trusted(distribution: CameraDistribution) -> TrustedViews:
    if isinstance(distribution, PosePrior):
        return trusted_views(distribution)
    if isinstance(distribution, UniformSphere):
        values = asdict(distribution)
        return TrustedViews(**{name: values[name] for name in asdict(TrustedViews())})
    return TrustedViews()
