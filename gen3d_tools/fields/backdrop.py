"""What lies behind a field: a picture on the screen, or a second scene around the first (EpiGRAF, NeRF++).

A backdrop is given the rays and answers with layers, front to back, which the renderer blends. It is seen by the
light that reaches the last interval of the field.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.choices import DensityActivation
from gen3d_tools.fields.density import activate_density

FAR_AWAY = 1e10
"""Length of an interval behind which nothing is seen."""


@runtime_checkable
class Movable(Protocol):
    """Something that gives itself on another device."""

    def to(self, device: torch.device | str) -> Any:
        """Give the same elsewhere."""


@dataclass(frozen=True, eq=False)
class Layers:
    """What rays meet behind the field, front to back."""

    values: Float[Tensor, "rays layers channels"]
    """Colours, nominally 0..1, and features where the field before it has some."""
    density: Float[Tensor, "rays layers"]
    """Activated density of each layer's interval."""
    lengths: Float[Tensor, " layers"]
    """Length of each layer's interval."""


class Backdrop(ABC):
    """What lies behind a field."""

    layers_per_ray: int

    @abstractmethod
    def __call__(
        self,
        origins: Float[Tensor, "rays 3"],
        directions: Float[Tensor, "rays 3"],
        pixels: Float[Tensor, "rays 2"] | None,
    ) -> Layers:
        """Say what the rays meet.

        Args:
            origins: Where the rays start.
            directions: Unit vectors.
            pixels: Where the rays pass through the picture, in image sides from the top left corner, x first.

        Raises:
            ValueError: The backdrop hangs on the screen and no pixels are given.
        """

    @abstractmethod
    def to(self, device: torch.device | str) -> "Backdrop":
        """Give the same backdrop on another device."""


@dataclass(frozen=True, eq=False)
class ScreenBackdrop(Backdrop):
    """A picture that hangs behind the field and does not move with the camera (EpiGRAF's `plane`)."""

    image: Float[Tensor, "3 h w"]
    """Nominally 0..1. Its outermost texel centres lie on the picture's edges."""

    layers_per_ray = 1

    def __call__(
        self,
        origins: Float[Tensor, "rays 3"],
        directions: Float[Tensor, "rays 3"],
        pixels: Float[Tensor, "rays 2"] | None,
    ) -> Layers:
        """Look the picture up, bilinearly."""
        if pixels is None:
            raise ValueError("a backdrop on the screen needs the pixels of the rays, got none")
        grid = (2 * pixels - 1)[None, None]
        looked_up = F.grid_sample(self.image[None], grid, align_corners=True, padding_mode="border")[0, :, 0]
        opaque = torch.ones_like(origins[:, :1])
        return Layers(looked_up.T[:, None], opaque, opaque.new_full((1,), FAR_AWAY))

    def to(self, device: torch.device | str) -> "ScreenBackdrop":
        """Give the same picture elsewhere."""
        return ScreenBackdrop(self.image.to(device))


@dataclass(frozen=True, eq=False, kw_only=True)
class SphereBackdrop(Backdrop):
    """A scene outside the unit sphere, in the inverse-radius parametrisation of NeRF++ (section 4).

    Colour and density are a function of a unit direction from the origin and of 1 / radius, 1 on the sphere and 0
    at infinity.
    """

    network: Callable[[Tensor], tuple[Tensor, Tensor]]  # [*points, 4] -> values 0..1 [*points, k], raw [*points]
    layers_per_ray: int
    start: float = 1.0  # inverse radius of the first layer
    density_activation: DensityActivation = "softplus"
    density_shift: float = 0.0
    closed: bool = False  # the last layer stops all light that is left, even where it is empty (StyleNeRF)

    def inverse_radii(self, device: torch.device) -> Float[Tensor, " layers"]:
        """Evenly from `start` down to 0."""
        return torch.linspace(self.start, 0, self.layers_per_ray, device=device)

    def __call__(
        self,
        origins: Float[Tensor, "rays 3"],
        directions: Float[Tensor, "rays 3"],
        pixels: Float[Tensor, "rays 2"] | None,
    ) -> Layers:
        """Evaluate the scene; the pixels are not used."""
        inverse_radii = self.inverse_radii(origins.device)
        values, raw = self.network(points_beyond_sphere(origins, directions, inverse_radii))
        lengths = torch.cat([-inverse_radii.diff(), inverse_radii.new_full((1,), FAR_AWAY)])
        density = activate_density(raw, self.density_activation, self.density_shift)
        if self.closed:
            density = torch.cat([density[:, :-1], torch.ones_like(density[:, -1:])], -1)
        return Layers(values, density, lengths)

    def to(self, device: torch.device | str) -> "SphereBackdrop":
        """Give the same scene elsewhere; a network that is a module is copied."""
        network: Any = self.network
        if isinstance(network, nn.Module):
            network = copy.deepcopy(network).to(device)
        elif isinstance(network, Movable):
            network = network.to(device)
        return replace(self, network=network)


