"""Which parts of a lattice can hold surface, by looking at points: for networks whose bounds say nothing.

Affine bounds grow with every layer. Through nine layers of silu they keep 99.98 % of the tiles of an object (measured),
so such fields are looked at instead, no coarser than a texel of their planes: between texels the features are bilinear.
A part is left out if all points seen in it are on one side of the level, farther from it than a fifth of the range of
what was seen in any part around. So a bump that begins and ends within a texel may be missed, as it would be by a
coarser lattice.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from gen3d_tools.kernels.lattice.evaluate import PART, TILE
from gen3d_tools.kernels.lattice.tables import DEEP, Lattice
from gen3d_tools.kernels.network.numbers import TriplaneNumbers

_LARGEST_DENSITY = 1e30
BEYOND = 0.2
"""How far values may go on between the points that were seen, in ranges of these around the place."""


def is_deep(numbers: TriplaneNumbers) -> bool:
    """Whether bounds through a network say nothing, so that it is looked at instead."""
    return numbers.decoder.activation == "silu" and len(numbers.decoder.weights) - 2 >= DEEP


def spacing(numbers: TriplaneNumbers, size: int) -> int:
    """Lattice steps from one point that is looked at to the next: 1, 2 or 4, at most a texel."""
    texel = size / numbers.texels.shape[1]
    return next((step for step in (PART, PART // 2) if step <= texel), 1)


def every(lattice: Lattice, step: int) -> Lattice:
    """The lattice of the points `step - 1`, `2 step - 1`, ... along each axis, and of both ends."""
    index = np.concatenate([[0], np.arange(step - 1, lattice.size, step), [lattice.size - 1]])
    chosen = [table if len(table) == 1 else table[np.ix_(index, index)] for table in lattice.tables]
    xy, xz, yz = (np.ascontiguousarray(table) for table in chosen)
    return lattice._replace(xy=xy, xz=xz, yz=yz, size=len(index))


@dataclass(frozen=True, kw_only=True, eq=False)
class SampledLattice:
    """A lattice with what was seen of it at some points; has the interface of `BoundedLattice`."""

    lattice: Lattice
    low: Float32[np.ndarray, "parts parts parts"]  # lowest and highest value that each part may have
    high: Float32[np.ndarray, "parts parts parts"]
    sampled_highest: float
    sampled_lowest: float

    @classmethod
    def of(cls, lattice: Lattice, seen: Float32[np.ndarray, "m m m"], step: int) -> "SampledLattice":
        """Sum up what was seen.

        Args:
            lattice: All of it.
            seen: The raw density on `every(lattice, step)`.
            step: See `spacing`.
        """
        from scipy.ndimage import maximum_filter  # pictures need none of it

        parts, per_part = lattice.size // PART + 1, PART // step
        around = (0, per_part * parts + 1 - seen.shape[0])  # behind the lattice its end is repeated
        low = high = np.pad(seen, (around,) * 3, mode="edge")
        for axis in range(3):
            low, high = over_parts(low, np.minimum, axis, per_part), over_parts(high, np.maximum, axis, per_part)
        reach = BEYOND * maximum_filter(high - low, 3)  # at a peak the part itself says little of how steep it is
        low, high = low - reach, high + reach
        return cls(
            lattice=lattice, low=low, high=high, sampled_highest=float(seen.max()), sampled_lowest=float(seen.min())
        )

    @property
    def finite(self) -> bool:
        """Whether all that was seen is finite."""
        return bool(self.sampled_lowest > -_LARGEST_DENSITY and self.sampled_highest < _LARGEST_DENSITY)

    def step(self, level: float) -> float:
        """How near to the level a value may come, as in the plain procedure."""
        depth = self.sampled_highest - level
        return float(max(1e-6 * depth, 4 * np.spacing(np.float32(abs(level)))))

    def keep(self, level: float) -> Bool[np.ndarray, "slabs 1 1"]:
        """Slabs to look at: all of them."""
        return np.ones((self.lattice.size // TILE + 1, 1, 1), np.bool_)

    def keep_parts(self, slab: int, tiles: Bool[np.ndarray, "..."], level: float) -> Bool[np.ndarray, "2 parts parts"]:
        """Parts of a slab that can hold surface. At the border, those that are inside hold a part of the cap."""
        parts = self.low.shape[0]
        kept = np.zeros((TILE // PART, parts, parts), np.bool_)
        for a in range(min(TILE // PART, parts - TILE // PART * slab)):
            x = TILE // PART * slab + a
            low, high = self.low[x], self.high[x]
            outside = low < level + self.step(level)
            outside[[0, -1]] = outside[:, [0, -1]] = True
            kept[a] = (high > level) & (outside | (x in (0, parts - 1)))
        return kept


def over_parts(values: np.ndarray, reduce: np.ufunc, axis: int, per_part: int) -> np.ndarray:
    """Reduce over the points of every part along an axis; those on a face belong to both neighbours."""
    turned = np.moveaxis(values, axis, 0)
    parts = (len(turned) - 1) // per_part
    pieces = [turned[offset : offset + per_part * (parts - 1) + 1 : per_part] for offset in range(per_part + 1)]
    return np.ascontiguousarray(np.moveaxis(reduce.reduce(pieces), 0, axis))
