"""Where a field can have density: raw densities on a lattice, evaluated near what is there, and leaps elsewhere.

The lattice is aligned with the texels, and reaches one texel beyond the outermost: there every plane that knows the
coordinate has faded to zero, so that the field further out is that of the nearest point of the lattice. Between
texels a plane is bilinear, so bounds over the texels of a tile hold for every point of the tile. Tiles that provably
stay below the threshold are left out, so no part is missed, however small. The values on the lattice show parts about
two cells wide; thinner ones are left to those who ask the network in every cell that may hold something.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from gen3d_tools.kernels.compiling.announce import announce
from gen3d_tools.kernels.compiling.compiled import compiled, f32
from gen3d_tools.kernels.compiling.threads import share_out
from gen3d_tools.kernels.lattice.bounds import bound_tiles, summaries
from gen3d_tools.kernels.lattice.sampled import BEYOND, over_parts
from gen3d_tools.kernels.lattice.tables import DEEP, Lattice
from gen3d_tools.kernels.network.evaluate import WIDTH, Network
from gen3d_tools.kernels.network.numbers import SILU
from gen3d_tools.kernels.network.points import densities_at

CELLS = 128  # about as many along each side, where the planes have texels for them
_FINEST = 2  # cells along a texel, at most: what small planes hold is no finer
EMPTY = np.float32(-1e4)  # stands for raw density where nothing was evaluated; no cell that is looked up touches it
_LONGEST_LEAP = 100
_ENDLESS = np.float32(1e15)  # cells
_LARGEST_TILE = 8  # cells along the sides of the tiles that are bounded first


class OccupancyGrid(NamedTuple):
    """Raw density on a lattice, and how far from each of its cells nothing is."""

    raw: np.ndarray  # [n + 1, n + 1, n + 1] float32, [x, y, z]
    skip: np.ndarray  # [n, n, n] uint8: 0 in cells to look at, else cells to the next one of those (Chebyshev)
    possible: np.ndarray  # [n, n, n] bool: all cells that may have density, whatever the lattice shows
    box: np.ndarray  # [2, 3] float32: lowest and highest corner of all cells to look at, counted in cells
    start: np.float32  # world coordinate of the first lattice point, on every axis
    cell: np.float32  # side of a cell, in world units


class _Grid(NamedTuple):
    """Points at texels, or at even parts of texels. Point 1 is the texel before the first: zero on every plane."""

    parts: int  # points per texel
    points: int
    per_cell: int  # steps between points that make a cell
    cells: int


def build_occupancy_grid(net: Network, threshold: float, *, threads: int = 1) -> OccupancyGrid:
    """Bound the raw density everywhere, and evaluate it on the lattice where it may be above `threshold`.

    Args:
        net: The field.
        threshold: Raw density below which nothing is seen.
        threads: At most; the result does not depend on it.
    """
    announce(bound_tiles)
    grid = _grid(net.size)
    tile = 2 if len(net.deeper) else 1  # bounds through several layers take a while
    texel = 1 / float(net.per_texel[0])
    cell = texel * grid.per_cell / grid.parts
    start = (-1 - 2 / grid.parts - float(net.per_texel[1])) * texel
    deep = net.activation == SILU and len(net.deeper) >= DEEP
    if deep:  # bounds say nothing: it is looked at, see `lattice.sampled`
        possible = _seen_above(net, start + np.arange(-(-grid.cells // tile) + 1) * (cell * tile), threshold, threads)
    else:
        possible = _possible(net, grid, threshold, tile, threads)
    occupied = possible.repeat(tile, 0).repeat(tile, 1).repeat(tile, 2)[: grid.cells, : grid.cells, : grid.cells]
    occupied = np.ascontiguousarray(occupied)  # other layouts are other types, for which kernels are compiled again
    raw = np.full((grid.cells + 1,) * 3, EMPTY, np.float32)
    corners = np.zeros(raw.shape, np.bool_)
    corners[:-1, :-1, :-1] = occupied
    _widen(corners, 1)
    axis = np.arange(grid.cells + 1, dtype=np.float32) * f32(cell) + f32(start)
    raw[corners] = densities_at(net, _points(axis, np.argwhere(corners)), threads=threads)
    # What hides between lattice points is shown by raising these: the lattice only has to make rays look.
    if not deep:
        _raise_hidden(net, raw, possible, threshold, start, cell, tile, threads)
    above = raw > threshold
    _widen(above, -1)
    wanted = above[:-1, :-1, :-1] & occupied
    return OccupancyGrid(raw, leaps(wanted), occupied, box_around(wanted), f32(start), f32(cell))


def _raise_hidden(
    net: Network,
    raw: Float[np.ndarray, "n n n"],
    possible: Bool[np.ndarray, "t t t"],
    threshold: float,
    start: float,
    cell: float,
    tile: int,
    threads: int,
) -> None:
    """Raise, in place, the lattice's values around tiles that may hold something between its points and do."""
    middles = np.arange(len(possible) * 2, dtype=np.float32) * f32(cell * tile / 2) + f32(start + cell * tile / 4)
    tiles = np.argwhere(possible & (_highest_at_points(raw, tile, len(possible)) <= threshold))
    for place, highest in zip(tiles, _highest_within(net, middles, tiles, threads), strict=True):
        if highest > threshold:
            i, j, k = place * tile
            part = raw[i : i + tile + 1, j : j + tile + 1, k : k + tile + 1]
            np.maximum(part, highest, out=part)


