"""What enlarges rendered features to the final picture, as a value that a field carries."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor


class SuperResolution(ABC):
    """An image network behind the volume renderer, bound to one sample (EG3D, section 4.3).

    Attributes:
        render_resolution: Rays along each side of the picture that it wants to be given.
        resolution: Pixels along each side of the picture it returns.
        grid_share: Share of the picture, from its upper left corner, that the small picture's rays span; 1 where those
            are the picture's own. Some networks were trained with every k-th ray of the large picture's grid.
    """

    render_resolution: int
    grid_share: float = 1.0

    @property
    @abstractmethod
    def resolution(self) -> int:
        """Pixels along each side of the picture it returns."""

    @abstractmethod
    def __call__(
        self, values: Float[Tensor, "channels n n"], generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "3 r r"], Float[Tensor, "3 n n"]]:
        """Enlarge rendered values; follows autograd.

        Args:
            values: What the renderer blended, nominally 0..1, the colour first; any `n`.
            generator: For networks trained with random noise; without it there is none.

        Returns:
            The picture, nominally 0..1 and not clamped, and the raw picture as the published code returns it
            beside the final one (see `generators.superresolution`).
        """

    @abstractmethod
    def to(self, device: torch.device | str) -> "SuperResolution":
        """Give the same network on another device."""
