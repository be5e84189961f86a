"""A field laid out once for the compiled kernels: numbers, network, occupancy grid, shading.

What the kernels need of a field is what it says of itself (`DescribedField`): the arrays it is made of, which are
planes and a small network, for those are what the kernels compute and bound. A field is laid out at most once for every
state of its tensors, part by part as they are asked for; all that works on a field (pictures, level, surface,
projection, normals) reads the same layout. `RadianceField.raw_density` and `__call__` say what is true. Fields that
cannot be described so are laid out as samples (`fields.sampled`).
"""

import math
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen3d_tools.fields.choices import DensityActivation
from gen3d_tools.fields.density import EMPTY_THICKNESS, raw_level_of
from gen3d_tools.fields.field import EMPTY_RAW_DENSITY, RadianceField
from gen3d_tools.fields.sampled import state_of
from gen3d_tools.kernels.compiling.threads import allotted_threads, usable_cores
from gen3d_tools.kernels.network.numbers import (
    DENSITY_ACTIVATIONS,
    TriplaneNumbers,
    fits_fast_kernels,
)

if TYPE_CHECKING:  # numba takes a while to import
    from gen3d_tools.kernels.network.evaluate import Network
    from gen3d_tools.kernels.rays.guided import Shading
    from gen3d_tools.kernels.rays.occupancy import OccupancyGrid

RawDensity = Callable[[Tensor], Tensor]  # [*points, 3] -> [*points]

_NEGLIGIBLE_THICKNESS = 0.02  # ... and in silhouettes
FEWEST_SAMPLES = 6  # per ray, of what a lattice places


@runtime_checkable
class DescribedField(Protocol):
    """A field that can say what it computes, so that kernels can do it."""

    box_side: float
    bounded: bool
    density_activation: DensityActivation
    density_shift: float

    def tensors(self) -> list[Tensor]:
        """All that the field is made of; when one of them changes, the field does."""

    def numbers(self) -> TriplaneNumbers | None:
        """Give planes and network as arrays on the CPU, or None where there is more to the field."""


