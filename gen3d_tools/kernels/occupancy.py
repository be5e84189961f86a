"""Where a field has any density: raw densities on a lattice, evaluated only near what is there, and leaps elsewhere.

The lattice covers the box, or what is to be looked at around it. A first lattice of every second point finds cells
with density; all their neighbours are evaluated too. Parts smaller than two cells can be missed.
"""

from typing import NamedTuple

import numpy as np
from numba import prange
from scipy import ndimage

from gen3d_tools.kernels.compiled import compiled
from gen3d_tools.kernels.network_cpu import Network, dot, hidden

CELLS = 128
EMPTY = np.float32(-1e4)  # stands for raw density where nothing was evaluated; no cell that is looked up touches it
_LONGEST_LEAP = 100


class Guide(NamedTuple):
    """Raw density on a lattice, and how far from each of its cells nothing is."""

    raw: np.ndarray  # [n + 1, n + 1, n + 1] float32, [x, y, z]
    leap: np.ndarray  # [n, n, n] uint8: 0 in cells to look at, else cells to the next one of those (Chebyshev)
    half_side: np.float32
    cell: np.float32  # side of a cell, in world units


def build_guide(net: Network, side: float, threshold: float, cells: int = CELLS) -> Guide:
    """Evaluate the lattice where the raw density may be above `threshold`.

    Args:
        net: The field.
        side: Full side of the lattice.
        threshold: Raw density below which nothing is seen.
        cells: Along each side, even.
    """
    cell, half_side = np.float32(side / cells), np.float32(side / 2)
    raw = np.full((cells + 1,) * 3, EMPTY, np.float32)
    wanted = np.zeros(raw.shape, np.bool_)
    wanted[::2, ::2, ::2] = True
    _evaluate(net, wanted, cell, half_side, raw)
    near = _cells_above(raw[::2, ::2, ::2], threshold, spread=1)
    near = near.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    corners = np.zeros(raw.shape, np.bool_)
    corners[:-1, :-1, :-1] = near
    corners = ndimage.maximum_filter(corners, size=2, origin=0)
    _evaluate(net, corners & ~wanted, cell, half_side, raw)
    occupied = _cells_above(raw, threshold, spread=1) & near
    distance = (
        ndimage.distance_transform_cdt(~occupied, metric="chessboard")
        if occupied.any()
        else np.full(occupied.shape, cells)
    )
    return Guide(raw, np.minimum(distance, _LONGEST_LEAP).astype(np.uint8), half_side, cell)


def _cells_above(raw: np.ndarray, threshold: float, *, spread: int) -> np.ndarray:
    """Which cells have a corner above the threshold, or a neighbour with one."""
    above = ndimage.maximum_filter(raw > threshold, size=2, origin=-1)[:-1, :-1, :-1]
    found: np.ndarray = ndimage.maximum_filter(above, size=2 * spread + 1, mode="constant")
    return found


@compiled(parallel=True)
def _evaluate(net, wanted, cell, half_side, raw):  # type: ignore[no-untyped-def]
    """Fill in the raw density of the wanted points."""
    count = len(raw)
    for i in prange(count):
        u, other = np.empty_like(net.bias), np.empty_like(net.bias)
        for j in range(count):
            for k in range(count):
                if wanted[i, j, k]:
                    hidden(net, i * cell - half_side, j * cell - half_side, k * cell - half_side, u, other)
                    raw[i, j, k] = dot(u, net.density) + net.density_bias
