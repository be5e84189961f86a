"""Models without latents: what they answer to whoever asks for a seed or a class."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.generators.base import Generator


class LatentFree(Generator):
    """A model whose latent space has no dimension: its `ws` are [b, 0, 0], all of them the same."""

    @property
    def num_ws(self) -> int:
        """There are none."""
        return 0

    @property
    @abstractmethod
    def why_no_seeds(self) -> str:
        """One sentence for those who ask for a seed, a class or a latent."""

    def mapped(
        self,
        z: Float[Tensor, "b z_dim"],
        class_onehot: Float[Tensor, "b classes"] | None,
        camera_cond: Float[Tensor, "b 25"] | None,
    ) -> tuple[Float[Tensor, "b #num_ws w_dim"], Float[Tensor, "... w_dim"]]:
        """Refuse: nothing is drawn from latents.

        Raises:
            InputError: Always.
        """
        raise InputError(self.why_no_seeds)

    def latents(
        self,
        seeds: Sequence[int],
        classes: Sequence[str | int] | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Float[Tensor, "b num_ws w_dim"]:
        """Refuse: nothing is drawn from seeds.

        Raises:
            InputError: Always.
        """
        raise InputError(self.why_no_seeds)

    def class_indices(self, seeds: Sequence[int], classes: Sequence[str | int] | None = None) -> list[int]:
        """Refuse: nothing is drawn from seeds.

        Raises:
            InputError: Always.
        """
        raise InputError(self.why_no_seeds)

    def no_latents(self, count: int = 1) -> Float[Tensor, "b 0 0"]:
        """Give the latents of so many samples."""
        return torch.empty(count, 0, 0, device=self.device)
