"""Keep the object and let go of what is not it: floaters, background sheets, the walls of the box.

A part is a connected piece of the surface. The rules, in this order:

* **Box wall**: more than half of the part's area lies on the box, as where space is filled up to it.
* **Background sheet**: the part runs from wall to wall of the box along two axes or more, and encloses less than a
  quarter of its bounding box (a dome), or is thinner than a quarter of the box (a floor, a back wall). An object that
  the box cuts on one side, or a beam through it, is neither.
* **Floater**: the part's volume is less than `keep` of the largest part's. A part that is as near to what is kept as
  it is large (a wheel, the flame of a rocket) may be as small as `keep` squared.
* The wall of a cavity is a part too, with negative volume: real cavities stay and bubbles are filled. The inner wall
  of what is removed goes with it.

Nothing is background where nothing else would be left.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from gen3d_tools.errors import InputError
from gen3d_tools.geometry.processing.parts import Parts, encloses, measure_parts

_ON_WALLS = 0.5  # share of a part's area on the box above which it is a box wall
_HOLLOW = 0.25  # share of its bounding box below which what a part encloses is a sheet
_FLAT = 0.25  # thickness of a sheet, as a share of the box
_MIXERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)  # odd, their bits as if at random
_REACH = 0.01  # how near to a wall counts as reaching it, as a share of the box


@dataclass(frozen=True, kw_only=True)
class CleanupReport:
    """What cleaning found and removed."""

    parts: int  # connected parts before
    removed_parts: int
    removed_faces: int  # of those parts
    removed_volume: float  # sum of their absolute volumes, as a share of the largest kept part's
    welded_vertices: int  # vertices that had the same position as another
    degenerate_faces: int  # faces that welding folded to a line or a point
    box_walls: int = 0  # of the removed parts
    background_sheets: int = 0  # of the removed parts
    floaters: int = 0  # of the removed parts, small cavities among them

    def __str__(self) -> str:
        """Say it in one line."""
        removed = f"{self.removed_parts} of {self.parts} parts removed"
        if self.removed_parts:
            removed += f" ({self.removed_faces:,} faces, {self.removed_volume:.1%} of the largest part's volume"
            counts = {"box wall": self.box_walls, "background sheet": self.background_sheets, "floater": self.floaters}
            named = [f"{count} {name}{'s' * (count > 1)}" for name, count in counts.items() if count]
            removed += f": {', '.join(named)})"
        if self.welded_vertices:
            removed += f", {self.welded_vertices:,} vertices welded, {self.degenerate_faces:,} folded faces dropped"
        return removed


def clean(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    *,
    keep: float = 0.02,
    box_side: float = np.inf,
    keep_background: bool = False,
) -> tuple[Float[np.ndarray, "kept_vertices 3"], Int[np.ndarray, "kept_faces 3"], CleanupReport]:
    """Weld a surface, drop folded faces, background and small parts.

    Args:
        vertices: Positions, any unit.
        faces: Closed surface, outward faces counter-clockwise.
        keep: Smallest volume of a part to keep, as a share of the largest part's; 0 keeps everything that is no
            background, 1 only the largest.
        box_side: Side of the cube around the origin that the surface was taken from; without a box there is no
            background.
        keep_background: Keep box walls and background sheets.

    Returns:
        What is left, in the order it came, and what was done.

    Raises:
        InputError: `keep` is not a share.
    """
    check_keep(keep)
    welded, welded_vertices = weld(vertices, faces)
    a, b, c = welded.T
    folded = (a == b) | (b == c) | (c == a)
    solid = welded[~folded]
    parts = measure_parts(vertices, solid, box_side)
    walls, sheets = (np.zeros(len(parts), bool),) * 2
    if not keep_background and np.isfinite(box_side):
        walls, sheets = _find_background(vertices, solid, parts, box_side)
    floaters = _find_floaters(vertices, solid, parts, keep, ~(walls | sheets))
    removed = walls | sheets | floaters
    kept = solid[~removed[parts.labels]]
    largest = np.abs(parts.volumes[~removed]).max(initial=0.0)
    report = CleanupReport(
        parts=len(parts),
        removed_parts=int(removed.sum()),
        removed_faces=len(solid) - len(kept),
        removed_volume=float(np.abs(parts.volumes[removed]).sum() / largest) if largest else 0.0,
        welded_vertices=welded_vertices,
        degenerate_faces=int(folded.sum()),
        box_walls=int(walls.sum()),
        background_sheets=int(sheets.sum()),
        floaters=int(floaters.sum()),
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
    if _all_apart(vertices):
        return faces, 0
    order = np.lexsort(vertices.T)
    starts = np.ones(len(vertices), bool)
    starts[1:] = (np.diff(vertices[order], axis=0) != 0).any(axis=1)
    first = np.empty(len(vertices), np.int64)
    first[order] = order[starts][np.cumsum(starts) - 1]
    return first[faces], int((~starts).sum())


def _all_apart(vertices: Float[np.ndarray, "vertices 3"]) -> bool:
    """Whether positions are known to differ, since one number made of each does: sorting those is quick."""
    bits = (np.asarray(vertices, np.float64) + 0.0).view(np.uint64)  # -0 becomes 0
    mixed = np.sort(bits @ np.array(_MIXERS, np.uint64))
    return not (mixed[1:] == mixed[:-1]).any()


def drop_unused(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> tuple[Float[np.ndarray, "used 3"], Int[np.ndarray, "faces 3"]]:
    """Forget vertices that no face uses."""
    used = np.zeros(len(vertices), bool)
    used[faces] = True
    return vertices[used], (np.cumsum(used) - 1)[faces]


def _find_background(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], parts: Parts, box_side: float
) -> tuple[Bool[np.ndarray, " parts"], Bool[np.ndarray, " parts"]]:
    """Tell box walls and background sheets, each with the inner walls of its cavities."""
    half, reach = box_side / 2, _REACH * box_side
    outer = parts.volumes > 0
    walls = outer & (parts.wall_areas > _ON_WALLS * parts.areas)
    spans = ((parts.low < reach - half) & (parts.high > half - reach)).sum(axis=1)
    wide = outer & (spans >= 2) & ~walls
    if not (walls | wide).any():
        return walls, wide
    cavities = np.flatnonzero(parts.volumes < 0)
    owners = np.array([_owner(vertices, faces, parts, int(cavity)) for cavity in cavities], np.int64)
    enclosed = parts.volumes.copy()
    np.add.at(enclosed, owners[owners >= 0], parts.volumes[cavities[owners >= 0]])
    hollow = enclosed < _HOLLOW * parts.extents.prod(axis=1)
    flat = parts.extents.min(axis=1) < _FLAT * box_side
    sheets = wide & (hollow | flat)
    if not (outer & ~walls & ~sheets).any():  # then they are what was wanted
        return np.zeros(len(parts), bool), np.zeros(len(parts), bool)
    for background in (walls, sheets):
        background[cavities] = (owners >= 0) & background[owners]
    return walls, sheets


def _owner(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], parts: Parts, cavity: int
) -> int:
    """The smallest part around a cavity; -1 where there is none."""
    around = (parts.low <= parts.low[cavity]).all(axis=1) & (parts.high >= parts.high[cavity]).all(axis=1)
    inside = around & (parts.volumes > 0)
    point = vertices[faces[parts.labels == cavity][0, 0]]
    for part in sorted(np.flatnonzero(inside), key=lambda part: parts.volumes[part]):
        if encloses(vertices, faces[parts.labels == part], point):
            return int(part)
    return -1


def _find_floaters(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    parts: Parts,
    keep: float,
    candidates: Bool[np.ndarray, " parts"],
) -> Bool[np.ndarray, " parts"]:
    """Tell which of the candidates are too small for where they are."""
    sizes = np.abs(parts.volumes)
    largest = sizes[candidates].max(initial=0.0)
    large = candidates & (sizes >= keep * largest)
    small = candidates & ~large
    near = small & (parts.volumes >= keep**2 * largest)  # bubbles have negative volume
    if near.any():
        object_points = cKDTree(vertices[np.unique(faces[large[parts.labels]])])
        for part in np.flatnonzero(near):
            own_points = vertices[np.unique(faces[parts.labels == part])]
            gap = object_points.query(own_points)[0].min()
            near[part] = gap <= np.linalg.norm(parts.extents[part])
    return np.asarray(small & ~near)
