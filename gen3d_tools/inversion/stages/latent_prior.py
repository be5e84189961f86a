"""What latents of a class look like, and coordinates in which an optimiser walks among them."""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.fields.field import RadianceField
from gen3d_tools.generators.base import Generator
from gen3d_tools.inversion.settings import Basis

STATISTICS_SEED = 123
"""Latents behind every statistic are drawn by numpy's RandomState(123), as the published code does."""

_THINNEST = 0.01  # no axis is thinner than this share of the widest


@dataclass(frozen=True, eq=False)
class LatentPrior:
    """The distribution of `w` for one class, without truncation."""

    mean: Float[Tensor, " w_dim"]
    w_std: float
    """Root mean square distance from the mean, summed over all dimensions."""
    axes: Float[Tensor, "w_dim w_dim"]
    """Rows are the unit principal axes, widest first."""
    spreads: Float[Tensor, " w_dim"]
    """Standard deviation along each axis, none below a hundredth of the first."""
    layers: "tuple[LatentPrior, ...]" = ()
    """Where each layer has latents of its own: theirs, one after the other, of which the first is as here."""

    @property
    def start(self) -> Float[Tensor, "rows w_dim"]:
        """The mean: of one latent for all layers, or of that of each."""
        return torch.stack([layer.mean for layer in self.layers or (self,)])

    def rows_at(self, coordinates: Float[Tensor, "rows w_dim"], kind: Basis) -> Float[Tensor, "rows w_dim"]:
        """Give the latents at coordinates; the inverse of `coordinates_of`."""
        if not self.layers:
            return self.mean + coordinates @ self.basis(kind)
        rows = zip(self.layers, coordinates, strict=True)
        return torch.stack([layer.mean + row @ layer.basis(kind) for layer, row in rows])

    def coordinates_of(self, w: Float[Tensor, "rows w_dim"], kind: Basis) -> Float[Tensor, "rows w_dim"]:
        """Give the coordinates of the latents of layers, each about its own mean if they have such."""
        if not self.layers:
            return self.coordinates(w, kind)
        return torch.stack([layer.coordinates(row, kind) for layer, row in zip(self.layers, w, strict=True)])

    def basis(self, kind: Basis) -> Float[Tensor, "w_dim w_dim"]:
        """Rows are the steps that coordinates count: standard deviations along the axes, or units of `w`."""
        return self.axes * self.spreads[:, None] if kind == "spread" else torch.eye(len(self.mean)).to(self.mean)

    def coordinates(self, w: Float[Tensor, "*b w_dim"], kind: Basis) -> Float[Tensor, "*b w_dim"]:
        """Give the coordinates of latents; the inverse of `mean + coordinates @ basis(kind)`."""
        offset = w - self.mean
        return offset @ self.axes.T / self.spreads if kind == "spread" else offset

    def strangeness(self, w: Float[Tensor, "rows w_dim"]) -> Float[Tensor, " rows"]:
        """Root mean square of the standardised coordinates: about 1 for latents that the mapping network gives."""
        return self.coordinates_of(w, "spread").square().mean(-1).sqrt()


@torch.no_grad()
def latent_prior(
    generator: Generator,
    class_index: int | None,
    samples: int = 600,
    camera_cond: Float[Tensor, "1 25"] | None = None,
) -> LatentPrior:
    """Measure the latents of a class.

    Args:
        generator: Its mapping network is asked.
        class_index: None for a generator without classes.
        samples: How many latents.
        camera_cond: Label of the camera that latents are conditioned on; None takes the generator's default one.
    """
    z = np.random.RandomState(STATISTICS_SEED).randn(samples, generator.config.z_dim)
    ws = map_z(generator, torch.from_numpy(z).float(), class_index, camera_cond=camera_cond)
    if generator.shared_w:
        return _measured(ws[:, 0])
    first, *others = (_measured(ws[:, row]) for row in range(generator.num_ws - generator.own_rows))
    return replace(first, layers=(first, *others))


def _measured(w: Float[Tensor, "samples w_dim"]) -> LatentPrior:
    """Measure the distribution of latents."""
    samples, mean = len(w), w.mean(0)
    offsets = w - mean
    _, singular, axes = torch.linalg.svd(offsets, full_matrices=True)
    spreads = F.pad(singular, (0, len(axes) - len(singular))) / samples**0.5
    spreads = spreads.clamp_min(max(_THINNEST * float(spreads[0]), 1e-8))
    return LatentPrior(mean, float(offsets.square().sum(-1).mean().sqrt()), axes, spreads)


def map_z(
    generator: Generator,
    z: Float[Tensor, "b z_dim"],
    class_index: int | None,
    truncation_psi: float = 1.0,
    camera_cond: Float[Tensor, "1 25"] | None = None,
) -> Float[Tensor, "b num_ws w_dim"]:
    """Map latents of one class."""
    onehot = None
    if class_index is not None:
        label = torch.full((len(z),), class_index, device=generator.device)
        onehot = F.one_hot(label, len(generator.class_names)).float()
    camera = None if camera_cond is None else camera_cond.to(generator.device).expand(len(z), -1)
    return generator.map(z.to(generator.device), onehot, camera, truncation_psi=truncation_psi)


@torch.no_grad()
def typical_object(generator: Generator, prior: LatentPrior) -> RadianceField:
    """The field of a class's mean latent."""
    field: RadianceField = generator.fields(generator.same_ws(prior.start))[0]
    return field
