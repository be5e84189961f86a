"""Gaussian splats of a surface: flat discs of colour that lie on a mesh, in the .ply that splat viewers open.

Points are spread evenly over the mesh, each with the area s^2 around it. Each becomes a Gaussian whose disc lies in the
tangent plane with standard deviation `sigma = WIDTH * s`, and which is thin along the normal. At an outline discs are
seen edge on, and so many stand behind each other that their outer tails are opaque: they are set a little inwards.

How opaque must one be, so that all of them together stop as much light as the field's surface does? A ray that meets
the layer passes the discs around it; with peak opacity a, a disc at distance r stops `a g`, g = exp(-r^2 / 2 sigma^2).
The layer's optical depth is the sum of `-log(1 - a g)`, on average over where the ray meets it

    tau = 1/s^2 * integral of -log(1 - a g) over the plane = 2 pi WIDTH^2 * integral of -log(1 - a u) / u du, u = 0..1
        = 2 pi WIDTH^2 * Li2(a),    Li2 the dilogarithm,

which is solved for a. `tau` is the field's own, along a short way through the surface at the point.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import trimesh
from jaxtyping import Float
from scipy.special import spence

from gen3d_tools.errors import InputError
from gen3d_tools.fields.compiled import raw_density_of
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.files import atomic_path
from gen3d_tools.geometry.color.view_colors import surface_colors
from gen3d_tools.geometry.formats.point_cloud import sample_points
from gen3d_tools.memory import in_chunks

DEFAULT_SPLATS = 60_000
WIDTH = 0.6
"""Standard deviation of a disc in the plane, as a share of the distance between discs."""
THICKNESS = 0.05
"""Standard deviation along the normal, as a share of that in the plane."""
INSET = 0.25
"""How far inside the surface a disc lies, as a share of its standard deviation in the plane."""
MOST_OPAQUE = 0.99
"""Renderers of splats clamp what one stops there."""
LEAST_OPAQUE = 0.01
_VOXEL = 1 / 256  # of the box
_OUTSIDE, _INSIDE, _SAMPLES = 2.0, 6.0, 13  # voxels before and behind a point, and samples between
_CHUNK = 1 << 14
SH_DC = 0.5 / math.sqrt(math.pi)
"""The constant spherical harmonic: a colour is 0.5 + SH_DC * f_dc."""


@dataclass(frozen=True, eq=False)
class Splats:
    """Gaussians in world units."""

    centers: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"]
    """Unit vectors outwards: the thin axes."""
    scales: Float[np.ndarray, "n 3"]
    """Standard deviations along the Gaussian's own axes."""
    rotations: Float[np.ndarray, "n 4"]
    """Unit quaternions w x y z, from the own axes to the world."""
    opacities: Float[np.ndarray, " n"]
    """Peaks, between 0 and 1."""
    colors: Float[np.ndarray, "n 3"]
    """sRGB in [0, 1], the same from every side."""

    def __len__(self) -> int:
        return len(self.centers)


def surface_splats(
    field: RadianceField, mesh: trimesh.Trimesh, count: int = DEFAULT_SPLATS, *, seed: int = 0
) -> Splats:
    """Cover the surface of a field with flat Gaussians.

    Args:
        field: Gives opacities, and the colours as cameras see them.
        mesh: Its surface, in world units.
        count: How many.
        seed: The same seed gives the same splats.

    Raises:
        InputError: The count is out of its range, or the mesh has no area.
    """
    cloud = sample_points(mesh, count, seed=seed)
    sigma = WIDTH * math.sqrt(float(mesh.area) / count)
    scales = np.tile([sigma, sigma, THICKNESS * sigma], (count, 1))
    colors = surface_colors(field, cloud.points, cloud.normals) if cloud.colors is None else cloud.colors / 255
    depths = optical_depths(field, cloud.points, cloud.normals)
    centers = cloud.points - INSET * sigma * cloud.normals
    return Splats(centers, cloud.normals, scales, from_z_axis(cloud.normals), disc_opacities(depths), colors)


