"""Keep the real parts of a surface and let the floaters go.

A part is kept when its volume is at least a share of the largest part's. Detached real parts (an earring, a
lamp shade) stay and specks go. The wall of a cavity is a part too, with negative volume: real cavities stay and
bubbles are filled.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from gen3d_tools.errors import InputError


@dataclass(frozen=True, kw_only=True)
class CleanupReport:
    """What cleaning found and removed."""

    parts: int  # connected parts before
    removed_parts: int
    removed_faces: int  # of those parts
    removed_volume: float  # sum of their absolute volumes, as a share of the largest part's
    welded_vertices: int  # vertices that had the same position as another
    degenerate_faces: int  # faces that welding folded to a line or a point

    def __str__(self) -> str:
        """Say it in one line."""
        removed = f"{self.removed_parts} of {self.parts} parts removed"
        if self.removed_parts:
            removed += f" ({self.removed_faces:,} faces, {self.removed_volume:.1%} of the largest part's volume)"
        if self.welded_vertices:
            removed += f", {self.welded_vertices:,} vertices welded, {self.degenerate_faces:,} folded faces dropped"
        return removed


def clean(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], *, keep: float = 0.02
) -> tuple[Float[np.ndarray, "kept_vertices 3"], Int[np.ndarray, "kept_faces 3"], CleanupReport]:
    """Weld a surface, drop folded faces and small parts.

    Args:
        vertices: Positions, any unit.
        faces: Closed surface, outward faces counter-clockwise.
        keep: Smallest volume of a part to keep, as a share of the largest part's; 0 keeps everything,
            1 only the largest.

    Returns:
        What is left, in the order it came, and what was done.

    Raises:
        InputError: `keep` is not a share.
    """
    check_keep(keep)
    welded, welded_vertices = weld(vertices, faces)
    folded = (welded == np.roll(welded, 1, axis=1)).any(axis=1)
    solid = welded[~folded]
    labels = component_labels(solid)
    volumes = np.abs(component_volumes(vertices, solid, labels))
    largest = volumes.max(initial=0.0)
    kept_parts = volumes >= keep * largest
    kept = solid[kept_parts[labels]]
    report = CleanupReport(
        parts=len(volumes),
        removed_parts=int((~kept_parts).sum()),
        removed_faces=len(solid) - len(kept),
        removed_volume=float(volumes[~kept_parts].sum() / largest) if largest else 0.0,
        welded_vertices=welded_vertices,
        degenerate_faces=int(folded.sum()),
    )
    return *drop_unused(vertices, kept), report


def check_keep(keep: float) -> None:
    """Say before any work is done whether a share of the largest part makes sense.

    Raises:
        InputError: It is not within 0..1.
    """
    if not 0 <= keep <= 1:
        raise InputError(f"keep is {keep:g}, it must be a share from 0 (every part) to 1 (the largest only)")


def weld(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> tuple[Int[np.ndarray, "faces 3"], int]:
    """Let faces that meet at the very same position share one vertex.

    Returns:
        Faces that use the first of each set of equal vertices, and how many vertices that leaves unused.
    """
    order = np.lexsort(vertices.T)
    starts = np.ones(len(vertices), bool)
    starts[1:] = (np.diff(vertices[order], axis=0) != 0).any(axis=1)
    first = np.empty(len(vertices), np.int64)
    first[order] = order[starts][np.cumsum(starts) - 1]
    return first[faces], int((~starts).sum())


def drop_unused(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> tuple[Float[np.ndarray, "used 3"], Int[np.ndarray, "faces 3"]]:
    """Forget vertices that no face uses."""
    used = np.zeros(len(vertices), bool)
    used[faces] = True
    return vertices[used], (np.cumsum(used) - 1)[faces]


def component_labels(faces: Int[np.ndarray, "faces 3"]) -> Int[np.ndarray, " faces"]:
    """Number the connected part of each face, from 0 in the order of their first vertex. Parts share no vertex."""
    if not len(faces):
        return np.zeros(0, np.int64)
    used, compact = np.unique(faces, return_inverse=True)
    a, b, c = compact.reshape(-1, 3).T
    links = coo_matrix((np.ones(2 * len(faces), bool), (np.r_[a, b], np.r_[b, c])), shape=(len(used),) * 2)
    labels: np.ndarray = connected_components(links, directed=False)[1]
    return labels[a].astype(np.int64)


def component_volumes(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], labels: Int[np.ndarray, " faces"]
) -> Float[np.ndarray, " parts"]:
    """Signed volume of each closed part: the sum of the tetrahedra from each face to one point.

    A part whose faces look inwards, the wall of a cavity, has negative volume.
    """
    a, b, c = (vertices[faces[:, corner]] - vertices[faces[:1, 0]] for corner in range(3))
    tetrahedra = np.einsum("fi,fi->f", a, np.cross(b, c)) / 6
    return np.bincount(labels, weights=tetrahedra).astype(np.float64)
