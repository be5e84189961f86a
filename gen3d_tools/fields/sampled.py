"""A field laid out as a lattice of its own densities, for fields of which no bounds over space are known.

The bounds that serve tri-planes (`kernels.lattice.bounds`) are tight because a decoder is small, and a plane bilinear
between texels. Here they say nothing. Affine forms through a layer of N units keep what the units have in common and
add up the remainders, whatever their signs, which loses a factor of about sqrt(N) per layer: 16 in each of VolumeGAN's
four layers of 256 units, 11 in each of StyleNeRF's eight of 128. The remainders come from the sines of the encoding,
whose fastest wave turns by more than a radian within a hundredth of the box. So a tile would have to be far smaller
than a lattice cell before its bound says anything, and there would be more tiles than points that anybody asks for.

What is known instead is `detail`: the length over which the density rises or falls at most once, since no wave of the
encoding is faster and no voxel smaller. It is the network's input of which that is true; the network may sharpen it. A
lattice this fine therefore meets every part, without a proof of it, and the cells around the level's neighbourhood
have a reserve by how much the lattice changes there. Colours and depth do not depend on the lattice: it says where to
ask, and the field's own answers correct it.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.fields.choices import DensityActivation
from gen3d_tools.fields.field import chunked

if TYPE_CHECKING:  # numba takes a while to import
    from gen3d_tools.kernels.rays.occupancy import OccupancyGrid

_RESERVE = 0.4  # of the spread of the values around, by which a density may pass those at the corners of a cell
_PARTS = 8  # of half the box: lattices end at whole ones
_MOST_CELLS = 256  # along each side
_PER_CELL, _RAYS = 2, 1 << 12  # looks at a lattice along a ray, and rays looked along at a time


@runtime_checkable
class SampledField(Protocol):
    """What a lattice of densities needs of a field: it is made of tensors, and has no detail below some length."""

    box_side: float
    density_activation: DensityActivation
    density_shift: float

    @property
    def detail(self) -> float:
        """Length over which the density rises or falls at most once, world units."""

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""

    def tensors(self) -> list[Tensor]:
        """All that the field is made of; when one of them changes, the field does."""

    def raw_density(self, points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points"]:
        """Evaluate the density before activation."""


def state_of(tensors: list[Tensor]) -> tuple[int, ...]:
    """What changes when a tensor does, or is another."""
    return tuple(number for tensor in tensors for number in (tensor.data_ptr(), tensor._version))


@dataclass(frozen=True)
class Region:
    """A box around the origin that a lattice covers, in whole eighths of half the field's box."""

    parts: tuple[int, int, int]
    """Half its sides."""

    @classmethod
    def holding(cls, field: SampledField, reached: Float[Tensor, " 3"]) -> "Region":
        """The smallest one that holds all points with coordinates up to `reached`, world units."""
        parts = (reached / (field.box_side / 2 / _PARTS) - 1e-3).ceil().clamp_min(1)
        return cls(tuple(int(part) for part in parts))  # type: ignore[arg-type]

    def half_side(self, field: SampledField) -> float:
        """Half the side of the cube around it, world units."""
        return max(self.parts) * field.box_side / 2 / _PARTS

    def cells(self, field: SampledField) -> int:
        """Cells along the sides of that cube, none larger than the field's detail."""
        return max(2, math.ceil(2 * self.half_side(field) / field.detail))

    def indices(self, field: SampledField) -> tuple[slice, slice, slice]:
        """Which of the cube's lattice points lie in the region, or next to it, along each axis."""
        cells, largest = self.cells(field), max(self.parts)
        out = [math.floor(cells / 2 * (1 - part / largest)) for part in self.parts]
        x, y, z = (slice(first, cells + 1 - first) for first in out)
        return x, y, z

    def points(self, field: SampledField) -> int | None:
        """Number of lattice points; None where they would be too many, or the field has detail of any size."""
        if not field.detail > 0 or self.cells(field) > _MOST_CELLS:
            return None
        points: int = math.prod(part.stop - part.start for part in self.indices(field))
        return points


