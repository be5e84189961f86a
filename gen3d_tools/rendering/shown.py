"""Pictures as bytes of a PNG, for notebooks."""

import io
import math

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

LARGEST_SIDE = 1024
"""Pixels of what a notebook shows; more is made smaller."""


def png_of(pictures: Float[Tensor, "*b 3 h w"]) -> bytes:
    """Lay pictures out as a table that is about square, white where there is none.

    Args:
        pictures: Values in [0, 1].
    """
    flat = pictures.detach().float().cpu().reshape(-1, *pictures.shape[-3:])
    columns = math.ceil(math.sqrt(len(flat)))
    rows = math.ceil(len(flat) / columns)
    blank = torch.ones(rows * columns - len(flat), *flat.shape[1:])
    cells = torch.cat([flat, blank]).reshape(rows, columns, *flat.shape[1:])
    table = cells.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    picture = Image.fromarray((table.clamp(0, 1) * 255).round().byte().numpy())
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
