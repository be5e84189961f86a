"""Several views of one object before the discriminator, against collapse (Shen & Wang 2024, figure 2).

The paper does not say how the views enter. Two readings:

* "mean": each view is judged by itself, and an object's loss is the mean over its views.
* "pack": the views side by side in the channels; a real tuple is as many *different* pictures of one class (after
  PacGAN, Lin et al. 2018, which aims at collapse too).
"""

from collections.abc import Sequence

import numpy as np
from einops import rearrange
from jaxtyping import Float
from torch import Tensor


def view_major(views: Float[Tensor, "views b channels n n"]) -> Float[Tensor, "pictures channels n n"]:
    """Views as a batch for the mode "mean": picture `v b + i` is view v of object i.

    Minibatch statistics take every (b/4)-th sample, so that for b a multiple of 4 no group holds an object twice.
    """
    return views.flatten(0, 1)


def per_object(losses: Float[Tensor, " pictures"], views: int) -> Float[Tensor, " b"]:
    """Mean of each object's losses over its views."""
    return losses.reshape(views, -1).mean(0)


def packed(views: Float[Tensor, "views b channels n n"]) -> Float[Tensor, "b packed n n"]:
    """Views side by side in the channels for the mode "pack"."""
    return rearrange(views, "v b c h w -> b (v c) h w")


def real_tuples(
    labels: Sequence[int] | np.ndarray, wanted: Sequence[int] | np.ndarray, views: int, numbers: np.random.RandomState
) -> np.ndarray:
    """Choose `views` different pictures of a class for each tuple.

    Args:
        labels: Class of every picture.
        wanted: Class of each tuple, one of `packable_classes`.
        views: Pictures in a tuple.
        numbers: Source of the choice.

    Returns:
        Indices of pictures, [tuples, views].
    """
    every = np.asarray(labels)
    members = {int(label): np.flatnonzero(every == label) for label in np.unique(wanted)}
    return np.stack([numbers.choice(members[int(label)], size=views, replace=False) for label in wanted])


def packable_classes(labels: Sequence[int] | np.ndarray, views: int) -> list[int]:
    """Classes with enough pictures for a tuple; others take no part."""
    found, counts = np.unique(np.asarray(labels), return_counts=True)
    return [int(label) for label, count in zip(found, counts, strict=True) if count >= views]


def repeated_labels(label: Float[Tensor, "b classes"] | None, views: int) -> Float[Tensor, "pictures classes"] | None:
    """Labels of `view_major` pictures."""
    return None if label is None else label.repeat(views, 1)