def disc_opacities(optical_depths: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Find how opaque discs must be for their layer to have an optical depth: the module's text, solved for a.

    Args:
        optical_depths: Of the layer at each disc, 0 or more.

    Returns:
        Peak opacities, `LEAST_OPAQUE` to `MOST_OPAQUE`.
    """
    opacities = np.linspace(0.0, 1.0, 4097)
    reached = 2 * math.pi * WIDTH**2 * spence(1 - opacities)  # scipy's spence(1 - a) is Li2(a)
    solved: np.ndarray = np.interp(optical_depths, reached, opacities)
    return solved.clip(LEAST_OPAQUE, MOST_OPAQUE)


@torch.no_grad()
def optical_depths(
    field: RadianceField, points: Float[np.ndarray, "n 3"], normals: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, " n"]:
    """Integrate the density along a short way straight through the surface at each point.

    Args:
        field: Its density.
        points: On the surface, world units.
        normals: Unit vectors outwards.
    """
    voxel = field.box_side * _VOXEL
    steps = torch.linspace(_OUTSIDE, -_INSIDE, _SAMPLES, device=field.device) * voxel
    found, raw_density = np.empty(len(points), np.float64), raw_density_of(field)

    def integrate(part: slice) -> None:
        at = torch.from_numpy(np.asarray(points[part], np.float32)).to(field.device)
        towards = torch.from_numpy(np.asarray(normals[part], np.float32)).to(field.device)
        density = field.activate(raw_density(at[:, None] + steps[:, None] * towards[:, None]))
        length = (_OUTSIDE + _INSIDE) * voxel / (_SAMPLES - 1)
        ends = density[:, [0, -1]].sum(-1) / 2
        found[part] = ((density.sum(-1) - ends) * length).cpu().numpy()

    in_chunks(integrate, len(points), _CHUNK)
    return found


def from_z_axis(directions: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 4"]:
    """Give the shortest rotations from the z axis to unit vectors, as quaternions w x y z.

    The quaternion of a rotation by t around a unit axis is (cos t/2, sin t/2 axis), which is parallel to
    (1 + cos t, sin t axis) = (1 + z.d, z x d). Straight down, any axis in the plane will do.
    """
    x, y, z = np.asarray(directions, np.float64).T
    quaternions = np.stack([1 + z, -y, x, np.zeros_like(z)], axis=1)
    quaternions[z < -1 + 1e-9] = [0.0, 1.0, 0.0, 0.0]
    unit: np.ndarray = quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)
    return unit


def write_splats(path: str | Path, splats: Splats, *, overwrite: bool = False) -> None:
    """Write the .ply of 3D Gaussian splatting (Kerbl et al. 2023), of degree 0: binary, one colour from every side.

    Properties: x y z nx ny nz f_dc_0..2 opacity scale_0..2 rot_0..3; opacities as logits, scales as logarithms,
    colours as factors of the constant spherical harmonic.

    Args:
        path: Ends in .ply.
        splats: What to write.
        overwrite: Whether an existing file may be replaced.

    Raises:
        InputError: Another suffix, or the file exists.
        Gen3DError: The disk is full or the place is not writable.
    """
    path = Path(path)
    if path.suffix.lower() != ".ply":
        raise InputError(f"{path.name} cannot hold splats, .ply can; try {path.with_suffix('.ply').name}")
    names = ["x", "y", "z", "nx", "ny", "nz", *_numbered("f_dc", 3), "opacity", *_numbered("scale", 3)]
    names += _numbered("rot", 4)
    logits = np.log(splats.opacities / (1 - splats.opacities))
    harmonics = (splats.colors - 0.5) / SH_DC
    columns = [splats.centers, splats.normals, harmonics, logits[:, None], np.log(splats.scales), splats.rotations]
    rows = np.ascontiguousarray(np.concatenate(columns, axis=1), dtype="<f4")
    properties = [f"property float {name}" for name in names]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(splats)}", *properties, "end_header", ""]
    with atomic_path(path, overwrite=overwrite) as temporary:
        temporary.write_bytes("\n".join(header).encode() + rows.tobytes())


def _numbered(name: str, count: int) -> list[str]:
    return [f"{name}_{index}" for index in range(count)]
