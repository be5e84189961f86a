"""Point clouds of meshes: evenly spread points with normals and colours, as .ply .xyz .npz.

.ply is binary with the names that other programs expect (x y z nx ny nz red green blue). .xyz is text, one point per
line: position, normal, colour 0..255. .npz holds the arrays `points`, `normals` and `colors`.
"""

import io
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8
from scipy.spatial import cKDTree

from gen3d_tools.errors import InputError
from gen3d_tools.files import atomic_path
from gen3d_tools.geometry.color.vertex_colors import colors_of, look_up, texture_of
from gen3d_tools.geometry.formats.lengths import parse_length
from gen3d_tools.geometry.formats.placement import Placement, unit_normals

POINT_SUFFIXES = (".ply", ".xyz", ".npz")
MOST_POINTS = 2_000_000

_CANDIDATES = 4  # random points to choose each point from
_WIDEST = 0.76  # distance between neighbours to begin with, as a share of the side of a point's square


@dataclass(frozen=True, eq=False)
class PointCloud:
    """Points of a surface, in its units."""

    points: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"]
    """Unit vectors outwards."""
    colors: UInt8[np.ndarray, "n 3"] | None
    """sRGB; None where the mesh has no colours."""

    def __len__(self) -> int:
        return len(self.points)


def check_points(count: int) -> None:
    """Say before any work is done whether a cloud may have so many points.

    Raises:
        InputError: It may not.
    """
    if not 1 <= count <= MOST_POINTS:
        raise InputError(f"points is {count}, it must be 1 to {MOST_POINTS:,}; try 10000")


def check_points_suffix(path: str | Path) -> None:
    """Say before any work is done whether `write_points` knows the format.

    Raises:
        InputError: It does not.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in POINT_SUFFIXES:
        found = f"suffix {path.suffix!r}" if suffix else "no suffix"
        alike = get_close_matches(suffix, POINT_SUFFIXES, n=1)
        hint = f"; did you mean {alike[0]}?" if alike else ""
        raise InputError(f"{path.name} has {found}, point clouds are written as {', '.join(POINT_SUFFIXES)}{hint}")


def sample_points(mesh: trimesh.Trimesh, n: int, *, seed: int = 0) -> PointCloud:
    """Spread points over a mesh so that none is close to another: random ones, and too near neighbours left out.

    Args:
        mesh: With vertex colours, a texture or neither.
        n: How many, 1 to 2,000,000.
        seed: The same seed gives the same points.

    Returns:
        Exactly `n` points with interpolated normals and colours.

    Raises:
        InputError: The number is out of its range, or the mesh has no area.
    """
    check_points(n)
    if not len(mesh.faces) or not mesh.area > 0:
        raise InputError("the mesh has no area, so there is nothing to put points on; lower the level")
    random = np.random.default_rng(seed)
    face, weights = _random_places(mesh, _CANDIDATES * n, random)
    corners = np.asarray(mesh.faces)[face]
    points = _mix(weights, np.asarray(mesh.vertices)[corners])
    chosen = _spread(points, n, float(mesh.area))
    corners, weights = corners[chosen], weights[chosen]
    normals = unit_normals(_mix(weights, np.asarray(mesh.vertex_normals, np.float64)[corners]))
    return PointCloud(points[chosen], normals, _colors(mesh, corners, weights))


def _random_places(
    mesh: trimesh.Trimesh, count: int, random: np.random.Generator
) -> tuple[Int[np.ndarray, " count"], Float[np.ndarray, "count 3"]]:
    """Draw faces by their area, and barycentric coordinates evenly within them."""
    areas = np.cumsum(np.asarray(mesh.area_faces))
    face = np.searchsorted(areas, random.random(count) * areas[-1], side="right").clip(0, len(areas) - 1)
    root, share = np.sqrt(random.random(count)), random.random(count)
    return face, np.stack([1 - root, root * (1 - share), root * share], axis=1)


def _mix(
    weights: Float[np.ndarray, "n 3"], values: Float[np.ndarray, "n 3 channels"]
) -> Float[np.ndarray, "n channels"]:
    """Interpolate the corners' values."""
    mixed: np.ndarray = np.einsum("nk,nkc->nc", weights, values)
    return mixed


def _spread(points: Float[np.ndarray, "candidates 3"], n: int, area: float) -> Int[np.ndarray, " n"]:
    """Choose `n` points that keep the largest distance that leaves enough of them; the order is that of `points`."""
    distance = _WIDEST * np.sqrt(area / n)
    tree = cKDTree(points)
    while True:
        kept = _far_apart(len(points), tree.query_pairs(distance, output_type="ndarray"))
        if len(kept) >= n:
            return kept[:n]
        distance *= 0.93


