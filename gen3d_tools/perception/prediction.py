"""What the encoder answers."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

_MODE_REACH_DEG = 15.0  # either side of a peak: this belongs to its mode


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the encoder makes of a batch of pictures."""

    class_logits: Float[Tensor, "b classes"]
    yaw_logits: Float[Tensor, "b bins"]
    """Over equal bins of -180 to 180 degrees. A symmetric object has several peaks."""

    pitch_deg: Float[Tensor, " b"]
    z: Float[Tensor, "b z_dim"]
    """Latent of root mean square 1, to be given to the generator's `map` with the class that was assumed."""

    framing: Float[Tensor, "b 4"]
    """How the object sits compared with the generator's own pictures: log of its magnification, shift to the right
    and down (in sides of the picture), clockwise roll (degrees)."""

    known_logit: Float[Tensor, " b"]
    """Above 0: more like the objects it was trained on than like the strangers it was shown."""

    familiarity: Float[Tensor, " b"]
    """In [0, 1]. Below 0.5 the picture is unlike 99 % of those it was trained on: expect little."""

    unlikeness: Float[Tensor, " b"]
    """How far the picture's features are from those of known objects; 1 is as far as the farthest 1 % of those."""

    embedding: Float[Tensor, "b hidden"]
    """The summary all answers are read from."""

    features: tuple[Tensor, ...]
    """Feature maps of the stages, [b, channels, side, side], from fine to coarse."""

    fov_deg: Float[Tensor, " b"] | None = None
    """Vertical field of view of the picture, degrees; None from an encoder that does not tell."""

    @property
    def class_index(self) -> Int[Tensor, " b"]:
        """The most likely class."""
        return self.class_logits.argmax(dim=1)

    @property
    def yaw_deg(self) -> Float[Tensor, " b"]:
        """Centre of the most likely mode, degrees."""
        return self.yaw_modes(1)[0][:, 0]

    def yaw_modes(self, count: int) -> tuple[Float[Tensor, "b count"], Float[Tensor, "b count"]]:
        """Find the likeliest directions, so that a search can try each.

        A mode is a bin with its neighbours up to 15 degrees away; the next one is looked for outside them.

        Args:
            count: How many.

        Returns:
            Degrees in [-180, 180) and probabilities, likeliest first.
        """
        probability = self.yaw_logits.detach().float().softmax(dim=1)
        bins = probability.shape[1]
        reach = min(int(_MODE_REACH_DEG * bins / 360), (bins - 1) // 2)
        offsets = torch.arange(-reach, reach + 1, device=probability.device)
        yaws, masses = [], []
        for _ in range(count):
            window = torch.stack([probability.roll(-k, dims=1) for k in range(-reach, reach + 1)], dim=-1)
            best = window.sum(-1).argmax(dim=1)
            chosen = window.gather(1, best[:, None, None].expand(-1, 1, len(offsets)))[:, 0]
            masses.append(chosen.sum(dim=1))
            center = best + (chosen * offsets).sum(dim=1) / masses[-1].clamp_min(1e-9)
            yaws.append((center + 0.5) * (360 / bins) - 180)
            probability = probability.scatter(1, (best[:, None] + offsets) % bins, 0.0)
        return (torch.stack(yaws, dim=1) + 180) % 360 - 180, torch.stack(masses, dim=1)
