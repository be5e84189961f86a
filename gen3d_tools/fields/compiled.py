"""From a tri-plane field to the plain numbers that the fast kernels read, and its raw density by compiled code.

The compiled code is for tri-plane fields on the CPU, without gradients. `RadianceField.raw_density` says what is true.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen3d_tools.fields.field import EMPTY_RAW_DENSITY, RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import PLANE_AXES, TriplaneField
from gen3d_tools.kernels.compiling.announce import cpu_kernels_available
from gen3d_tools.kernels.compiling.threads import usable_cores
from gen3d_tools.kernels.network.numbers import DecoderNumbers, TriplaneNumbers, channels_last, fits_fast_kernels

if TYPE_CHECKING:  # numba takes a while to import
    from gen3d_tools.kernels.network.evaluate import Network


@runtime_checkable
class DescribedDecoder(Protocol):
    """A decoder that can say what it computes, so that kernels can do it."""

    def numbers(self) -> DecoderNumbers | None:
        """Give the network as arrays on the CPU, or None where it is more than its features and one network."""


def triplane_numbers(field: RadianceField) -> TriplaneNumbers | None:
    """Describe a field as arrays on the CPU.

    Returns:
        None where the field cannot be described: it is no tri-plane field, its planes are not square, or its decoder
        is a plain function or reads more than features.
    """
    if not isinstance(field, TriplaneField) or field.planes.shape[-1] != field.planes.shape[-2]:
        return None
    network: object = field.decoder
    decoder = network.numbers() if isinstance(network, DescribedDecoder) else None
    if decoder is None:
        return None
    planes = field.planes.detach().float().cpu().numpy()
    texels, axes = channels_last(planes, PLANE_AXES[field.plane_axes])
    return TriplaneNumbers(
        texels=texels,
        axes=axes,
        scale=1 / 3 if field.combine == "mean" else 1.0,
        decoder=decoder,
        align_corners=field.align_corners,
        box_side=field.box_side,
        bounded=field.bounded,
    )


def kernel_numbers(field: RadianceField) -> TriplaneNumbers | None:
    """Describe a field for the compiled kernels; None where they cannot be used, or cannot serve it."""
    numbers = triplane_numbers(field) if cpu_kernels_available() else None
    return numbers if numbers is not None and fits_fast_kernels(numbers) else None


def kernel_threads() -> int:
    """Threads for the kernels: as many as torch uses, but not more than there are cores for this process."""
    return max(1, min(torch.get_num_threads(), usable_cores()))


RawDensity = Callable[[Tensor], Tensor]  # [*points, 3] -> [*points]
_NEGLIGIBLE = 0.02  # optical thickness, over the longest way through the box, that counts as nothing


@dataclass(frozen=True, eq=False)
class FastDensity:
    """A field laid out for the kernels."""

    field: RadianceField
    numbers: TriplaneNumbers
    network: "Network"

    def raw_density(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points"]:
        """Evaluate the density before activation, as the field does."""
        from gen3d_tools.kernels.network.points import densities_at

        flat = points.detach().float().reshape(-1, 3).contiguous().numpy()
        half = self.numbers.box_side / 2 if self.numbers.bounded else np.inf
        raw = densities_at(self.network, flat, half_side=half, empty=EMPTY_RAW_DENSITY, threads=kernel_threads())
        return torch.from_numpy(raw).reshape(points.shape[:-1])

    def look_through(
        self,
        config: RenderConfig,
        origins: Float[Tensor, "rays 3"],
        directions: Float[Tensor, "rays 3"],
        near: Float[Tensor, " rays"],
        far: Float[Tensor, " rays"],
    ) -> tuple[Float[Tensor, " rays"], Bool[Tensor, " rays"]]:
        """Follow rays through the box: the largest density (after activation), and whether most light is stopped.

        Args:
            config: How rays are closed.
            origins: Of the rays.
            directions: Unit vectors.
            near: Where rays enter the box.
            far: Where they leave it.
        """
        from gen3d_tools.kernels.rays.silhouette import light_of, look_through, possible_tiles

        smooth, shift = self.field.density_activation == "softplus", self.field.density_shift
        thinnest = _NEGLIGIBLE / (math.sqrt(3) * self.field.box_side)
        threshold = math.log(math.expm1(thinnest)) if smooth else 0.0
        tiles = possible_tiles(self.numbers, threshold - shift, threads=kernel_threads())
        light = light_of(self.field.box_side, smooth=smooth, shift=shift, closing=config.last_interval or 0.0)
        limits = torch.stack([near, far], -1)
        arrays = (tensor.float().contiguous().numpy() for tensor in (origins, directions, limits))
        highest, thickness = look_through(self.network, tiles, light, *arrays, threads=kernel_threads())
        return self.field.activate(torch.from_numpy(highest)), torch.from_numpy(thickness > math.log(2))


def fast_density(field: RadianceField) -> FastDensity | None:
    """Lay a field out for the kernels; None where they do not serve, and for fields that are not on the CPU."""
    numbers = kernel_numbers(field) if field.device.type == "cpu" else None
    if numbers is None:
        return None
    from gen3d_tools.kernels.network.evaluate import network_of

    network = network_of(numbers)
    return None if network is None else FastDensity(field, numbers, network)


def raw_density_of(field: RadianceField) -> RawDensity:
    """The fastest way to a field's raw density where no gradient is wanted."""
    fast = fast_density(field)
    return field.raw_density if fast is None else fast.raw_density
