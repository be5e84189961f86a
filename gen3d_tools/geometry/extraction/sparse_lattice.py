"""A lattice of which only the part near the surface is evaluated, for fields that cost much at every point.

The lattice is cut into blocks of a few cells. All corners of the blocks are evaluated; a block is looked into where the
level lies between its corners, or so near that the values around it might reach it. Wherever the surface then runs out
of what was looked into, the neighbour is looked into as well. So every part of the surface that is met at all is whole.
What is not met is smaller than a block, and the field says below which size it has no parts (`RadianceField.detail`).
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from gen3d_tools.geometry.extraction.lattice import (
    CHUNK_POINTS,
    PointFunction,
    Progress,
    check_finite,
    lattice_axis,
)
from gen3d_tools.memory import in_chunks

_LONGEST = 8  # cells along the sides of a block
_RESERVE = 0.25  # of the spread of the values around, by which a block's values may pass those at its corners
_GATHERED = 1 << 20  # points that are gathered before they are evaluated


def block_side(detail: float, resolution: int, box_side: float) -> int:
    """Cells along each side of the blocks: the largest power of two that steps over no detail; 1 = no blocks."""
    cell = box_side / (resolution - 1)
    side = 1
    while side < _LONGEST and 2 * side * cell <= detail:
        side *= 2
    return side


def sample_near_level(
    function: PointFunction,
    *,
    resolution: int,
    box_side: float,
    level: float,
    side: int,
    device: torch.device | str = "cpu",
    out: Float[np.ndarray, "n n n"],
    progress: Progress | None = None,
) -> None:
    """Evaluate a function on the lattice near a level; elsewhere `out` gets a value of the right side of the level.

    Args:
        function: What to evaluate, without gradients.
        resolution: Points along each side, n.
        box_side: Side of the cube around the origin, in world units.
        level: Value at the surface.
        side: Cells along each side of a block.
        device: Where the function expects its points.
        out: Receives the values, indexed [x, y, z].
        progress: Called with the lattice points done and those in all, those that are left out among the former.

    Raises:
        Gen3DError: The function is not finite somewhere.
        OutOfMemoryError: Not even one point fits.
    """
    sampler = _Sampler(function, lattice_axis(resolution, box_side), device, out)
    blocks = _Blocks(resolution, side)
    sampler.evaluate(np.stack(np.meshgrid(*[blocks.edges] * 3, indexing="ij"), -1).reshape(-1, 3))
    corners = blocks.fill(out)
    wanted = _near(corners, level)
    while blocks.side > 2:  # half the blocks, of which fewer are near
        finer = _Blocks(resolution, blocks.side // 2)
        for places in blocks.gathered(wanted, np.zeros_like(wanted), every=finer.side):
            sampler.evaluate(places)
        corners = finer.fill(out)
        wanted = _near(corners, level) & finer.within(blocks, wanted)
        blocks = finer
    inside, looked = corners[:-1, :-1, :-1] > level, np.zeros_like(wanted)
    while wanted.any():
        now = looked | wanted
        for places in blocks.gathered(now, looked):
            sampler.evaluate(places)
            if progress is not None:  # what is left out counts as done from the beginning
                progress(resolution**3 - resolution**2, resolution**3)
        looked = now
        wanted = blocks.run_out(out > level, looked, inside) & ~looked
    if progress is not None:
        progress(resolution**3, resolution**3)


class _Sampler:
    """Evaluates a function at lattice points and puts the values where they belong."""

    def __init__(
        self, function: PointFunction, axis: Float[np.ndarray, " n"], device: torch.device | str, out: np.ndarray
    ) -> None:
        self.function, self.out = function, out
        self.axis, self.device = axis, device

    def evaluate(self, places: np.ndarray) -> None:
        """Evaluate the points with these indices [points, 3]."""

        def fill(part: slice) -> None:
            chosen = places[part]
            points = torch.from_numpy(self.axis[chosen]).to(self.device)
            values = self.function(points).float().cpu()
            check_finite(values, points)
            self.out[tuple(chosen.T)] = values.numpy()

        with torch.no_grad():
            in_chunks(fill, len(places), CHUNK_POINTS, what="points")


class _Blocks:
    """Blocks of a lattice: which points belong to which. Points on a face belong to both blocks beside it."""

    def __init__(self, resolution: int, side: int) -> None:
        self.resolution, self.side = resolution, side
        self.edges = np.append(np.arange(0, resolution - 1, side), resolution - 1)
        last = len(self.edges) - 2
        index = np.arange(resolution)
        self.edge_below = np.minimum(index // side, last + 1)
        self.edge_below[-1] = last + 1
        self.lower = np.minimum(self.edge_below, last)  # the block that begins at a point or before it
        self.upper = np.minimum(np.maximum(-(-index // side) - 1, 0), last)  # ... that ends there or behind it

    def fill(self, out: Float[np.ndarray, "n n n"]) -> Float[np.ndarray, "c c c"]:
        """Give every point the value of the corner below it, and return those of the corners."""
        corners: np.ndarray = out[np.ix_(*[self.edges] * 3)]
        out[...] = corners[np.ix_(*[self.edge_below] * 3)]
        return corners

    def within(self, coarser: "_Blocks", chosen: Bool[np.ndarray, "b b b"]) -> Bool[np.ndarray, "c c c"]:
        """Blocks that lie in chosen blocks of twice the side."""
        parent = coarser.lower[self.edges[:-1]]
        inside: np.ndarray = chosen[np.ix_(parent, parent, parent)]
        return inside

    def points(self, chosen: Bool[np.ndarray, "b b b"], x: int) -> Bool[np.ndarray, "n n"]:
        """Points of a plane of constant x that belong to chosen blocks."""
        rows = chosen[self.lower[x]] | chosen[self.upper[x]]
        rows = rows[self.lower] | rows[self.upper]
        both: np.ndarray = rows[:, self.lower] | rows[:, self.upper]
        return both

    def gathered(
        self, now: Bool[np.ndarray, "b b b"], before: Bool[np.ndarray, "b b b"], every: int = 1
    ) -> Iterator[Int[np.ndarray, "points 3"]]:
        """Indices [points, 3] of the points of blocks in `now` that belong to none in `before`, many at a time.

        Args:
            now: Blocks.
            before: Blocks.
            every: Only points whose indices are multiples of this, and the last ones.
        """
        index = np.arange(self.resolution)
        skipped = (index % every != 0) & (index != self.resolution - 1)
        pieces: list[np.ndarray] = []
        count = 0
        for x in range(self.resolution):
            if skipped[x]:
                continue
            chosen = self.points(now, x) & ~self.points(before, x)
            chosen[skipped] = chosen[:, skipped] = False
            y, z = np.nonzero(chosen)
            pieces.append(np.stack([np.full_like(y, x), y, z], -1))
            count += len(y)
            if count and (count >= _GATHERED or x == self.resolution - 1):
                yield np.concatenate(pieces)
                pieces, count = [], 0

    def run_out(
        self,
        inside: Bool[np.ndarray, "n n n"],
        looked: Bool[np.ndarray, "b b b"],
        filled: Bool[np.ndarray, "b b b"],
    ) -> Bool[np.ndarray, "b b b"]:
        """Blocks at whose faces a point is on the other side of the level than the rest of the block is thought to be.

        Args:
            inside: Points above the level.
            looked: Blocks whose points were evaluated.
            filled: Blocks that are above the level where they were not.
        """
        found = np.zeros_like(looked)
        starts = {id(self.lower): _starts(self.lower), id(self.upper): _starts(self.upper)}
        for x in range(self.resolution):
            evaluated = self.points(looked, x)
            if not evaluated.any():
                continue
            for i in {self.lower[x], self.upper[x]}:
                for j in (self.lower, self.upper):
                    for k in (self.lower, self.upper):
                        wrong = evaluated & (inside[x] != filled[i][j][:, k])
                        rows = np.logical_or.reduceat(wrong, starts[id(j)], axis=0)
                        found[i] |= np.logical_or.reduceat(rows, starts[id(k)], axis=1)
        return found


def _starts(block_of: np.ndarray) -> np.ndarray:
    """Where each block begins in an ascending list of blocks by point."""
    return np.flatnonzero(np.diff(block_of, prepend=-1))


def _near(corners: Float[np.ndarray, "c c c"], level: float) -> Bool[np.ndarray, "b b b"]:
    """Blocks whose corners have the level between them, or come near it beside how much they differ around here."""
    lowest, highest = corners[:-1, :-1, :-1], corners[:-1, :-1, :-1]
    for i in (slice(0, -1), slice(1, None)):
        for j in (slice(0, -1), slice(1, None)):
            for k in (slice(0, -1), slice(1, None)):
                lowest, highest = np.minimum(lowest, corners[i, j, k]), np.maximum(highest, corners[i, j, k])
    reserve = _RESERVE * ndimage.maximum_filter(highest - lowest, size=3, mode="nearest")
    near: np.ndarray = (lowest - reserve <= level) & (highest + reserve >= level)
    return near
