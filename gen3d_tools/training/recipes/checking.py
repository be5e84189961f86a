"""Which values of a recipe do not go together; each is what its range allows."""

from collections.abc import Mapping
from typing import Any

from gen3d_tools.errors import InputError
from gen3d_tools.generators.networks.superresolution import VARIANTS
from gen3d_tools.training.patches import PatchConfig
from gen3d_tools.training.recipes.sections import DataSection, DiscriminatorSection, OptimisationSection


def check_together(family: str, generator: Mapping[str, Any], sections: Mapping[str, Any]) -> None:
    """Refuse values that a step would fail with.

    Args:
        family: That of the generator.
        generator: Values of its network config.
        sections: All other sections by their names.

    Raises:
        InputError: Two values do not go together.
    """
    discriminator: DiscriminatorSection = sections["discriminator"]
    _check_batch(sections["optimisation"], discriminator)
    if discriminator.kind == "patch":
        _check_patches(sections["patches"], sections["data"])
    elif discriminator.grouping != "strided":
        raise InputError(
            f'discriminator.grouping is "{discriminator.grouping}", which is for discriminators of patches; '
            "set discriminator.grouping=strided"
        )
    _check_size(generator, sections["data"])
    start, final = sections["losses"].render_start, generator.get("render_resolution")
    if start is not None and final is not None and start > final:
        raise InputError(
            f"losses.render_start is {start}, more than generator.render_resolution ({final}), which renderings grow "
            "to; lower it"
        )
    if family == "threedgp" and sections["data"].depth and not generator.get("depth_adaptor", False):
        raise InputError(
            "generator.depth_adaptor is false, and without it fakes have no depth to compare with data.depth; set "
            "data.depth=false as well"
        )


def _check_batch(optimisation: OptimisationSection, discriminator: DiscriminatorSection) -> None:
    if optimisation.batch < 1 or optimisation.round < 1 or optimisation.batch % optimisation.round:
        found = f"batch {optimisation.batch}, round {optimisation.round}"
        raise InputError(f"optimisation.batch must be a multiple of optimisation.round, got {found}")
    if optimisation.round % discriminator.group:
        raise InputError(
            f"optimisation.round is {optimisation.round}, it must be a multiple of discriminator.group "
            f"({discriminator.group})"
        )


def _check_patches(patches: PatchConfig, data: DataSection) -> None:
    if patches.side > data.resolution:
        raise InputError(f"patches.side is {patches.side}, larger than the pictures ({data.resolution}); lower it")
    least = patches.side / data.resolution
    if patches.least_scale < least:
        raise InputError(
            f"patches.least_scale is {patches.least_scale:g}; below {least:g} a patch shows less than there is"
        )
    if patches.distribution == "discrete_uniform" and patches.discrete_scales < 2:
        raise InputError(
            f"patches.discrete_scales is {patches.discrete_scales}, the whole picture is not among them; set 2 or "
            "more, or patches.distribution=full"
        )


def _check_size(generator: Mapping[str, Any], data: DataSection) -> None:
    """Refuse pictures of another size than a super-resolution makes; without one any size is rendered."""
    name = generator.get("super_resolution")
    made = next((variant for known, variant in VARIANTS.items() if known == name), None)
    if made is None or made.resolution == data.resolution:  # one that there is not is told where the network is made
        return
    sizes = sorted({variant.resolution for variant in VARIANTS.values()})
    raise InputError(
        f"data.resolution is {data.resolution}, generator.super_resolution={name} makes "
        f"{made.resolution}; train at {made.resolution}, or with another super-resolution (there are those for "
        f"{', '.join(map(str, sizes))})"
    )
