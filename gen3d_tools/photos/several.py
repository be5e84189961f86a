"""Several objects in one photo: how many a mask holds, and one of them alone.

Parts of a mask that lie close together belong to one object, such as the legs of a chair that a mask has cut off its
seat. Parts far smaller than the largest are none.
"""

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndimage
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.wording import option

_SIDE = 128  # pixels of the longer side at which parts are told apart
_GAP = 0.04  # between parts of one object, at most, as a share of the longer side
_SHARE = 0.2  # of the largest object's area that another one has, at least


@dataclass(frozen=True, eq=False)
class Chosen:
    """One object of a mask."""

    mask: Float[Tensor, "1 h w"]
    """The mask with this object alone."""

    count: int
    """Objects that the whole mask holds."""


def choose_object(mask: Float[Tensor, "1 h w"], number: int | None = None) -> Chosen:
    """Take one object of a mask.

    Args:
        mask: How much of each pixel is object, in [0, 1].
        number: Which one, 1 = the largest; None = the largest.

    Raises:
        InputError: There are not as many.
    """
    regions = _regions(mask)
    if number is not None and not 1 <= number <= max(len(regions), 1):
        found = "is one object" if len(regions) < 2 else f"are {len(regions)} objects"
        raise InputError(
            f"{option('object_number', number, typed='--object')}: there {found} in the photo; 1 = the largest"
        )
    if len(regions) < 2:
        return Chosen(mask, len(regions))
    region = torch.from_numpy(regions[(number or 1) - 1].astype(np.float32)).to(mask)[None, None]
    own = torch.nn.functional.interpolate(region, mask.shape[-2:], mode="nearest-exact")[0]
    return Chosen(mask * own, len(regions))


def say_several(name: str, count: int) -> str:
    """Say that a photo shows several objects, and which one was taken.

    Args:
        name: Of the photo.
        count: Of its objects.
    """
    second = option("object_number", 2, typed="--object")
    return f"{name}: there are {count} objects; the largest is taken, {second} is the next"


def _regions(mask: Float[Tensor, "1 h w"]) -> list[Bool[np.ndarray, "small_h small_w"]]:
    """Part the picture between its objects, the largest first: each pixel goes to the nearest one."""
    scale = min(1.0, _SIDE / max(mask.shape[-2:]))
    size = [max(1, round(scale * side)) for side in mask.shape[-2:]]
    small = torch.nn.functional.interpolate(mask[None].float().cpu(), size, mode="bilinear", antialias=True)[
        0, 0
    ].numpy()
    inside = small > 0.5
    reach = np.ones(2 * [1 + 2 * round(_GAP * max(size) / 2)], bool)  # half of the gap from either side
    labels, count = ndimage.label(ndimage.binary_dilation(inside, reach))
    areas = ndimage.sum_labels(inside, labels, np.arange(1, count + 1)) if count else np.zeros(0)
    order = np.argsort(-areas, kind="stable")
    kept = [int(index) + 1 for index in order if areas[index] >= _SHARE * areas.max()]
    if len(kept) < 2:
        return [np.ones_like(inside)] * len(kept)
    seen = np.where(inside, labels, 0)
    _, (rows, columns) = ndimage.distance_transform_edt(seen == 0, return_indices=True)
    nearest = seen[rows, columns]
    return [nearest == label for label in kept]
