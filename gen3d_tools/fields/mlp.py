"""A field that is one multilayer perceptron: encoded points in, density and values out (NeRF, section 4).

A network whose layers are modulated by a latent is, for one sample, an ordinary perceptron: modulation, demodulation,
gains and free latents are folded into its matrices once, and every point costs the bare products.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.fields.backdrop import Backdrop, SphereBackdrop
from gen3d_tools.fields.choices import DensityActivation
from gen3d_tools.fields.field import RadianceField, by_chain_rule
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.super_resolution import SuperResolution
from gen3d_tools.fields.triplane import sample_planes

_POINTS_AT_A_TIME = 1 << 12  # 128 activations each stay in a core's cache


class Encoding(ABC):
    """What turns coordinates into the input of a perceptron."""

    @abstractmethod
    def __call__(self, points: Float[Tensor, "n axes"]) -> Float[Tensor, "n features"]:
        """Encode points."""

    @property
    @abstractmethod
    def detail(self) -> float:
        """Length over which no feature rises and falls, in units of the coordinates."""

    def tensors(self) -> list[Tensor]:
        """What it is made of besides plain numbers."""
        return []

    @abstractmethod
    def to(self, device: torch.device | str) -> "Encoding":
        """Give the same encoding on another device."""


@dataclass(frozen=True)
class FrequencyEncoding(Encoding):
    """Sines and cosines of the coordinates, octave by octave (NeRF, eq. 4)."""

    axes: tuple[int, ...]
    """Which coordinate the network calls its first, second, ..."""
    octaves: int
    """0 leaves the coordinates as they are."""
    divisor: float = 1.0
    """The coordinates are divided by it first."""
    append_points: bool = False
    """The coordinates follow their sines and cosines."""

    def __call__(self, points: Float[Tensor, "n axes"]) -> Float[Tensor, "n features"]:
        """Encode points."""
        points = points[:, self.axes]
        if self.divisor != 1:
            points = points / self.divisor
        if not self.octaves:
            return points
        frequencies = (2.0 ** torch.arange(self.octaves, dtype=torch.float64) * torch.pi).to(points)
        angles = points[:, None] * frequencies[:, None]
        waves = torch.stack([angles.sin(), angles.cos()], 2).flatten(1)
        return torch.cat([waves, points], -1) if self.append_points else waves

    @property
    def detail(self) -> float:
        """Half a period of the fastest wave; 0, for none known, without waves."""
        return self.divisor / 2 ** (self.octaves - 1) if self.octaves else 0.0

    def to(self, device: torch.device | str) -> "FrequencyEncoding":
        """Give the encoding itself: it holds no tensor."""
        return self


@dataclass(frozen=True, eq=False)
class PlaneEncoding(Encoding):
    """The sum of what three feature planes hold at a point."""

    planes: Float[Tensor, "3 channels h w"]
    axes: tuple[int, int, int]
    """Which coordinate the planes call x, y and z; they lie along xy, xz and yz."""
    box_side: float
    """Side of the cube that the planes cover."""

    def __call__(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n channels"]:
        """Look points up, bilinearly, with zeros outside."""
        looked_up = sample_planes(
            self.planes[None],
            points[None, :, self.axes],
            plane_axes="xy-xz-yz",
            box_side=self.box_side,
            align_corners=False,
        )
        return looked_up[0].sum(0)

    @property
    def detail(self) -> float:
        """A texel."""
        return self.box_side / max(self.planes.shape[-2:])

    def tensors(self) -> list[Tensor]:
        """The planes."""
        return [self.planes]

    def to(self, device: torch.device | str) -> "PlaneEncoding":
        """Give the same planes elsewhere."""
        return replace(self, planes=self.planes.to(device))


class Recolor(ABC):
    """What turns the values of single points into their final colours."""

    @abstractmethod
    def __call__(self, values: Float[Tensor, "n channels"]) -> Float[Tensor, "n 3"]:
        """Give colours, nominally 0..1."""

    @abstractmethod
    def to(self, device: torch.device | str) -> "Recolor":
        """Give the same on another device."""


@dataclass(frozen=True, eq=False)
class Dense:
    """A linear layer, every gain folded in."""

    weight: Float[Tensor, "outputs inputs"]
    bias: Float[Tensor, " outputs"]

    def __call__(self, x: Float[Tensor, "n inputs"]) -> Float[Tensor, "n outputs"]:
        """Apply the layer."""
        return F.linear(x, self.weight, self.bias)

    def to(self, device: torch.device | str) -> "Dense":
        """Give the same layer elsewhere."""
        return Dense(self.weight.to(device), self.bias.to(device))


@dataclass(frozen=True, eq=False, kw_only=True)
class Perceptron:
    """The folded network of one sample. A leaky ReLU follows every hidden layer."""

    encoding: Encoding
    hidden: tuple[Dense, ...]
    density: Dense
    """One output, the raw density."""
    values: Dense
    """The field's values, read from the same activations."""
    slope: float
    """Of the leaky ReLU, below zero."""
    reads_input_again: int | None = None
    """The hidden layer that reads the encoded point once more, behind the activations."""

    def __call__(
        self, points: Float[Tensor, "*points axes"]
    ) -> tuple[Float[Tensor, "*points channels"], Float[Tensor, "*points"]]:
        """Evaluate values and raw density."""
        hidden, raw = self.deferred(points)
        values = self.values(hidden.reshape(-1, hidden.shape[-1]))
        return values.reshape(*points.shape[:-1], values.shape[-1]), raw

    def deferred(
        self, points: Float[Tensor, "*points axes"]
    ) -> tuple[Float[Tensor, "*points width"], Float[Tensor, "*points"]]:
        """Evaluate the last hidden layer and the raw density."""
        flat, shape = points.reshape(-1, points.shape[-1]), points.shape[:-1]
        hidden = torch.cat([self._activations(piece) for piece in self._pieces(flat)])
        return hidden.reshape(*shape, hidden.shape[-1]), self.density(hidden).reshape(shape)

    def raw_density(self, points: Float[Tensor, "*points axes"]) -> Float[Tensor, "*points"]:
        """Evaluate the raw density alone."""
        flat = points.reshape(-1, points.shape[-1])
        raw = [self.density(self._activations(piece)) for piece in self._pieces(flat)]
        return torch.cat(raw).reshape(points.shape[:-1])

    def _pieces(self, points: Float[Tensor, "n axes"]) -> tuple[Tensor, ...]:
        """Cut a long list so that activations stay in the cache of a CPU."""
        on_cpu = points.device.type == "cpu" and len(points) > _POINTS_AT_A_TIME
        return torch.split(points, _POINTS_AT_A_TIME) if on_cpu else (points,)

    def _activations(self, points: Float[Tensor, "n axes"]) -> Float[Tensor, "n width"]:
        encoded = self.encoding(points)
        h = encoded
        for index, layer in enumerate(self.hidden):
            if index == self.reads_input_again:
                h = torch.cat([h, encoded], -1)
            h = layer(h)
            h = F.leaky_relu(h, self.slope) if h.requires_grad else F.leaky_relu_(h, self.slope)
        return h

    @property
    def device(self) -> torch.device:
        """Where the matrices are."""
        return self.density.weight.device

    def to(self, device: torch.device | str) -> "Perceptron":
        """Give the same network elsewhere."""
        return replace(
            self,
            encoding=self.encoding.to(device),
            hidden=tuple(layer.to(device) for layer in self.hidden),
            density=self.density.to(device),
            values=self.values.to(device),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class PerceptronField(RadianceField):
    """One scene that is a perceptron. Gradients reach what its matrices were folded from."""

    network: Perceptron
    render_config: RenderConfig
    box_side: float
    iso_level: float
    density_activation: DensityActivation = "relu"
    density_shift: float = 0.0
    super_resolution: SuperResolution | None = None
    backdrop: Backdrop | None = None
    point_colors: Recolor | None = None
    """The colour of a single point by the network behind the rays; None where that needs its neighbours."""
    bounded: bool = False

    def __call__(
        self, points: Float[Tensor, "*points 3"], directions: Float[Tensor, "*points 3"] | None = None
    ) -> tuple[Float[Tensor, "*points channels"], Float[Tensor, "*points"]]:
        """Evaluate values and raw density; they do not depend on the directions."""
        return self.network(points)

    def deferred(
        self, points: Float[Tensor, "*points 3"], directions: Float[Tensor, "*points 3"] | None = None
    ) -> tuple[Float[Tensor, "*points width"], Float[Tensor, "*points"]]:
        """Evaluate the last hidden layer and the raw density."""
        return self.network.deferred(points)

    def shade(
        self, blended: Float[Tensor, "*rays width"], weight: Float[Tensor, "*rays"], channels: int | None = None
    ) -> Float[Tensor, "*rays channels"]:
        """Apply the last layer to blended hidden layers."""
        last = self.network.values
        return F.linear(blended, last.weight[:channels]) + weight[..., None] * last.bias[:channels]

    def raw_density(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points"]:
        """Evaluate the raw density alone."""
        return self.network.raw_density(points)

    def raw_density_gradient(
        self, points: Float[Tensor, "*points 3"]
    ) -> tuple[Float[Tensor, "*points"], Float[Tensor, "*points 3"]]:
        """Evaluate the raw density and its gradient, per world unit."""
        return by_chain_rule(self.raw_density, points)

    @property
    def detail(self) -> float:  # type: ignore[override]
        """As far as the encoding says."""
        return self.network.encoding.detail

    def rgb_density(
        self, points: Float[Tensor, "*points 3"]
    ) -> tuple[Float[Tensor, "*points 3"], Float[Tensor, "*points"]]:
        """Evaluate colour, clamped to 0..1 and as finished as a point's can be, and density after activation."""
        values, raw = self(points)
        colors = values[..., :3] if self.point_colors is None else _recolored(self.point_colors, values)
        return colors.clamp(0, 1), self.activate(raw)

    def with_point_colors(self) -> "RadianceField":
        """Give the field whose values are the colours of its points, without a super-resolution.

        Its pictures agree from view to view at any resolution, as those of a super-resolution do not: what StyleNeRF
        was asked to reproduce in training ("NeRF path regularisation", section 3.3).

        Raises:
            ValueError: There are no colours of single points.
        """
        if self.point_colors is None:
            raise ValueError("this field's pictures are made from neighbouring rays; its points have no final colour")
        backdrop = self.backdrop
        if isinstance(backdrop, SphereBackdrop):
            backdrop = replace(backdrop, network=RecoloredPoints(backdrop.network, self.point_colors))
        return RecoloredField(
            original=self,
            recolor=self.point_colors,
            render_config=self.render_config,
            box_side=self.box_side,
            iso_level=self.iso_level,
            density_activation=self.density_activation,
            density_shift=self.density_shift,
            backdrop=backdrop,
        )

    def tensors(self) -> list[Tensor]:
        """The network's matrices, and the planes if it reads some."""
        network = self.network
        layers = (*network.hidden, network.density, network.values)
        return [*network.encoding.tensors(), *(tensor for layer in layers for tensor in (layer.weight, layer.bias))]

    @property
    def device(self) -> torch.device:
        """Where the matrices are."""
        return self.network.device

    def to(self, device: torch.device | str) -> "PerceptronField":
        """Give the same field elsewhere."""
        colors = self.point_colors
        return replace(
            self,
            network=self.network.to(device),
            super_resolution=None if self.super_resolution is None else self.super_resolution.to(device),
            backdrop=None if self.backdrop is None else self.backdrop.to(device),
            point_colors=None if colors is None else colors.to(device),
        )


@dataclass(frozen=True, eq=False)
class RecoloredPoints:
    """Values and raw density of a network, the values turned into colours."""

    network: Callable[[Tensor], tuple[Tensor, Tensor]]
    recolor: Recolor

    def __call__(
        self, points: Float[Tensor, "*points axes"]
    ) -> tuple[Float[Tensor, "*points 3"], Float[Tensor, "*points"]]:
        """Evaluate colours and raw density."""
        values, raw = self.network(points)
        return _recolored(self.recolor, values), raw

    def to(self, device: torch.device | str) -> "RecoloredPoints":
        """Give the same elsewhere."""
        network = self.network.to(device) if isinstance(self.network, Perceptron) else self.network
        return RecoloredPoints(network, self.recolor.to(device))


@dataclass(frozen=True, kw_only=True, eq=False)
class RecoloredField(RadianceField):
    """A field whose values are the final colours of its points, which are no linear function of anything smaller."""

    original: RadianceField
    recolor: Recolor
    render_config: RenderConfig
    box_side: float
    iso_level: float
    density_activation: DensityActivation
    density_shift: float
    backdrop: Backdrop | None
    bounded: bool = False

    def __call__(
        self, points: Float[Tensor, "*points 3"], directions: Float[Tensor, "*points 3"] | None = None
    ) -> tuple[Float[Tensor, "*points 3"], Float[Tensor, "*points"]]:
        """Evaluate colours and raw density."""
        values, raw = self.original(points, directions)
        return _recolored(self.recolor, values), raw

    def raw_density(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points"]:
        """Evaluate the raw density alone."""
        return self.original.raw_density(points)

    @property
    def device(self) -> torch.device:
        """Where the original field is."""
        return self.original.device

    def to(self, device: torch.device | str) -> "RadianceField":
        """Give the same field elsewhere."""
        moved = self.original.to(device)
        assert isinstance(moved, PerceptronField)
        return moved.with_point_colors()


def _recolored(recolor: Recolor, values: Float[Tensor, "*points channels"]) -> Float[Tensor, "*points 3"]:
    colors = recolor(values.reshape(-1, values.shape[-1]))
    return colors.reshape(*values.shape[:-1], 3)
