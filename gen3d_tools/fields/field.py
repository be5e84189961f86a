"""The radiance field: what renderer and mesher know of a scene. Points in, values and density out."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.fields.backdrop import Backdrop
from gen3d_tools.fields.choices import DensityActivation
from gen3d_tools.fields.density import activate_density
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.super_resolution import SuperResolution

_DIFFERENTIATED = 1 << 12  # points whose activations stay in a processor's cache until their gradients are made

EMPTY_RAW_DENSITY = -1e6
"""Raw density of empty space: every activation maps it to exactly 0, also averaged with a real neighbour."""


class RadianceField(ABC):
    """A scene as a value: density and colour at any world point.

    Attributes:
        box_side: Full side of the cube around the origin that holds the object, in world units.
        bounded: The density is exactly 0 outside that cube, so rays may be cut to it.
        iso_level: Suggested surface for meshing, as activated density.
        render_config: How this field wants to be rendered.
        density_activation: Name of the function from raw density to density.
        density_shift: Added to the raw density before that function.
        density_noise: Standard deviation of the Gaussian noise that the network saw on its raw density in training.
            Only an exact rendering with a random generator adds it again.
        super_resolution: Makes the final picture of the rendered values; None where those are the picture.
        backdrop: What lies behind the field, in front of the background of `render_config`. Opacity, depth and
            density do not know of it.
        detail: Length in world units over which the density rises or falls at most once, so that a lattice this fine
            meets every part; 0 where none is known. Lattices that are finer are only evaluated near the surface.
    """

    box_side: float
    bounded: bool
    iso_level: float
    render_config: RenderConfig
    density_activation: DensityActivation
    density_shift: float
    density_noise: float = 0.0
    super_resolution: SuperResolution | None = None
    backdrop: Backdrop | None = None
    detail: float = 0.0

    @abstractmethod
    def __call__(
        self, points: Float[Tensor, "*points 3"], directions: Float[Tensor, "*points 3"] | None = None
    ) -> tuple[Float[Tensor, "*points channels"], Float[Tensor, "*points"]]:
        """Evaluate the field.

        Args:
            points: World coordinates.
            directions: Unit viewing directions, for fields that depend on them.

        Returns:
            Values (the first three channels are colour, nominally 0..1; further ones are features for a
            super-resolution) and the raw density before activation.
        """

    def deferred(
        self, points: Float[Tensor, "*points 3"], directions: Float[Tensor, "*points 3"] | None = None
    ) -> tuple[Float[Tensor, "*points features"], Float[Tensor, "*points"]]:
        """Evaluate what is blended along a ray, and the raw density; `shade` makes values of the former.

        Here these are the values themselves. A field whose values are a linear function of something smaller gives
        that, and the function is applied once per ray and not once per sample.
        """
        return self(points, directions)

    def shade(
        self,
        blended: Float[Tensor, "*rays features"],
        weight: Float[Tensor, "*rays"],
        channels: int | None = None,
    ) -> Float[Tensor, "*rays channels"]:
        """Turn what was blended along rays into their values.

        Args:
            blended: Sum of blending weights times what `deferred` gave.
            weight: Sum of the blending weights.
            channels: Give the first so many values only; by default all.
        """
        return blended[..., :channels]

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the field's numbers live; points must be there too."""

    @abstractmethod
    def to(self, device: torch.device | str) -> "RadianceField":
        """Give the same field on another device."""

    @property
    def background(self) -> str:
        """What shines through where the field is transparent."""
        return self.render_config.background

    def activate(self, raw_density: Float[Tensor, "*points"]) -> Float[Tensor, "*points"]:
        """Turn raw density into density per world unit."""
        return activate_density(raw_density, self.density_activation, self.density_shift)

    def raw_density(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points"]:
        """Evaluate the density before activation."""
        return self(points)[1]

    def density(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points"]:
        """Evaluate the density per world unit, after activation."""
        return self.activate(self.raw_density(points))

    def rgb_density(
        self, points: Float[Tensor, "*points 3"]
    ) -> tuple[Float[Tensor, "*points 3"], Float[Tensor, "*points"]]:
        """Evaluate colour, clamped to 0..1, and density after activation."""
        values, raw = self(points)
        return values[..., :3].clamp(0, 1), self.activate(raw)

    def show(self, *, live: bool = False) -> object:
        """Show the field in a notebook, as a picture and as a mesh to turn: see `gen3d_tools.show`."""
        import gen3d_tools

        return gen3d_tools.show(self, live=live)


@runtime_checkable
class GradientField(Protocol):
    """A field that knows the gradient of its raw density, at about the cost of two evaluations.

    Networks do, by the chain rule. Central differences, which serve all other fields, cost six.
    """

    def raw_density(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points"]:
        """Evaluate the density before activation."""

    def raw_density_gradient(
        self, points: Float[Tensor, "*points 3"]
    ) -> tuple[Float[Tensor, "*points"], Float[Tensor, "*points 3"]]:
        """Evaluate the density before activation and its gradient, per world unit."""


def by_chain_rule(
    raw_density: Callable[[Tensor], Tensor], points: Float[Tensor, "*points 3"]
) -> tuple[Float[Tensor, "*points"], Float[Tensor, "*points 3"]]:
    """Differentiate a raw density with respect to its points; neither result carries gradients.

    Args:
        raw_density: Elementwise over leading axes.
        points: World coordinates.
    """
    flat = points.detach().reshape(-1, 3)
    raw, gradient = torch.empty_like(flat[:, 0]), torch.empty_like(flat)
    for start in range(0, len(flat), _DIFFERENTIATED):
        part = slice(start, start + _DIFFERENTIATED)
        with torch.enable_grad():
            free = flat[part].requires_grad_()
            found = raw_density(free)
            [gradient[part]] = torch.autograd.grad(found.sum(), free)
        raw[part] = found.detach()
    return raw.reshape(points.shape[:-1]), gradient.reshape(points.shape)


SIGN_CHANGE = 1e-6
"""Level of a field without one: the surface lies where the raw density changes its sign, as that of a signed distance
does; where it does not, at the level that agrees best with the pictures."""


def constant_grey(points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points 3"]:
    """Colour every point middle grey."""
    return torch.full_like(points, 0.5)


@dataclass(frozen=True, kw_only=True)
class FunctionField(RadianceField):
    """A field from two plain functions of the points; a ball or a slab in one line.

    The functions must be elementwise over leading axes and follow the device of their points. A signed distance,
    positive inside, times a gain such as 1000 is a good raw density: its meshes have the surface where it is 0.
    Pictures are on white.
    """

    raw_density_fn: Callable[[Tensor], Tensor]  # [*points, 3] -> [*points]
    values_fn: Callable[[Tensor], Tensor] = constant_grey  # [*points, 3] -> [*points, channels]
    box_side: float = 2.0
    bounded: bool = False
    iso_level: float = SIGN_CHANGE
    render_config: RenderConfig = field(default_factory=lambda: RenderConfig(near="box", far="box", background="white"))
    density_activation: DensityActivation = "relu"
    density_shift: float = 0.0
    on_device: str = "cpu"

    def __call__(
        self, points: Float[Tensor, "*points 3"], directions: Float[Tensor, "*points 3"] | None = None
    ) -> tuple[Float[Tensor, "*points channels"], Float[Tensor, "*points"]]:
        """Evaluate both functions; the directions are not used."""
        return self.values_fn(points), self.raw_density(points)

    def raw_density(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points"]:
        """Evaluate the density function alone, `EMPTY_RAW_DENSITY` outside the box of a bounded field."""
        raw = self.raw_density_fn(points)
        return empty_outside(raw, points, self.box_side) if self.bounded else raw

    @property
    def device(self) -> torch.device:
        """Where points are expected."""
        return torch.device(self.on_device)

    def to(self, device: torch.device | str) -> "FunctionField":
        """Give the same functions, asking for points on another device."""
        return replace(self, on_device=str(device))


def empty_outside(
    raw_density: Float[Tensor, "*points"], points: Float[Tensor, "*points 3"], box_side: float
) -> Float[Tensor, "*points"]:
    """Replace the raw density outside the cube of side `box_side` by empty space."""
    inside = (points.abs() <= box_side / 2).all(-1)
    return torch.where(inside, raw_density, EMPTY_RAW_DENSITY)


def chunked(
    fn: Callable[[Tensor], Tensor], points: Float[Tensor, "n 3"], chunk: int = 1 << 16
) -> Float[Tensor, "n *shape"]:
    """Evaluate `fn` on a long list of points piece by piece, so that memory stays bounded.

    Args:
        fn: Pointwise function, such as `field.density`.
        points: World coordinates.
        chunk: Points per piece.
    """
    return torch.cat([fn(piece) for piece in torch.split(points, chunk)])