_LATTICES: WeakKeyDictionary[SampledField, tuple[tuple[int, ...], dict[tuple[Region, float], "OccupancyGrid"]]] = (
    WeakKeyDictionary()
)


def density_lattice(field: SampledField, region: Region, raw_level: float) -> "OccupancyGrid":
    """Evaluate a field on a lattice around the origin, once for every state of its tensors.

    Args:
        field: On the CPU.
        region: What the lattice covers; beyond it nothing is known.
        raw_level: Raw density below which nothing is seen.
    """
    state, key = state_of(field.tensors()), (region, raw_level)
    found = _LATTICES.get(field)
    if found is None or found[0] != state:
        found = _LATTICES[field] = (state, {})
    if key not in found[1]:
        found[1][key] = _built(field, region, raw_level)
    return found[1][key]


@torch.no_grad()
def highest_along(
    grid: "OccupancyGrid",
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    near: Float[Tensor, " rays"],
    far: Float[Tensor, " rays"],
) -> tuple[Float[Tensor, " rays"], Float[Tensor, " rays"]]:
    """Find where along rays the interpolated density is highest.

    Args:
        grid: What `density_lattice` gave.
        origins: Ray origins, world units.
        directions: Unit vectors.
        near: Distances at which rays start, within the lattice.
        far: Distances at which they end.

    Returns:
        The distances, and how far around them a higher density may lie.
    """
    cell = float(grid.cell)
    steps = max(2, math.ceil(float((far - near).max()) / cell * _PER_CELL) + 1) if len(near) else 2
    shares = torch.linspace(0, 1, steps)
    raw = torch.from_numpy(grid.raw)[None, None]
    found = []
    for o, d, first, last in zip(*(torch.split(part, _RAYS) for part in (origins, directions, near, far)), strict=True):
        distances = first[:, None] + (last - first)[:, None] * shares
        places = (o[:, None] + distances[..., None] * d[:, None] - float(grid.start)) * (
            2 / (cell * len(grid.skip))
        ) - 1
        seen = F.grid_sample(raw, places.flip(-1)[None, None], align_corners=True, padding_mode="border")[0, 0, 0]
        found.append(distances.gather(1, seen.argmax(-1, keepdim=True))[:, 0])
    return torch.cat(found), torch.full_like(near, cell)


@torch.no_grad()
def _built(field: SampledField, region: Region, raw_level: float) -> "OccupancyGrid":
    from scipy import ndimage  # pictures of tri-planes need none

    from gen3d_tools.kernels.rays.occupancy import EMPTY, OccupancyGrid, box_around, leaps

    cells, half_side, inside = region.cells(field), region.half_side(field), region.indices(field)
    cell = 2 * half_side / cells
    axis = torch.arange(cells + 1, dtype=torch.float32) * cell - half_side
    points = torch.cartesian_prod(*(axis[part] for part in inside))
    raw = np.full((cells + 1,) * 3, EMPTY)
    raw[inside] = chunked(field.raw_density, points).reshape([part.stop - part.start for part in inside]).numpy()
    lowest, highest = _lowest(raw[inside]), _highest(raw[inside])
    reserve = _RESERVE * ndimage.maximum_filter(highest - lowest, size=3, mode="nearest")
    wanted = np.zeros((cells,) * 3, np.bool_)
    wanted[tuple(slice(part.start, part.stop - 1) for part in inside)] = highest + reserve > raw_level
    return OccupancyGrid(raw, leaps(wanted), wanted, box_around(wanted), np.float32(-half_side), np.float32(cell))


def _highest(corners: Float[np.ndarray, "x y z"]) -> Float[np.ndarray, "x-1 y-1 z-1"]:
    """The largest value at the corners of each cell."""
    for axis in range(3):
        turned = corners.swapaxes(0, axis)
        corners = np.maximum(turned[1:], turned[:-1]).swapaxes(0, axis)
    return corners


def _lowest(corners: Float[np.ndarray, "x y z"]) -> Float[np.ndarray, "x-1 y-1 z-1"]:
    """The smallest value at the corners of each cell."""
    return -_highest(-corners)