class CompiledField:
    """The numbers of one state of a field, as the kernels read them.

    Args:
        field: Where the numbers are from. It is not kept.
        numbers: Its planes and decoder, all finite.
    """

    def __init__(self, field: DescribedField, numbers: TriplaneNumbers) -> None:
        self.numbers = numbers
        self.density_activation = field.density_activation
        self.density_shift = field.density_shift
        self.box_side = field.box_side
        self.bounded = field.bounded

    @property
    def fits(self) -> bool:
        """Whether no layer is wider than the kernels are; else only the lattice kernels serve."""
        return self._network is not None

    @property
    def network(self) -> "Network":
        """The network with its first layer multiplied into the texels."""
        assert self._network is not None, "a layer is wider than the kernels; ask `fits` first"
        return self._network

    @cached_property
    def _network(self) -> "Network | None":
        from gen3d_tools.kernels.network.evaluate import network_of

        return network_of(self.numbers)

    @cached_property
    def occupancy(self) -> "OccupancyGrid":
        """Where something may stop light, as a grid over the box."""
        from gen3d_tools.kernels.rays.occupancy import build_occupancy_grid

        return build_occupancy_grid(self.network, self._raw_level(EMPTY_THICKNESS), threads=kernel_threads())

    @cached_property
    def shading(self) -> "Shading":
        """How the field stops light and makes colours; what depends on the render settings is to be filled in."""
        from gen3d_tools.kernels.network.evaluate import WIDTH, filled
        from gen3d_tools.kernels.rays.guided import Shading

        decoder = self.numbers.decoder
        colors = [row for row in range(len(decoder.biases[-1])) if row != decoder.density_row]
        head = decoder.weights[-1][colors]
        return Shading(
            head=filled(head, (len(head), WIDTH)),
            head_bias=np.ascontiguousarray(decoder.biases[-1][colors], np.float32),
            sigmoid=decoder.value_activation == "sigmoid",
            gain=np.float32(decoder.value_gain),
            offset=np.float32(decoder.value_offset),
            density=DENSITY_ACTIVATIONS[self.density_activation],
            shift=np.float32(self.density_shift),
            closing=np.float32(0),
            last_takes_rest=False,
            most_samples=FEWEST_SAMPLES,
        )

    def raw_density(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points"]:
        """Evaluate the density before activation at world points on the CPU, as the field does."""
        from gen3d_tools.kernels.network.points import densities_at

        flat = points.detach().float().reshape(-1, 3).contiguous().numpy()
        half = self.box_side / 2 if self.bounded else np.inf
        raw = densities_at(self.network, flat, half_side=half, empty=EMPTY_RAW_DENSITY, threads=kernel_threads())
        return torch.from_numpy(raw).reshape(points.shape[:-1])

    def look_through(
        self,
        origins: Float[Tensor, "rays 3"],
        directions: Float[Tensor, "rays 3"],
        near: Float[Tensor, " rays"],
        far: Float[Tensor, " rays"],
        *,
        closing: float = 0.0,
    ) -> tuple[Float[Tensor, " rays"], Bool[Tensor, " rays"]]:
        """Follow rays through the box: the largest raw density, and whether most light is stopped.

        Args:
            origins: Ray origins, world units.
            directions: Unit vectors.
            near: Distances at which rays enter the box.
            far: Distances at which they leave it.
            closing: Length of the interval that closes a ray, world units.
        """
        from gen3d_tools.kernels.rays.silhouette import light_of, look_through, possible_tiles

        threads = kernel_threads()
        tiles = possible_tiles(self.numbers, self._raw_level(_NEGLIGIBLE_THICKNESS), threads=threads)
        light = light_of(
            self.box_side,
            density=DENSITY_ACTIVATIONS[self.density_activation],
            shift=self.density_shift,
            closing=closing,
        )
        limits = torch.stack([near, far], -1)
        arrays = (tensor.float().contiguous().numpy() for tensor in (origins, directions, limits))
        highest, thickness = look_through(self.network, tiles, light, *arrays, threads=threads)
        return torch.from_numpy(highest), torch.from_numpy(thickness > math.log(2))

    def _raw_level(self, thickness: float) -> float:
        """Raw density that, all along the box's diagonal, makes an optical thickness."""
        return raw_level_of(thickness, self.box_side, self.density_activation, self.density_shift)


_COMPILED: WeakKeyDictionary[DescribedField, tuple[tuple[int, ...], CompiledField | None]] = WeakKeyDictionary()


def compiled_field(field: RadianceField) -> CompiledField | None:
    """Lay a field out for the kernels, once for every state of its tensors.

    Args:
        field: Any field, on any device.

    Returns:
        None where the kernels cannot serve: the field does not describe itself, or a number is not finite.
    """
    if not isinstance(field, DescribedField):
        return None
    state = state_of(field.tensors())
    found = _COMPILED.get(field)
    if found is None or found[0] != state:
        numbers = triplane_numbers(field)
        finite = numbers is not None and fits_fast_kernels(numbers)
        found = state, CompiledField(field, numbers) if numbers is not None and finite else None
        _COMPILED[field] = found
    return found[1]


def compiled_network(field: RadianceField) -> CompiledField | None:
    """Lay a field out for the kernels that evaluate it at points and along rays: those are for fields on the CPU."""
    compiled = compiled_field(field) if field.device.type == "cpu" else None
    return compiled if compiled is not None and compiled.fits else None


def triplane_numbers(field: RadianceField) -> TriplaneNumbers | None:
    """Describe a field as arrays on the CPU; None where it does not describe itself, or cannot."""
    return field.numbers() if isinstance(field, DescribedField) else None


def raw_density_of(field: RadianceField) -> RawDensity:
    """The fastest way to a field's raw density where no gradient is wanted."""
    compiled = compiled_network(field)
    return field.raw_density if compiled is None else compiled.raw_density


def kernel_threads() -> int:
    """Threads for the kernels: what torch uses or a worker is given, but not more than this process has cores."""
    return max(1, min(allotted_threads(), usable_cores()))
