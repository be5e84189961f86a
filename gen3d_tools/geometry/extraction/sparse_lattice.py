"""A lattice of which only the part near the surface is evaluated, for fields that cost much at every point.

A coarse lattice, whose cells step over no detail, is evaluated whole. Then the cells are halved again and again: points
between known ones are interpolated, and those are evaluated whose interpolated value lies so near to the level that the
true one might be on its other side. Wherever two neighbours are on different sides of the level, both are evaluated,
and so on along the surface. So every vertex that marching cubes makes comes from true values, and every part of the
surface that is met at all is whole. What is not met is smaller than a coarse cell, and the field says below which size
it has no parts (`RadianceField.detail`).
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

_LONGEST = 8  # cells along the sides of a coarse cell
_RESERVE = 0.4  # of the spread of the values around, by which a value may differ from the interpolated one
_GATHERED = 1 << 20  # points that are gathered before they are evaluated


def block_side(detail: float, resolution: int, box_side: float) -> int:
    """Cells along each side of a coarse cell: the largest power of two that steps over no detail; 1 = none."""
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
        side: Cells along each side of a coarse cell, a power of two.
        device: Where the function expects its points.
        out: Receives the values, indexed [x, y, z].
        progress: Called with the lattice points done and those in all, those that are left out among the former.

    Raises:
        Gen3DError: The function is not finite somewhere.
        OutOfMemoryError: Not even one point fits.
    """
    axis = torch.from_numpy(lattice_axis(resolution, box_side)).to(device)

    def evaluate(stage: "_Stage", places: Int[np.ndarray, "points 3"]) -> None:
        def fill(part: slice) -> None:
            chosen = places[part]
            points = axis[torch.from_numpy(stage.indices[chosen]).to(device)]
            values = function(points).float().cpu()
            check_finite(values, points)
            stage.values[tuple(chosen.T)] = values.numpy()

        with torch.no_grad():
            in_chunks(fill, len(places), CHUNK_POINTS, what="points")
        stage.known[tuple(places.T)] = True

    stage = _Stage.coarsest(_indices(resolution, side), out if side == 1 else None)
    evaluate(stage, np.argwhere(~stage.known))
    while side > 1:
        side //= 2
        stage, reserve = stage.refined(_indices(resolution, side), out if side == 1 else None)
        for places in stage.gathered(stage.near(level, reserve)):
            evaluate(stage, places)
        for places in stage.gathered(stage.crossed(level)):
            while len(places):
                evaluate(stage, places)
                places = stage.beyond(places, level)
        if progress is not None:
            progress(len(stage.indices) ** 3, resolution**3)