def _seen_above(
    net: Network, axis: Float[np.ndarray, " n"], threshold: float, threads: int
) -> Bool[np.ndarray, "t t t"]:
    """Tiles between points along `axis` in which something above the threshold was seen, or may be."""
    axis = axis.astype(np.float32)
    places = np.stack(np.meshgrid(*[np.arange(len(axis))] * 3, indexing="ij"), -1).reshape(-1, 3)
    seen = densities_at(net, _points(axis, places), threads=threads).reshape((len(axis),) * 3)
    low = high = seen
    for axis_index in range(3):
        low, high = over_parts(low, np.minimum, axis_index, 1), over_parts(high, np.maximum, axis_index, 1)
    found: np.ndarray = high + BEYOND * (high - low) > threshold
    return found


def _widen(mask: Bool[np.ndarray, "n n n"], step: int) -> None:
    """Set, in place, also the next element (`step` 1) or the one before (-1) of each that is set, along every axis."""
    for axis in range(3):
        turned = mask.swapaxes(0, axis)[::step]
        turned[1:] |= turned[:-1]


def _points(axis: Float[np.ndarray, " n"], places: np.ndarray) -> Float[np.ndarray, "points 3"]:
    """The points whose coordinates stand at these places [points, 3] of `axis`."""
    return np.ascontiguousarray(axis[places])


def _highest_at_points(raw: Float[np.ndarray, "n n n"], tile: int, tiles: int) -> Float[np.ndarray, "t t t"]:
    """Find the largest value at the lattice points of every tile; those on a face belong to both neighbours."""
    missing = tiles * tile + 1 - len(raw)
    highest = np.pad(raw, (0, missing), constant_values=EMPTY) if missing else raw
    for axis in range(3):
        turned = highest.swapaxes(0, axis)
        parts = [turned[offset : offset + tile * tiles : tile] for offset in range(tile + 1)]
        highest = np.maximum.reduce(parts).swapaxes(0, axis)
    return highest


def _highest_within(net: Network, middles: np.ndarray, tiles: np.ndarray, threads: int) -> Float[np.ndarray, " n"]:
    """Evaluate the middles of the eight parts of each tile [n, 3]; `middles` has two coordinates per tile."""
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), -1).reshape(-1, 3)
    places = (tiles[:, None] * 2 + corners).reshape(-1, 3)
    raw = densities_at(net, _points(middles, places), threads=threads)
    highest: np.ndarray = raw.reshape(-1, 8).max(1)
    return highest


def box_around(wanted: np.ndarray) -> np.ndarray:
    """The box around all wanted cells, [2, 3]; beyond the lattice, cells at its border go on without an end."""
    box = np.zeros((2, 3), np.float32)
    for axis in range(3):
        found = np.flatnonzero(wanted.any(tuple(other for other in range(3) if other != axis)))
        if len(found):
            box[0, axis] = found[0] if found[0] > 0 else -_ENDLESS
            box[1, axis] = found[-1] + 1 if found[-1] + 1 < wanted.shape[axis] else _ENDLESS
    return box


