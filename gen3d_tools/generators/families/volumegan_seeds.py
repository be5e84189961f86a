"""The latents that VolumeGAN's published script draws for a seed.

It seeds torch, builds the network, whose random initial weights take numbers from the same stream, and draws `z` then.
So what a seed means there depends on the network's sizes. Here `latents` has one rule for all families; this one is
for comparing with published results.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.errors import InputError
from gen3d_tools.generators.families.volumegan import VolumeGANGenerator
from gen3d_tools.generators.networks.volumegan.neural_renderer import FirstImage
from gen3d_tools.generators.networks.volumegan.scaled_layers import ModulatedPixels, ScaledLinear


def script_latents(generator: VolumeGANGenerator, seed: int, count: int) -> Float[Tensor, "count z_dim"]:
    """Draw latents as the published script does.

    Args:
        generator: Says how many numbers the construction of such a network takes.
        seed: Of torch's generator.
        count: Samples of one call; the first ones depend on it.

    Raises:
        InputError: `count` is below 1.
    """
    if count < 1:
        raise InputError(f"count is {count}, it must be at least 1")
    stream = torch.Generator().manual_seed(seed)
    for shape, uniform in _drawn(generator):
        draw = torch.empty(shape)
        draw.uniform_(generator=stream) if uniform else draw.normal_(generator=stream)
    return torch.randn(count, generator.config.z_dim, generator=stream)


def _drawn(generator: VolumeGANGenerator) -> Iterator[tuple[torch.Size, bool]]:
    """Shapes of what the construction draws, in its order, and whether it is uniform or else normal."""
    for part in generator.mapping.children():
        yield from _layer(part)
    volume = generator.nerfmlp.fv
    for layer in (*(volume.get_submodule(f"layer{i}") for i in range(len(volume.channels))), volume.mapping_network):
        yield from ((parameter.shape, True) for parameter in layer.parameters())
    yield volume.mapping_network.weight.shape, False
    points = generator.nerfmlp
    for part in (*points.fg_mlps, points.fg_density, points.fg_color, *generator.synthesis.children()):
        yield from _layer(part)


def _layer(part: nn.Module) -> Iterator[tuple[torch.Size, bool]]:
    """Weight, style weight, noise; biases draw nothing."""
    if isinstance(part, ScaledLinear | FirstImage | ModulatedPixels):
        yield part.weight.shape, False
    if isinstance(part, ModulatedPixels):
        yield part.style.weight.shape, False
        if part.noise is not None:
            yield part.noise.shape, False
