"""A photo with its mask to the picture that TripoSR was trained with: cropped, on grey, square.

The steps are those of the published script to the letter, in 8 bits, its oddities included: the last row and column of
the object are cut off, and grey ground is 127.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from gen3d_tools.errors import InputError

FOREGROUND_SHARE = 0.85
"""Of the square's side that the longer side of the object takes."""

_GREY = np.float32(0.5)


def squared(
    rgba: UInt8[np.ndarray, "h w 4"], share: float = FOREGROUND_SHARE, *, name: str = "the picture"
) -> UInt8[np.ndarray, "n n 4"]:
    """Crop to the object and put it in the middle of a transparent square; nothing is resampled.

    Args:
        rgba: Colours and opacity; whatever is not fully transparent is object.
        share: Of the square's side that the longer side of the object takes.
        name: What a message calls it.

    Raises:
        InputError: There is no object, or it is one pixel wide.
    """
    rows, columns = np.nonzero(rgba[..., 3].any(1))[0], np.nonzero(rgba[..., 3].any(0))[0]
    if not len(rows) or rows[0] == rows[-1] or columns[0] == columns[-1]:
        found = "no object" if not len(rows) else f"an object of {len(columns)} x {len(rows)} pixels"
        raise InputError(f"{found} is in {name}; it needs two pixels each way at the least")
    crop = rgba[rows[0] : rows[-1], columns[0] : columns[-1]]  # without the last ones, as published
    height, width = crop.shape[:2]
    side = max(height, width)
    whole = int(side / share)
    top, left = (whole - side) // 2 + (side - height) // 2, (whole - side) // 2 + (side - width) // 2
    square = np.zeros((whole, whole, 4), np.uint8)
    square[top : top + height, left : left + width] = crop
    return square


def on_grey(rgba: UInt8[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "h w 3"]:
    """Put a picture on grey; 8 bits by truncation, as published."""
    unit = rgba.astype(np.float32) / np.float32(255)
    alpha = unit[..., 3:]
    mixed = unit[..., :3] * alpha + _GREY * (1 - alpha)
    rgb: UInt8[np.ndarray, "h w 3"] = (mixed * np.float32(255)).astype(np.uint8)
    return rgb


def encoder_picture(rgb: UInt8[np.ndarray, "h w 3"] | Float[np.ndarray, "h w 3"], size: int) -> Float[Tensor, "3 n n"]:
    """Resize a picture to what the network looks at.

    Args:
        rgb: In 8 bits, or as numbers in 0..1.
        size: Pixels along each side.

    Returns:
        Colours in 0..1.
    """
    unit = torch.from_numpy(rgb.astype(np.float32))
    if rgb.dtype == np.uint8:
        unit = unit / 255
    image = unit.permute(2, 0, 1)[None]
    return F.interpolate(image, (size, size), mode="bilinear", align_corners=False, antialias=True)[0]