def _far_apart(count: int, pairs: Int[np.ndarray, "pairs 2"]) -> Int[np.ndarray, " kept"]:
    """Go through points in their order and keep each that is no neighbour of one kept before.

    All at once: in each round, points without an earlier undecided neighbour are kept, and their neighbours dropped.
    """
    first, second = np.sort(pairs, axis=1).T
    undecided, kept = np.ones(count, bool), np.zeros(count, bool)
    while undecided.any():
        waiting = np.zeros(count, bool)
        waiting[second] = True
        now = undecided & ~waiting
        kept |= now
        undecided &= ~now
        undecided[second[now[first]]] = False
        live = undecided[first] & undecided[second]
        first, second = first[live], second[live]
    return np.flatnonzero(kept)


def _colors(
    mesh: trimesh.Trimesh, corners: Int[np.ndarray, "n 3"], weights: Float[np.ndarray, "n 3"]
) -> UInt8[np.ndarray, "n 3"] | None:
    """Interpolate vertex colours, or look up a texture."""
    texture = texture_of(mesh)
    if texture is not None:
        return look_up(texture.picture, _mix(weights, texture.uv[corners]))[:, :3]
    of_vertices = colors_of(mesh)
    if of_vertices is None:
        return None
    return _mix(weights, of_vertices[corners][..., :3].astype(np.float64)).round().astype(np.uint8)


def write_points(
    path: str | Path,
    cloud: PointCloud,
    *,
    up: str = "y",
    scale: float | str | None = None,
    center: bool = False,
    ground: bool = False,
    unit: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write a point cloud in the format its suffix names.

    Args:
        path: Output file: .ply, .xyz or .npz.
        cloud: The points, y up.
        up: The file's upward axis, "y" or "z".
        scale: Length of the cloud's longest side in metres, or with a unit, such as "80mm"; by default its units stay.
        center: Put the middle of the cloud's box at the origin.
        ground: Stand the cloud on the plane y = 0 (z = 0 with `up="z"`).
        unit: Of the file's numbers, where there is a scale: "mm", "cm", "m" (the default), "in" or "ft".
        overwrite: Whether an existing file may be replaced.

    Raises:
        InputError: The suffix or a value is not known, or the file exists.
        Gen3DError: The disk is full or the place is not writable.
    """
    path = Path(path)
    check_points_suffix(path)
    metres = None if scale is None else parse_length(scale)
    placement = Placement(up=up, scale=metres, center=center, ground=ground, unit=unit)
    positions = placement.positions(cloud.points, placement.file_unit(path.suffix.lower()))
    placed = PointCloud(positions, placement.directions(cloud.normals), cloud.colors)
    encode = {".ply": _ply, ".xyz": _xyz, ".npz": _npz}[path.suffix.lower()]
    with atomic_path(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(encode(placed))


def _ply(cloud: PointCloud) -> bytes:
    names = ["x", "y", "z", "nx", "ny", "nz"]
    kinds = [(name, "<f4") for name in names]
    if cloud.colors is not None:
        kinds += [(name, "u1") for name in ("red", "green", "blue")]
    rows = np.zeros(len(cloud), kinds)
    columns = [*cloud.points.T, *cloud.normals.T, *(() if cloud.colors is None else cloud.colors.T)]
    for (name, _), column in zip(kinds, columns, strict=True):
        rows[name] = column
    properties = [f"property {'float' if kind == '<f4' else 'uchar'} {name}" for name, kind in kinds]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(cloud)}", *properties, "end_header", ""]
    return "\n".join(header).encode() + rows.tobytes()


def _xyz(cloud: PointCloud) -> bytes:
    columns = [cloud.points, cloud.normals]
    formats = ["%.6f"] * 3 + ["%.4f"] * 3
    if cloud.colors is not None:
        columns.append(cloud.colors)
        formats += ["%d"] * 3
    buffer = io.StringIO()
    np.savetxt(buffer, np.concatenate(columns, axis=1), fmt=formats)
    return buffer.getvalue().encode()


def _npz(cloud: PointCloud) -> bytes:
    arrays = {"points": cloud.points.astype(np.float32), "normals": cloud.normals.astype(np.float32)}
    if cloud.colors is not None:
        arrays["colors"] = cloud.colors
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
