"""Cut a mesh open and lay it flat: each triangle gets a place of its own in a square texture.

xatlas makes a few large charts that keep shapes and areas. (open3d's UVAtlas takes 25 times as long, and its charts
stretch shapes by 39 % instead of 6 %, on the mean of 8,000 faces.) Where xatlas refuses a mesh, every triangle becomes
a chart of its own, with many seams.
"""

import logging
import math
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
import trimesh
from jaxtyping import Float, Int

from gen3d_tools.errors import InputError

logger = logging.getLogger(__name__)

Method = Literal["auto", "xatlas", "triangles"]

GUTTER = 4
"""Texels between charts, about: room for the filters of viewers, which mix neighbours."""

_REST = 0.05
"""Seconds until xatlas's threads have come to rest: an atlas that is deleted sooner may wait for them for ever."""

_MARGIN = 1.0  # texels between a triangle and the border of its cell
_FEWEST_CELL_TEXELS = 5  # two triangles share a cell of the grid; below this they hold no texel of their own


@dataclass(frozen=True, eq=False)
class Atlas:
    """A mesh cut along its seams."""

    source: Int[np.ndarray, " vertices"]
    """Which vertex of the uncut mesh each vertex is; those on seams stand here several times."""
    faces: Int[np.ndarray, "faces 3"]
    """The triangles in their order, over the cut mesh's vertices."""
    uv: Float[np.ndarray, "vertices 2"]
    """Place in the texture, 0..1, from its lower left corner, u first."""
    charts: int
    method: Literal["xatlas", "triangles"]


def unwrap(mesh: trimesh.Trimesh, size: int, *, method: Method = "auto") -> Atlas:
    """Give every triangle of a mesh its place in a texture. The same mesh gets the same places every time.

    Args:
        mesh: What to unwrap.
        size: Texels along each side of the texture, for the gutters.
        method: "xatlas", "triangles" (each on its own), or "auto": xatlas, and where it fails the triangles, with
            a warning.

    Raises:
        InputError: The mesh has no faces, or the texture is too small to hold each triangle on its own.
    """
    if not len(mesh.faces):
        raise InputError("the mesh has no faces, so there is nothing to put a texture on; lower the level")
    if method == "triangles":
        return unwrap_triangles(mesh, size)
    try:
        return _unwrap_xatlas(mesh, size)
    except (RuntimeError, ValueError) as error:
        problem = f"xatlas could not unwrap this mesh ({error})"
    if method == "xatlas":
        raise InputError(f"{problem}; use the method triangles, which always works")
    logger.warning("%s: every triangle gets a chart of its own, with many seams.", problem)
    return unwrap_triangles(mesh, size)


def _unwrap_xatlas(mesh: trimesh.Trimesh, size: int) -> Atlas:
    """Let xatlas choose the charts.

    Raises:
        ValueError: Its answer is not the mesh that was asked about.
        RuntimeError: It refuses the mesh.
    """
    import xatlas

    charting, packing = xatlas.ChartOptions(), xatlas.PackOptions()
    charting.max_cost = 1.0  # fewer seams and half the time of the default, for 1% more stretch
    packing.resolution, packing.padding = size, GUTTER
    atlas = xatlas.Atlas()
    try:
        atlas.add_mesh(np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.uint32))
        atlas.generate(charting, packing)
    finally:
        time.sleep(_REST)
    if atlas.atlas_count != 1:
        raise ValueError(f"{atlas.atlas_count} textures instead of one")
    source, faces, uv = atlas[0]
    if not np.array_equal(source[faces], mesh.faces):
        raise ValueError("some triangles are missing")
    # Its pictures are not square; stretched to a square they leave no texel unused.
    return Atlas(source.astype(np.int64), faces.astype(np.int64), uv.astype(np.float64), atlas.chart_count, "xatlas")


def unwrap_triangles(mesh: trimesh.Trimesh, size: int) -> Atlas:
    """Lay the triangles out on a grid, two in each cell, their longest sides along the cell's diagonal.

    Raises:
        InputError: The texture is too small.
    """
    count = len(mesh.faces)
    cells = math.ceil(math.sqrt(math.ceil(count / 2)))
    if size < cells * _FEWEST_CELL_TEXELS:
        fitting = 1 << math.ceil(math.log2(cells * _FEWEST_CELL_TEXELS))
        raise InputError(
            f"a texture of {size} is too small for {count:,} triangles one by one; use {fitting}, or fewer faces"
        )
    side = size / cells
    near, far = _MARGIN, side - _MARGIN
    short = side - 2.5 * _MARGIN  # keeps the two diagonals two texels apart
    lower = np.array([[near, near], [short, near], [near, short]])  # the right angle first
    upper = np.array([[far, far], [side - short, far], [far, side - short]])
    index = np.arange(count)
    column, row = np.divmod(index // 2, cells)
    right_angle = _across_from_longest(mesh)
    texels = np.empty((count, 3, 2))
    for turn in range(3):
        corner = np.where((index % 2 == 0)[:, None], lower[turn], upper[turn])
        texels[index, (right_angle + turn) % 3] = corner + side * np.stack([column, row], axis=1)
    faces = np.arange(3 * count).reshape(-1, 3)
    return Atlas(np.asarray(mesh.faces, np.int64).reshape(-1), faces, texels.reshape(-1, 2) / size, count, "triangles")


def _across_from_longest(mesh: trimesh.Trimesh) -> Int[np.ndarray, " faces"]:
    """Find each triangle's corner across from its longest side."""
    corners = np.asarray(mesh.vertices)[np.asarray(mesh.faces)]
    sides = np.linalg.norm(np.roll(corners, -1, axis=1) - np.roll(corners, 1, axis=1), axis=2)
    across: np.ndarray = sides.argmax(axis=1)
    return across
