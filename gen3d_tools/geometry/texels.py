"""Which point of a surface each texel of its texture shows.

Texel [row, column] is the square whose centre has u = (column + 0.5) / size and v = 1 - (row + 0.5) / size: pictures
start at the top, v at the bottom. Viewers mix neighbouring texels, and smaller copies of the picture mix whole blocks,
so the texels beside a chart matter too: those close to it show the nearest point of its border.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from scipy.ndimage import distance_transform_edt

_CANDIDATES = 1 << 21  # texels looked at together, about


@dataclass(frozen=True, eq=False)
class TexelMap:
    """The texels that show the surface, and for all others which of those is the nearest."""

    size: int
    texel: Int[np.ndarray, " shown"]
    """Row * size + column, ascending."""
    face: Int[np.ndarray, " shown"]
    weights: Float[np.ndarray, "shown 3"]
    """Barycentric coordinates in that face; each point lies within it."""
    covered: Bool[np.ndarray, "size size"]
    """Whether the texel's centre lies in a chart; the other texels with a point are beside one."""
    nearest: Int[np.ndarray, "size size"]
    """For each texel the row of `texel` that it shows or that is the closest."""

    def interpolate(
        self, faces: Int[np.ndarray, "faces 3"], of_vertices: Float[np.ndarray, "vertices channels"]
    ) -> Float[np.ndarray, "shown channels"]:
        """Interpolate what vertices have at the point of each texel."""
        corners = faces[self.face]
        return np.asarray(sum(self.weights[:, i, None] * of_vertices[corners[:, i]] for i in range(3)))

    def picture(self, values: Shaped[np.ndarray, "shown channels"]) -> Shaped[np.ndarray, "size size channels"]:
        """Paint what was found at the texels' points; all other texels get the nearest one's value."""
        painted: np.ndarray = values[self.nearest]
        return painted


def map_texels(
    uv: Float[np.ndarray, "vertices 2"], faces: Int[np.ndarray, "faces 3"], size: int, *, beside: float = 2.0
) -> TexelMap:
    """Find the surface point of each texel.

    Args:
        uv: Places of the vertices in the texture, 0..1, v upwards.
        faces: Triangles; their order decides where they overlap (the last one).
        size: Texels along each side.
        beside: How far, in texels, texels next to a chart get points of their own on its border.
    """
    corners = _to_texels(uv, size)[faces]
    owner = np.full(size * size, -1, np.int64)
    for face, texel in _candidates(corners, size):
        inside = (_barycentric(corners[face], texel, size) >= -1e-6).all(axis=1)
        owner[texel[inside]] = face[inside]
    _claim_for_small(owner, corners, size)
    covered = (owner >= 0).reshape(size, size)
    distance, (row, column) = distance_transform_edt(~covered, return_indices=True)
    texel = np.flatnonzero(distance <= beside)
    face = owner[(row * size + column).reshape(-1)[texel]]
    weights = _barycentric(corners[face], texel, size).clip(0)
    weights /= weights.sum(axis=1, keepdims=True)
    number = np.full(size * size, -1, np.int64)
    number[texel] = np.arange(len(texel))
    own = number.reshape(size, size)
    nearest = np.where(own >= 0, own, own[row, column])
    return TexelMap(size, texel, face, weights, covered, nearest)


def _to_texels(uv: Float[np.ndarray, "n 2"], size: int) -> Float[np.ndarray, "n 2"]:
    """Give column and row, with whole numbers at the texels' centres."""
    return np.stack([uv[:, 0] * size - 0.5, (1 - uv[:, 1]) * size - 0.5], axis=1)


def _candidates(
    corners: Float[np.ndarray, "faces 3 2"], size: int
) -> Iterator[tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]]:
    """Pair each triangle with the texels of its bounding box, in pieces."""
    low = np.ceil(corners.min(axis=1)).astype(np.int64).clip(0, size)
    high = np.floor(corners.max(axis=1)).astype(np.int64).clip(-1, size - 1) + 1
    width, height = (high - low).clip(0).T
    total = np.cumsum(width * height)
    start = 0
    while start < len(corners):
        before = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, before + _CANDIDATES, side="right")))
        counts = (width * height)[start:stop]
        face = np.repeat(np.arange(start, stop), counts)
        step = np.arange(len(face)) - np.repeat(np.cumsum(counts) - counts, counts)
        down, across = np.divmod(step, np.maximum(width[face], 1))
        yield face, (low[face, 1] + down) * size + low[face, 0] + across
        start = stop


def _barycentric(
    corners: Float[np.ndarray, "n 3 2"], texel: Int[np.ndarray, " n"], size: int
) -> Float[np.ndarray, "n 3"]:
    """Coordinates of texels in triangles; a triangle without area gets a third of each corner."""
    row, column = np.divmod(texel, size)
    a, b, c = (corners[:, i] for i in range(3))
    first, second, point = b - a, c - a, np.stack([column, row], axis=1) - a
    area = _cross(first, second)
    flat = np.abs(area) < 1e-9
    safe = np.where(flat, 1, area)
    towards_b, towards_c = _cross(point, second) / safe, _cross(first, point) / safe
    weights = np.stack([1 - towards_b - towards_c, towards_b, towards_c], axis=1)
    weights[flat] = 1 / 3
    return weights


def _cross(a: Float[np.ndarray, "n 2"], b: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
    """Twice the signed area between vectors."""
    area: np.ndarray = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return area


def _claim_for_small(owner: Int[np.ndarray, " texels"], corners: Float[np.ndarray, "faces 3 2"], size: int) -> None:
    """Let triangles between the texels' centres have the texel they lie in, where nobody else has it."""
    shown = np.zeros(len(corners), bool)
    shown[owner[owner >= 0]] = True
    small = np.flatnonzero(~shown)
    column, row = np.rint(corners[small].mean(axis=1)).astype(np.int64).clip(0, size - 1).T
    texel = row * size + column
    free = owner[texel] < 0
    owner[texel[free]] = small[free]