@dataclass(frozen=True, eq=False)
class FrozenBackdrop(Backdrop):
    """What another camera sees of a backdrop through the same pixels, wherever the rays come from (StyleNeRF)."""

    backdrop: Backdrop
    camera: Camera
    """A single camera."""

    @property
    def layers_per_ray(self) -> int:  # type: ignore[override]
        """Those of the backdrop."""
        return self.backdrop.layers_per_ray

    def __call__(
        self,
        origins: Float[Tensor, "rays 3"],
        directions: Float[Tensor, "rays 3"],
        pixels: Float[Tensor, "rays 2"] | None,
    ) -> Layers:
        """Evaluate the backdrop along the other camera's rays; those that are given are not used."""
        if pixels is None:
            raise ValueError("a frozen backdrop needs the pixels of the rays, got none")
        camera = self.camera.to(origins.device)
        image = torch.cat([pixels, torch.ones_like(pixels[:, :1])], -1)
        rays_cam = image @ torch.linalg.inv(camera.intrinsics).T
        towards = F.normalize(rays_cam @ camera.cam2world[:3, :3].T, dim=-1)
        return self.backdrop(camera.position.expand_as(towards), towards, pixels)

    def to(self, device: torch.device | str) -> "FrozenBackdrop":
        """Give the same backdrop elsewhere."""
        return FrozenBackdrop(self.backdrop.to(device), self.camera.to(device))


def points_beyond_sphere(
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    inverse_radii: Float[Tensor, " layers"],
) -> Float[Tensor, "rays layers 4"]:
    """Find where rays from inside the unit sphere pass the radii 1 / q outside of it (NeRF++, eq. 7 and figure 8).

    The point where the ray leaves the sphere is turned in the plane of ray and centre by asin(m) - asin(m q), with
    m the ray's distance from the centre. A ray that misses the sphere is treated as if it touched it, and one
    through the centre runs straight on; the published code has NaN for both.

    Returns:
        Unit direction of each point, then its inverse radius.
    """
    closest = origins - (origins * directions).sum(-1, keepdim=True) * directions
    distance = closest.norm(dim=-1, keepdim=True).clamp(max=1)
    leaving = closest + (1 - distance.square()).sqrt() * directions
    axis = F.normalize(torch.linalg.cross(origins, leaving), dim=-1, eps=1e-30)
    angle = torch.asin(distance) - torch.asin(distance * inverse_radii)
    turned = _turn(leaving[:, None], axis[:, None], angle[..., None])
    q = inverse_radii.expand(len(origins), -1)[..., None]
    return torch.cat([F.normalize(turned, dim=-1), q], -1)


def _turn(
    points: Float[Tensor, "rays #layers 3"],
    axis: Float[Tensor, "rays #layers 3"],
    angle: Float[Tensor, "rays layers 1"],
) -> Float[Tensor, "rays layers 3"]:
    """Rotate around a unit axis (Rodrigues)."""
    along = axis * (axis * points).sum(-1, keepdim=True)
    across: Tensor = torch.linalg.cross(axis.expand_as(points), points)
    return points * angle.cos() + across * angle.sin() + along * (1 - angle.cos())
