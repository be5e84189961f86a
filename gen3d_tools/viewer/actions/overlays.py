"""Meshes as browsers can show them: read from files, and with fewer faces where there are too many."""

import numpy as np
import trimesh
from jaxtyping import Float, Int

from gen3d_tools.geometry.color.vertex_colors import colors_of
from gen3d_tools.geometry.formats.export import SUFFIXES, read_mesh
from gen3d_tools.geometry.processing.decimation import decimate

__all__ = ["DISPLAY_FACES", "MESH_SUFFIXES", "display_mesh", "read_mesh"]

MESH_SUFFIXES = SUFFIXES
DISPLAY_FACES = 300_000
"""Faces that a browser on a laptop turns smoothly, and that reach it in a second."""

_CLUSTERED = 1_000_000  # faces above which vertices are joined first: collapsing edges would take minutes
_CELLS = 512  # along the longest side, to begin with


def display_mesh(mesh: trimesh.Trimesh, faces: int = DISPLAY_FACES) -> tuple[trimesh.Trimesh, str]:
    """Give a mesh that browsers can show, and a line that says what was done; empty if nothing was.

    Args:
        mesh: Any mesh. It is not changed.
        faces: At most. A texture is shown as colours of the vertices where faces had to go.
    """
    before = len(mesh.faces)
    if before <= faces:
        return mesh, ""
    small = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=colors_of(mesh), process=False)
    if before > _CLUSTERED:
        small = _clustered(small, _CLUSTERED)
    if len(small.faces) > faces:
        small = decimate(small, faces)
    return small, f"{before:,} faces are shown as {len(small.faces):,}; the file stays as it is"


def _clustered(mesh: trimesh.Trimesh, most: int) -> trimesh.Trimesh:
    """Join the vertices of each cell of a grid, which is made coarser until few enough faces are left."""
    low, high = np.asarray(mesh.bounds)
    cells = _CELLS
    while True:
        size = float((high - low).max()) / cells or 1.0
        keys = np.floor((np.asarray(mesh.vertices) - low) / size).astype(np.int64)
        vertices, faces, colors = _joined(mesh, keys @ np.array([1, cells + 1, (cells + 1) ** 2]))
        if len(faces) <= most or cells <= 8:
            return trimesh.Trimesh(vertices, faces, vertex_colors=colors, process=False)
        cells = int(cells * min(0.9, (most / len(faces)) ** 0.5))


def _joined(
    mesh: trimesh.Trimesh, cells: Int[np.ndarray, " vertices"]
) -> tuple[Float[np.ndarray, "cells 3"], Int[np.ndarray, "faces 3"], np.ndarray | None]:
    """Put the mean of its vertices into each cell."""
    _, place, counts = np.unique(cells, return_inverse=True, return_counts=True)

    def mean(values: np.ndarray) -> np.ndarray:
        columns = [np.bincount(place, column, len(counts)) / counts for column in values.T.astype(np.float64)]
        return np.stack(columns, -1)

    faces = place[np.asarray(mesh.faces)]
    first, second, third = faces.T
    faces = faces[(first != second) & (second != third) & (third != first)]
    colors = colors_of(mesh)
    return mean(np.asarray(mesh.vertices)), faces, None if colors is None else mean(colors).round().astype(np.uint8)
