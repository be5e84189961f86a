"""Sparsity: space is empty unless pictures say otherwise (the sparsity prior of PlenOctrees, Yu et al. 2021).

What no camera of the training sees may be anything, and on a white background so may white fog. Where cameras stand on
one side of their objects, matter grows behind these that views from farther round show.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.fields.triplane import TriplaneField

POINTS = 256
LENGTH = 0.075
"""Of the path whose opacity counts, sides of the box: about a step of a ray with sixteen samples."""
_EMPTY = 1e-4
"""What stops less light counts as nothing and has no gradient: it would be a number so small that processors slow down,
through all layers of the generator, to half their speed."""


def opaque_share(fields: Sequence[TriplaneField], uniform: Float[Tensor, "b n 3"]) -> Float[Tensor, " b"]:
    """Mean opacity of short paths at random places of the box: 0 where all is empty, towards 1 where all is solid.

    Args:
        fields: They differ in their planes alone.
        uniform: Numbers in [0, 1), which become places.
    """
    side = fields[0].box_side
    raw = TriplaneField.raw_densities(fields, (uniform - 0.5) * side)
    depth = LENGTH * side * fields[0].activate(raw)
    return -torch.expm1(-torch.where(depth > _EMPTY, depth, 0.0)).mean(1)