def _grid(size: int) -> _Grid:
    parts = min(-(-CELLS // size), _FINEST)
    points = (size + 1) * parts + 2
    per_cell = max(1, round(size / CELLS))
    return _Grid(parts, points, per_cell, -(-points // per_cell))


def _possible(net: Network, grid: _Grid, threshold: float, finest: int, threads: int) -> Bool[np.ndarray, "t t t"]:
    """Find the tiles, `finest` cells along each side, whose upper bound is above the threshold."""
    lattice = _lattice(net, grid)
    tile = _LARGEST_TILE
    wanted = np.ones((-(-grid.cells // tile),) * 3, np.bool_)
    while True:
        xy, xz, yz = summaries(lattice, grid.per_cell * tile, len(wanted))
        low, high = np.empty(wanted.shape, np.float32), np.full(wanted.shape, -np.inf, np.float32)
        slabs = np.flatnonzero(wanted.any((1, 2)))

        def bound(first: int, end: int) -> None:
            for slab in slabs[first:end]:  # noqa: B023 - done before the next round
                bound_tiles(lattice, xy[slab], xz[slab], yz, wanted[slab], low[slab], high[slab])  # noqa: B023

        share_out(bound, len(slabs), threads=threads)
        wanted = high > threshold
        if tile == finest:
            return wanted
        tile //= 2
        count = -(-grid.cells // tile)
        wanted = np.ascontiguousarray(wanted.repeat(2, 0).repeat(2, 1).repeat(2, 2)[:count, :count, :count])


def _lattice(net: Network, grid: _Grid) -> Lattice:
    """The planes at the points of the grid, and the network, as the bounds read them."""
    tables = {pair: np.zeros((1, 1, WIDTH), np.float32) for pair in ((0, 1), (0, 2), (1, 2))}
    planes = net.texels.reshape(-1, net.size, net.size, WIDTH)
    for plane, (u, v) in zip(planes, net.axes, strict=True):
        table = np.zeros((net.size + 3, net.size + 3, WIDTH), np.float32)
        table[2:-1, 2:-1] = plane.transpose(1, 0, 2)  # planes run along v, then u
        tables[int(u), int(v)] = _refined(table, grid)
    tables[0, 1] += net.bias
    xy, xz, yz = tables.values()
    return Lattice(
        xy,
        xz,
        yz,
        steps=np.zeros(3, np.int64),
        form=net.activation,
        size=grid.points,
        deeper=net.deeper[:, None],
        deeper_bias=net.deeper_bias[:, None],
        activation=net.activation,
        row=net.density,
        bias=net.density_bias,
    )


def _refined(table: np.ndarray, grid: _Grid) -> np.ndarray:
    """Interpolate a plane with zeros around it at the points of the grid."""
    if grid.parts == 1:
        return table
    place = np.maximum(np.arange(grid.points) - 1, 0) / grid.parts + 1
    lower = np.minimum(place.astype(np.int64), len(table) - 2)
    share = (place - lower).astype(np.float32)[:, None, None]
    rows = table[lower] * (1 - share) + table[lower + 1] * share
    share = share.transpose(1, 0, 2)
    return np.ascontiguousarray(rows[:, lower] * (1 - share) + rows[:, lower + 1] * share)


@compiled()
def leaps(occupied):  # type: ignore[no-untyped-def]
    """Chebyshev distance to the nearest occupied cell, at most `_LONGEST_LEAP`, by a sweep each way."""
    n = len(occupied)
    skip = np.full((n + 2, n + 2, n + 2), _LONGEST_LEAP, np.uint8)
    for i in range(n):
        for j in range(n):
            for k in range(n):
                if occupied[i, j, k]:
                    skip[i + 1, j + 1, k + 1] = 0
    for way in (1, -1):
        for step_i in range(1, n + 1):
            i = step_i if way == 1 else n + 1 - step_i
            for step_j in range(1, n + 1):
                j = step_j if way == 1 else n + 1 - step_j
                row, beside = skip[i, j], skip[i, j - way]
                a, b, c = skip[i - way, j - 1], skip[i - way, j], skip[i - way, j + 1]
                for k in range(1, n + 1):
                    near = min(min(min(a[k - 1], a[k]), min(a[k + 1], b[k - 1])), min(min(b[k], b[k + 1]), c[k - 1]))
                    near = min(near, min(min(c[k], c[k + 1]), min(min(beside[k - 1], beside[k]), beside[k + 1])))
                    row[k] = min(row[k], near + np.uint8(1))
                for step_k in range(1, n + 1):
                    k = step_k if way == 1 else n + 1 - step_k
                    row[k] = min(row[k], row[k - way] + np.uint8(1))
    return skip[1:-1, 1:-1, 1:-1].copy()
