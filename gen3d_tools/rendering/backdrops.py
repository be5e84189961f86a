"""What rays see of a field's backdrop."""

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.fields.backdrop import Backdrop, Layers
from gen3d_tools.fields.render_config import Background
from gen3d_tools.memory import in_chunks
from gen3d_tools.rendering.volume.compositing import add_background, composite

_POINTS = 1 << 16  # per chunk


def behind(
    backdrop: Backdrop,
    background: Background,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    pixels: Float[Tensor, "rays 2"] | None = None,
) -> Float[Tensor, "rays channels"]:
    """Blend the layers of a backdrop and the uniform background behind it.

    A background "last" is about the field's own last sample; behind the backdrop it is grey.

    Args:
        backdrop: Says what the rays meet.
        background: Of the field's settings.
        origins: Where the rays start.
        directions: Unit vectors.
        pixels: Where the rays pass through the picture, in image sides; needed by a backdrop on the screen.

    Returns:
        Colours, nominally 0..1, and features where the backdrop has some.
    """

    def work(rows: slice) -> Tensor:
        layers = backdrop(origins[rows], directions[rows], None if pixels is None else pixels[rows])
        return _blended(layers, background)

    return torch.cat(in_chunks(work, len(origins), max(1, _POINTS // backdrop.layers_per_ray), what="rays"))


def _blended(layers: Layers, background: Background) -> Float[Tensor, "rays channels"]:
    lengths = layers.lengths.expand_as(layers.density)
    values, ray_weights = composite(layers.density, layers.values, lengths)
    # EpiGRAF adds nothing to the sum of its colours, which are in [-1, 1]: what is missing is their zero.
    return add_background(values, ray_weights.sum(-1), "grey" if background == "last" else background)
