"""What all families of tri-planes share: latents to planes, planes to fields."""

from abc import abstractmethod

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.base import Generator


class TriplaneGenerator(Generator):
    """A generator whose scenes are three planes and a decoder: `seeds, classes -> ws -> planes -> fields`."""

    @abstractmethod
    def planes(
        self, ws: Float[Tensor, "b num_ws w_dim"], *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "b 3 channels h w"]:
        """Synthesise the tri-planes. Deterministic; follows autograd.

        Args:
            ws: One latent per layer.
            dtype: Of the convolutions, see `fields`. The planes are float32 all the same.
        """

    @abstractmethod
    def field(self, planes: Float[Tensor, "3 channels h w"]) -> TriplaneField:
        """Wrap one sample's planes and the decoder into a radiance field."""

    def fields(self, ws: Float[Tensor, "b num_ws w_dim"], *, dtype: torch.dtype = torch.float32) -> list[TriplaneField]:
        """Compute each sample's planes once and give them as fields; see `Generator.fields`."""
        return [self.field(self.planes(ws[i : i + 1], dtype=dtype)[0]) for i in range(len(ws))]


def split_planes(image: Float[Tensor, "b channels h w"]) -> Float[Tensor, "b 3 c h w"]:
    """Take the planes out of a backbone's picture, whose channels they share."""
    planes: Tensor = rearrange(image, "b (plane c) h w -> b plane c h w", plane=3)
    return planes
