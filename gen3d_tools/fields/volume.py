"""The field of a feature volume (VolumeGAN, section 3.1): a point's voxel features and its position, through a network.

The network is one sample's own: what a latent does to its layers has been multiplied into their weights. The picture
is made of features, and blending along a ray is linear, so the last layer can be applied once per ray and not once per
sample: `hidden` and `head` are the two halves of a query.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.fields.choices import DensityActivation, HiddenActivation
from gen3d_tools.fields.field import RadianceField, by_chain_rule
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.super_resolution import SuperResolution

Bounds = tuple[tuple[float, float, float], tuple[float, float, float]]
_SLOPE = 0.2
_CACHED = 1 << 12  # points whose hidden layers stay in a processor's cache


@dataclass(frozen=True, eq=False)
class PointNetwork:
    """A fully connected network at points, as plain matrices with all gains multiplied in."""

    hidden: tuple[tuple[Tensor, Tensor], ...]
    """Weight [outputs, inputs] and bias [outputs] of each hidden layer."""
    density: tuple[Tensor, Tensor]
    """Row [width] and bias [] that give the raw density."""
    head: tuple[Tensor, Tensor]
    """Weight [channels, width] and bias [channels] that give the values."""
    activation: HiddenActivation
    """Of the hidden layers; a leaky ReLU has slope 0.2."""

    def to(self, device: torch.device | str) -> "PointNetwork":
        """Give the same network on another device."""

        def moved(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            return pair[0].to(device), pair[1].to(device)

        return replace(
            self,
            hidden=tuple(moved(layer) for layer in self.hidden),
            density=moved(self.density),
            head=moved(self.head),
        )


@dataclass(frozen=True, kw_only=True)
class PositionalEncoding:
    """Sines and cosines of a point's world coordinates (NeRF, section 5.1): `sin(f x), cos(f x)` for each frequency."""

    frequencies: tuple[float, ...]
    """In radians per world unit."""
    include_input: bool = True
    """Whether the coordinates themselves come first."""

    @classmethod
    def spaced(
        cls, count: int, max_log2: float, *, logarithmic: bool = True, include_input: bool = True
    ) -> "PositionalEncoding":
        """Frequencies from 1 to `2**max_log2`, even in their logarithm or in themselves."""
        first, last = (0.0, max_log2) if logarithmic else (1.0, 2.0**max_log2)
        spaced = torch.linspace(first, last, count, device="cpu", dtype=torch.float32)  # whatever the default device
        spaced = torch.exp2(spaced) if logarithmic else spaced
        return cls(frequencies=tuple(spaced.tolist()), include_input=include_input)

    @property
    def size(self) -> int:
        """Numbers per point."""
        return 3 * self.include_input + 6 * len(self.frequencies)

    def __call__(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n size"]:
        """Encode points: the coordinates, then the sines and cosines of each frequency in turn."""
        angles = points[:, None] * points.new_tensor(self.frequencies)[:, None]
        waves = torch.stack([angles.sin(), angles.cos()], 2).flatten(1)
        return torch.cat([points, waves], -1) if self.include_input else waves


def sample_volume(
    volume: Float[Tensor, "channels d h w"], points: Float[Tensor, "n 3"], bounds: Bounds
) -> Float[Tensor, "n channels"]:
    """Look points up in a feature volume, trilinearly.

    Args:
        volume: World x runs along its last axis, z along the first spatial one.
        points: World coordinates.
        bounds: World corners at the centres of the first and the last voxel; beyond them the nearest value counts.
    """
    low, high = points.new_tensor(bounds)
    grid = (points - low) / (high - low) * 2 - 1
    sampled = F.grid_sample(volume[None], grid[None, :, None, None], align_corners=True, padding_mode="border")
    return sampled[0, :, :, 0, 0].T


@dataclass(frozen=True, kw_only=True, eq=False)
class VolumeField(RadianceField):
    """One scene: its feature volume and the network that reads it. View directions are not used."""

    volume: Float[Tensor, "channels d h w"]
    bounds: Bounds
    encoding: PositionalEncoding
    network: PointNetwork
    render_config: RenderConfig
    box_side: float
    density_activation: DensityActivation = "relu"
    density_shift: float = 0.0
    iso_level: float = 10.0
    super_resolution: SuperResolution | None = None
    bounded = False

    def hidden(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points width"]:
        """Evaluate the network up to its last hidden layer."""
        flat = points.reshape(-1, 3)
        pieces = [self._hidden(piece) for piece in _pieces(flat)]
        x = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
        return x.reshape(*points.shape[:-1], x.shape[-1])

    def _hidden(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n width"]:
        x = torch.cat([sample_volume(self.volume, points, self.bounds), self.encoding(points)], -1)
        for weight, bias in self.network.hidden:
            x = self._activated(F.linear(x, weight, bias))
        return x

    def _activated(self, x: Float[Tensor, "n width"]) -> Float[Tensor, "n width"]:
        if self.network.activation == "linear":
            return x
        slope = _SLOPE if self.network.activation == "lrelu" else 0.0
        if torch.is_grad_enabled() and x.requires_grad:
            return F.leaky_relu(x, slope)
        return F.leaky_relu_(x, slope)

    def raw_of(self, hidden: Float[Tensor, "*points width"]) -> Float[Tensor, "*points"]:
        """The raw density of points from their last hidden layer."""
        weight, bias = self.network.density
        return hidden @ weight + bias

    def head(
        self, hidden: Float[Tensor, "*points width"], channels: int | None = None
    ) -> Float[Tensor, "*points channels"]:
        """The values of points from their last hidden layer; the first `channels` of them."""
        weight, bias = self.network.head
        return F.linear(hidden, weight[:channels], bias[:channels])

    def __call__(
        self, points: Float[Tensor, "*points 3"], directions: Float[Tensor, "*points 3"] | None = None
    ) -> tuple[Float[Tensor, "*points channels"], Float[Tensor, "*points"]]:
        """Evaluate values and raw density."""
        hidden = self.hidden(points)
        return self.head(hidden), self.raw_of(hidden)

    def deferred(
        self, points: Float[Tensor, "*points 3"], directions: Float[Tensor, "*points 3"] | None = None
    ) -> tuple[Float[Tensor, "*points width"], Float[Tensor, "*points"]]:
        """Evaluate the last hidden layer and the raw density."""
        hidden = self.hidden(points)
        return hidden, self.raw_of(hidden)

    def shade(
        self, blended: Float[Tensor, "*rays width"], weight: Float[Tensor, "*rays"], channels: int | None = None
    ) -> Float[Tensor, "*rays channels"]:
        """Apply the last layer to blended hidden layers."""
        rows, bias = (part[:channels] for part in self.network.head)
        return F.linear(blended, rows) + weight[..., None] * bias

    def raw_density(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points"]:
        """Evaluate the density before activation alone."""
        flat = points.reshape(-1, 3)
        return torch.cat([self.raw_of(self._hidden(piece)) for piece in _pieces(flat)]).reshape(points.shape[:-1])

    def raw_density_gradient(
        self, points: Float[Tensor, "*points 3"]
    ) -> tuple[Float[Tensor, "*points"], Float[Tensor, "*points 3"]]:
        """Evaluate the raw density and its gradient, per world unit."""
        return by_chain_rule(self.raw_density, points)

    def rgb_density(
        self, points: Float[Tensor, "*points 3"]
    ) -> tuple[Float[Tensor, "*points 3"], Float[Tensor, "*points"]]:
        """Evaluate colour, clamped to 0..1, and density; the other features are left out."""
        hidden = self.hidden(points)
        return self.head(hidden, 3).clamp(0, 1), self.activate(self.raw_of(hidden))

    @property
    def detail(self) -> float:  # type: ignore[override]
        """A voxel, or half a period of the fastest wave that is encoded."""
        fastest = max(self.encoding.frequencies, default=0.0)
        voxel = voxel_side(self.bounds, max(self.volume.shape[1:]))
        return min(voxel, math.pi / fastest) if fastest else voxel

    def tensors(self) -> list[Tensor]:
        """The volume and the network's matrices."""
        layers = (*self.network.hidden, self.network.density, self.network.head)
        return [self.volume, *(tensor for layer in layers for tensor in layer)]

    @property
    def device(self) -> torch.device:
        """Where the volume is."""
        return self.volume.device

    def to(self, device: torch.device | str) -> "VolumeField":
        """Give the same field elsewhere."""
        return replace(
            self,
            volume=self.volume.to(device),
            network=self.network.to(device),
            super_resolution=None if self.super_resolution is None else self.super_resolution.to(device),
        )


def _pieces(points: Float[Tensor, "n 3"]) -> tuple[Tensor, ...]:
    """Split points so that what is computed of them stays in a processor's cache; devices of other kinds get all."""
    return torch.split(points, _CACHED if points.device.type == "cpu" else max(len(points), 1))


def voxel_side(bounds: Bounds, voxels: int) -> float:
    """The smallest side of a voxel, in world units."""
    return min((high - low) / (voxels - 1) for low, high in zip(*bounds, strict=True))


def within_bounds(bounds: Bounds) -> bool:
    """Whether the first corner lies below the second on every axis, and both are finite."""
    return all(math.isfinite(low) and math.isfinite(high) and low < high for low, high in zip(*bounds, strict=True))