class _Stage:
    """The lattice at some stride: its values, true ones and interpolated ones.

    Args:
        indices: Which points of the lattice it has along each axis, the first and the last among them.
        values: Of those points.
        known: Which values are true.
    """

    def __init__(
        self, indices: Int[np.ndarray, " m"], values: Float[np.ndarray, "m m m"], known: Bool[np.ndarray, "m m m"]
    ) -> None:
        self.indices, self.values, self.known = indices, values, known

    @classmethod
    def coarsest(cls, indices: Int[np.ndarray, " m"], values: Float[np.ndarray, "m m m"] | None) -> "_Stage":
        """A lattice of which nothing is known."""
        shape = (len(indices),) * 3
        return cls(indices, np.empty(shape, np.float32) if values is None else values, np.zeros(shape, np.bool_))

    def refined(
        self, indices: Int[np.ndarray, " f"], values: Float[np.ndarray, "f f f"] | None
    ) -> tuple["_Stage", "_Reserve"]:
        """Interpolate on a finer lattice.

        Args:
            indices: The finer lattice's; those of this one are among them.
            values: Receives the values; by default a new array does.

        Returns:
            The finer lattice, and by how much its interpolated values may be off.
        """
        finer = _Stage.coarsest(indices, values)
        finer.known[np.ix_(*[np.searchsorted(indices, self.indices)] * 3)] = self.known
        lower = np.minimum(np.searchsorted(self.indices, indices, "right") - 1, len(self.indices) - 2)
        share = ((indices - self.indices[lower]) / (self.indices[lower + 1] - self.indices[lower])).astype(np.float32)
        for x, (below, between) in enumerate(zip(lower, share, strict=True)):
            plane = _mixed(self.values[below], self.values[below + 1], between)
            plane = _mixed(plane[lower], plane[lower + 1], share[:, None])
            finer.values[x] = _mixed(plane[:, lower], plane[:, lower + 1], share)
        return finer, _Reserve(_spread(self.values), lower)

    def near(self, level: float, reserve: "_Reserve") -> Iterator[Bool[np.ndarray, "m m"]]:
        """Plane by plane, the interpolated points whose true values might be on the other side of the level."""
        for x in range(len(self.indices)):
            yield ~self.known[x] & (np.abs(self.values[x] - level) <= reserve.plane(x))

    def crossed(self, level: float) -> Iterator[Bool[np.ndarray, "m m"]]:
        """Plane by plane, the interpolated points that have a neighbour on the other side of the level."""
        for x in range(len(self.indices)):
            inside = self.values[x] > level
            found = np.zeros_like(inside)
            for beside in self.values[max(x - 1, 0) : x], self.values[x + 1 : x + 2]:
                found |= (inside != (beside[0] > level)) if len(beside) else False
            for along in (0, 1):
                turned, marks = inside.swapaxes(0, along), found.swapaxes(0, along)
                changes = turned[1:] != turned[:-1]
                marks[1:] |= changes
                marks[:-1] |= changes
            yield found & ~self.known[x]

    def beyond(self, places: Int[np.ndarray, "points 3"], level: float) -> Int[np.ndarray, "more 3"]:
        """The interpolated neighbours of points, as far as they are on the other side of the level than those."""
        inside = self.values[tuple(places.T)] > level
        found = []
        for step in np.concatenate([np.eye(3, dtype=np.int64), -np.eye(3, dtype=np.int64)]):
            beside = places + step
            there = ((beside >= 0) & (beside < len(self.indices))).all(1)
            beside, own = beside[there], inside[there]
            index = tuple(beside.T)
            found.append(beside[~self.known[index] & ((self.values[index] > level) != own)])
        return np.unique(np.concatenate(found), axis=0)

    def gathered(self, planes: Iterator[Bool[np.ndarray, "m m"]]) -> Iterator[Int[np.ndarray, "points 3"]]:
        """Places [points, 3] of the points that are set in planes of constant x, many at a time."""
        pieces: list[np.ndarray] = []
        count = 0
        for x, chosen in enumerate(planes):
            y, z = np.nonzero(chosen)
            pieces.append(np.stack([np.full_like(y, x), y, z], -1))
            count += len(y)
            if count and (count >= _GATHERED or x == len(self.indices) - 1):
                yield np.concatenate(pieces)
                pieces, count = [], 0


class _Reserve:
    """By how much the interpolated values in each cell of a coarser lattice may be off.

    Args:
        cells: That, of each cell.
        cell_of: The cell in which each point of the finer lattice lies, along every axis.
    """

    def __init__(self, cells: Float[np.ndarray, "b b b"], cell_of: Int[np.ndarray, " m"]) -> None:
        self.cells, self.cell_of = cells, cell_of

    def plane(self, x: int) -> Float[np.ndarray, "m m"]:
        """The reserve of the finer lattice's points with this x."""
        rows: np.ndarray = self.cells[self.cell_of[x]][self.cell_of]
        plane: np.ndarray = rows[:, self.cell_of]
        return plane


def _indices(resolution: int, stride: int) -> Int[np.ndarray, " m"]:
    """Every so many points of an axis, and the last one."""
    return np.append(np.arange(0, resolution - 1, stride), resolution - 1)


def _mixed(below: np.ndarray, above: np.ndarray, share: np.ndarray | np.float32) -> np.ndarray:
    """Interpolate; exactly one of the two where the share is 0 or 1."""
    mixed: np.ndarray = below * (1 - share) + above * share
    return mixed


def _spread(corners: Float[np.ndarray, "c c c"]) -> Float[np.ndarray, "b b b"]:
    """How much the corners of each cell or of one beside it differ at most, times the reserve."""
    lowest, highest = corners[:-1, :-1, :-1], corners[:-1, :-1, :-1]
    for i in (slice(0, -1), slice(1, None)):
        for j in (slice(0, -1), slice(1, None)):
            for k in (slice(0, -1), slice(1, None)):
                lowest, highest = np.minimum(lowest, corners[i, j, k]), np.maximum(highest, corners[i, j, k])
    spread: np.ndarray = _RESERVE * ndimage.maximum_filter(highest - lowest, size=3, mode="nearest")
    return spread
