"""How far a mask that was guessed from colours can be believed: what a whole object alone in a photo looks like.

Five signs, each from 0 (no object looks so) to 1; the confidence is the least of them:

* area: the object is neither a speck nor all of the photo;
* holes: it is not a sieve: few pixels that it encloses are background;
* border: it does not run out of the photo on a large part of the edge;
* colours: what is object and what is background differ where they meet, and over all;
* steady: the mask stays where it is if a narrow strip of the photo's edge is cut away.

The limits were set on toys before walls, bricks, grass and photos of other things, where the true mask is known, and on
a dozen photos.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndimage
import torch
from jaxtyping import Float
from torch import Tensor

CONFIDENT = 0.5
"""Confidence from which on a mask is used without being asked for."""

_SIDE = 128  # pixels of the longer side
_BINS = 6  # of each colour channel
_RING = 3  # pixels on either side of the outline
_STRIP = 0.04  # of height and width, on each side


@dataclass(frozen=True)
class MaskConfidence:
    """The signs of a mask, each in [0, 1]."""

    area: float
    holes: float
    border: float
    colours: float
    steady: float = 1.0

    @property
    def value(self) -> float:
        """The least of them: one bad sign is enough."""
        return min(self.area, self.holes, self.border, self.colours, self.steady)

    @property
    def doubts(self) -> list[str]:
        """What speaks against the mask, in words; nothing if it is believed."""
        said = {
            "area": "the object would be a speck or nearly the whole photo",
            "holes": "it would be full of holes or in pieces",
            "border": "it would run out of the photo",
            "colours": "its colours are those of the background",
            "steady": "another strip of border gives another object",
        }
        return [words for name, words in said.items() if getattr(self, name) < CONFIDENT]


def judge_mask(
    rgb: Float[Tensor, "3 h w"],
    mask: Float[Tensor, "1 h w"],
    again: Callable[[Float[Tensor, "3 _ _"]], Float[Tensor, "1 _ _"]] | None = None,
    whole: Float[Tensor, "1 h w"] | None = None,
) -> MaskConfidence:
    """Say how far a mask can be believed.

    Args:
        rgb: The photo, in [0, 1].
        mask: What of it is object, in [0, 1].
        again: Finds the mask of a photo anew, to see whether it is steady; None leaves that sign out.
        whole: What `again` found in the whole photo, where `mask` is one of several objects of it.
    """
    scale = min(1.0, _SIDE / max(rgb.shape[-2:]))
    size = [max(8, round(scale * side)) for side in rgb.shape[-2:]]
    both = torch.cat([rgb, mask]).cpu()[None]
    small = torch.nn.functional.interpolate(both, size, mode="bilinear", antialias=True)[0].numpy()
    pixels, inside = small[:3].transpose(1, 2, 0), small[3] > 0.5
    if not inside.any() or inside.all():
        return MaskConfidence(0.0, 0.0, 0.0, 0.0)
    steady = 1.0 if again is None else _steady(rgb, mask if whole is None else whole, again)
    return MaskConfidence(_area(inside), _holes(inside), _border(inside), _colours(pixels, inside), steady)


def _falling(value: float, good: float, bad: float) -> float:
    """1 up to `good`, 0 from `bad` on, linear between."""
    return float(np.clip((bad - value) / (bad - good), 0, 1))


def _area(inside: np.ndarray) -> float:
    share = inside.mean()
    return min(_falling(-share, -0.01, -0.002), _falling(share, 0.6, 0.85))


def _holes(inside: np.ndarray) -> float:
    """Enclosed background and crumbs, as shares of the object."""
    labels, count = ndimage.label(inside)
    largest = np.bincount(labels.ravel())[1:].max() if count else 0
    crumbs = 1 - largest / inside.sum()
    enclosed = (ndimage.binary_fill_holes(inside) & ~inside).sum() / inside.sum()
    # A ring has one hole with a smooth rim; a sieve has a rim that is long for its area.
    rim = (inside & ~ndimage.binary_erosion(inside)).sum() / np.sqrt(inside.sum())
    return min(_falling(crumbs, 0.15, 0.5), _falling(enclosed, 0.5, 1.5), _falling(rim, 11.0, 20.0))


def _border(inside: np.ndarray) -> float:
    """How much of the photo's edge is object."""
    edge = np.concatenate([inside[0], inside[-1], inside[1:-1, 0], inside[1:-1, -1]])
    return _falling(float(edge.mean()), 0.04, 0.20)


def _colours(pixels: np.ndarray, inside: np.ndarray) -> float:
    """How different object and background are: across the outline, and as distributions of colours."""
    distance = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    near, beyond = (distance > 0.5) & (distance <= _RING + 0.5), (distance < -0.5) & (distance >= -_RING - 0.5)
    local, whole = _overlap(pixels[near], pixels[beyond]), _overlap(pixels[inside], pixels[~inside])
    return min(_falling(local, 0.35, 0.85), _falling(whole, 0.10, 0.26))


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Give the common part of two distributions of colours, in [0, 1]."""
    histograms = []
    for part in (first, second):
        codes = np.clip((part * _BINS).astype(int), 0, _BINS - 1) @ np.array([1, _BINS, _BINS**2])
        histograms.append(np.bincount(codes, minlength=_BINS**3) / max(len(codes), 1))
    return float(np.minimum(*histograms).sum())


def _steady(rgb: Tensor, mask: Tensor, again: Callable[[Tensor], Tensor]) -> float:
    """How much of the mask stays if the photo's edge is cut away."""
    height, width = rgb.shape[-2:]
    rows, columns = round(_STRIP * height), round(_STRIP * width)
    part = (slice(None), slice(rows, height - rows), slice(columns, width - columns))
    before, after = mask[part] > 0.5, again(rgb[part]) > 0.5
    common = float((before & after).sum()) / max(float((before | after).sum()), 1.0)
    return _falling(-common, -0.75, -0.5)
