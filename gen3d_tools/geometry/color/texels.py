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
    uv: Float[np.ndarray, "vertices 2"], faces: Int[np.ndarray, "faces 3"], size: int, *, beside: float = 1.5
) -> TexelMap:
    """Find the surface point of each texel.

    Args:
        uv: Places of the vertices in the texture, 0..1, v upwards.
        faces: Triangles; their order decides where they overlap (the last one).
        size: Texels along each side.
        beside: How far, in texels, texels next to a chart get points of their own on its border. Bilinear filters
            read up to 1.42 texels beside.
    """
    corners = _to_texels(uv, size)[faces]
    owner = np.full(size * size, -1, np.int64)
    for face, texel in _candidates(corners, size, 0.0):
        inside = (_barycentric(corners[face], texel, size) >= -1e-6).all(axis=1)
        owner[texel[inside]] = face[inside]
    covered = (owner >= 0).reshape(size, size)
    _claim_beside(owner, corners, size, beside)
    shown = (owner >= 0).reshape(size, size)
    texel = np.flatnonzero(owner >= 0)
    weights = _barycentric(corners[owner[texel]], texel, size)
    outside = (weights < 0).any(axis=1)
    weights[outside] = _nearest_on_border(corners[owner[texel[outside]]], texel[outside], size)[0]
    number = np.full((size, size), -1, np.int64)
    number[shown] = np.arange(len(texel))
    row, column = distance_transform_edt(~shown, return_distances=False, return_indices=True)
    return TexelMap(size, texel, owner[texel], weights, covered, number[row, column])


def _claim_beside(
    owner: Int[np.ndarray, " texels"], corners: Float[np.ndarray, "faces 3 2"], size: int, beside: float
) -> None:
    """Let free texels belong to the nearest triangle within `beside`, in place."""
    best = np.full(size * size, beside + 1e-9)
    free = owner < 0
    for face, texel in _candidates(corners, size, beside):
        open_texel = free[texel]
        face, texel = face[open_texel], texel[open_texel]
        distance = _nearest_on_border(corners[face], texel, size)[1]
        np.minimum.at(best, texel, distance)
        nearest = distance == best[texel]
        owner[texel[nearest]] = face[nearest]


def _to_texels(uv: Float[np.ndarray, "n 2"], size: int) -> Float[np.ndarray, "n 2"]:
    """Give column and row, with whole numbers at the texels' centres."""
    return np.stack([uv[:, 0] * size - 0.5, (1 - uv[:, 1]) * size - 0.5], axis=1)


def _candidates(
    corners: Float[np.ndarray, "faces 3 2"], size: int, margin: float
) -> Iterator[tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]]:
    """Pair each triangle with the texels of its bounding box and a margin around it, in pieces."""
    low = np.ceil(corners.min(axis=1) - margin).astype(np.int64).clip(0, size)
    high = np.floor(corners.max(axis=1) + margin).astype(np.int64).clip(-1, size - 1) + 1
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


def _nearest_on_border(
    corners: Float[np.ndarray, "n 3 2"], texel: Int[np.ndarray, " n"], size: int
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"]]:
    """Coordinates of the nearest point on the border of each triangle, and the distance to it in texels."""
    row, column = np.divmod(texel, size)
    point = np.stack([column, row], axis=1)[:, None]
    along = np.roll(corners, -1, axis=1) - corners
    length = np.maximum((along**2).sum(axis=-1), 1e-12)
    share = (((point - corners) * along).sum(axis=-1) / length).clip(0, 1)  # of the way along each of the three sides
    squared = ((corners + share[..., None] * along - point) ** 2).sum(axis=-1)
    index, side = np.arange(len(texel)), squared.argmin(axis=1)
    weights = np.zeros((len(texel), 3))
    weights[index, side] = 1 - share[index, side]
    weights[index, (side + 1) % 3] += share[index, side]
    return weights, np.sqrt(squared[index, side])


def _cross(a: Float[np.ndarray, "n 2"], b: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
    """Twice the signed area between vectors."""
    area: np.ndarray = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return area
