"""The surface of a tri-plane field at a level, from its numbers: bounds, evaluation and marching, slab after slab.

No array of n^3 numbers exists: the tables are the largest, with 3 n^2 H numbers.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from gen3d_tools.kernels.compiling.announce import announce
from gen3d_tools.kernels.compiling.threads import in_order
from gen3d_tools.kernels.lattice.bounds import bound_tiles, summaries
from gen3d_tools.kernels.lattice.evaluate import BORDER, PART, TILE, evaluate_parts
from gen3d_tools.kernels.lattice.marching_cubes import cases, count_triangles, forget_edges, march_slab
from gen3d_tools.kernels.lattice.sampled import SampledLattice, every, is_deep, spacing
from gen3d_tools.kernels.lattice.tables import Lattice, exponentiate, lattice_of, padded_width
from gen3d_tools.kernels.network.numbers import TriplaneNumbers

logger = logging.getLogger(__name__)

Surface = tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]
_LARGEST_DENSITY = 1e30  # the kernels are compiled for finite arithmetic
_SAMPLED_SHARE = 1e-6  # of the depth: how near to the level a value may come


@dataclass(frozen=True, kw_only=True, eq=False)
class BoundedLattice:
    """A lattice with what is known of its tiles before any is evaluated."""

    lattice: Lattice
    parts: tuple[np.ndarray, np.ndarray, np.ndarray]  # summaries for `PART`
    low: Float32[np.ndarray, "tiles tiles tiles"]  # bounds of the raw density in each tile
    high: Float32[np.ndarray, "tiles tiles tiles"]
    sampled_highest: float  # highest raw density at every eighth point

    @property
    def finite(self) -> bool:
        """Whether nothing can overflow anywhere."""
        return bool((self.low > -_LARGEST_DENSITY).all() and (self.high < _LARGEST_DENSITY).all())

    def step(self, level: float) -> float:
        """How near to the level a value may come, as in the plain procedure."""
        depth = self.sampled_highest - level
        return float(max(_SAMPLED_SHARE * depth, 4 * np.spacing(np.float32(abs(level)))))

    def keep(self, level: float) -> Bool[np.ndarray, "tiles tiles tiles"]:
        """Tiles that can hold surface. A tile at the border that is inside holds a part of the cap."""
        low_enough = self.low < level + self.step(level)
        for axis in range(3):
            layers = np.moveaxis(low_enough, axis, 0)
            layers[0] = layers[-1] = True
        return (self.high > level) & low_enough

    def keep_parts(
        self, slab: int, tiles: Bool[np.ndarray, "tiles tiles"], level: float
    ) -> Bool[np.ndarray, "2 parts parts"]:
        """Parts that can hold surface, within the tiles of a slab that can."""
        count = self.parts[0].shape[0]
        repeated = np.repeat(np.repeat(tiles, TILE // PART, 0), TILE // PART, 1)
        wanted = np.ascontiguousarray(repeated[:count, :count])
        kept = np.zeros((TILE // PART, count, count), np.bool_)
        for a in range(min(TILE // PART, count - TILE // PART * slab)):
            x = TILE // PART * slab + a
            low, high = np.full((count, count), np.inf, np.float32), np.full((count, count), -np.inf, np.float32)
            bound_tiles(self.lattice, self.parts[0][x], self.parts[1][x], self.parts[2], wanted, low, high)
            low_enough = low < level + self.step(level)
            low_enough[[0, -1]] = low_enough[:, [0, -1]] = True
            kept[a] = (high > level) & (low_enough | (x in (0, count - 1)))
        return kept


class BufferPool:
    """Arrays for the values of a slab, used again and again: fresh memory costs more than what is put into it.

    Args:
        size: Points along each side of the lattice.
    """

    def __init__(self, size: int) -> None:
        self._shape = (TILE + 1, size + 2, size + 2)
        self._free: deque[Float32[np.ndarray, "layers m m"]] = deque()

    def take(self) -> Float32[np.ndarray, "layers m m"]:
        """Give an array with whatever is in it."""
        try:
            return self._free.pop()
        except IndexError:
            return np.empty(self._shape, np.float32)

    def give_back(self, values: Float32[np.ndarray, "layers m m"]) -> None:
        """Take an array that nobody looks at any more."""
        self._free.append(values)


def bytes_needed(numbers: TriplaneNumbers, size: int, *, threads: int = 1) -> int:
    """Bytes of the tables and of what is resampled on the way to them, and of the slabs that are worked on at once.

    The triangles come on top; they depend on the surface.
    """
    per_pair = len(numbers.axes) * padded_width(numbers.decoder) + 3 * numbers.texels.shape[-1]
    per_point = (TILE + 1) * (3 + threads + 2)
    needed: int = 4 * (size**2 * per_pair + (size + 2) ** 2 * per_point)
    return needed


def bounded_lattice(numbers: TriplaneNumbers, size: int, *, threads: int = 1) -> BoundedLattice | SampledLattice:
    """Prepare the lattice of `size` points along each side of the field's box, and bound all its tiles.

    Networks too deep for bounds are looked at instead, see `sampled`.
    """
    announce(evaluate_parts)
    lattice = lattice_of(numbers, size)
    if is_deep(numbers):
        step = spacing(numbers, size)
        seen = _dense(every(lattice, step), threads)
        return SampledLattice.of(lattice, seen, step)
    tiles = size // TILE + 1
    windows, parts = summaries(lattice, TILE, tiles), summaries(lattice, PART, size // PART + 1)
    lattice = exponentiate(lattice)
    low, high = np.empty((tiles,) * 3, np.float32), np.empty((tiles,) * 3, np.float32)
    everywhere = np.ones((tiles, tiles), np.bool_)

    def bound(slab: int) -> None:
        bound_tiles(lattice, windows[0][slab], windows[1][slab], windows[2], everywhere, low[slab], high[slab])

    for _ in in_order(bound, range(tiles), threads):
        pass
    highest = _extremes(_every_eighth(lattice), threads)[1]
    return BoundedLattice(lattice=lattice, parts=parts, low=low, high=high, sampled_highest=highest)


def find_surface(
    bounded: BoundedLattice | SampledLattice,
    level: float,
    *,
    threads: int = 1,
    prune: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Surface:
    """March over a lattice.

    Args:
        bounded: What `bounded_lattice` gave.
        level: Raw density at the surface; higher is inside.
        threads: Slabs worked on at once. The result does not depend on it.
        prune: Leave tiles out that provably hold no surface. The result does not depend on it.
        progress: Called with the lattice points done and those in all.

    Returns:
        Vertices in lattice steps from the first lattice point, and faces counter-clockwise seen from outside. The
        surface is closed: outside the lattice everything is empty. Both are empty where nothing is above the level.
    """
    size = bounded.lattice.size
    edges = np.full((3, TILE + 1, size + 2, size + 2), -1, np.int32)
    vertices: list[np.ndarray] = [np.empty((0, 3))]
    faces: list[np.ndarray] = [np.empty((0, 3), np.int64)]
    first = 0
    slabs = range(size // TILE + 1)
    buffers = BufferPool(size)
    for slab, (kept, values) in enumerate(in_order(_evaluator(bounded, level, prune, buffers), slabs, threads)):
        forget_edges(kept, edges)
        room = int(count_triangles(kept, values, level, cases()[0]))
        new, triangles = np.empty((3 * room, 3)), np.empty((room, 3), np.int64)
        made = march_slab(kept, values, level, slab, cases(), edges, first, new, triangles)
        vertices.append(new[:made].copy())
        faces.append(triangles)
        first += made
        buffers.give_back(values)
        if progress is not None:
            progress(min(TILE * (slab + 1), size) * size**2, size**3)
    return np.concatenate(vertices), np.concatenate(faces)


def span(bounded: BoundedLattice | SampledLattice, *, threads: int = 1) -> tuple[float, float]:
    """Lowest and highest raw density on the whole lattice."""
    return _extremes(bounded.lattice, threads)


def dense(bounded: BoundedLattice | SampledLattice, *, threads: int = 1) -> Float32[np.ndarray, "n n n"]:
    """Evaluate the whole lattice, for those who want all its values."""
    return _dense(bounded.lattice, threads)


def _dense(lattice: Lattice, threads: int) -> Float32[np.ndarray, "n n n"]:
    values = np.empty((lattice.size + 2,) * 3, np.float32)
    for slab, part in _dense_slabs(lattice, threads):
        values[TILE * slab : TILE * slab + len(part)] = part
    return values[1:-1, 1:-1, 1:-1]


def _extremes(lattice: Lattice, threads: int) -> tuple[float, float]:
    lowest, highest = np.inf, -np.inf
    for _, values in _dense_slabs(lattice, threads):
        real = values[values > BORDER]
        lowest, highest = min(lowest, real.min(initial=np.inf)), max(highest, real.max(initial=-np.inf))
    return float(lowest), float(highest)


def _dense_slabs(lattice: Lattice, threads: int) -> Iterator[tuple[int, np.ndarray]]:
    """Evaluate the whole lattice: slabs of `TILE + 1` layers with the empty layer around, the last one shared."""
    buffers = BufferPool(lattice.size)

    def evaluate(slab: int) -> np.ndarray:
        values = buffers.take()
        evaluate_parts(lattice, slab, _all_parts(lattice, slab), 0.0, -1.0, values)
        return values

    for slab, values in enumerate(in_order(evaluate, range(lattice.size // TILE + 1), threads)):
        yield slab, values[: lattice.size + 2 - TILE * slab]
        buffers.give_back(values)


def _all_parts(lattice: Lattice, slab: int) -> Bool[np.ndarray, "2 parts parts"]:
    parts = lattice.size // PART + 1
    kept = np.zeros((TILE // PART, parts, parts), np.bool_)
    kept[: max(0, parts - TILE // PART * slab)] = True
    return kept


def _every_eighth(lattice: Lattice) -> Lattice:
    xy, xz, yz = (np.ascontiguousarray(table[::TILE, ::TILE]) for table in lattice.tables)
    return lattice._replace(xy=xy, xz=xz, yz=yz, size=-(-lattice.size // TILE))


def _evaluator(
    bounded: BoundedLattice | SampledLattice, level: float, prune: bool, buffers: BufferPool
) -> Callable[[int], tuple[Bool[np.ndarray, "2 parts parts"], Float32[np.ndarray, "layers m m"]]]:
    """Make the work on one slab: which parts are kept, and the values in those."""
    keep = bounded.keep(level)

    def evaluate(slab: int) -> tuple[np.ndarray, np.ndarray]:
        kept = bounded.keep_parts(slab, keep[slab], level) if prune else _all_parts(bounded.lattice, slab)
        values = buffers.take()
        evaluate_parts(bounded.lattice, slab, kept, level, bounded.step(level), values)
        return kept, values

    return evaluate
