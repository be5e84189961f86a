"""The compiled rasteriser's reference: the same in plain numpy, one triangle after the other."""

import numpy as np
from jaxtyping import Float

from gen3d_tools.kernels.raster import Fragments


def rasterize_plain(corners: Float[np.ndarray, "faces 3 3"], side: int) -> Fragments:
    """Find the triangle that every pixel sees; see `rasterize`.

    Args:
        corners: Homogeneous pixel coordinates of each triangle's corners, float64; pixel (0, 0) is the top left one.
        side: Pixels along each side.
    """
    face = np.full((side, side), -1, np.int32)
    shares = np.zeros((side, side, 3), np.float32)
    nearness = np.zeros((side, side))  # 1 / depth
    for index, corner in enumerate(corners):
        edges = np.stack([np.cross(corner[1], corner[2]), np.cross(corner[2], corner[0]), np.cross(*corner[:2])])
        det = corner[0] @ edges[0]
        if det == 0:
            continue
        rows, columns = pixels_around(corner, side)
        y, x = np.mgrid[rows, columns]
        solution = (edges[:, 0, None, None] * x + edges[:, 1, None, None] * y + edges[:, 2, None, None]) / det
        found = solution.sum(0)
        seen = (solution >= 0).all(0) & (found > nearness[rows, columns])
        face[rows, columns][seen] = index
        shares[rows, columns][seen] = (solution / np.where(seen, found, 1))[:, seen].T
        nearness[rows, columns][seen] = found[seen]
    with np.errstate(divide="ignore"):
        return Fragments(face, shares, (1 / nearness).astype(np.float32))


def pixels_around(corner: Float[np.ndarray, "3 3"], side: int) -> tuple[slice, slice]:
    """Rows and columns that a triangle may touch: all of them, should it reach behind the camera."""
    if (corner[:, 2] <= 0).any():
        return slice(0, side), slice(0, side)
    places = corner[:, :2] / corner[:, 2:]
    first = np.clip(np.floor(places.min(0)), 0, side).astype(int)
    last = np.clip(np.ceil(places.max(0)) + 1, 0, side).astype(int)
    return slice(first[1], last[1]), slice(first[0], last[0])
